"""Blocks as files: index, index-header, chunk segments, meta.json, tombstones; read and written."""
