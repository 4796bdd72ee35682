"""``/api/v1/labels``, ``label/<name>/values`` and ``series``: what the stores say about labels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from pythanos._json import print_labels
from pythanos._labels import concat, distinct, drop_labels, labels_from_dicts, sort_order
from pythanos.context import RequestContext
from pythanos.errors import BadRequest, LimitExceeded, StoreFailed
from pythanos.model.matchers import Matcher
from pythanos.model.series import LabelColumn
from pythanos.query.queryable import told
from pythanos.runtime.clock import Clock
from pythanos.storeapi.batches import SeriesBatch, StoreWarning
from pythanos.storeapi.requests import (
    LabelNamesRequest,
    LabelsAnswer,
    LabelValuesRequest,
    PartialResponse,
    SeriesRequest,
)
from pythanos.storeapi.store import Store
from pythanos.web.api import params
from pythanos.web.api.query.settings import QuerySettings, limit_time
from pythanos.web.api.responses import TRUNCATED, quoted, success, success_printed
from pythanos.web.messages import Args, Request, Response
from pythanos.web.router import Route

StoreChoice = Callable[[tuple[tuple[Matcher, ...], ...]], Store]
MAX_RESOLUTION_MS = 2**63 - 1
Answer = TypeVar("Answer")


class LabelsAPI:
    """``choose(storeMatch sets)`` gives the Store to ask."""

    def __init__(self, choose: StoreChoice, settings: QuerySettings, clock: Clock) -> None:
        self._choose, self._settings, self._clock = choose, settings, clock

    def routes(self) -> list[Route]:
        both = ("GET", "POST")
        return [
            Route("/api/v1/labels", self.names, "label_names", both),
            Route("/api/v1/label/<name>/values", self.values, "label_values"),
            Route("/api/v1/series", self.series, "series", both),
        ]

    def names(self, request: Request) -> Response:
        """The label names in a time range, of the series that ``match[]`` chooses."""
        args = request.args
        mint, maxt = self._range(args)
        partial, store = self._partial_response(args), self._store(args)
        limit = params.parse_limit(args.get("limit"))
        limit_time(request.context, args, self._settings.timeout_ms)

        def ask(matchers: tuple[Matcher, ...]) -> LabelsAnswer:
            wanted = LabelNamesRequest(mint, maxt, matchers, partial, limit=_hint(limit))
            return _asked(lambda: store.label_names(request.context, wanted), "proxy LabelNames()")

        return _strings(map(ask, params.selectors(args.all("match[]")) or ((),)), limit)

    def values(self, request: Request) -> Response:
        """The values of one label."""
        args, name = request.args, unescape_name(request.path_args["name"])
        if not name or any("\ud800" <= c <= "\udfff" for c in name):
            raise BadRequest(f"invalid label name: {quoted(name)}")
        mint, maxt = self._range(args)
        partial, store = self._partial_response(args), self._store(args)
        limit = params.parse_limit(args.get("limit"))
        limit_time(request.context, args, self._settings.timeout_ms)

        def ask(matchers: tuple[Matcher, ...]) -> LabelsAnswer:
            wanted = LabelValuesRequest(name, mint, maxt, matchers, partial, limit=_hint(limit))
            return _asked(lambda: store.label_values(request.context, wanted), "proxy LabelValues()")

        return _strings(map(ask, params.selectors(args.all("match[]")) or ((),)), limit)

    def series(self, request: Request) -> Response:
        """The label sets of the series that any ``match[]`` chooses."""
        args = request.args
        if not args.all("match[]"):
            raise BadRequest("no match[] parameter provided")
        mint, maxt = self._range(args)
        matcher_sets = params.selectors(args.all("match[]"))
        dedup = params.named(args, "dedup", params.parse_bool, True)
        replicas = (args.all("replicaLabels[]") or self._settings.replica_labels) if dedup else ()
        limit, partial, store = params.parse_limit(args.get("limit")), self._partial_response(args), self._store(args)
        limit_time(request.context, args, self._settings.timeout_ms)
        found: list[LabelColumn] = []
        warnings: dict[str, None] = {}
        for matchers in matcher_sets:
            wanted = SeriesRequest(
                mint,
                maxt,
                matchers,
                max_resolution_ms=MAX_RESOLUTION_MS,
                partial_response=partial,
                skip_chunks=True,
                without_replica_labels=replicas,
                limit=_hint(limit),
            )
            found += _label_columns(store, request.context, wanted, warnings)
        labels = _united(found, replicas)
        if limit and len(labels) > limit:
            labels = labels.take(slice(0, limit))
            warnings[TRUNCATED] = None
        return success_printed(print_labels(labels), tuple(warnings))

    def _range(self, args: Args) -> tuple[int, int]:
        return params.metadata_range(args, self._clock.now_ms(), self._settings.default_metadata_range_ms)

    def _store(self, args: Args) -> Store:
        return self._choose(params.selectors(args.all("storeMatch[]")))

    def _partial_response(self, args: Args) -> PartialResponse:
        wanted = params.named(args, "partial_response", params.parse_bool, self._settings.partial_response)
        return PartialResponse.WARN if wanted else PartialResponse.ABORT


def unescape_name(name: str) -> str:
    """A label name from a path: ``U__`` starts the escaping that clients use for names beyond ``[a-zA-Z0-9_]``.

    ``__`` is an underscore, ``_HEX_`` a code point; a name that is not escaped so is left alone, as in Prometheus.
    """
    if not name.startswith("U__"):
        return name
    out, at = [], 3
    while at < len(name):
        if name[at] != "_":
            out.append(name[at])
            at += 1
            continue
        if name.startswith("__", at):
            out.append("_")
            at += 2
            continue
        end = name.find("_", at + 1)
        digits = name[at + 1 : end]
        if end < 0 or not 1 <= len(digits) <= 6 or not all(c in "0123456789abcdefABCDEF" for c in digits):
            return name
        code = int(digits, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
            return name
        out.append(chr(code))
        at = end + 1
    return "".join(out)


def _label_columns(
    store: Store, ctx: RequestContext, wanted: SeriesRequest, warnings: dict[str, None]
) -> Iterable[LabelColumn]:
    frames = _asked(lambda: store.series(ctx, wanted), "proxy Series()")
    try:
        for frame in frames:
            ctx.check()
            if isinstance(frame, SeriesBatch):
                yield frame.labels
            elif isinstance(frame, StoreWarning):
                warnings[frame.message] = None
    except (StoreFailed, BadRequest, LimitExceeded) as error:
        raise told(error, "proxy Series()") from error


def _asked(ask: Callable[[], Answer], call: str) -> Answer:
    """What stores answer, their failure told as that of ``call``."""
    try:
        return ask()
    except (StoreFailed, LimitExceeded) as error:
        raise told(error, call) from error


def _united(columns: Sequence[LabelColumn], replicas: tuple[str, ...]) -> LabelColumn:
    """Each label set once, in label order."""
    if not columns:
        return labels_from_dicts([])
    labels = concat(list(columns))
    if replicas:
        # A store that cannot strip them has left them in.
        labels = drop_labels(labels, replicas)
    labels = labels.take(sort_order(labels))
    return labels.take(distinct(labels)[1])


def _strings(answers: Iterable[LabelsAnswer], limit: int) -> Response:
    values: set[str] = set()
    warnings: dict[str, None] = {}
    for answer in answers:
        values.update(answer.values)
        warnings.update(dict.fromkeys(answer.warnings))
    found = sorted(values, key=lambda text: text.encode("utf-8", "surrogateescape"))
    if limit and len(found) > limit:
        found = found[:limit]
        warnings[TRUNCATED] = None
    return success(found, tuple(warnings))


def _hint(limit: int) -> int:
    """One more than wanted, so that a cut shows."""
    return limit + 1 if limit else 0
