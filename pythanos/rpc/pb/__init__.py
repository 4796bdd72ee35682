"""Generated protobuf modules; ``make build`` leaves them alone, ``python -m grpc_tools.protoc`` makes them anew (CONTRIBUTING)."""
