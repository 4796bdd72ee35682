"""The web configuration file: what is taken, what is refused in one line, when it is read again (XC-29)."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest
from certificates import Authority
from OpenSSL import SSL

from pythanos.errors import ConfigError
from pythanos.web.access.config_file import AccessConfig, AccessFile, read_access
from pythanos.web.access.guard import open_access
from pythanos.web.access.tls import ServerContexts

HASH = "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"
PAIR = "cert_file: a.pem, key_file: a.key"


def written(folder: Path, text: str) -> str:
    path = folder / "web.yml"
    path.write_text(text)
    return str(path)


def test_an_empty_file_guards_nothing(tmp_path):
    """No TLS, no users, no headers."""
    assert read_access(written(tmp_path, "")) == AccessConfig()
    guard, transport = open_access(written(tmp_path, "{}"), None)
    assert (transport, dict(guard.headers())) == (None, {})
    assert open_access("", None) == (None, None)


def test_names_of_files_are_relative_to_the_configuration(tmp_path):
    """As in Prometheus, whatever the working directory is."""
    tls = read_access(written(tmp_path, f"tls_server_config: {{{PAIR}}}")).tls_server_config
    assert tls.files == (str(tmp_path / "a.pem"), str(tmp_path / "a.key"))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("basic_auth_users: {ann: plain}", "basic_auth_users.ann: not a bcrypt hash"),
        (f"basic_auth_users: {{ann: {HASH[:-1]}}}", "basic_auth_users.ann: not a bcrypt hash"),
        ("http_server_config: {headers: {Server: x}}", "headers.Server: this header cannot be set"),
        ("http_server_config: {headers: {X-Frame-Options: maybe}}", "expected deny or sameorigin, got 'maybe'"),
        ('http_server_config: {headers: {X-XSS-Protection: "1\\r\\nA: b"}}', "expected printable ASCII"),
        ("rate_limit: {interval: 1s, burst: 2}", "rate_limit: not available here"),
        ("tls_server_config: {cert_file: a}", "missing one of key or key_file"),
        ("tls_server_config: {key: a}", "missing one of cert or cert_file"),
        ("tls_server_config: {client_auth_type: NoClientCert}", "missing one of cert or cert_file"),
        (f"tls_server_config: {{{PAIR}, client_ca_file: ca.pem}}", "without a client_auth_type"),
        (f"tls_server_config: {{{PAIR}, client_auth_type: Perhaps}}", "client_auth_type"),
        (f"tls_server_config: {{{PAIR}, min_version: SSL3}}", "min_version"),
        (f"tls_server_config: {{{PAIR}, min_version: TLS13, max_version: TLS12}}", "TLS13 is above max_version TLS12"),
        (f"tls_server_config: {{{PAIR}, curve_preferences: [X25519]}}", "curve_preferences: not available here"),
        (f"tls_server_config: {{{PAIR}, client_allowed_sans: [a]}}", "client_allowed_sans: not available here"),
        ("tls_config: {}", "tls_config"),
        (f"basic_auth_users: {{ann: {HASH}, ann: {HASH}}}", "given twice"),
    ],
)
def test_what_cannot_be_honoured_is_one_line_that_names_it(tmp_path, text, wanted):
    """Whatever would be ignored could be what somebody relies on."""
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_access(path)
    assert wanted in str(caught.value) and str(caught.value).startswith(path) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tls", "wanted"),
    [
        ("cert_file: none.pem, key_file: s.key", "none.pem"),
        ("cert_file: s.key, key_file: s.key", "cert_file: not PEM"),
        ("cert_file: s.pem, key_file: s.pem", "key_file: not PEM"),
        ("cert_file: s.pem, key_file: other.key", "the key does not belong to the certificate"),
        ("cert_file: s.pem, key_file: s.key, cipher_suites: [RC4]", "unknown cipher: RC4"),
    ],
)
def test_certificates_are_looked_at_at_the_start(tmp_path, tls, wanted):
    """One line for each that cannot serve."""
    authority = Authority(tmp_path)
    authority.issue("s", "localhost")
    authority.issue("other", "localhost")
    with pytest.raises(ConfigError) as caught:
        open_access(written(tmp_path, f"tls_server_config: {{{tls}}}"), None)
    assert wanted in str(caught.value) and "\n" not in str(caught.value)


def test_without_the_extra_the_error_says_what_to_install(tmp_path, monkeypatch):
    """pyOpenSSL is needed only with tls_server_config."""

    def without(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name="OpenSSL")

    monkeypatch.setattr(importlib, "import_module", without)
    open_access(written(tmp_path, f"basic_auth_users: {{ann: {HASH}}}"), None)
    with pytest.raises(ConfigError, match=r"TLS needs OpenSSL: pip install 'pythanos-server\[tls\]'"):
        open_access(written(tmp_path, f"tls_server_config: {{{PAIR}}}"), None)


def test_the_file_is_read_again_when_it_changes_and_only_then(tmp_path, monkeypatch):
    """A broken one is an error at each look until it is mended."""
    file = AccessFile(written(tmp_path, ""))
    first = file.current()
    assert file.current() is first
    written(tmp_path, f"basic_auth_users: {{ann: {HASH}}}")
    assert list(file.current().basic_auth_users) == ["ann"]
    written(tmp_path, "basic_auth_users: 7")
    for _ in range(2):
        with pytest.raises(ConfigError):
            file.current()
    os.unlink(file.path)
    with pytest.raises(ConfigError, match="read the file"):
        file.current()
    written(tmp_path, "")
    assert file.current() == AccessConfig()


def test_one_context_serves_until_a_certificate_changes(tmp_path):
    """Building one for each connection would read three files each time."""
    authority = Authority(tmp_path)
    authority.issue("s", "localhost")
    contexts = ServerContexts(AccessFile(written(tmp_path, "tls_server_config: {cert_file: s.pem, key_file: s.key}")))
    first = contexts.current()
    assert contexts.current() is first and isinstance(first, SSL.Context)
    authority.issue("s", "localhost")
    assert contexts.current() is not first
