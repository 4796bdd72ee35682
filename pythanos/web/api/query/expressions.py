"""``/api/v1/format_query`` and ``parse_query``: expressions as they are written, without data."""

from __future__ import annotations

from pythanos.errors import BadRequest
from pythanos.model.gojson import sort_keys
from pythanos.promql.syntax.ast import Expr
from pythanos.promql.syntax.cursor import ParserOptions
from pythanos.promql.syntax.parser import parse
from pythanos.promql.tree.ast_json import ast_json
from pythanos.promql.tree.pretty import pretty
from pythanos.web.api.responses import quoted, success
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route


class ExpressionsAPI:
    """``options`` are the engine's, so that what is formatted can be evaluated."""

    def __init__(self, options: ParserOptions) -> None:
        self._options = options

    def routes(self) -> list[Route]:
        both = ("GET", "POST")
        return [
            Route("/api/v1/format_query", self.format, "format_query", both),
            Route("/api/v1/parse_query", self.parse, "parse_query", both),
        ]

    def format(self, request: Request) -> Response:
        """``query``, laid out for people."""
        return success(pretty(self._parsed(request)))

    def parse(self, request: Request) -> Response:
        """The syntax tree of ``query``."""
        return success(sort_keys(ast_json(self._parsed(request))))

    def _parsed(self, request: Request) -> Expr:
        try:
            return parse(request.args.get("query"), self._options)
        except BadRequest as error:
            # These two endpoints are Prometheus' alone, and so is the form of their errors.
            raise BadRequest(f"invalid parameter {quoted('query')}: {error}") from None
