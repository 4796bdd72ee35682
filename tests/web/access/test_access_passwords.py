"""Basic authentication: who passes, and how often bcrypt is asked."""

from __future__ import annotations

import base64
from concurrent.futures import Future

import bcrypt
import pytest

from pythanos.units import Secret
from pythanos.web.access import passwords
from pythanos.web.access.passwords import Passwords, matches, parse_basic

FAST = {"ann": Secret(bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4)).decode())}


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class AtOnce:
    """A reactor and an executor in which everything happens when ``run`` is called."""

    def __init__(self) -> None:
        self.jobs: list = []
        self.done = 0

    def callFromThread(self, function, *args):
        function(*args)

    def submit(self, function, *args):
        future: Future = Future()
        self.jobs.append((future, function, args))
        return future

    def shutdown(self, wait, cancel_futures):
        for future, _, _ in self.jobs:
            future.cancel()
        self.jobs = []

    def run(self):
        jobs, self.jobs = self.jobs, []
        for future, function, args in jobs:
            self.done += 1
            future.set_result(function(*args))


@pytest.fixture
def hand(monkeypatch) -> AtOnce:
    hand = AtOnce()
    monkeypatch.setattr(passwords, "ThreadPoolExecutor", lambda *args: hand)
    return hand


def asked(checker: Passwords, header: str) -> list[bool]:
    answers: list[bool] = []
    checker.check(FAST, header).addCallback(answers.append)
    return answers


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Basic YTpi", (b"a", b"b")),
        ("basic YTpiOmM=", (b"a", b"b:c")),
        ("Basic Og==", (b"", b"")),
        ("Basic YWI=", None),
        ("Basic YTpi!", None),
        ("Basic YTp", None),
        ("Basic é", None),
        ("Bearer YTpi", None),
        ("", None),
    ],
)
def test_the_header(header, expected):
    """The password may hold colons, the user none (RFC 7617)."""
    assert parse_basic(header) == expected


def test_hashes():
    """Nobody's hash costs what a real one does and never matches; long passwords are cut as bcrypt does."""
    hashed = FAST["ann"]
    assert matches(hashed, b"s3cret") and not matches(hashed, b"s3cre") and not matches("", b"")
    long = bcrypt.hashpw(b"x" * 72, bcrypt.gensalt(4)).decode()
    assert matches(long, b"x" * 100)
    assert matches("$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi", b"fakepassword")


def test_an_answer_is_computed_once(hand):
    """Requests of the same credentials share it, at the same time and afterwards; a wrong one is remembered too."""
    checker = Passwords(hand)
    for header, expected in ((basic("ann", "s3cret"), True), (basic("ann", "no"), False), (basic("bob", "x"), False)):
        before = hand.done
        first, second = asked(checker, header), asked(checker, header)
        assert first == second == []
        hand.run()
        assert (first, second, asked(checker, header)) == ([expected], [expected], [expected])
        assert hand.done == before + 1


def test_a_changed_hash_forgets_the_old_password(hand):
    """What is remembered belongs to the hash."""
    checker = Passwords(hand)
    assert asked(checker, basic("ann", "s3cret")) == []
    hand.run()
    answers: list[bool] = []
    other = {"ann": Secret(bcrypt.hashpw(b"new", bcrypt.gensalt(4)).decode())}
    checker.check(other, basic("ann", "s3cret")).addCallback(answers.append)
    hand.run()
    assert answers == [False]


def test_no_password_costs_nothing(hand):
    """A header that is none is refused without bcrypt."""
    assert asked(Passwords(hand), "Bearer x") == [False]
    assert hand.jobs == []


def test_a_stopping_server_answers_who_waits(hand):
    """No, and starts nothing any more."""
    checker = Passwords(hand)
    waiting = asked(checker, basic("ann", "s3cret"))
    checker.stop()
    assert waiting == [False]
    assert asked(checker, basic("ann", "s3cret")) == [False]
