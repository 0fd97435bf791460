"""Looking for a text in a log, a part at a time."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whirr.dashboard import log_search
from whirr.dashboard.log_search import ERRORS, Matches, find, wanted_of


def whole(data: bytes, text: str) -> list[int]:
    """Where the lines begin that hold a text, looked for part by part."""
    found: list[int] = []
    start = 0
    while True:
        part = find(io.BytesIO(data), wanted_of(text), start)
        found += [at for at in part.lines if not found or at > found[-1]]
        if part.done:
            return found
        assert part.next > start
        start = part.next


def plainly(data: bytes, text: str) -> list[int]:
    found, at = [], 0
    for line in data.split(b"\n"):
        if text.lower().encode() in line.lower():
            found.append(at)
        at += len(line) + 1
    return found


@given(st.lists(st.text("ab \x1b[", max_size=8), max_size=30), st.text("ab", min_size=1, max_size=3))
def test_the_lines_that_hold_it(lines: list[str], text: str) -> None:
    data = "\n".join(lines).encode()
    assert whole(data, text) == plainly(data, text)


def test_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"".join(b"line %d of many\n" % number for number in range(5000))
    assert whole(data, "LINE 4") == plainly(data, "line 4")
    monkeypatch.setattr(log_search, "BLOCK", 100)
    monkeypatch.setattr(log_search, "MOST", 7)
    assert whole(data, "of many") == plainly(data, "of many")


def test_through_colours() -> None:
    data = b"loss \x1b[32m0.81\x1b[0m2\nother\n"
    assert whole(data, "loss 0.812") == [0]


def test_what_grew_is_looked_at_again() -> None:
    first = find(io.BytesIO(b"one\ntwo"), wanted_of("two"), 0)
    assert first == Matches((4,), 4, 7, True)
    assert find(io.BytesIO(b"one\ntwo\ntwo\n"), wanted_of("two"), first.next).lines == (4, 8)


def test_a_line_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_search, "BLOCK", 64)
    data = b"x" * 3000 + b"needle" + b"\nneedle\n"
    assert whole(data, "needle")[-1] == 3007


def test_beyond_the_end() -> None:
    assert find(io.BytesIO(b"abc"), wanted_of("a"), 99) == Matches((), 3, 3, True)


@pytest.mark.parametrize(
    "line",
    [
        "Traceback (most recent call last):",
        "ValueError: bad lr",
        "torch.cuda.OutOfMemoryError: x",
        "2026-01-01 ERROR cannot",
        "fatal: not a git repository",
        "Segmentation fault (core dumped)",
        "RuntimeError: CUDA out of memory",
    ],
)
def test_what_looks_like_an_error(line: str) -> None:
    assert find(io.BytesIO(f"fine\n{line}\n".encode()), ERRORS, 0).lines == (5,)


@pytest.mark.parametrize(
    "line", ["error_rate 0.1", "no errors", "val/error 0.2", "INFO fine", "mean absolute error 0.1"]
)
def test_what_does_not(line: str) -> None:
    assert find(io.BytesIO(f"{line}\n".encode()), ERRORS, 0).lines == ()
