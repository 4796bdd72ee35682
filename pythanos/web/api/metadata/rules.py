"""``/api/v1/rules`` and ``alerts``: rule groups, and the alerts of their alerting rules."""

from __future__ import annotations

from typing import Any

from pythanos.errors import BadRequest
from pythanos.model.promapi.rules import Alert, AlertingRule, Rule, RuleGroup, RulesRequest, RuleType
from pythanos.query.fanout.questions import PromQuestions
from pythanos.query.fanout.rules import merge_groups
from pythanos.web.api import params
from pythanos.web.api.metadata.settings import MetadataSettings, aborts, shown_labels, shown_number, shown_time
from pythanos.web.api.query.settings import limit_time
from pythanos.web.api.responses import success
from pythanos.web.messages import Args, Request, Response
from pythanos.web.router import Route

_TYPES = {one.name: one for one in RuleType}
_STRATEGIES = ("WARN", "ABORT")


class RulesAPI:
    def __init__(self, questions: PromQuestions, settings: MetadataSettings) -> None:
        self._questions, self._settings = questions, settings

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/rules", self.rules, "rules"),
            Route("/api/v1/alerts", self.alerts, "alerts"),
        ]

    def rules(self, request: Request) -> Response:
        """The groups that ``type``, ``match[]``, ``rule_name[]``, ``rule_group[]`` and ``file[]`` leave."""
        args = request.args
        groups, warnings = self._groups(request, _wanted(args))
        without_alerts = params.named(args, "exclude_alerts", params.parse_bool, False)
        return success({"groups": [_shown_group(group, not without_alerts) for group in groups]}, warnings)

    def alerts(self, request: Request) -> Response:
        """The alerts of all rules."""
        groups, warnings = self._groups(request, RulesRequest(RuleType.ALERT))
        alerts = [
            _shown_alert(alert)
            for group in groups
            for rule in group.rules
            if isinstance(rule, AlertingRule)
            for alert in rule.alerts
        ]
        return success({"alerts": alerts}, warnings)

    def _groups(self, request: Request, wanted: RulesRequest) -> tuple[list[RuleGroup], list[str]]:
        settings = self._settings
        matcher_sets = params.selectors(wanted.matchers)
        abort = aborts(request.args, settings.rules_partial_response)
        limit_time(request.context, request.args, settings.timeout_ms)
        found = self._questions.rules(request.context, wanted, abort=abort)
        return merge_groups(found.values, wanted, matcher_sets, settings.replica_labels), found.warnings


def _wanted(args: Args) -> RulesRequest:
    text = args.get("type")
    kind = _TYPES.get(text.upper() or RuleType.ALL.name)
    if kind is None:
        raise BadRequest(f"invalid rules parameter type='{text}'")
    return RulesRequest(
        kind, args.all("match[]"), args.all("rule_name[]"), args.all("rule_group[]"), args.all("file[]")
    )


def _shown_group(group: RuleGroup, with_alerts: bool) -> dict[str, Any]:
    return {
        "name": group.name,
        "file": group.file,
        "rules": [_shown_rule(rule, with_alerts) for rule in group.rules],
        "interval": shown_number(group.interval_seconds),
        "evaluationTime": shown_number(group.evaluation_seconds),
        "lastEvaluation": shown_time(group.last_evaluation_ns),
        "limit": group.limit,
        "partialResponseStrategy": _STRATEGIES[group.abort],
    }


def _shown_rule(rule: Rule, with_alerts: bool) -> dict[str, Any]:
    """Members in Thanos' order; an empty last error is left out."""
    shown: dict[str, Any] = {}
    if isinstance(rule, AlertingRule):
        shown["state"] = rule.state.name.lower()
    shown |= {"name": rule.name, "query": rule.query}
    if isinstance(rule, AlertingRule):
        shown |= {
            "duration": shown_number(rule.for_seconds),
            "labels": shown_labels(rule.labels),
            "annotations": shown_labels(rule.annotations),
            "alerts": [_shown_alert(alert) for alert in rule.alerts] if with_alerts else [],
        }
    else:
        shown["labels"] = shown_labels(rule.labels)
    shown["health"] = rule.health
    if rule.last_error:
        shown["lastError"] = rule.last_error
    shown["evaluationTime"] = shown_number(rule.evaluation_seconds)
    shown["lastEvaluation"] = shown_time(rule.last_evaluation_ns)
    if isinstance(rule, AlertingRule):
        shown["keepFiringFor"] = shown_number(rule.keep_firing_seconds)
    shown["type"] = "alerting" if isinstance(rule, AlertingRule) else "recording"
    return shown


def _shown_alert(alert: Alert) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "labels": shown_labels(alert.labels),
        "annotations": shown_labels(alert.annotations),
        "state": alert.state.name.lower(),
    }
    if alert.active_at_ns is not None:
        shown["activeAt"] = shown_time(alert.active_at_ns)
    return shown | {"value": alert.value, "partialResponseStrategy": _STRATEGIES[alert.abort]}
