"""The three resolutions a block can have, in milliseconds."""

RAW_MS = 0
FIVE_MINUTES_MS = 300_000
ONE_HOUR_MS = 3_600_000
RESOLUTIONS_MS = (RAW_MS, FIVE_MINUTES_MS, ONE_HOUR_MS)

# Kinds of aggregate, numbered as in the StoreAPI's Aggr enum.
RAW, COUNT, SUM, MIN, MAX, COUNTER = range(6)
