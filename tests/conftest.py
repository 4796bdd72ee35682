"""What has to come before anything that a test imports, and what holds for all tests."""

from hypothesis import settings

import pythanos.rpc  # noqa: F401 - sets the lowest TLS version, which gRPC reads when it is loaded

# How long an example takes says more about the machine's load than about the code.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
