"""From PromQL text to a checked syntax tree: ``parser.parse``. Knows nothing of evaluation."""
