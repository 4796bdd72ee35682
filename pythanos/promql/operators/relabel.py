"""Operators on labels and order: label_replace, label_join, sort."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pythanos import _labels
from pythanos.errors import BadRequest, QueryFailed
from pythanos.model.matchers import compile_pattern
from pythanos.model.series import LabelColumn
from pythanos.promql.operators.operator import (
    Block,
    Evaluation,
    Job,
    Names,
    VectorOperator,
    merged_duplicates,
)

_REFERENCE = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)


class LabelEdit(Protocol):
    """Computes one label of each row. ``label`` is the name that is written."""

    label: str

    def values(self, labels: LabelColumn) -> tuple[list[str | None], NDArray[np.int64]]:
        """(values, index int64[n]): row i gets ``values[index[i]]``, None leaves it as it is."""


class Relabel:
    """label_replace or label_join: looks at labels only, so the operand has to be seen whole for equal label sets."""

    def __init__(self, evaluation: Evaluation, operand: VectorOperator, edit: LabelEdit) -> None:
        self.evaluation = evaluation
        self.operand = operand
        self.edit = edit
        self.steps = operand.steps
        self.names = Names.MANY

    def jobs(self) -> Iterator[Job]:
        block = self.evaluation.collect(self.operand)
        values, index = self.edit.values(block.labels)
        block.labels = _labels.set_label(block.labels, self.edit.label, values, index)
        if self.edit.label == "__name__" and block.drop_name is not None:
            changed = np.array([value is not None for value in values], np.bool_)[index]
            block.drop_name = block.drop_name & ~changed
        yield partial(merged_duplicates, block)

    def finished(self) -> None:
        pass


class LabelReplace:
    """label_replace(v, dst, replacement, src, regex), once for each distinct value of ``src``."""

    def __init__(self, label: str, replacement: str, source: str, pattern: str) -> None:
        """Raises QueryFailed for a bad pattern or label name."""
        try:
            self.pattern = compile_pattern(pattern)
        except BadRequest as error:
            raise QueryFailed(f"invalid regular expression in label_replace(): {pattern}") from error
        if not is_label_name(label):
            raise QueryFailed(f"invalid destination label name in label_replace(): {label}")
        self.label = label
        self.replacement = replacement
        self.source = source

    def values(self, labels: LabelColumn) -> tuple[list[str | None], NDArray[np.int64]]:
        index, texts = _labels.value_index(labels, self.source)
        return [self._replaced(text) for text in texts] or [None], index

    def _replaced(self, text: str) -> str | None:
        found = self.pattern.fullmatch(text.encode("utf-8", "surrogateescape"))
        if found is None:
            return None
        groups = found.re.groupindex

        def expand(reference: re.Match[str]) -> str:
            name = reference[1] or reference[2]
            if name is None:
                return "$"
            number = int(name) if name.isdigit() else groups.get(name.encode())
            if number is None or number > found.re.groups:
                return ""
            return (found[number] or b"").decode("utf-8", "surrogateescape")

        return _REFERENCE.sub(expand, self.replacement)


class LabelJoin:
    """label_join(v, dst, separator, src...)."""

    def __init__(self, label: str, separator: str, sources: tuple[str, ...]) -> None:
        """Raises QueryFailed for a bad label name."""
        for source in sources:
            if not is_label_name(source):
                raise QueryFailed(f"invalid source label name in label_join(): {source}")
        if not is_label_name(label):
            raise QueryFailed(f"invalid destination label name in label_join(): {label}")
        self.label = label
        self.separator = separator
        self.sources = sources

    def values(self, labels: LabelColumn) -> tuple[list[str | None], NDArray[np.int64]]:
        columns = [_labels.values_of(labels, source) for source in self.sources]
        rows = zip(*columns, strict=True) if columns else iter([()] * len(labels))
        numbers: dict[str, int] = {}
        index = [numbers.setdefault(self.separator.join(row), len(numbers)) for row in rows]
        return list(numbers) or [None], np.array(index, np.int64)


class Sorted:
    """sort, sort_desc: floats by value, NaN at the end; no order beyond a single step."""

    def __init__(self, evaluation: Evaluation, operand: VectorOperator, *, descending: bool) -> None:
        self.evaluation = evaluation
        self.operand = operand
        self.descending = descending
        self.steps = operand.steps
        self.names = operand.names

    def jobs(self) -> Iterator[Job]:
        block = self.evaluation.collect(self.operand)
        if block.histograms is not None:
            block.histograms = None
            block = block.without_empty()
        if self.steps.count != 1:
            yield partial(_same, block)
            return
        value = block.values[:, 0]
        key = -value if self.descending else value
        yield partial(block.take, np.argsort(key, kind="stable"))

    def finished(self) -> None:
        pass


class SortedByLabel:
    """sort_by_label, sort_by_label_desc: by the natural order of some labels, then by all."""

    def __init__(
        self, evaluation: Evaluation, operand: VectorOperator, labels: tuple[str, ...], *, descending: bool
    ) -> None:
        self.evaluation = evaluation
        self.operand = operand
        self.labels = labels
        self.descending = descending
        self.steps = operand.steps
        self.names = operand.names

    def jobs(self) -> Iterator[Job]:
        block = self.evaluation.collect(self.operand)
        order = _labels.sort_order(block.labels)
        columns = [_labels.values_of(block.labels, name) for name in self.labels]
        keys = {row: tuple(natural_key(column[row]) for column in columns) for row in order.tolist()}
        rows = sorted(order.tolist(), key=keys.__getitem__)
        yield partial(block.take, np.array(rows[::-1] if self.descending else rows, np.int64))

    def finished(self) -> None:
        pass


def is_label_name(name: str) -> bool:
    """Whether a string can be a label's name: any UTF-8 but the empty string."""
    return bool(name) and not any("\udc80" <= char <= "\udcff" for char in name)


def natural_key(text: str) -> tuple[tuple[int, int | str], ...]:
    """A key that sorts runs of digits by their number: ``a2`` before ``a10``."""
    parts = re.split(r"(\d+)", text)
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in parts if part)


def _same(block: Block) -> Block:
    return block
