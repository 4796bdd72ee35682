"""``/api/v1/targets``: what the Prometheus servers behind the endpoints scrape."""

from __future__ import annotations

from typing import Any

from pythanos.errors import BadRequest
from pythanos.model.promapi.targets import ActiveTarget, TargetState
from pythanos.query.fanout.questions import PromQuestions
from pythanos.query.fanout.targets import merge_targets
from pythanos.web.api.metadata.settings import MetadataSettings, aborts, shown_labels, shown_number, shown_time
from pythanos.web.api.query.settings import limit_time
from pythanos.web.api.responses import success
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route

_STATES = {state.name: state for state in TargetState}


class TargetsAPI:
    def __init__(self, questions: PromQuestions, settings: MetadataSettings) -> None:
        self._questions, self._settings = questions, settings

    def routes(self) -> list[Route]:
        return [Route("/api/v1/targets", self.targets, "targets")]

    def targets(self, request: Request) -> Response:
        """Those in ``state``: active, dropped or any. Replicas that scrape the same are one."""
        args, settings = request.args, self._settings
        text = args.get("state")
        state = _STATES.get(text.upper() or TargetState.ANY.name)
        if state is None:
            raise BadRequest(f"invalid targets parameter state='{text}'")
        abort = aborts(args, settings.targets_partial_response)
        limit_time(request.context, args, settings.timeout_ms)
        found = self._questions.targets(request.context, state, abort=abort)
        targets = merge_targets(found.values, settings.replica_labels)
        shown = {
            "activeTargets": [_shown(target) for target in targets.active],
            "droppedTargets": [
                {"discoveredLabels": shown_labels(target.discovered_labels)} for target in targets.dropped
            ],
        }
        return success(shown, found.warnings)


def _shown(target: ActiveTarget) -> dict[str, Any]:
    return {
        "discoveredLabels": shown_labels(target.discovered_labels),
        "labels": shown_labels(target.labels),
        "scrapePool": target.scrape_pool,
        "scrapeUrl": target.scrape_url,
        "globalUrl": target.global_url,
        "lastError": target.last_error,
        "lastScrape": shown_time(target.last_scrape_ns),
        "lastScrapeDuration": shown_number(target.last_scrape_seconds),
        "health": target.health.name.lower(),
    }
