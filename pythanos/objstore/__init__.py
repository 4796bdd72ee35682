"""Object storage: one small contract, and the stores that keep it."""
