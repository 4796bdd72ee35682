"""gRPC at the edge: protobuf <-> model, and the only package that imports grpc."""

import os
import sys

from pythanos.rpc.tls.floor import CIPHERS_VARIABLE, WITHOUT_TLS_1_2

# gRPC's C library reads this once, when it is loaded; a process that wants TLS 1.2, too, sets it before the start.
# Where gRPC is loaded already it would only look as if 1.3 were the least.
if "grpc" not in sys.modules:
    os.environ.setdefault(CIPHERS_VARIABLE, WITHOUT_TLS_1_2)
