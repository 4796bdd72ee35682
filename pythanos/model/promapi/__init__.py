"""What a Prometheus tells besides samples: metadata, targets, rules, exemplars, statistics of its head.

Values only, as the gRPC services and the JSON API know them. Label sets are plain dicts and never change once made;
times are Unix nanoseconds, so that a time of another daemon is shown with all its digits; None where there is none.
"""
