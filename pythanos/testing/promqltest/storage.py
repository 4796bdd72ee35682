"""What scripts have loaded, as a Queryable."""

from __future__ import annotations

from dataclasses import dataclass, field

from pythanos.context import RequestContext
from pythanos.errors import NotSupported
from pythanos.model.matchers import Matcher
from pythanos.promql.queryable import SelectHints, Selection
from pythanos.testing.memory_queryable import MemoryQueryable
from pythanos.testing.promqltest.notation import HistogramText, Item, LabelSet
from pythanos.testing.promqltest.script import Load

_CLASSIC_SUFFIXES = ("_bucket", "_count", "_sum")


@dataclass(slots=True)
class _Loaded:
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    histogram_times: list[int] = field(default_factory=list)


@dataclass(slots=True)
class ScriptStorage:
    """Series by label set; loads without a clear between them accumulate."""

    series: dict[LabelSet, _Loaded] = field(default_factory=dict)

    def load(self, command: Load) -> None:
        for labels, items in command.series:
            self._append(labels, command.step_ms, items)
            if command.custom_buckets:
                self._append_custom_buckets(labels, command.step_ms, items)

    def select(self, ctx: RequestContext, matchers: tuple[Matcher, ...], hints: SelectHints) -> Selection:
        """The matching series. Raises NotSupported where native histograms lie in the hinted range."""
        memory = MemoryQueryable(batch_series=4)
        for labels, loaded in self.series.items():
            names = dict(labels)
            if not all(matcher.matches(names.get(matcher.name, "")) for matcher in matchers):
                continue
            if any(hints.mint <= time <= hints.maxt for time in loaded.histogram_times):
                raise NotSupported("native histogram samples are not supported yet")
            if loaded.times:
                memory.add(names, loaded.times, loaded.values)
        return memory.select(ctx, matchers, hints)

    def _append(self, labels: LabelSet, step_ms: int, items: list[Item]) -> None:
        loaded = self.series.setdefault(labels, _Loaded())
        for number, item in enumerate(items):
            if isinstance(item, HistogramText):
                loaded.histogram_times.append(number * step_ms)
            elif item is not None:
                loaded.times.append(number * step_ms)
                loaded.values.append(item)

    def _append_custom_buckets(self, labels: LabelSet, step_ms: int, items: list[Item]) -> None:
        """Where a classic histogram's samples are, a native one with custom buckets stands too, under the bare name."""
        names = dict(labels)
        name = names.get("__name__", "")
        suffix = next((suffix for suffix in _CLASSIC_SUFFIXES if name.endswith(suffix)), None)
        if suffix is None:
            return
        names["__name__"] = name.removesuffix(suffix)
        names.pop("le", None)
        loaded = self.series.setdefault(tuple(sorted(names.items())), _Loaded())
        loaded.histogram_times.extend(number * step_ms for number, item in enumerate(items) if item is not None)
