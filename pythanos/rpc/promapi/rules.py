"""Messages of the Rules API <-> ``model.promapi.rules``."""

from __future__ import annotations

from pythanos.model.promapi.rules import (
    Alert,
    AlertingRule,
    AlertState,
    RecordingRule,
    Rule,
    RuleGroup,
    RulesRequest,
    RuleType,
)
from pythanos.rpc.pb import rules_pb2, types_pb2
from pythanos.rpc.promapi.messages import labels_from_proto, labels_to_proto, time_from_proto, time_to_proto

_TYPES = (rules_pb2.RulesRequest.ALL, rules_pb2.RulesRequest.ALERT, rules_pb2.RulesRequest.RECORD)
_STATES = (
    rules_pb2.AlertStates.UNKNOWN,
    rules_pb2.AlertStates.INACTIVE,
    rules_pb2.AlertStates.PENDING,
    rules_pb2.AlertStates.FIRING,
)


def request_to_proto(request: RulesRequest, *, abort: bool) -> rules_pb2.RulesRequest:
    return rules_pb2.RulesRequest(
        type=_TYPES[request.type],
        partial_response_strategy=types_pb2.ABORT if abort else types_pb2.WARN,
        matcher_string=request.matchers,
        rule_name=request.rule_names,
        rule_group=request.groups,
        file=request.files,
    )


def request_from_proto(message: rules_pb2.RulesRequest) -> RulesRequest:
    return RulesRequest(
        RuleType(message.type) if message.type in tuple(RuleType) else RuleType.ALL,
        tuple(message.matcher_string),
        tuple(message.rule_name),
        tuple(message.rule_group),
        tuple(message.file),
    )


def group_from_proto(message: rules_pb2.RuleGroup) -> RuleGroup:
    return RuleGroup(
        message.name,
        message.file,
        tuple(_rule_from_proto(rule) for rule in message.rules),
        interval_seconds=message.interval,
        evaluation_seconds=message.evaluation_duration_seconds,
        last_evaluation_ns=time_from_proto(message.last_evaluation),
        limit=message.limit,
        abort=message.PartialResponseStrategy == types_pb2.ABORT,
    )


def group_to_proto(group: RuleGroup) -> rules_pb2.RuleGroup:
    return rules_pb2.RuleGroup(
        name=group.name,
        file=group.file,
        rules=[_rule_to_proto(rule) for rule in group.rules],
        interval=group.interval_seconds,
        evaluation_duration_seconds=group.evaluation_seconds,
        last_evaluation=time_to_proto(group.last_evaluation_ns),
        limit=group.limit,
        PartialResponseStrategy=types_pb2.ABORT if group.abort else types_pb2.WARN,
    )


def _rule_from_proto(message: rules_pb2.Rule) -> Rule:
    if message.WhichOneof("result") == "recording":
        rule = message.recording
        return RecordingRule(
            rule.name,
            rule.query,
            labels_from_proto(rule.labels),
            health=rule.health,
            last_error=rule.last_error,
            evaluation_seconds=rule.evaluation_duration_seconds,
            last_evaluation_ns=time_from_proto(rule.last_evaluation),
        )
    alert = message.alert
    return AlertingRule(
        alert.name,
        alert.query,
        labels_from_proto(alert.labels),
        labels_from_proto(alert.annotations),
        tuple(_alert_from_proto(one) for one in alert.alerts),
        state=_state(alert.state),
        for_seconds=alert.duration_seconds,
        keep_firing_seconds=alert.keep_firing_for_seconds,
        health=alert.health,
        last_error=alert.last_error,
        evaluation_seconds=alert.evaluation_duration_seconds,
        last_evaluation_ns=time_from_proto(alert.last_evaluation),
    )


def _rule_to_proto(rule: Rule) -> rules_pb2.Rule:
    if isinstance(rule, RecordingRule):
        recording = rules_pb2.RecordingRule(
            name=rule.name,
            query=rule.query,
            labels=labels_to_proto(rule.labels),
            health=rule.health,
            last_error=rule.last_error,
            evaluation_duration_seconds=rule.evaluation_seconds,
            last_evaluation=time_to_proto(rule.last_evaluation_ns),
        )
        return rules_pb2.Rule(recording=recording)
    alert = rules_pb2.Alert(
        state=_STATES[rule.state],
        name=rule.name,
        query=rule.query,
        duration_seconds=rule.for_seconds,
        labels=labels_to_proto(rule.labels),
        annotations=labels_to_proto(rule.annotations),
        alerts=[_alert_to_proto(one) for one in rule.alerts],
        health=rule.health,
        last_error=rule.last_error,
        evaluation_duration_seconds=rule.evaluation_seconds,
        last_evaluation=time_to_proto(rule.last_evaluation_ns),
        keep_firing_for_seconds=rule.keep_firing_seconds,
    )
    return rules_pb2.Rule(alert=alert)


def _alert_from_proto(message: rules_pb2.AlertInstance) -> Alert:
    return Alert(
        labels_from_proto(message.labels),
        labels_from_proto(message.annotations),
        _state(message.state),
        message.value,
        time_from_proto(message.active_at),
        abort=message.PartialResponseStrategy == types_pb2.ABORT,
    )


def _alert_to_proto(alert: Alert) -> rules_pb2.AlertInstance:
    message = rules_pb2.AlertInstance(
        labels=labels_to_proto(alert.labels),
        annotations=labels_to_proto(alert.annotations),
        state=_STATES[alert.state],
        value=alert.value,
        PartialResponseStrategy=types_pb2.ABORT if alert.abort else types_pb2.WARN,
    )
    if alert.active_at_ns is not None:
        message.active_at.CopyFrom(time_to_proto(alert.active_at_ns))
    return message


def _state(number: int) -> AlertState:
    return AlertState(number) if number in tuple(AlertState) else AlertState.UNKNOWN
