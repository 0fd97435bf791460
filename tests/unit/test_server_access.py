"""Tokens over a database, and the gate that knows callers by them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from whirr.errors import NotFound, TooMany, Unauthenticated, UsageError
from whirr.model import Role, Token
from whirr.server.access import BURST, FAILURES, REMEMBERED_S, STRANGERS, WITHIN_S, Gate
from whirr.store import open_database
from whirr.store.database import Database
from whirr.tokens import LocalTokens

NOON = "2026-11-25T12:00:00.000000Z"


class Setting:
    """A moment that a test sets."""

    def __init__(self) -> None:
        self.stamp = NOON
        self.seconds = 0.0


@pytest.fixture
def setting() -> Setting:
    return Setting()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    found = open_database(tmp_path / "queue.db")
    yield found
    found.close()


@pytest.fixture
def tokens(database: Database, setting: Setting) -> LocalTokens:
    return LocalTokens(database, lambda: setting.stamp)


def test_a_token_proves_who_holds_it(tokens: LocalTokens) -> None:
    text = tokens.create("box-1", Role.WORKER)
    found = tokens.check(text)
    assert found is not None
    assert (found.name, found.role, found.expires_at) == ("box-1", Role.WORKER, None)
    head, _, secret = text.rpartition("_")
    other = "A" if secret[0] != "A" else "B"
    for wrong in (
        "",
        "whirr_",
        head,
        f"{head}_{other}{secret[1:]}",
        f"whirr_{'0' * 12}_{secret}",
        text + "x",
        "é" * 60,
    ):
        assert tokens.check(wrong) is None


def test_its_secret_is_kept_nowhere(tokens: LocalTokens, tmp_path: Path) -> None:
    secret = tokens.create("box-1", Role.WORKER).split("_", 2)[2].encode()
    assert not any(secret in path.read_bytes() for path in tmp_path.iterdir())


def test_one_that_expired_or_was_revoked_is_good_no_more(tokens: LocalTokens, setting: Setting) -> None:
    text, other = tokens.create("short", Role.READ, 3600), tokens.create("other", Role.READ)
    setting.stamp = "2026-11-25T12:59:59.999999Z"
    short, lasting = tokens.check(text), tokens.check(other)
    assert short is not None
    assert lasting is not None
    assert tokens.good() == {short.id, lasting.id}
    setting.stamp = "2026-11-25T13:00:00.000000Z"
    assert tokens.check(text) is None
    assert tokens.good() == {lasting.id}
    tokens.revoke("other")
    assert tokens.check(other) is None
    assert tokens.good() == set()
    with pytest.raises(NotFound):
        tokens.revoke("other")
    with pytest.raises(NotFound):
        tokens.revoke("nobody")
    assert {token.name: token.revoked_at for token in tokens.all()} == {"short": None, "other": setting.stamp}


def test_a_name_is_taken_until_it_is_revoked(tokens: LocalTokens) -> None:
    first = tokens.create("box", Role.READ)
    with pytest.raises(UsageError, match="already"):
        tokens.create("box", Role.ADMIN)
    tokens.revoke("box")
    second = tokens.create("box", Role.ADMIN)
    assert tokens.check(first) is None
    assert tokens.check(second) is not None
    for name in ("", "a b", "-x", "../x", "x" * 65, "x\n"):
        with pytest.raises(UsageError, match="no name"):
            tokens.create(name, Role.READ)


def test_a_database_has_one_server_id(tokens: LocalTokens) -> None:
    assert tokens.server_id() == tokens.server_id() != ""


class Callers:
    """The tokens of a test, and how often they were looked up."""

    def __init__(self) -> None:
        self.good = {"good": Token("1", "one", Role.READ, NOON, None, None)}
        self.lookups = 0

    def check(self, text: str) -> Token | None:
        self.lookups += 1
        return self.good.get(text)


@pytest.fixture
def callers() -> Callers:
    return Callers()


@pytest.fixture
def gate(callers: Callers, setting: Setting) -> Gate:
    return Gate(callers.check, lambda: setting.seconds)


def ask(gate: Gate, text: str, address: str = "here") -> str:
    return asyncio.run(gate.caller(text, address)).name


def test_a_token_is_looked_up_once_in_a_while(gate: Gate, callers: Callers, setting: Setting) -> None:
    assert [ask(gate, "good") for _ in range(5)] == ["one"] * 5
    assert callers.lookups == 1
    callers.good.clear()
    setting.seconds += REMEMBERED_S + 0.01
    with pytest.raises(Unauthenticated, match="does not know"):
        ask(gate, "good")


def test_who_guesses_is_not_listened_to_for_a_while(gate: Gate, callers: Callers, setting: Setting) -> None:
    for number in range(FAILURES):
        with pytest.raises(Unauthenticated):
            ask(gate, f"wrong-{number}")
    looked = callers.lookups
    with pytest.raises(TooMany):
        ask(gate, "good")
    assert callers.lookups == looked
    assert ask(gate, "good", "elsewhere") == "one"
    setting.seconds += WITHIN_S + 0.01
    assert ask(gate, "good") == "one"


def test_whoever_was_known_goes_on_beside_one_that_guesses(gate: Gate, setting: Setting) -> None:
    assert ask(gate, "good") == "one"
    for number in range(FAILURES):
        with pytest.raises(Unauthenticated):
            ask(gate, f"wrong-{number}")
    setting.seconds += REMEMBERED_S + 0.01
    assert ask(gate, "good") == "one"


def test_many_guesses_at_once_are_no_more_than_one_after_another(gate: Gate, callers: Callers) -> None:
    async def guess() -> list[object]:
        asked = (gate.caller(f"wrong-{number}", "here") for number in range(10 * FAILURES))
        return await asyncio.gather(*asked, return_exceptions=True)

    told = [type(error) for error in asyncio.run(guess())]
    assert set(told) == {Unauthenticated, TooMany}
    assert callers.lookups < FAILURES + STRANGERS
    with pytest.raises(TooMany):
        ask(gate, "wrong")


def test_others_are_not_held_up_by_a_look_up_that_takes_long(setting: Setting) -> None:
    good = Token("1", "one", Role.READ, NOON, None, None)
    answers, asked = threading.Event(), threading.Event()

    def check(text: str) -> Token:
        if text == "slow":
            asked.set()
            assert answers.wait(60)
        return good

    gate = Gate(check, lambda: setting.seconds)

    async def both() -> None:
        slow = asyncio.create_task(gate.caller("slow", "here"))
        assert await asyncio.to_thread(asked.wait, 60)
        setting.seconds += 1000
        assert await gate.caller("quick", "here") == good
        answers.set()
        assert await slow == good  # came first, is counted last: nobody was too quick

    asyncio.run(both())


def test_one_wrong_token_again_and_again_is_no_guessing(gate: Gate) -> None:
    for _ in range(2 * FAILURES):
        with pytest.raises(Unauthenticated, match="does not know"):
            ask(gate, "revoked")
    with pytest.raises(Unauthenticated, match="wants a token"):
        ask(gate, "")
    assert ask(gate, "good") == "one"


def test_a_flood_is_held_back(gate: Gate, setting: Setting) -> None:
    async def flood() -> int:
        passed = 0
        for _ in range(int(BURST) + 10):
            try:
                await gate.caller("good", "here")
            except TooMany:
                break
            passed += 1
        return passed

    assert asyncio.run(flood()) == BURST
    setting.seconds += 0.5
    assert ask(gate, "good") == "one"
