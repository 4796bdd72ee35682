"""The envelope of the JSON API as Thanos writes it: status, data, errorType, error, warnings (infos among them)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pythanos.model.gojson import go_json
from pythanos.web.errors import Outcome
from pythanos.web.messages import Response

JSON = "application/json"
NO_STORE = {"Cache-Control": "no-store"}
TRUNCATED = "results truncated due to limit"
# Warnings that a query gives by itself are part of its answer; others mean that the next answer may be better.
_ANNOTATIONS = ("PromQL info", "PromQL warning")


def success(data: Any, warnings: Sequence[str] = ()) -> Response:
    """An envelope around plain data (dicts, lists, strings, numbers)."""
    return _envelope((go_json(data).encode("utf-8", "surrogatepass"),), warnings)


def success_printed(pieces: Iterable[bytes], warnings: Sequence[str] = ()) -> Response:
    """An envelope around data that is JSON already, in pieces."""
    return _envelope(pieces, warnings)


def error(outcome: Outcome) -> Response:
    """The envelope of an error."""
    body = {"status": "error", "errorType": outcome.error_type, "error": outcome.message}
    return Response(outcome.status, go_json(body).encode(), JSON, dict(NO_STORE))


def quoted(text: str) -> str:
    """A text in double quotes for messages, special characters escaped; near to Go's %q."""
    return go_json(text).replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")


def no_content() -> Response:
    """The answer of a handler that has nothing to say."""
    return Response(204)


def _envelope(data: Iterable[bytes], warnings: Sequence[str]) -> Response:
    headers = dict(NO_STORE) if any(not text.startswith(_ANNOTATIONS) for text in warnings) else {}
    return Response(200, _envelope_pieces(data, warnings), JSON, headers)


def _envelope_pieces(data: Iterable[bytes], warnings: Sequence[str]) -> Iterator[bytes]:
    yield b'{"status":"success","data":'
    yield from data
    if warnings:
        yield f',"warnings":{go_json(list(warnings))}'.encode()
    yield b"}"
