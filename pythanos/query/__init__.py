"""The querier: which endpoints there are, and their series as what PromQL reads."""
