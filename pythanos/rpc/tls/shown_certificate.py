"""What a TLS server shows, taken at its word: the only way to skip verification that grpcio leaves.

grpcio always verifies. So the certificate is asked for on a connection of its own, unverified, and then is the only
root that gRPC trusts, under the name that it bears itself. One that is expired, or replaced, still fails; a replaced
one is taken up when the endpoint is polled next. Imported only where a configuration skips verification.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from pythanos.discovery.lookups import split_port
from pythanos.tls import ClientTLS

CONNECT_SECONDS_MAX = 3.0


@dataclass(frozen=True, slots=True)
class ShownCertificate:
    """PEM of the server's own certificate, and a name that it is valid for."""

    pem: bytes
    name: str


def fetch(address: str, tls: ClientTLS) -> ShownCertificate:
    """The certificate that the server at ``host:port`` shows. Raises OSError, ValueError for an unreadable one."""
    host, port = split_port(address)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if tls.cert_file:
        context.load_cert_chain(Path(tls.cert_file), Path(tls.key_file))
    with (
        socket.create_connection((host, int(port)), CONNECT_SECONDS_MAX) as plain,
        context.wrap_socket(plain, server_hostname=tls.server_name or host) as secured,
    ):
        shown = secured.getpeercert(binary_form=True)
    if shown is None:
        raise ValueError(f"{address} shows no certificate")
    return ShownCertificate(ssl.DER_cert_to_PEM_cert(shown).encode(), name_of(x509.load_der_x509_certificate(shown)))


def name_of(certificate: x509.Certificate) -> str:
    """A host that the certificate is for: of its alternative names, or its common name."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return str(common[0].value) if common else ""
    hosts = [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]
    return hosts[0].replace("*", "any", 1) if hosts else ""
