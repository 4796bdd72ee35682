"""``/api/v1/read``: remote read, by which a Prometheus queries everything that is stored here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import cramjam

from pythanos.context import RequestContext
from pythanos.errors import BadRequest
from pythanos.query.remote_read.answers import ReadOptions, read_chunks, read_samples
from pythanos.query.remote_read.requests import ReadFormat, ReadQuery, ReadRequest
from pythanos.runtime.gate import Gate
from pythanos.storeapi.store import Store
from pythanos.web.api import params
from pythanos.web.api.labels import StoreChoice
from pythanos.web.api.query.settings import limit_time
from pythanos.web.messages import Args, Request, Response
from pythanos.web.router import Route

SAMPLES_TYPE = "application/x-protobuf"
CHUNKS_TYPE = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
RESULT_TAG = 0x0A


@dataclass(frozen=True, slots=True)
class ReadSettings:
    options: ReadOptions
    timeout_ms: int = 120_000


class ReadAPI:
    """``choose(storeMatch sets)`` gives the Store to ask; ``decode`` reads the body of a request."""

    def __init__(
        self, choose: StoreChoice, decode: Callable[[bytes], ReadRequest], gate: Gate, settings: ReadSettings
    ) -> None:
        self._choose, self._decode, self._gate, self._settings = choose, decode, gate, settings

    def routes(self) -> list[Route]:
        return [Route("/api/v1/read", self.read, "read", ("POST",))]

    def read(self, request: Request) -> Response:
        """The series of each query in the first format of the request's that is known; without any, as samples.

        The URL may have ``dedup``, ``replicaLabels[]``, ``storeMatch[]``, ``partial_response`` and ``timeout``.
        """
        ctx, args = request.context, request.args
        wanted = self._decode(request.body)
        chosen = negotiated(wanted.accepted)
        options = self._options(args)
        store = self._choose(params.selectors(args.all("storeMatch[]")))
        limit_time(ctx, args, self._settings.timeout_ms)
        if chosen is ReadFormat.STREAMED_XOR_CHUNKS:
            return Response(200, self._chunks(ctx, store, wanted.queries, options), CHUNKS_TYPE)
        with self._gate.enter(ctx):
            results = [_result(read_samples(ctx, store, query, options)) for query in wanted.queries]
        body = bytes(cramjam.snappy.compress_raw(b"".join(results)))
        return Response(200, body, SAMPLES_TYPE, {"Content-Encoding": "snappy"})

    def _chunks(
        self, ctx: RequestContext, store: Store, queries: Sequence[ReadQuery], options: ReadOptions
    ) -> Iterator[bytes]:
        with self._gate.enter(ctx):
            for index, query in enumerate(queries):
                yield from read_chunks(ctx, store, query, options, query_index=index)

    def _options(self, args: Args) -> ReadOptions:
        options = self._settings.options
        dedup = params.named(args, "dedup", params.parse_bool, True)
        return replace(
            options,
            replica_labels=(args.all("replicaLabels[]") or options.replica_labels) if dedup else (),
            partial_response=params.named(args, "partial_response", params.parse_bool, options.partial_response),
        )


def negotiated(accepted: Sequence[int]) -> ReadFormat:
    """The first format that is known. Raises BadRequest where none is."""
    for number in accepted or (ReadFormat.SAMPLES,):
        if number in tuple(ReadFormat):
            return ReadFormat(number)
    supported = ", ".join(kind.name for kind in ReadFormat)
    raise BadRequest(
        f"server does not support any of the requested response types: {list(accepted)}; supported: {supported}"
    )


def _result(series: Iterator[bytes]) -> bytes:
    """A QueryResult as an entry of a ReadResponse."""
    body = b"".join(series)
    head = bytearray([RESULT_TAG])
    size = len(body)
    while size >= 0x80:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    head.append(size)
    return bytes(head) + body
