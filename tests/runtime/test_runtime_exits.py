"""How a process ends: signals stop the reactor once, the first failure decides the exit code."""

import signal

from pythanos.runtime.exits import ExitCode, stop_on_signals


class Reactor:
    def __init__(self) -> None:
        self.stopped = 0

    def callFromThread(self, function):
        function()

    def stop(self) -> None:
        self.stopped += 1


def test_signals_stop_the_reactor_once():
    """SIGTERM and SIGINT are handled here, lest Twisted end the process by the signal; a second one does nothing."""
    reactor, handlers = Reactor(), {}
    stop_on_signals(reactor, handlers.__setitem__)
    assert set(handlers) == {signal.SIGTERM, signal.SIGINT}
    handlers[signal.SIGTERM](signal.SIGTERM, None)
    handlers[signal.SIGINT](signal.SIGINT, None)
    assert reactor.stopped == 1


def test_the_first_failure_decides():
    """Nothing is registered while all is well."""
    registered = []
    code = ExitCode(registered.append)
    assert (code.code, registered) == (0, [])
    code.fail(3)
    code.fail(4)
    assert code.code == 3 and len(registered) == 1
