"""Messages of the Targets API <-> ``model.promapi.targets``."""

from __future__ import annotations

from pythanos.model.promapi.targets import ActiveTarget, DroppedTarget, TargetHealth, Targets, TargetState
from pythanos.rpc.pb import targets_pb2, types_pb2
from pythanos.rpc.promapi.messages import labels_from_proto, labels_to_proto, time_from_proto, time_to_proto

_HEALTHS = (targets_pb2.DOWN, targets_pb2.UP, targets_pb2.UNKNOWN)
_STATES = (targets_pb2.TargetsRequest.ANY, targets_pb2.TargetsRequest.ACTIVE, targets_pb2.TargetsRequest.DROPPED)


def request_to_proto(state: TargetState, *, abort: bool) -> targets_pb2.TargetsRequest:
    return targets_pb2.TargetsRequest(
        state=_STATES[state], partial_response_strategy=types_pb2.ABORT if abort else types_pb2.WARN
    )


def request_from_proto(message: targets_pb2.TargetsRequest) -> TargetState:
    known = message.state in tuple(TargetState)
    return TargetState(message.state) if known else TargetState.ANY


def targets_from_proto(message: targets_pb2.TargetDiscovery) -> Targets:
    return Targets(
        tuple(_active_from_proto(target) for target in message.activeTargets),
        tuple(DroppedTarget(labels_from_proto(target.discoveredLabels)) for target in message.droppedTargets),
    )


def targets_to_proto(targets: Targets) -> targets_pb2.TargetDiscovery:
    return targets_pb2.TargetDiscovery(
        activeTargets=[_active_to_proto(target) for target in targets.active],
        droppedTargets=[
            targets_pb2.DroppedTarget(discoveredLabels=labels_to_proto(target.discovered_labels))
            for target in targets.dropped
        ],
    )


def _active_from_proto(message: targets_pb2.ActiveTarget) -> ActiveTarget:
    return ActiveTarget(
        labels_from_proto(message.discoveredLabels),
        labels_from_proto(message.labels),
        scrape_pool=message.scrapePool,
        scrape_url=message.scrapeUrl,
        global_url=message.globalUrl,
        last_error=message.lastError,
        last_scrape_ns=time_from_proto(message.lastScrape),
        last_scrape_seconds=message.lastScrapeDuration,
        health=TargetHealth(message.health) if message.health in tuple(TargetHealth) else TargetHealth.UNKNOWN,
    )


def _active_to_proto(target: ActiveTarget) -> targets_pb2.ActiveTarget:
    return targets_pb2.ActiveTarget(
        discoveredLabels=labels_to_proto(target.discovered_labels),
        labels=labels_to_proto(target.labels),
        scrapePool=target.scrape_pool,
        scrapeUrl=target.scrape_url,
        globalUrl=target.global_url,
        lastError=target.last_error,
        lastScrape=time_to_proto(target.last_scrape_ns),
        lastScrapeDuration=target.last_scrape_seconds,
        health=_HEALTHS[target.health],
    )
