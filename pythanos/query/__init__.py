"""The querier: which endpoints there are, and their series as what the PromQL engine reads."""
