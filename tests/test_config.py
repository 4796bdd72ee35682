"""The configuration reader: what it accepts, and the one line it says about everything else."""

from pathlib import Path
from typing import Literal

import msgspec
import pytest

from pythanos import config
from pythanos.errors import ConfigError
from pythanos.units import ByteSize, Duration, Secret


class Cache(config.Section):
    max_size: ByteSize = ByteSize(250 << 20)
    ttl: Duration = Duration(86_400_000)
    password: Secret = Secret("")


class BucketSection(config.Section):
    type: str
    config: dict[str, object] = {}  # noqa: RUF012 - msgspec copies it


class Mode(config.Section):
    mode: Literal["on", "off"] | None = None


class Server(config.Section):
    http_address: str = "0.0.0.0:10902"
    cache: Cache = Cache()
    fallback: Cache | None = None
    replica_label: list[str] = []  # noqa: RUF012 - msgspec copies it
    stages: list[Cache] = []  # noqa: RUF012
    by_name: dict[str, Cache] = {}  # noqa: RUF012
    enabled: bool = True
    ratio: float = 0.9
    concurrency: int = 20
    min_time: str = ""
    mode: Literal["local", "far", ""] = ""
    features: tuple[Literal["histograms", "exemplars", "limits", "a", "b", "c"], ...] = ()
    levels: dict[str, Literal["info", "warn"]] = {}  # noqa: RUF012
    fallbacks: list[Mode] = []  # noqa: RUF012
    objstore: config.FileOrContent[BucketSection] = config.FileOrContent()

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError("concurrency must be at least 1")


def message(text: str, **kwargs: object) -> str:
    with pytest.raises(ConfigError) as caught:
        config.loads(text, Server, path="server.yaml", **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_an_empty_file_gives_the_defaults():
    """Defaults stand in the struct; a file of comments changes nothing."""
    assert config.loads("# nothing\n", Server) == Server()


def test_units_are_converted_and_nothing_else():
    """Durations, sizes and secrets get their types; every other value keeps the type that YAML gave it."""
    got = config.loads("cache: {max_size: 1GiB, ttl: 1h30m, password: hush}\nreplica_label: [a, b]\nratio: 1\n", Server)
    assert got.cache == Cache(max_size=ByteSize(1 << 30), ttl=Duration(5_400_000), password=Secret("hush"))
    assert isinstance(got.cache.ttl, Duration) and isinstance(got.cache.max_size, ByteSize)
    assert got.replica_label == ["a", "b"]
    assert config.loads("cache: {ttl: 0, max_size: 512}", Server).cache.max_size == 512


def test_a_time_stays_a_string():
    """YAML's own timestamp type would refuse the year 0, which is Thanos' default of min-time."""
    assert config.loads("min_time: 0000-01-01T00:00:00Z", Server).min_time == "0000-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http_adress: x", "server.yaml: http_adress: unknown key; did you mean http_address?"),
        ("cache: {max_sise: 1}", "server.yaml: cache.max_sise: unknown key; did you mean max_size?"),
        ("cache: {zzz: 1}", "server.yaml: cache.zzz: unknown key; valid keys are max_size, password, ttl"),
        ("stages: [{ttl: 1s}, {tl: 1s}]", "server.yaml: stages[1].tl: unknown key; did you mean ttl?"),
        ("by_name: {x: {tl: 1s}}", "server.yaml: by_name.x.tl: unknown key; did you mean ttl?"),
        ("fallback: {tl: 1s}", "server.yaml: fallback.tl: unknown key; did you mean ttl?"),
        ("objstore: {config: {typ: S3}}", "server.yaml: objstore.config.typ: unknown key; did you mean type?"),
        ("objstore: {config: {}}", "server.yaml: objstore.config: required key type is missing"),
        ("http_address: 1", "server.yaml: http_address: expected a string, got an integer"),
        ("enabled: 1", "server.yaml: enabled: expected true or false, got an integer"),
        ("enabled: 'true'", "server.yaml: enabled: expected true or false, got a string"),
        ("concurrency: 1.5", "server.yaml: concurrency: expected an integer, got a number"),
        ("concurrency: 0", "server.yaml: concurrency must be at least 1"),
        ("cache: 3", "server.yaml: cache: expected a mapping, got an integer"),
        ("replica_label: a", "server.yaml: replica_label: expected a list, got a string"),
        ("cache: {ttl: 5}", "server.yaml: cache.ttl: expected a duration such as 5m, got int 5"),
        ("cache: {ttl: 5 parsecs}", "server.yaml: cache.ttl: not a valid duration string: '5 parsecs'"),
        ("cache: {max_size: [1]}", "server.yaml: cache.max_size: expected a size such as 250MB, got list"),
        ("cache: {password: 5}", "server.yaml: cache.password: expected a string, got int"),
        ("cache: {ttl: 1s, ttl: 2s}", "server.yaml: cache.ttl: given twice, again in line 1"),
        ("mode: near", "server.yaml: mode: invalid value 'near'; valid values are local, far, ''"),
        ("features: [a, limit]", "server.yaml: features[1]: invalid value 'limit'; did you mean limits?"),
        ("levels: {x.y: w}", "server.yaml: levels[...]: invalid value 'w'; valid values are info, warn"),
        ("fallbacks: [{mode: o}]", "server.yaml: fallbacks[0].mode: invalid value 'o'; valid values are on, off"),
        ("- a", "server.yaml: expected a mapping, got a list"),
        ("min_time: $(NOWHERE)", "server.yaml: min_time: environment variable NOWHERE is not set"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, expected: str):
    """File, dotted path, and the nearest valid key or the type that was expected."""
    assert message(text) == expected


