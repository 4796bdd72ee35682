"""The lowest TLS version that gRPC takes in this process: 1.3, Thanos' default, unless the environment says else.

grpcio has no setting for it: its C library takes 1.2 and 1.3. But what it can speak under 1.2 is a list of cipher
suites from the environment, and a list of suites that need a pre-shared key, which nobody here has, leaves none.
"""

from __future__ import annotations

from collections.abc import Mapping

from pythanos.errors import ConfigError
from pythanos.tls import TLSVersion

CIPHERS_VARIABLE = "GRPC_SSL_CIPHER_SUITES"
WITHOUT_TLS_1_2 = "ECDHE-PSK-AES128-CBC-SHA"


def check_min_version(wanted: TLSVersion, key: str, environment: Mapping[str, str]) -> None:
    """Raises ConfigError where the process would take more or less than ``wanted`` and later versions."""
    only_1_3 = environment.get(CIPHERS_VARIABLE) == WITHOUT_TLS_1_2
    if wanted == "1.3" and not only_1_3:
        raise ConfigError("", key, f"TLS 1.3 as the least needs {CIPHERS_VARIABLE} to be left to pythanos")
    if wanted != "1.3" and only_1_3:
        raise ConfigError(
            "", key, f"TLS {wanted} needs {CIPHERS_VARIABLE} in the environment of the daemon: HIGH, for example"
        )
    if wanted in ("1.0", "1.1"):
        raise ConfigError("", key, f"gRPC's C library does not speak TLS {wanted}: give 1.2 or 1.3")
