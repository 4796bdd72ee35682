"""TLS under the HTTP server, by pyOpenSSL; certificates are read again when their files change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory
from zope.interface import implementer

from pythanos.errors import ConfigError
from pythanos.runtime import logs
from pythanos.web.access.config_file import AccessConfig, AccessFile, TLSServerConfig, stamp_of

_VERSIONS = {
    "TLS10": SSL.TLS1_VERSION,
    "TLS11": SSL.TLS1_1_VERSION,
    "TLS12": SSL.TLS1_2_VERSION,
    "TLS13": SSL.TLS1_3_VERSION,
}
# Go's names of the suites of TLS up to 1.2; those of 1.3 are always on, as in Go.
_SUITES = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
    "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
}
_SUITES_1_3 = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
_METHODS = (b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO")
_PLAIN_ANSWER = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
_KEY = "tls_server_config"


@implementer(IOpenSSLServerConnectionCreator)
class ServerContexts:
    """The SSL context of the files as they are at a connection; one context serves until a file changes."""

    def __init__(self, file: AccessFile) -> None:
        self._file = file
        self._stamp: tuple[object, ...] = ()
        self._context: SSL.Context | None = None

    def current(self) -> SSL.Context:
        """Raises ConfigError."""
        config = self._file.current()
        tls = config.tls_server_config
        try:
            stamp = (tls, stamp_of(tls.files))
        except OSError as error:
            raise ConfigError(self._file.path, _KEY, f"read {error.filename}: {error.strerror}") from error
        if self._context is None or stamp != self._stamp:
            self._context = build_context(config, self._file.path)
            self._stamp = stamp
        return self._context

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        return SSL.Connection(self.current(), None)

    def wrap(self, factory: Any, reactor: Any) -> TLSMemoryBIOFactory:
        """``factory`` behind TLS."""
        return _Factory(self, False, factory, reactor)


class _Protocol(BufferingTLSTransport):
    """TLS that tells a client in cleartext what is wrong, in Go's words."""

    _has_begun = False

    def dataReceived(self, data: bytes) -> None:
        if not self._has_begun:
            self._has_begun = True
            if data.startswith(_METHODS):
                wire: Any = self.transport
                wire.write(_PLAIN_ANSWER)
                wire.loseConnection()
                return
        super().dataReceived(data)


class _Factory(TLSMemoryBIOFactory):
    """Turns connections away, with a line in the log, while the files cannot be used."""

    protocol = _Protocol
    noisy = False

    def __init__(self, contexts: Any, is_client: bool, factory: Any, reactor: Any) -> None:
        super().__init__(contexts, is_client, factory, reactor)
        self._contexts = contexts
        self._log = logs.make_logger()

    def buildProtocol(self, addr: Any) -> Any:
        try:
            self._contexts.current()
        except ConfigError as error:
            self._log.error("no TLS with this web configuration", err=str(error))
            return None
        return super().buildProtocol(addr)


def build_context(config: AccessConfig, path: str) -> SSL.Context:
    """The context for ``tls_server_config``; ``path`` is what errors call the file. Raises ConfigError."""
    tls = config.tls_server_config
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[tls.min_version])
    context.set_max_proto_version(_VERSIONS[tls.max_version])
    options = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET
    context.set_options(options | (SSL.OP_CIPHER_SERVER_PREFERENCE if tls.prefer_server_cipher_suites else 0))
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_alpn_select_callback(_only_http_1)
    _use_suites(context, tls, path)
    _use_certificate(context, tls, path)
    _ask_clients(context, tls, path)
    return context


def _only_http_1(connection: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


def _use_suites(context: SSL.Context, tls: TLSServerConfig, path: str) -> None:
    for name in tls.cipher_suites:
        if name not in _SUITES and name not in _SUITES_1_3:
            raise ConfigError(path, f"{_KEY}.cipher_suites", f"unknown cipher: {name}")
    names = [_SUITES[name] for name in tls.cipher_suites if name in _SUITES] or list(_SUITES.values())
    context.set_cipher_list(":".join(names).encode())


def _use_certificate(context: SSL.Context, tls: TLSServerConfig, path: str) -> None:
    chain = _parsed(tls.cert_file, tls.cert_text, "cert", path, x509.load_pem_x509_certificates)
    key = _parsed(tls.key_file, tls.key_text, "key", path, lambda text: load_pem_private_key(text, None))
    try:
        context.use_certificate(chain[0])
        for issuer in chain[1:]:
            context.add_extra_chain_cert(issuer)
        context.use_privatekey(key)
        context.check_privatekey()
    except (SSL.Error, TypeError, ValueError) as error:
        raise ConfigError(path, _KEY, "the key does not belong to the certificate") from error


def _ask_clients(context: SSL.Context, tls: TLSServerConfig, path: str) -> None:
    kind = tls.client_auth_type
    if kind in ("", "NoClientCert"):
        context.set_verify(SSL.VERIFY_NONE, _as_found)
        return
    required = SSL.VERIFY_FAIL_IF_NO_PEER_CERT if kind.startswith("Require") else 0
    context.set_verify(SSL.VERIFY_PEER | required, _as_found if "Verify" in kind else _any)
    if tls.client_ca_file or tls.client_ca_text:
        store = context.get_cert_store()
        sources = tls.client_ca_file, tls.client_ca_text
        authorities = _parsed(*sources, "client_ca", path, x509.load_pem_x509_certificates)
        for authority in authorities:
            known = crypto.X509.from_cryptography(authority)
            if store is not None:
                store.add_cert(known)
            context.add_client_ca(authority)
    else:
        context.set_default_verify_paths()


def _as_found(connection: Any, certificate: Any, code: int, depth: int, ok: int) -> bool:
    return bool(ok)


def _any(connection: Any, certificate: Any, code: int, depth: int, ok: int) -> bool:
    return True


def _parsed(name: str, text: str, key: str, path: str, parse: Callable[[bytes], Any]) -> Any:
    place = f"{_KEY}.{key}_file" if name else f"{_KEY}.{key}"
    try:
        return parse(Path(name).read_bytes() if name else text.encode())
    except OSError as error:
        raise ConfigError(path, place, f"read {name}: {error.strerror or error}") from error
    except (ValueError, TypeError) as error:
        raise ConfigError(path, place, f"not PEM: {' '.join(str(error).split())}") from error
