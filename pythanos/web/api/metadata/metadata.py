"""``/api/v1/metadata``: type, help and unit of metrics."""

from __future__ import annotations

import re

from pythanos.errors import BadRequest
from pythanos.model.promapi.metadata import NO_LIMIT, MetadataRequest
from pythanos.query.fanout.metadata import merge_metadata
from pythanos.query.fanout.questions import PromQuestions
from pythanos.web.api.metadata.settings import MetadataSettings, aborts
from pythanos.web.api.query.settings import limit_time
from pythanos.web.api.responses import success
from pythanos.web.messages import Args, Request, Response
from pythanos.web.router import Route

LIMIT_MAX = 2**31 - 1


class MetadataAPI:
    def __init__(self, questions: PromQuestions, settings: MetadataSettings) -> None:
        self._questions, self._settings = questions, settings

    def routes(self) -> list[Route]:
        return [Route("/api/v1/metadata", self.metadata, "metadata")]

    def metadata(self, request: Request) -> Response:
        """Of ``metric``, or of all; at most ``limit`` metrics, all below 0."""
        args, settings = request.args, self._settings
        wanted = MetadataRequest(args.get("metric"), _limit(args))
        abort = aborts(args, settings.metadata_partial_response)
        limit_time(request.context, args, settings.timeout_ms)
        found = self._questions.metadata(request.context, wanted, abort=abort)
        merged = merge_metadata(found.values, wanted.limit)
        shown = {
            metric: [{"type": meta.type, "help": meta.help, "unit": meta.unit} for meta in metas]
            for metric, metas in merged.items()
        }
        return success(shown, found.warnings)


def _limit(args: Args) -> int:
    text = args.get("limit")
    if not text:
        return NO_LIMIT
    if not re.fullmatch(r"[+-]?\d+", text, re.ASCII) or abs(int(text)) > LIMIT_MAX:
        raise BadRequest(f"invalid metric metadata limit='{text}'")
    return int(text)
