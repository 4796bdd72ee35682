"""The promqltest notation of Prometheus: scripts that load series, evaluate expressions and say what must come out."""
