"""``/api/v1/stores``: the endpoints of a querier by their kind, with health and what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pythanos.query.endpoints import EndpointStatus
from pythanos.tsdb.meta import format_time
from pythanos.web.api.responses import success
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route

# What Go prints for a time that never was.
NEVER = "0001-01-01T00:00:00Z"


class StoresAPI:
    """``endpoints`` gives the state of all known endpoints; those of no known kind are not shown."""

    def __init__(self, endpoints: Callable[[], Iterable[EndpointStatus]]) -> None:
        self._endpoints = endpoints

    def routes(self) -> list[Route]:
        return [Route("/api/v1/stores", self.stores, "stores")]

    def stores(self, request: Request) -> Response:
        by_kind: dict[str, list[dict[str, object]]] = {}
        for status in self._endpoints():
            if status.component:
                by_kind.setdefault(status.component, []).append(_shown(status))
        return success({kind: by_kind[kind] for kind in sorted(by_kind)})


def _shown(status: EndpointStatus) -> dict[str, object]:
    return {
        "name": status.name,
        "lastCheck": NEVER if status.last_check_ms is None else format_time(status.last_check_ms),
        "lastError": status.last_error or None,
        "labelSets": [dict(sorted(labels.items())) for labels in status.label_sets],
        "minTime": status.mint,
        "maxTime": status.maxt,
    }
