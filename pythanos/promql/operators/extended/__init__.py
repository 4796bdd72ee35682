"""Operators over selectors that look beyond the edges of their range: anchored, smoothed, and the x functions."""
