"""Prometheus' remote read: the series of a Store as decoded samples, or as chunks in frames."""
