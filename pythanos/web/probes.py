"""``/-/healthy`` and ``/-/ready``, answered inline so that a busy request pool does not make a daemon look dead."""

from __future__ import annotations

from pythanos.runtime.probe import Probe
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route


def probe_routes(probe: Probe) -> list[Route]:
    """200 OK, or 503; the reason why a daemon is not ready is in the body."""

    def healthy(request: Request) -> Response:
        return Response(200, b"OK") if probe.healthy() else Response(503, b"NOT OK\n")

    def ready(request: Request) -> Response:
        reason = probe.unready()
        return Response(200, b"OK") if reason is None else Response(503, f"NOT OK: {reason}\n".encode())

    return [
        Route("/-/healthy", healthy, inline=True, always=True),
        Route("/-/ready", ready, inline=True, always=True),
    ]
