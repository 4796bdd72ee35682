"""How a client secures its connection; a value, without any library that does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TLSVersion = Literal["1.0", "1.1", "1.2", "1.3"]


@dataclass(frozen=True, slots=True)
class ClientTLS:
    """Cleartext unless ``enabled``. ``ca_file`` empty means the system's roots; both of cert and key, or neither.

    ``server_name`` is checked instead of the host of the address; ``skip_verify`` takes any certificate for good.
    """

    enabled: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    skip_verify: bool = False
    min_version: TLSVersion = "1.3"

    @property
    def files(self) -> tuple[str, ...]:
        """What is read from disk, in the order CA, certificate, key."""
        return tuple(name for name in (self.ca_file, self.cert_file, self.key_file) if name)


CLEARTEXT = ClientTLS()
