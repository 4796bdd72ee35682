"""PromQL: text to plan to columns. Knows no bucket, no network and no HTTP; data comes in through ``queryable``."""
