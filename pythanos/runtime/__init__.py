"""Twisted services that every daemon shares: start and stop order, loops, gates, probes, logs, exits."""
