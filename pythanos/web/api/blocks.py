"""``/api/v1/blocks``: the loaded blocks of a store, and marking a block by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pythanos.block.markers import mark_for_deletion, mark_for_no_compact
from pythanos.errors import BadRequest
from pythanos.model.gojson import go_json
from pythanos.objstore.bucket import Bucket
from pythanos.runtime.clock import Clock
from pythanos.tsdb.meta import BlockMeta, encode_meta, format_time, is_ulid
from pythanos.web.api.responses import no_content, quoted, success_printed
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route


class BlocksAPI:
    """``loaded`` gives the metas of the blocks that are served now; ``label`` groups them on the page."""

    def __init__(
        self,
        loaded: Callable[[], Sequence[BlockMeta]],
        bucket: Bucket,
        clock: Clock,
        *,
        label: str = "",
        disable_admin_operations: bool = False,
    ) -> None:
        self._loaded, self._bucket, self._clock = loaded, bucket, clock
        self._label, self._read_only = label, disable_admin_operations

    def routes(self) -> list[Route]:
        return [
            Route("/api/v1/blocks", self.blocks, "blocks"),
            Route("/api/v1/blocks/mark", self.mark, "blocks_mark", ("POST",)),
        ]

    def blocks(self, request: Request) -> Response:
        """``view=loaded``: the blocks that are served. The view of the whole bucket is empty, as in Thanos' store."""
        metas = self._loaded() if request.args.get("view") == "loaded" else ()
        return success_printed(self._printed(metas))

    def mark(self, request: Request) -> Response:
        """Marks block ``id`` for ``action`` DELETION or NO_COMPACTION."""
        if self._read_only:
            raise BadRequest("Admin operations are disabled")
        args = request.args
        ulid, action, detail = args.get("id"), args.get("action"), args.get("detail")
        if not ulid:
            raise BadRequest("ID cannot be empty")
        if not action:
            raise BadRequest("Action cannot be empty")
        if not is_ulid(ulid):
            raise BadRequest(f"ULID {quoted(ulid)} is not valid")
        if action == "DELETION":
            mark_for_deletion(self._bucket, ulid, now_ms=self._clock.now_ms(), details=detail)
        elif action == "NO_COMPACTION":
            mark_for_no_compact(self._bucket, ulid, now_ms=self._clock.now_ms(), details=detail)
        else:
            raise BadRequest(f"not supported marker {action}")
        return no_content()

    def _printed(self, metas: Sequence[BlockMeta]) -> Iterator[bytes]:
        yield f'{{"label":{go_json(self._label)},"blocks":['.encode()
        for number, meta in enumerate(metas):
            yield (b"," if number else b"") + encode_meta(meta).strip()
        yield f'],"refreshedAt":"{format_time(self._clock.now_ms())}","err":null}}'.encode()
