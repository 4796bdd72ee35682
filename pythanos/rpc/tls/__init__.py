"""TLS as far as gRPC's Python API reaches, and what is done where it does not."""
