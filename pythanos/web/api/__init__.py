"""The JSON API under ``/api/v1``: parameters in, envelopes out."""
