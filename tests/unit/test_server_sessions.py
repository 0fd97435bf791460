"""Sessions of browsers, and links that sign in once."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from whirr.errors import FolderError, UsageError
from whirr.model import Role, Token
from whirr.server.sessions import CODE_S, KEY, LASTS_S, MARK, MOST_CODES, RENEWED_AFTER_S, Sessions, read_key

READER = Token("0123456789ab", "reader", Role.READ, "2026-01-01T00:00:00.000000Z", None, None)
OWNER = Token("own", "me@here", Role.ADMIN, "2026-01-01T00:00:00.000000Z", None, None)
KEY_ONE, KEY_TWO = b"1" * 32, b"2" * 32


class Clock:
    """Seconds since 1970 that a test sets."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def good() -> dict[str, Token]:
    return {READER.id: READER}


@pytest.fixture
def sessions(clock: Clock, good: dict[str, Token]) -> Sessions:
    return Sessions(KEY_ONE, "server1", good.get, now=clock)


def test_a_session_names_its_token_until_it_ends(sessions: Sessions, clock: Clock) -> None:
    text = sessions.begin(READER)
    assert text.startswith(MARK)
    assert sessions.check(text) == READER
    clock.seconds += LASTS_S - 1
    assert sessions.check(text) == READER
    clock.seconds += 1
    assert sessions.check(text) is None


def test_it_ends_with_its_token(sessions: Sessions, good: dict[str, Token]) -> None:
    text = sessions.begin(READER)
    good.clear()
    assert sessions.check(text) is None


def test_nothing_of_it_can_be_changed(sessions: Sessions, good: dict[str, Token]) -> None:
    good["b" * 12] = READER._replace(id="b" * 12, role=Role.ADMIN)
    mark, token, until, mac = sessions.begin(READER).split(".")
    changed = [
        [mark, "b" * 12, until, mac],
        [mark, token, str(int(until) + 1), mac],
        [mark, token, until, ("A" if mac[0] != "A" else "B") + mac[1:]],
        [mark, token, until, mac[:-1]],
        [mark, token, until],
        [mark, token, until, mac, ""],
        ["other", token, until, mac],
    ]
    for parts in changed:
        assert sessions.check(".".join(parts)) is None
    for text in ("", MARK, "é" * 50, "session.own.9999999999." + "A" * 43):
        assert sessions.check(text) is None


def test_it_is_good_for_its_server_and_key_only(clock: Clock, good: dict[str, Token]) -> None:
    text = Sessions(KEY_ONE, "server1", good.get, now=clock).begin(READER)
    assert Sessions(KEY_ONE, "server1", good.get, now=clock).check(text) == READER
    assert Sessions(KEY_TWO, "server1", good.get, now=clock).check(text) is None
    assert Sessions(KEY_ONE, "server2", good.get, now=clock).check(text) is None


def test_the_owner_of_a_dashboard_is_nobody_at_a_server(clock: Clock, good: dict[str, Token]) -> None:
    own = Sessions(KEY_ONE, "server1", good.get, owner=OWNER, now=clock)
    text = own.begin(OWNER)
    assert own.check(text) == OWNER
    served = Sessions(KEY_ONE, "server1", good.get, now=clock)
    assert served.check(text) is None
    assert served.cookie != own.cookie
    assert own.check(own.begin(READER)) == READER  # tokens of the folder are good at one's own dashboard too


def test_one_that_is_used_is_begun_anew_now_and_then(sessions: Sessions, clock: Clock) -> None:
    text = sessions.begin(READER)
    assert not sessions.is_old(text)
    clock.seconds += RENEWED_AFTER_S + 1
    assert sessions.is_old(text)
    assert not sessions.is_old("")


def test_a_code_signs_in_once(sessions: Sessions) -> None:
    code = sessions.code(READER)
    assert sessions.redeem("other") is None
    assert sessions.redeem(code) == READER
    assert sessions.redeem(code) is None


def test_a_code_signs_in_soon_or_never(sessions: Sessions, clock: Clock) -> None:
    first, second = sessions.code(READER), sessions.code(READER)
    clock.seconds += CODE_S - 1
    assert sessions.redeem(first) == READER
    clock.seconds += 1
    assert sessions.redeem(second) is None


def test_codes_that_nobody_uses_are_forgotten(sessions: Sessions) -> None:
    codes = [sessions.code(READER) for _ in range(MOST_CODES + 1)]
    assert [sessions.redeem(code) for code in codes] == [None, *[READER] * MOST_CODES]


class TestKey:
    def test_it_is_made_once_for_this_user_only(self, tmp_path: Path) -> None:
        key = read_key(tmp_path)
        assert len(key) == 32
        assert read_key(tmp_path) == key
        assert stat.S_IMODE((tmp_path / KEY).stat().st_mode) == 0o600
        assert [path.name for path in tmp_path.iterdir()] == [KEY]

    def test_of_many_who_make_it_all_have_the_same(self, tmp_path: Path) -> None:
        keys: list[bytes] = []
        together = threading.Barrier(8)

        def read() -> None:
            together.wait()
            keys.append(read_key(tmp_path))

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 8
        assert len(set(keys)) == 1

    def test_one_that_others_can_read_is_refused(self, tmp_path: Path) -> None:
        read_key(tmp_path)
        os.chmod(tmp_path / KEY, 0o644)
        with pytest.raises(UsageError) as told:
            read_key(tmp_path)
        assert "chmod 600" in str(told.value.hint)

    @pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
    def test_a_damaged_one_is_refused(self, tmp_path: Path, content: bytes) -> None:
        read_key(tmp_path)
        (tmp_path / KEY).write_bytes(content)
        with pytest.raises(UsageError, match="damaged"):
            read_key(tmp_path)

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").write_bytes(b"x" * 32)
        (tmp_path / KEY).symlink_to(tmp_path / "elsewhere")
        with pytest.raises(FolderError):
            read_key(tmp_path)

    def test_where_it_cannot_be_made_that_is_said(self, tmp_path: Path) -> None:
        with pytest.raises(FolderError, match="cannot be had"):
            read_key(tmp_path / "missing")
