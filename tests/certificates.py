"""A certificate authority for tests, whose certificates are good for an hour.

They have the extensions that RFC 5280 demands, which Python verifies since 3.13.
"""

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

HOUR = datetime.timedelta(hours=1)
KEY_USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
    *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


@dataclass(frozen=True)
class Pair:
    """Paths of a certificate and its key, in PEM."""

    cert: Path
    key: Path


class Authority:
    """Writes certificates below ``folder``; ``ca`` is its own."""

    def __init__(self, folder: Path, name: str = "ca"):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._sign_own()
        self.ca = folder / f"{name}.pem"
        self.ca.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, file: str, *names: str, organization: str = "") -> Pair:
        """A certificate for hosts and IP addresses, in ``file``.pem and ``file``.key, written over what is there."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(x509.NameOID.COMMON_NAME, file)]
        if organization:
            subject.append(x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, organization))
        hosts = x509.SubjectAlternativeName([general_name(name) for name in names])
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = self._unsigned(x509.Name(subject), key).add_extension(hosts, critical=False)
        certificate = builder.add_extension(issuer, critical=False).sign(self.key, hashes.SHA256())
        pair = Pair(self.folder / f"{file}.pem", self.folder / f"{file}.key")
        pair.cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def client_context(self, pair: Pair | None = None) -> ssl.SSLContext:
        """For clients that trust this authority alone and show the pair; as strict as Python 3.13 with every Python."""
        context = ssl.create_default_context(cafile=str(self.ca))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        if pair is not None:
            context.load_cert_chain(pair.cert, pair.key)
        return context

    def _sign_own(self):
        usage = dict.fromkeys(KEY_USAGES, False) | {"key_cert_sign": True, "crl_sign": True}
        builder = self._unsigned(self.name, self.key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        return builder.sign(self.key, hashes.SHA256())

    def _unsigned(self, subject, key):
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - HOUR)
            .not_valid_after(now + HOUR)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )


def general_name(name: str):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
