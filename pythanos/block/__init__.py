"""Blocks as objects in a bucket: discovery, filters, marks, transfer, checks."""
