"""Endpoint addresses from files."""

import os

import pytest

from pythanos.discovery.file_sd import FileDiscovery, parse_targets


def test_targets_come_from_json_and_yaml_in_order(tmp_path):
    """XC-37: all groups of all files, each address once."""
    (tmp_path / "a.json").write_text('[{"targets": ["one:1", "two:2"], "labels": {"x": "y"}}, {"targets": ["one:1"]}]')
    (tmp_path / "b.yml").write_text("- targets: ['three:3']\n")
    (tmp_path / "c.txt").write_text("[]")
    found = FileDiscovery([str(tmp_path / "*.json"), str(tmp_path / "*.yml")], 1000)
    assert found.addresses(0) == ("one:1", "two:2", "three:3")


def test_a_changed_file_is_read_again_and_a_broken_one_keeps_its_last_content(tmp_path, caplog):
    """QU-6: an invalid file is logged and ignored; a file that is gone takes its targets with it."""
    path = tmp_path / "targets.json"
    path.write_text('[{"targets": ["one:1"]}]')
    discovery = FileDiscovery([str(path)], 300_000)
    assert discovery.addresses(0) == ("one:1",)
    path.write_text('[{"targets": ["one:1", "two:2"]}]')
    assert discovery.addresses(1) == ("one:1", "two:2")
    path.write_text("[{")
    assert discovery.addresses(2) == ("one:1", "two:2")
    assert caplog.messages[-1].count(str(path)) == 1
    path.unlink()
    assert discovery.addresses(3) == ()


def test_an_unchanged_stamp_is_trusted_only_for_the_interval(tmp_path):
    """XC-37: a change that the file system does not show is seen after the refresh interval."""
    path = tmp_path / "targets.json"
    path.write_text('[{"targets": ["one:1"]}]')
    stamp = os.stat(path)
    discovery = FileDiscovery([str(path)], 1000)
    assert discovery.addresses(0) == ("one:1",)
    path.write_text('[{"targets": ["two:2"]}]')
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert discovery.addresses(999) == ("one:1",)
    assert discovery.addresses(1000) == ("two:2",)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("{}", "x.json"),
        ('[{"targets": "a"}]', "x.json"),
        ('[{"targets": [1]}]', "x.json"),
        ('[{"targets": [""]}]', "x.json"),
        ('[{"hosts": []}]', "x.json"),
        ("[1]", "x.yaml"),
        ("a: [", "x.yml"),
        ("[]", "x.toml"),
    ],
)
def test_files_that_are_no_target_groups_are_refused(text, name):
    """The error names the file."""
    with pytest.raises(ValueError, match=name):
        parse_targets(text, name)
