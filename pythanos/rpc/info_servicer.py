"""The Info service: which APIs this endpoint serves, and what its store holds right now."""

from __future__ import annotations

from collections.abc import Iterable

import grpc

from pythanos.rpc import codec
from pythanos.rpc.calls import serving
from pythanos.rpc.pb import info_pb2
from pythanos.storeapi.store import Store

SERVICE = "thanos.info.Info"


class InfoServicer:
    """Announces one component.

    component: Thanos' word for it: ``store``, ``query``, ``sidecar``; apis: the names of the fields of InfoResponse by
    which it announces more than its store.
    """

    def __init__(self, component: str, store: Store, apis: Iterable[str] = ()) -> None:
        self._component = component
        self._store = store
        self._apis = tuple(apis)

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Info": grpc.unary_unary_rpc_method_handler(
                    self.info,
                    request_deserializer=info_pb2.InfoRequest.FromString,
                    response_serializer=info_pb2.InfoResponse.SerializeToString,
                )
            },
        )

    def info(self, message: info_pb2.InfoRequest, call: grpc.ServicerContext) -> info_pb2.InfoResponse:
        with serving(call):
            announced = self._store.info()
            message = info_pb2.InfoResponse(
                label_sets=[codec.label_set_to_proto(labels) for labels in announced.label_sets],
                ComponentType=self._component,
                store=codec.store_info_to_proto(announced),
            )
            for api in self._apis:
                getattr(message, api).SetInParent()
            if "exemplars" in self._apis:
                message.exemplars.min_time, message.exemplars.max_time = announced.mint, announced.maxt
            return message
