"""The metrics of the endpoint set, among them one gauge per kind of connected store."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric

EXTERNAL_LABELS_LENGTH_MAX = 1000
NO_EXTERNAL_LABELS = "no_external_labels"


class EndpointNode(NamedTuple):
    """One endpoint that may be asked, by the labels that ``query.conn_metric.label`` can choose from."""

    external_labels: str
    store_type: str
    ip_port: str


class EndpointMetrics:
    """``labels``: which fields of EndpointNode the gauge of connections has."""

    def __init__(
        self, registry: CollectorRegistry | None = None, labels: Sequence[str] = ("external_labels", "store_type")
    ) -> None:
        self.duplicates = Counter(
            "thanos_query_duplicated_endpoint_addresses_total",
            "The number of times a duplicated endpoint addresses is detected from the different configs",
            registry=registry,
        )
        self._labels = tuple(labels)
        self._nodes: tuple[EndpointNode, ...] = ()
        if registry is not None:
            registry.register(self)

    def show(self, nodes: Iterable[EndpointNode]) -> None:
        self._nodes = tuple(nodes)

    def collect(self) -> Iterable[Metric]:
        family = GaugeMetricFamily(
            "thanos_store_nodes_grpc_connections",
            "Number of gRPC connection to Store APIs."
            " Opened connection means healthy store APIs available for Querier.",
            labels=self._labels,
        )
        shown = [node._replace(external_labels=_shortened(node.external_labels)) for node in self._nodes]
        for values, count in Tally(tuple(getattr(node, label) for label in self._labels) for node in shown).items():
            family.add_metric(values, count)
        yield family


def _shortened(text: str) -> str:
    if not text:
        return NO_EXTERNAL_LABELS
    return text if len(text) <= EXTERNAL_LABELS_LENGTH_MAX else text[: EXTERNAL_LABELS_LENGTH_MAX - 1] + "}"
