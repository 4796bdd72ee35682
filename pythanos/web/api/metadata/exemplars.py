"""``/api/v1/query_exemplars``: the exemplars of the series that a query reads."""

from __future__ import annotations

from pythanos.errors import BadRequest
from pythanos.model.promapi.exemplars import ExemplarsRequest
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.promql.tree.numbers import plain
from pythanos.query.fanout.exemplars import merge_exemplars, selectors_in
from pythanos.query.fanout.questions import PromQuestions
from pythanos.query.tenancy import enforced
from pythanos.web.api import params
from pythanos.web.api.metadata.settings import MetadataSettings, aborts, shown_labels
from pythanos.web.api.query.settings import limit_time
from pythanos.web.api.responses import success
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route


class ExemplarsAPI:
    """``options`` are the engine's: what can be evaluated can be asked for here."""

    def __init__(self, questions: PromQuestions, settings: MetadataSettings, options: ParserOptions) -> None:
        self._questions, self._settings, self._options = questions, settings, options

    def routes(self) -> list[Route]:
        return [Route("/api/v1/query_exemplars", self.exemplars, "exemplars", ("GET", "POST"))]

    def exemplars(self, request: Request) -> Response:
        """Of the selectors of ``query``, from ``start`` to ``end``."""
        args, settings = request.args, self._settings
        start_ms = params.time_or(args, "start", params.MIN_TIME_MS)
        end_ms = params.time_or(args, "end", params.MAX_TIME_MS)
        if end_ms < start_ms:
            raise BadRequest("end timestamp must not be before start timestamp")
        wanted = ExemplarsRequest(args.get("query"), start_ms, end_ms)
        selectors = selectors_in(wanted.query, self._options)
        if settings.tenant_label:
            tenant = request.context.tenant
            selectors = [enforced(matchers, settings.tenant_label, tenant) for matchers in selectors]
        abort = aborts(args, settings.exemplars_partial_response)
        limit_time(request.context, args, settings.timeout_ms)
        found = self._questions.exemplars(request.context, wanted, selectors, abort=abort)
        shown = [
            {
                "seriesLabels": shown_labels(series.labels),
                "exemplars": [
                    {
                        "labels": shown_labels(exemplar.labels),
                        "timestamp": exemplar.time_ms / 1000,
                        "value": plain(exemplar.value),
                    }
                    for exemplar in series.exemplars
                ],
            }
            for series in merge_exemplars(found.values, settings.replica_labels)
        ]
        return success(shown, found.warnings)
