"""HTTP at the edge: one server for every daemon, and the translation between requests and the layers below."""
