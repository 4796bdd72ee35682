"""``/api/v1/status/tsdb``: what the TSDB heads behind the endpoints hold, summed up (QU-33)."""

from __future__ import annotations

from typing import Any

from pythanos.errors import QueryFailed
from pythanos.model.matchers import Matcher, MatchType
from pythanos.model.promapi.statistics import StatisticsRequest, TopList, TSDBStatistics
from pythanos.query.fanout.questions import PromQuestions
from pythanos.query.fanout.statistics import merge_by_tenant, merge_statistics
from pythanos.web.api import params
from pythanos.web.api.metadata.settings import MetadataSettings, aborts
from pythanos.web.api.query.settings import limit_time
from pythanos.web.api.responses import success
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route

LIMIT = 10


class StatisticsAPI:
    def __init__(self, questions: PromQuestions, settings: MetadataSettings) -> None:
        self._questions, self._settings = questions, settings

    def routes(self) -> list[Route]:
        return [Route("/api/v1/status/tsdb", self.statistics, "status_tsdb")]

    def statistics(self, request: Request) -> Response:
        """``limit`` entries of each list, of the TSDBs whose external labels ``match[]`` chooses."""
        args, settings = request.args, self._settings
        limit = params.parse_limit(args.get("limit")) or LIMIT
        matchers = tuple(matcher for matchers in params.selectors(args.all("match[]")) for matcher in matchers)
        tenant = request.context.tenant if settings.tenant_label else ""
        if tenant:
            matchers += (Matcher(MatchType.EQ, settings.tenant_label, tenant),)
        abort = aborts(args, settings.status_partial_response)
        limit_time(request.context, args, settings.timeout_ms)
        found = self._questions.statistics(
            request.context, StatisticsRequest(min(limit, 2**31 - 1), matchers), abort=abort
        )
        by_tenant = merge_by_tenant(found.values)
        if tenant and tenant not in by_tenant:
            raise QueryFailed(f"retrieving tsdb statistics: {tenant} tenant not found")
        chosen = by_tenant[tenant] if tenant else merge_statistics(by_tenant.values())
        return success(_shown(chosen, limit), found.warnings)


def _shown(statistics: TSDBStatistics, limit: int) -> dict[str, Any]:
    head = statistics.head
    return {
        "headStats": {
            "numSeries": head.series,
            "numLabelPairs": head.label_pairs,
            "chunkCount": head.chunks,
            "minTime": head.mint,
            "maxTime": head.maxt,
        },
        "seriesCountByMetricName": _shown_list(statistics.series_by_metric, limit),
        "labelValueCountByLabelName": _shown_list(statistics.values_by_label, limit),
        "memoryInBytesByLabelName": _shown_list(statistics.bytes_by_label, limit),
        "seriesCountByLabelValuePair": _shown_list(statistics.series_by_pair, limit),
    }


def _shown_list(entries: TopList, limit: int) -> list[dict[str, Any]]:
    return [{"name": name, "value": value} for name, value in entries[:limit]]
