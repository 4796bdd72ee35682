"""The nouns of the field, without I/O: labels, matchers, time ranges, resolutions, columns."""
