"""Operators over whole vectors beside the common ones: sampling, filled matches, enrichment by info metrics."""
