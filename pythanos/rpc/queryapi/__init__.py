"""The QueryAPI: PromQL over gRPC."""
