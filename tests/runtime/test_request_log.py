"""XC-26, XC-27: which requests the configuration lets into the log, and at which level."""

import logging

import pytest

from pythanos.config import decode_tree
from pythanos.errors import ConfigError
from pythanos.runtime.request_log import RequestLog, RequestLogConfig

BOTH = {"log_start": True, "log_end": True}


def config(**tree):
    return decode_tree(tree, RequestLogConfig, "request.yaml", environment={})


def lines(log, *, failed=False):
    log.started({"a": 1})
    log.finished({"a": 1}, failed=failed)


def test_without_a_configuration_nothing_is_logged():
    assert not RequestLog().wants("/api/v1/query:0")
    assert not config().http_log().wants("/api/v1/query:0")


def test_an_empty_list_means_every_request_and_another_one_only_those():
    options = {"level": "DEBUG", "decision": BOTH}
    assert config(options=options).http_log().wants("/any:1")
    log = config(
        options=options, http={"config": [{"path": "/api/v1/query", "port": 10904}, {"path": "/x"}]}
    ).http_log()
    assert log.wants("/api/v1/query:10904", "/api/v1/query:0")
    assert log.wants("/x:1", "/x:0")
    assert not log.wants("/api/v1/query:1", "/api/v1/query:0")
    log = config(options=options, grpc={"config": [{"service": "thanos.Store", "method": "Series"}]}).grpc_log()
    assert (log.wants("/thanos.Store/Series"), log.wants("/thanos.Store/LabelNames")) == (True, False)


def test_options_of_a_protocol_come_before_the_common_ones():
    tree = {"options": {"level": "DEBUG", "decision": BOTH}, "http": {"options": {"level": "ERROR"}}}
    assert not config(**tree).http_log().wants("/x:0")
    assert config(**tree).grpc_log().wants("/x/y")


@pytest.mark.parametrize(
    "level, decision, failed, expected",
    [
        ("DEBUG", BOTH, False, [("DEBUG", "started call"), ("DEBUG", "finished call")]),
        ("DEBUG", {"log_end": True}, False, [("DEBUG", "finished call")]),
        ("DEBUG", {"log_end": True}, True, [("ERROR", "finished call")]),
        ("INFO", BOTH, False, []),
        ("ERROR", BOTH, True, [("ERROR", "finished call")]),
    ],
)
def test_requests_that_succeed_are_debug_and_failures_of_the_server_errors(level, decision, failed, expected, caplog):
    log = config(options={"level": level, "decision": decision}).http_log()
    with caplog.at_level(logging.DEBUG):
        lines(log, failed=failed)
    assert [(record.levelname, record.message) for record in caplog.records] == expected


@pytest.mark.parametrize(
    "options, text",
    [
        ({"decision": {"log_end": True}}, "level field in YAML file is empty"),
        ({"level": "DEBUG", "decision": {"log_start": True}}, "log start call is not supported"),
        ({"level": "LOUD"}, "LOUD"),
    ],
)
def test_bad_options_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        config(options=options)
