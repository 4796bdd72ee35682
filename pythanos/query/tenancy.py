"""Tenancy: each caller sees the series of its own tenant only (QU-34)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec import structs

from pythanos.context import RequestContext
from pythanos.model.matchers import Matcher, MatchType
from pythanos.storeapi.batches import SeriesFrame
from pythanos.storeapi.requests import LabelNamesRequest, LabelsAnswer, LabelValuesRequest, SeriesRequest
from pythanos.storeapi.store import Store, StoreInfo


def enforced(matchers: Iterable[Matcher], label: str, tenant: str) -> tuple[Matcher, ...]:
    """The matchers with ``label="tenant"`` in place of any on that label."""
    return (*(matcher for matcher in matchers if matcher.name != label), Matcher(MatchType.EQ, label, tenant))


@dataclass(frozen=True, slots=True)
class TenantStore:
    """A Store that asks another one for the series of the request's tenant only: those with ``label`` of its name.

    Whatever becomes a select passes here, also what no text of a query shows, such as the series that info() reads.
    """

    store: Store
    label: str

    def info(self) -> StoreInfo:
        return self.store.info()

    def series(self, ctx: RequestContext, request: SeriesRequest) -> Iterator[SeriesFrame]:
        return self.store.series(ctx, structs.replace(request, matchers=self._enforced(ctx, request.matchers)))

    def label_names(self, ctx: RequestContext, request: LabelNamesRequest) -> LabelsAnswer:
        return self.store.label_names(ctx, structs.replace(request, matchers=self._enforced(ctx, request.matchers)))

    def label_values(self, ctx: RequestContext, request: LabelValuesRequest) -> LabelsAnswer:
        return self.store.label_values(ctx, structs.replace(request, matchers=self._enforced(ctx, request.matchers)))

    def _enforced(self, ctx: RequestContext, matchers: Iterable[Matcher]) -> tuple[Matcher, ...]:
        return enforced(matchers, self.label, ctx.tenant)
