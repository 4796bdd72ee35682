"""PromQuestions: everything that is asked of endpoints besides series, one method each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.model.matchers import Matcher
from pythanos.model.promapi.exemplars import ExemplarsRequest, SeriesExemplars
from pythanos.model.promapi.metadata import MetadataByMetric, MetadataRequest
from pythanos.model.promapi.rules import RuleGroup, RulesRequest
from pythanos.model.promapi.statistics import StatisticsByTenant, StatisticsRequest
from pythanos.model.promapi.targets import Targets, TargetState
from pythanos.query.fanout.clients import PromAPI, PromEndpoint
from pythanos.query.fanout.exemplars import exemplar_query
from pythanos.query.fanout.gather import FanOut, Gathered
from pythanos.storeapi.external_labels import remaining_matchers

# The names under which Info announces the APIs.
METADATA, TARGETS, RULES, EXEMPLARS, STATUS = "metric_metadata", "targets", "rules", "exemplars", "status"


@dataclass(frozen=True, slots=True)
class PromQuestions:
    """Asks the endpoints that announce an API; the answers are as they came, for ``merge_*`` or to be passed on.

    endpoints: from the name of an API to those that announce it. With ``abort`` a failing endpoint fails the request,
    otherwise it makes a warning. All raise what ``FanOut.gather`` raises.
    """

    endpoints: Callable[[str], Sequence[PromEndpoint]]
    fan_out: FanOut
    selector_labels: Mapping[str, str] = field(default_factory=dict)

    def metadata(self, ctx: RequestContext, request: MetadataRequest, *, abort: bool) -> Gathered[MetadataByMetric]:
        return self.fan_out.gather(
            ctx,
            self._clients(METADATA),
            lambda part, client: client.metadata(part, request, abort=abort),
            what="metadata",
            abort=abort,
        )

    def targets(self, ctx: RequestContext, state: TargetState, *, abort: bool) -> Gathered[Targets]:
        return self.fan_out.gather(
            ctx,
            self._clients(TARGETS),
            lambda part, client: client.targets(part, state, abort=abort),
            what="targets",
            abort=abort,
        )

    def rules(self, ctx: RequestContext, request: RulesRequest, *, abort: bool) -> Gathered[RuleGroup]:
        return self.fan_out.gather(
            ctx,
            self._clients(RULES),
            lambda part, client: client.rules(part, request, abort=abort),
            what="rules",
            abort=abort,
        )

    def statistics(
        self, ctx: RequestContext, request: StatisticsRequest, *, abort: bool
    ) -> Gathered[StatisticsByTenant]:
        return self.fan_out.gather(
            ctx,
            self._clients(STATUS),
            lambda part, client: client.statistics(part, request, abort=abort),
            what="TSDB statistics",
            abort=abort,
        )

    def exemplars(
        self, ctx: RequestContext, request: ExemplarsRequest, selectors: Sequence[Sequence[Matcher]], *, abort: bool
    ) -> Gathered[SeriesExemplars]:
        """``selectors`` are those of the query; each endpoint is asked for what it can have.

        Raises BadRequest where nothing is left to ask behind this querier's own labels.
        """
        rest = [remaining_matchers(matchers, self.selector_labels) for matchers in selectors]
        possible = [matchers for matchers in rest if matchers is not None]
        if not possible:
            return Gathered()
        if not any(possible):
            raise BadRequest("no matchers specified (excluding external labels)")
        asked = [
            (endpoint.address, (endpoint.client, query))
            for endpoint in self.endpoints(EXEMPLARS)
            if (query := exemplar_query(endpoint, [matchers for matchers in possible if matchers]))
        ]
        return self.fan_out.gather(
            ctx,
            asked,
            lambda part, pair: pair[0].exemplars(
                part, ExemplarsRequest(pair[1], request.start_ms, request.end_ms), abort=abort
            ),
            what="exemplars",
            abort=abort,
        )

    def _clients(self, api: str) -> list[tuple[str, PromAPI]]:
        return [(endpoint.address, endpoint.client) for endpoint in self.endpoints(api)]
