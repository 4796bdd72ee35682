"""A daemon behind a web configuration file, asked over real sockets (XC-29)."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import bcrypt
import pytest
import yaml
from certificates import Authority
from running import RealProcess, free_port

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
USERS = {"ann": bcrypt.hashpw(b"s3cret", bcrypt.gensalt(5)).decode()}


class Asked:
    """Status, headers and text of an answer."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None, user: str = "", path: str = "/-/healthy"):
        scheme = "https" if context is not None else "http"
        request = urllib.request.Request(f"{scheme}://127.0.0.1:{port}{path}")
        if user:
            request.add_header("Authorization", "Basic " + base64.b64encode(user.encode()).decode())
        try:
            answer = urllib.request.urlopen(request, timeout=10, context=context)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            self.status, self.headers, self.text = answer.status, answer.headers, answer.read().decode()


def listens(port: int) -> Callable[[], bool]:
    def ask() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return ask


def command(folder: Path, port: int, web: dict) -> list[str]:
    (folder / "web.yml").write_text(yaml.safe_dump(web))
    own = {
        "http_address": f"127.0.0.1:{port}",
        "grpc_address": f"127.0.0.1:{free_port()}",
        "http": {"config": str(folder / "web.yml")},
    }
    (folder / "query.yaml").write_text(yaml.safe_dump(own))
    return [*TWISTD, "pythanos-query", "-c", str(folder / "query.yaml")]


def started(folder: Path, port: int, web: dict) -> RealProcess:
    argv = command(folder, port, web)
    return RealProcess(argv, listens(port), folder, name="query", environment={"PYTHONPATH": str(ROOT)})


def test_tls_client_certificates_and_users(tmp_path: Path):
    """The right certificate and password get 200; wrong passwords 401; no certificate and cleartext no answer."""
    authority = Authority(tmp_path)
    authority.issue("server", "127.0.0.1")
    client = authority.issue("client", "client")
    web = {
        "tls_server_config": {
            "cert_file": "server.pem",
            "key_file": "server.key",
            "client_auth_type": "RequireAndVerifyClientCert",
            "client_ca_file": "ca.pem",
        },
        "http_server_config": {"headers": {"X-Frame-Options": "deny"}},
        "basic_auth_users": USERS,
    }
    known, nobody = authority.client_context(client), authority.client_context()
    port = free_port()
    with started(tmp_path, port, web):
        good = Asked(port, known, "ann:s3cret", "/metrics")
        assert (good.status, good.headers["X-Frame-Options"]) == (200, "deny")
        for user in ("", "ann:wrong", "bob:s3cret"):
            refused = Asked(port, known, user)
            assert (refused.status, refused.text) == (401, "Unauthorized\n")
            assert refused.headers["WWW-Authenticate"] == "Basic"
        with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError)):
            Asked(port, nobody, "ann:s3cret")
        plain = Asked(port)
        assert (plain.status, plain.text) == (400, "Client sent an HTTP request to an HTTPS server.\n")
        authority.issue("server", "127.0.0.2")
        with pytest.raises(urllib.error.URLError, match="not valid for"):
            Asked(port, known, "ann:s3cret")


def test_users_change_without_a_restart(tmp_path: Path):
    """The file is looked at for each request; a broken one lets nobody in."""
    port = free_port()
    with started(tmp_path, port, {"basic_auth_users": USERS}):
        assert [Asked(port, user=user).status for user in ("ann:s3cret", "ann:s3cret", "")] == [200, 200, 401]
        new = {"ann": bcrypt.hashpw(b"other", bcrypt.gensalt(5)).decode()}
        (tmp_path / "web.yml").write_text(yaml.safe_dump({"basic_auth_users": new}))
        assert [Asked(port, user=user).status for user in ("ann:s3cret", "ann:other")] == [401, 200]
        (tmp_path / "web.yml").write_text("nonsense: 1")
        assert Asked(port, user="ann:other").status == 500
        (tmp_path / "web.yml").write_text("")
        assert Asked(port).status == 200


@pytest.mark.parametrize(
    ("web", "wanted"),
    [
        ({"basic_auth_users": {"ann": "plain"}}, "basic_auth_users.ann: not a bcrypt hash"),
        ({"tls_server_config": {"cert_file": "none.pem", "key_file": "none.key"}}, "none.pem"),
        ({"tls_server_config": {"cert": "a", "key": "b", "curve_preferences": ["X25519"]}}, "curve_preferences"),
    ],
)
def test_a_file_that_cannot_be_honoured_is_one_line(tmp_path: Path, web: dict, wanted: str):
    """The daemon does not start."""
    done = subprocess.run(
        command(tmp_path, free_port(), web),
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    (line,) = done.stderr.splitlines()
    assert done.returncode == 1 and line.startswith("pythanos-query: ") and wanted in line
