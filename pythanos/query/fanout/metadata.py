"""Metric metadata of all endpoints as one."""

from __future__ import annotations

from collections.abc import Iterable

from pythanos.model.promapi.metadata import Metadata, MetadataByMetric


def merge_metadata(answers: Iterable[MetadataByMetric], limit: int) -> MetadataByMetric:
    """The first ``limit`` metrics that turn up (all below 0), in byte order, with every different metadata once."""
    merged: dict[str, list[Metadata]] = {}
    if limit == 0:
        return {}
    for answer in answers:
        for metric, metas in answer.items():
            known = merged.get(metric)
            if known is None:
                if 0 < limit <= len(merged):
                    continue
                known = merged[metric] = []
            known += [meta for meta in dict.fromkeys(metas) if meta not in known]
    return {metric: tuple(merged[metric]) for metric in sorted(merged, key=_bytes)}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
