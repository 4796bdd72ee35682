"""What endpoints know besides series, over HTTP: metadata, targets, rules, alerts, exemplars, head statistics."""
