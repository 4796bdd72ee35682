"""Whose request it is: the tenant that a client certificate or a header names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pythanos.errors import BadRequest

# The header by which Thanos' components tell each other; it counts where the configured one is not given.
INTERNAL_HEADER = "thanos-tenant"
# From the values of ``query.tenant_certificate_field`` to the short names of X.509.
CERTIFICATE_FIELDS = {"organization": "O", "organizationalUnit": "OU", "commonName": "CN"}


def tenant_of(headers: Mapping[str, str], header: str, default: str) -> str:
    """The tenant of a request's headers (lower-case names). Raises BadRequest for a name that is a path."""
    tenant = headers.get(header.lower()) or headers.get(INTERNAL_HEADER) or default
    return checked(tenant)


def tenant_of_certificate(certificate: Any, field: str) -> str:
    """The tenant in a field of a client's certificate (pyOpenSSL's X509, or None).

    Raises BadRequest where there is no certificate or nothing in the field: without them nobody is let in.
    """
    if certificate is None:
        raise BadRequest("could not get required certificate field from client cert")
    wanted = CERTIFICATE_FIELDS[field].encode()
    for name, value in certificate.get_subject().get_components():
        if name == wanted and value:
            return checked(value.decode("utf-8", "surrogateescape"))
    raise BadRequest(f"could not get {field} field from client cert")


def is_tenant(name: str) -> bool:
    """Whether a tenant may be called so; its name may become that of a folder."""
    return "/" not in name and name not in (".", "..")


def checked(tenant: str) -> str:
    """Raises BadRequest for a name with a path separator, or one that stands for a folder."""
    if not is_tenant(tenant):
        raise BadRequest("Tenant name not valid")
    return tenant
