"""StoreUsage: what one store gave to one select, for the analysis of a query."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoreUsage:
    """``seconds`` from the first request to the end of the stream; ``nbytes`` of the batches it sent.

    ``responses`` counts batches and other messages; ``samples`` those in the chunks it sent, whether or not they lie
    inside the range that was asked for.
    """

    address: str
    seconds: float
    nbytes: int = 0
    responses: int = 0
    series: int = 0
    chunks: int = 0
    samples: int = 0
