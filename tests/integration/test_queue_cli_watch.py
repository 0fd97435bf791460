"""``whirr watch`` on a real terminal and in a pipe."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest
from helpers import outputs, start
from queue_cli import WHIRR, ask, submit

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"


@contextmanager
def watch(place: Path, *words: str, rows: int = 24, columns: int = 80) -> Iterator[pexpect.spawn]:
    environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environ["TERM"] = "xterm-256color"
    # pexpect sets the size of the terminal beside the program, which may have looked already.
    sized = ["-c", f'stty rows {rows} columns {columns} && exec "$@"', "sh"]
    command = [*sized, *WHIRR, "watch", "--interval", "0.1", *words]
    child = pexpect.spawn("sh", command, cwd=place, env=environ, encoding="utf-8", timeout=60)
    try:
        yield child
    finally:
        child.close(force=True)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    submit(tmp_path, "--name", "a-name", "--", "true")
    return tmp_path


def pages(text: str) -> list[list[str]]:
    """The lines of each page that was drawn, without styles."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    return [[line.split("\x1b[K")[0] for line in page.split("\n")] for page in plain.split("\x1b[H")[1:]]


class TestOnATerminal:
    @pytest.mark.parametrize("key", ["q", "\x03"])
    def test_a_change_is_shown_and_a_key_ends(self, place: Path, key: str) -> None:
        with watch(place) as child:
            child.expect_exact(ENTER)
            child.expect("1 queued")
            child.expect("a-name")
            submit(place, "--name", "another", "--", "true")
            child.expect("2 queued")
            child.expect("another")
            child.expect_exact("q: quit")
            child.send(key)
            child.expect_exact(LEAVE)
            child.expect(pexpect.EOF)
            child.wait()
            assert child.exitstatus == 0

    @pytest.mark.parametrize(("rows", "columns"), [(24, 80), (8, 40), (50, 200)])
    def test_a_page_fits(self, place: Path, rows: int, columns: int) -> None:
        for number in range(12):
            submit(place, "--name", f"job number {number} " + "long " * 20, "--", "true")
        with watch(place, rows=rows, columns=columns) as child:
            child.expect_exact("q: quit")
            child.expect_exact("q: quit")
            drawn = pages(child.before)[-1]
            assert len(drawn) <= rows
            assert max(map(len, drawn)) <= columns
            assert drawn[0].startswith("13 queued")

    def test_it_is_resized(self, place: Path) -> None:
        with watch(place, "--interval", "3600", rows=24, columns=60) as child:
            child.expect_exact("q: quit")
            child.setwinsize(40, 150)
            child.expect_exact("q: quit")
            child.send("q")
            child.expect_exact(LEAVE)

    def test_termination_gives_the_terminal_back(self, place: Path) -> None:
        with watch(place) as child:
            child.expect_exact("q: quit")
            child.kill(signal.SIGTERM)
            child.expect_exact(LEAVE)
            child.expect(pexpect.EOF)
            child.wait()
            assert child.exitstatus == 128 + signal.SIGTERM


class TestElsewhere:
    def test_what_shows_the_rest_is_told(self, place: Path) -> None:
        for _ in range(12):
            submit(place, "--", "true")
        process = start([*WHIRR, "watch"], place)
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert next(line for line in lines if "more queued" in line) == "and 3 more queued (whirr status --all)\n"
        process.terminate()
        process.communicate(timeout=60)

    def test_each_change_is_printed_once(self, place: Path) -> None:
        process = start([*WHIRR, "watch", "--interval", "0.1"], place)
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert next(lines).split() == ["id", "name", "state", "waiting", "why"]
        assert next(line for line in lines if "no worker is running: " in line).startswith("1 queued ")
        ask("cancel", "1", cwd=place)
        seen = next(line for line in lines if "1 cancelled" in line)
        assert "queued" not in seen
        process.send_signal(signal.SIGINT)
        rest, err = outputs(process)
        assert (process.returncode, rest.strip(), err) == (0, "", "")

    def test_a_reader_that_leaves(self, place: Path) -> None:
        process = subprocess.Popen(
            [*WHIRR, "watch", "--interval", "0.1"], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline()
        process.stdout.close()
        ask("cancel", "1", cwd=place)
        assert process.wait(60) == 0
        assert process.stderr is not None
        with process.stderr:
            assert process.stderr.read() == ""

    @pytest.mark.parametrize("value", ["0", "x", "nan"])
    def test_misuse(self, tmp_path: Path, value: str) -> None:
        assert ask("watch", "--interval", value, cwd=tmp_path).code == 2
