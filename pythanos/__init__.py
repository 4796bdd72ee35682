"""Long-term storage and a global query view for Prometheus: Thanos' formats and protocols in Python."""
