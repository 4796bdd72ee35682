"""What has to come before anything that a test imports."""

import pythanos.rpc  # noqa: F401 - sets the lowest TLS version, which gRPC reads when it is loaded
