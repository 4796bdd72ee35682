"""The ``pythanos`` command line: looking at buckets and putting blocks into them, with Thanos' names for flags."""
