"""``/debug``: what every thread is doing now, and where the time of the process goes."""

from __future__ import annotations

import sys
import threading
import traceback
from collections import Counter
from collections.abc import Callable
from types import FrameType

from pythanos.errors import BadRequest
from pythanos.web.messages import Request, Response
from pythanos.web.router import Route

SECONDS_DEFAULT = 30.0
SECONDS_MAX = 300.0
SAMPLES_PER_SECOND = 100


def debug_routes(monotonic: Callable[[], float]) -> list[Route]:
    """``/debug/threads`` and ``/debug/profile?seconds=N``."""

    def profile(request: Request) -> Response:
        seconds = _seconds(request.args.get("seconds"))
        stacks = sample_stacks(seconds, monotonic, request.context.check)
        lines = "".join(f"{stack} {count}\n" for stack, count in stacks.most_common())
        return Response(body=lines.encode("utf-8", "backslashreplace"))

    return [
        Route("/debug/threads", lambda request: Response(body=thread_stacks().encode()), inline=True, always=True),
        Route("/debug/profile", profile, always=True),
    ]


def thread_stacks() -> str:
    """The stack of every thread as text."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    parts = []
    for ident, frame in sorted(sys._current_frames().items()):
        stack = "".join(traceback.format_stack(frame))
        parts.append(f"thread {names.get(ident, '?')} ({ident}):\n{stack}")
    return "\n".join(parts)


def sample_stacks(seconds: float, monotonic: Callable[[], float], check: Callable[[], None]) -> Counter[str]:
    """How often each stack was seen in ``seconds``, as collapsed stacks: ``thread;outer;...;inner`` -> samples.

    Wall time of all threads but this one: waiting counts, too. Feed the lines to any flame graph tool.
    """
    stacks: Counter[str] = Counter()
    wake = threading.Event()
    end = monotonic() + seconds
    me = threading.get_ident()
    while (now := monotonic()) < end:
        check()
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        for ident, frame in sys._current_frames().items():
            if ident != me:
                stacks[";".join([names.get(ident, "?"), *_collapse(frame)])] += 1
        spent = monotonic() - now
        wake.wait(max(0.0, 1 / SAMPLES_PER_SECOND - spent))
    return stacks


def _collapse(frame: FrameType | None) -> list[str]:
    """Outermost first: ``module.function``; frames carry no line, so that one function is one box."""
    names = []
    while frame is not None:
        names.append(f"{frame.f_globals.get('__name__', '?')}.{frame.f_code.co_name}")
        frame = frame.f_back
    return names[::-1]


def _seconds(text: str) -> float:
    try:
        seconds = float(text or SECONDS_DEFAULT)
    except ValueError:
        raise BadRequest(f"invalid parameter seconds: {text!r}") from None
    if not 0 < seconds <= SECONDS_MAX:
        raise BadRequest(f"invalid parameter seconds: expected a number up to {SECONDS_MAX:g}, got {text!r}")
    return seconds