@pytest.mark.parametrize(
    "text", ["a: [", "a: 'x", "{", "a: b: c", "\t", "a: *x", "? [1]: 2\n", "!!python/object:os.system {}"]
)
def test_text_that_is_not_yaml_is_a_config_error(text: str):
    """No YAML error escapes, and no tag constructs an object."""
    message(text)


def test_variables_are_substituted_with_the_type_of_the_result():
    """An unquoted variable may stand for a number; a quoted one stays a string; comments are left alone."""
    text = "concurrency: $(N) # not $(THIS)\nhttp_address: '$(N)'\nmin_time: -$(AGE)-x"
    got = config.loads(text, Server, environment={"N": "7", "AGE": "6w"})
    assert (got.concurrency, got.http_address, got.min_time) == (7, "7", "-6w-x")


def test_a_substituted_value_cannot_add_keys():
    """Substitution happens after parsing, so the environment cannot inject structure."""
    got = config.loads("min_time: $(EVIL)", Server, environment={"EVIL": "x\nconcurrency: 3"})
    assert got.concurrency == 20


def test_overrides_win_and_their_faults_are_theirs(tmp_path: Path):
    """``--set`` replaces one key, creates sections, and is what an error names."""
    file = tmp_path / "server.yaml"
    file.write_text("concurrency: 3\n")

    def load(*overrides: str) -> Server:
        return config.load(str(file), Server, environment={"V": "2h"}, overrides=overrides)

    assert load("concurrency=4").concurrency == 4
    assert load("cache.ttl=$(V)", "replica_label=[x, y]").cache.ttl == 7_200_000
    assert load("cache.ttl=5m", "cache.max_size=1MB").cache == Cache(ttl=Duration(300_000), max_size=ByteSize(1 << 20))
    for override, expected in [
        ("cache.tl=5m", "--set: cache.tl: unknown key; did you mean ttl?"),
        ("cache.ttl=x", "--set: cache.ttl: not a valid duration string: 'x'"),
        ("concurrency", "--set: concurrency: expected key.path=value"),
        ("concurrency.x=1", "--set: concurrency.x: concurrency is not a mapping"),
    ]:
        with pytest.raises(ConfigError) as caught:
            load(override)
        assert str(caught.value) == expected


def test_a_pair_takes_a_file_or_content(tmp_path: Path):
    """The content of ``config_file`` arrives in ``config``; errors in it name that file; both at once are refused."""
    bucket = tmp_path / "bucket.yaml"
    bucket.write_text("type: FILESYSTEM\nconfig: {directory: $(DIR)}\n")
    got = config.loads(f"objstore: {{config_file: {bucket}}}", Server, environment={"DIR": "/data"})
    assert got.objstore.config == BucketSection(type="FILESYSTEM", config={"directory": "/data"})
    both = f"objstore: {{config_file: {bucket}, config: {{type: S3}}}}"
    assert message(both) == "server.yaml: objstore: config_file and config exclude each other"
    bucket.write_text("tpe: S3")
    assert message(f"objstore: {{config_file: {bucket}}}") == f"{bucket}: tpe: unknown key; did you mean type?"
    bucket.unlink()
    assert message(f"objstore: {{config_file: {bucket}}}") == f"{bucket}: read the file: No such file or directory"


def test_a_missing_or_binary_file_is_a_config_error(tmp_path: Path):
    """What cannot be read is one line, too."""
    for path in (tmp_path, tmp_path / "absent"):
        with pytest.raises(ConfigError, match="read the file"):
            config.load(str(path), Server, environment={})
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        config.load(str(tmp_path / "binary"), Server, environment={})


def test_the_dump_is_a_configuration_again():
    """Every key with its value; reading it back gives the same configuration, where nothing is secret."""
    given = config.loads(
        "cache: {ttl: 90s, max_size: 3MB}\nobjstore: {config: {type: S3, config: {bucket: b}}}", Server
    )
    assert config.loads(config.dump(given), Server) == given
    assert list(msgspec.yaml.decode(config.dump(given).encode())) == [f.name for f in msgspec.structs.fields(Server)]


def test_the_dump_and_the_flags_hide_secrets():
    """Typed secrets and the provider keys that hold one are not printed."""
    text = "cache: {password: hush}\nobjstore: {config: {type: S3, config: {secret_key: hush, access_key: seen}}}"
    given = config.loads(text, Server)
    assert "hush" not in config.dump(given) and "seen" in config.dump(given)
    flags = config.flatten(given)
    assert flags["cache.password"] == "<secret>"
    assert flags["objstore.config.config.secret_key"] == "<secret>"
    assert flags["enabled"] == "true" and flags["cache.ttl"] == "1d"
