"""What a querier answers besides PromQL and labels: questions to its endpoints, and remote read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec

from pythanos.config import Section
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.query.endpoints import EndpointSet
from pythanos.query.fanout.clients import PromEndpoint
from pythanos.query.fanout.questions import PromQuestions
from pythanos.query.remote_read.answers import ReadOptions
from pythanos.rpc.promapi.remote_read import read_request_of
from pythanos.runtime.gate import Gate
from pythanos.runtime.platform import Platform
from pythanos.units import ByteSize
from pythanos.web.api.labels import StoreChoice
from pythanos.web.api.metadata.exemplars import ExemplarsAPI
from pythanos.web.api.metadata.metadata import MetadataAPI
from pythanos.web.api.metadata.rules import RulesAPI
from pythanos.web.api.metadata.settings import MetadataSettings
from pythanos.web.api.metadata.statistics import StatisticsAPI
from pythanos.web.api.metadata.targets import TargetsAPI
from pythanos.web.api.query.read import ReadAPI, ReadSettings
from pythanos.web.api.query.settings import QuerySettings
from pythanos.web.router import Route

Count = Annotated[int, msgspec.Meta(ge=0)]


class PartialResponseConfig(Section, frozen=True):
    """Whether an answer may lack what an endpoint did not say."""

    partial_response: bool = True


class RemoteReadConfig(Section, frozen=True):
    """``storage.remote``: limits of remote read, named as Prometheus' flags."""

    read_sample_limit: Count = 50_000_000
    read_concurrent_limit: Count = 10
    read_max_bytes_in_frame: ByteSize = ByteSize(1 << 20)


class StorageConfig(Section, frozen=True):
    remote: RemoteReadConfig = RemoteReadConfig()


class PromAPISection(Section, frozen=True):
    """The top-level keys about other questions than PromQL."""

    rule: PartialResponseConfig = PartialResponseConfig()
    target: PartialResponseConfig = PartialResponseConfig()
    metric_metadata: PartialResponseConfig = PartialResponseConfig()
    exemplar: PartialResponseConfig = PartialResponseConfig()
    status: PartialResponseConfig = PartialResponseConfig()
    storage: StorageConfig = StorageConfig()

    def metadata_settings(self, query: QuerySettings, tenant_label: str) -> MetadataSettings:
        return MetadataSettings(
            timeout_ms=query.timeout_ms,
            replica_labels=query.replica_labels,
            metadata_partial_response=self.metric_metadata.partial_response,
            targets_partial_response=self.target.partial_response,
            rules_partial_response=self.rule.partial_response,
            exemplars_partial_response=self.exemplar.partial_response,
            status_partial_response=self.status.partial_response,
            tenant_label=tenant_label,
        )

    def read_settings(self, query: QuerySettings) -> ReadSettings:
        remote = self.storage.remote
        options = ReadOptions(
            replica_labels=query.replica_labels,
            deduplication=query.deduplication,
            samples_max=remote.read_sample_limit,
            frame_bytes=remote.read_max_bytes_in_frame,
        )
        return ReadSettings(options, query.timeout_ms)


@dataclass(frozen=True, slots=True)
class QuestionAPIs:
    """The handlers of what endpoints are asked besides series."""

    metadata: MetadataAPI
    targets: TargetsAPI
    rules: RulesAPI
    exemplars: ExemplarsAPI
    statistics: StatisticsAPI

    def routes(self) -> list[Route]:
        apis = (self.metadata, self.targets, self.rules, self.exemplars, self.statistics)
        return [route for api in apis for route in api.routes()]


def build_question_apis(questions: PromQuestions, settings: MetadataSettings, options: ParserOptions) -> QuestionAPIs:
    return QuestionAPIs(
        MetadataAPI(questions, settings),
        TargetsAPI(questions, settings),
        RulesAPI(questions, settings),
        ExemplarsAPI(questions, settings, options),
        StatisticsAPI(questions, settings),
    )


def build_read_api(choose: StoreChoice, section: PromAPISection, query: QuerySettings, platform: Platform) -> ReadAPI:
    gate = Gate(
        section.storage.remote.read_concurrent_limit,
        registry=platform.registry,
        prefix="thanos_query_remote_read",
        limit="storage.remote.read_concurrent_limit",
    )
    return ReadAPI(choose, read_request_of, gate, section.read_settings(query))


def endpoints_with(endpoints: EndpointSet) -> Callable[[str], Sequence[PromEndpoint]]:
    """From the name of an API to the endpoints that announce it now."""

    def announcing(api: str) -> list[PromEndpoint]:
        queriers = {address for address, _ in endpoints.clients("query")}
        return [
            PromEndpoint(address, client.promapi, client.info().label_sets, address in queriers)
            for address, client in endpoints.clients(api)
        ]

    return announcing


def no_endpoints(api: str) -> Sequence[PromEndpoint]:
    """Where there is nobody to ask."""
    return ()
