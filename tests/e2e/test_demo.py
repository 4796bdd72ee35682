"""``pythanos demo`` beside another server."""

import socket

import pytest

from pythanos.errors import ConfigError
from pythanos.tools.demo import check_free


def test_a_port_that_is_taken_is_told_before_anything_is_written():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigError, match=f"--http-port: 127.0.0.1:{port}: Address already in use; DEMO_HTTP_PORT"):
            check_free(port)
    check_free(port)
