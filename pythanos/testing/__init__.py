"""Public test helpers: buckets that fail on purpose, block builders, stores and queryables in memory, PromQL tests."""
