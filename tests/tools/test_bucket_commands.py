"""``pythanos tools bucket``: a user's blocks into a bucket, and what the bucket holds (TO-5, TO-7)."""

from __future__ import annotations

import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pythanos.tools.main import cli, main

BLOCKS = Path(__file__).parents[1] / "golden" / "blocks" / "prometheus-2.42"
(ULID,) = (path.name for path in BLOCKS.iterdir())
LABELS = ("--label", 'cluster="one"', "--label", 'replica="a"')


@pytest.fixture
def bucket(tmp_path):
    (tmp_path / "bucket").mkdir()
    return tmp_path / "bucket"


def run(bucket, command, *arguments, code=0):
    config = f"{{type: FILESYSTEM, config: {{directory: {bucket}}}}}"
    result = CliRunner().invoke(cli, ["tools", "bucket", command, "--objstore.config", config, *arguments])
    assert result.exit_code == code, (result.output, result.exception)
    return result


@pytest.fixture
def filled(bucket, tmp_path):
    """Prometheus' block, uploaded."""
    shutil.copytree(BLOCKS, tmp_path / "data")
    uploaded = run(bucket, "upload-blocks", "--path", str(tmp_path / "data"), *LABELS)
    assert uploaded.stdout.split() == [ULID]
    return bucket


def test_uploaded_blocks_carry_their_external_labels(filled):
    meta = json.loads((filled / ULID / "meta.json").read_text())
    assert meta["thanos"]["labels"] == {"cluster": "one", "replica": "a"}
    assert meta["thanos"]["source"] == "bucket.upload"
    assert (filled / ULID / "index").read_bytes() == (BLOCKS / ULID / "index").read_bytes()


def test_a_second_upload_sends_nothing(filled, tmp_path):
    again = run(filled, "upload-blocks", "--path", str(tmp_path / "data"), *LABELS)
    assert again.stdout == "" and "0 blocks uploaded" in again.stderr


def test_ls_names_the_blocks(filled):
    assert run(filled, "ls").stdout == f"{ULID}\n"
    assert run(filled, "ls", "--output", "wide").stdout.startswith(f"{ULID} -- ")
    assert json.loads(run(filled, "ls", "--output", "json").stdout)["ulid"] == ULID


def test_inspect_shows_what_is_in_them(filled):
    assert ULID in run(filled, "inspect").stdout
    (block,) = json.loads(run(filled, "inspect", "--output", "json").stdout)
    meta = json.loads((filled / ULID / "meta.json").read_text())
    assert (block["ULID"], block["FROM"], block["#SERIES"]) == (ULID, meta["minTime"], meta["stats"]["numSeries"])
    assert block["LABELS"] == "cluster=one,replica=a"
    assert json.loads(run(filled, "inspect", "--output", "json", "-l", 'replica="b"').stdout) == []


def test_verify_finds_damage_and_says_so_by_its_exit_code(filled):
    assert json.loads(run(filled, "verify", "--output", "json").stdout) == {"findings": [], "unreadable": {}}
    index = filled / ULID / "index"
    index.write_bytes(b"\0" + index.read_bytes()[1:])
    found = run(filled, "verify", code=1).stdout
    assert f"index_known_issues {ULID}: {ULID}/index: magic number" in found


def test_a_mistake_is_one_line_and_exit_code_1(tmp_path, monkeypatch, capsys):
    missing = str(tmp_path / "missing.yaml")
    monkeypatch.setattr(sys, "argv", ["pythanos", "tools", "bucket", "ls", "--objstore.config-file", missing])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 1
    assert capsys.readouterr().err == f"pythanos: {missing}: read the file: No such file or directory\n"


def test_the_package_is_the_command_too(monkeypatch, capsys):
    """``python -m pythanos.tools``, where the script is not installed."""
    monkeypatch.setattr(sys, "argv", ["pythanos", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("pythanos.tools", run_name="__main__")
    assert ended.value.code == 0 and capsys.readouterr().out.startswith("pythanos, version ")
