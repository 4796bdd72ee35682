"""gRPC at the edge: protobuf <-> model, and the only package that imports grpc."""
