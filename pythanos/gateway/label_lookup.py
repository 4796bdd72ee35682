"""Label names and values of one block, from its index-header alone or, with matchers, from its series (ST-26)."""

from __future__ import annotations

from collections.abc import Iterable

from pythanos._labels import names_of, value_index
from pythanos.gateway.select.block_select import BlockRequest, BlockSelect
from pythanos.gateway.select.run import SelectableBlock, SelectRun
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.timerange import ClosedRange

METRIC_NAME = "__name__"


class LabelLookup:
    """One block's part of a LabelNames or LabelValues call. ``begin`` of all blocks comes before ``finish`` of any."""

    def __init__(
        self,
        run: SelectRun,
        block: SelectableBlock,
        wanted: ClosedRange,
        matchers: tuple[Matcher, ...],
        drop: tuple[str, ...],
        *,
        label: str | None = None,
    ) -> None:
        """``matchers``: those on the series' own labels. ``label``: whose values are wanted; None for the names."""
        self._block = block
        self._drop = frozenset(drop)
        self._label = label
        self._external = {name: value for name, value in block.labels.items() if name not in self._drop}
        self._select: BlockSelect | None = None
        if label is not None:
            matchers = _with_label(matchers, label, block.labels)
        if matchers:
            request = BlockRequest(
                wanted.mint, wanted.maxt, matchers, self._external, drop=tuple(sorted(drop)), skip_chunks=True
            )
            self._select = BlockSelect(run, block, request)

    def begin(self) -> None:
        if self._select is not None:
            self._select.begin()

    def finish(self) -> set[str]:
        if self._select is None:
            return self._from_header()
        self._select.start()
        found: set[str] = set()
        for batch in self._select:
            if self._label is None:
                found.update(names_of(batch.labels))
            else:
                found.update(value_index(batch.labels, self._label)[1])
        found.discard("")
        return found

    def close(self) -> None:
        if self._select is not None:
            self._select.close()

    def _from_header(self) -> set[str]:
        header = self._block.open_header()
        if self._label is None:
            return (set(header.label_names()) | self._external.keys()) - self._drop - {""}
        if self._label in self._external:
            # The external label overwrites what the series may have under that name.
            return {self._external[self._label]}
        return set(header.label_values(self._label))


def _with_label(matchers: tuple[Matcher, ...], label: str, external: Iterable[str]) -> tuple[Matcher, ...]:
    """With ``label!=""`` added where that spares series without the label."""
    if not matchers or label in external:
        return matchers
    if any(one.name == METRIC_NAME and one.type is MatchType.EQ for one in matchers):
        return matchers
    return (*matchers, Matcher(MatchType.NEQ, label, ""))
