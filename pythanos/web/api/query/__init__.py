"""PromQL over HTTP: queries, their plans, expressions without data, and remote read."""
