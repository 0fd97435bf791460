"""What is copied to output.log, and what the program sees of it: nothing."""

from __future__ import annotations

import functools
import io
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from whirr import console
from whirr.console import AppendFile, ConsoleTee
from whirr.screen import LONGEST_LINE, Screen, Transcript

UP = "\x1b[A"


class Console:
    """A console made of two memory files."""

    def __init__(self) -> None:
        self.out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        self.err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)

    def shown(self, stream: io.TextIOWrapper) -> str:
        buffer = stream.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode()


@pytest.fixture
def terminal() -> Console:
    return Console()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "output.log"


class Clock:
    """A clock that goes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tee(log: Path, clock: Clock) -> ConsoleTee:
    return ConsoleTee(log, clock)


def wait_till_still(tee: ConsoleTee, clock: Clock) -> None:
    tee.flush_partial()
    clock.now += console.STILL
    tee.flush_partial()


def on_the_console(test: Callable[..., None]) -> Callable[..., None]:
    """Runs a test with ``sys``'s streams on its ``terminal``, copied by its ``tee`` if it asks for one.

    No fixture can do that: pytest puts its own streams in place between set-up and test.
    """

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        terminal, tee = fixtures["terminal"], fixtures.get("tee")
        before = sys.stdout, sys.stderr
        sys.stdout, sys.stderr = terminal.out, terminal.err
        try:
            if tee is not None:
                tee.start()
            test(**fixtures)
        finally:
            if tee is not None:
                tee.stop()
            sys.stdout, sys.stderr = before

    return run


def transcript(pieces: Iterable[bytes]) -> str:
    """What is written for the pieces of one stream in the end."""
    written = Transcript()

    def settle(screen: Screen) -> None:
        for row in screen.done():
            written.line(row)

    screen = Screen(settle)
    for piece in pieces:
        screen.feed(piece)
    settle(screen)
    for row in screen.rest():
        written.part(row)
    written.end()
    return written.take().decode(errors="surrogateescape")


@on_the_console
def test_everything_reaches_the_console_unchanged_and_the_file(tee: ConsoleTee, terminal: Console, log: Path) -> None:
    print("a", 1, sep="-")
    assert sys.stdout.write("ü▁\n") == 3
    sys.stdout.writelines(["x\n", "y\n"])
    assert sys.stdout.buffer.write(b"bytes \xff\n") == 8
    sys.stdout.buffer.writelines([b"p\n", bytearray(b"q\n")])
    sys.stdout.flush()
    expected = "a-1\nü▁\nx\ny\n".encode() + b"bytes \xff\np\nq\n"
    assert terminal.out.buffer.getvalue() == expected  # type: ignore[attr-defined]
    assert log.read_bytes() == expected


@on_the_console
def test_attributes_are_the_originals(tee: ConsoleTee, terminal: Console) -> None:
    assert sys.stdout.encoding == "utf-8"
    assert sys.stdout.isatty() is False
    assert sys.stdout.errors == terminal.out.errors
    assert sys.stdout.buffer.getvalue() == b""  # type: ignore[attr-defined]
    assert not sys.stdout.closed
    with pytest.raises(io.UnsupportedOperation):
        sys.stdout.fileno()
    with pytest.raises(AttributeError, match="no_such_thing"):
        sys.stdout.no_such_thing  # type: ignore[attr-defined]  # noqa: B018


@on_the_console
def test_what_the_stream_refuses_is_refused_as_before(tee: ConsoleTee, terminal: Console, log: Path) -> None:
    with pytest.raises(TypeError):
        sys.stdout.write(b"bytes")  # type: ignore[arg-type]
    terminal.err.close()
    with pytest.raises(ValueError, match="closed file"):
        sys.stderr.write("the console is gone, the file is not\n")
    with pytest.raises(UnicodeEncodeError):
        sys.stdout.write("lone surrogate \udcff\n")
    assert log.read_text() == "the console is gone, the file is not\nlone surrogate \\udcff\n"


@on_the_console
def test_lines_of_two_streams_do_not_mix(tee: ConsoleTee, log: Path, terminal: Console) -> None:
    sys.stderr.write("\r 10%")
    sys.stdout.write("one ")
    sys.stderr.write("\r 20%")
    sys.stdout.write("line\n")
    assert log.read_text() == "one line\n"
    sys.stderr.write("\r100%\n")
    tee.flush_partial()
    assert log.read_text() == "one line\n100%\n"


@on_the_console
def test_a_prompt_flushed_goes_on_in_its_line(tee: ConsoleTee, log: Path, terminal: Console) -> None:
    sys.stdout.write("Loading")
    tee.flush_partial()
    tee.flush_partial()
    assert log.read_text() == "Loading"
    sys.stdout.write("... done\nnext\n")
    assert log.read_text() == "Loading... done\nnext\n"


@on_the_console
def test_a_bar_in_motion_is_not_written(tee: ConsoleTee, log: Path, clock: Clock, terminal: Console) -> None:
    for percent in range(100):
        sys.stderr.write(f"\r{percent}%")
        clock.now += console.STILL / 2
        tee.flush_partial()
        if percent == 50:
            print("half")
    assert log.read_text() == "half\n"
    sys.stderr.write("\r100%\n")
    tee.flush_partial()
    assert log.read_text() == "half\n100%\n"


@on_the_console
def test_a_bar_that_stands_still_is_written(tee: ConsoleTee, log: Path, clock: Clock, terminal: Console) -> None:
    for percent in (25, 75):
        sys.stderr.write(f"\r{percent}%")
        wait_till_still(tee, clock)
        wait_till_still(tee, clock)
    assert log.read_bytes() == b"25%\r75%"
    sys.stderr.write("\r100%\n")
    tee.flush_partial()
    assert log.read_bytes() == b"25%\r75%\r100%\n"


@on_the_console
def test_a_last_state_flushed_is_written_once(tee: ConsoleTee, log: Path, clock: Clock, terminal: Console) -> None:
    sys.stderr.write("\r100%")
    wait_till_still(tee, clock)
    assert log.read_text() == "100%"
    sys.stderr.write("\n")
    tee.flush_partial()
    assert log.read_text() == "100%\n"


@on_the_console
def test_a_line_ends_the_open_one_of_the_other_stream(
    tee: ConsoleTee, log: Path, clock: Clock, terminal: Console
) -> None:
    sys.stderr.write("\r50%")
    wait_till_still(tee, clock)
    print("epoch 1")
    sys.stderr.write("\r60%")
    wait_till_still(tee, clock)
    assert log.read_text() == "50%\nepoch 1\n60%"


@on_the_console
def test_nested_bars_that_stand_still(tee: ConsoleTee, log: Path, clock: Clock, terminal: Console) -> None:
    sys.stderr.write(f"\router 0/3\n\rinner 1/20{UP}")
    tee.flush_partial()
    assert log.read_text() == ""
    wait_till_still(tee, clock)
    assert log.read_text() == "outer 0/3\ninner 1/20"


@on_the_console
def test_what_is_left_is_written_at_the_end(tee: ConsoleTee, terminal: Console, log: Path) -> None:
    sys.stdout.write("half a line")
    sys.stderr.write("\r 99%")
    tee.stop()
    print("not copied")
    tee.stop()
    tee.flush_partial()
    assert log.read_text() == "half a line\n 99%\n"
    assert sys.stdout is terminal.out
    assert terminal.shown(terminal.out) == "half a linenot copied\n"


@on_the_console
def test_nested_bars_leave_their_last_states(tee: ConsoleTee, log: Path, terminal: Console) -> None:
    for outer in range(3):
        sys.stderr.write(f"\router {outer}/3")
        for inner in range(20):
            sys.stderr.write(f"\n\rinner {inner}/20{UP}")
        tee.flush_partial()
        sys.stderr.write(f"\n\r           \r{UP}")
        print("epoch", outer)
    sys.stderr.write("\router 3/3\n")
    tee.stop()
    assert log.read_text() == "epoch 0\nepoch 1\nepoch 2\nouter 3/3\n"


@on_the_console
def test_a_second_tee_after_the_first_and_inside_it(
    tee: ConsoleTee, log: Path, tmp_path: Path, terminal: Console
) -> None:
    inner = ConsoleTee(tmp_path / "inner.log")
    inner.start()
    print("both")
    inner.stop()
    print("outer only")
    inner.start()
    print("again")
    inner.stop()
    assert log.read_text() == "both\nouter only\nagain\n"
    assert (tmp_path / "inner.log").read_text() == "both\nagain\n"


@on_the_console
def test_stopping_the_outer_tee_first(terminal: Console, tmp_path: Path) -> None:
    first, second, third = (ConsoleTee(tmp_path / name) for name in ("first", "second", "third"))
    first.start()
    second.start()
    first.stop()
    print("second only")
    second.stop()
    third.start()
    print("third only")
    third.stop()
    assert (tmp_path / "first").read_text() == ""
    assert (tmp_path / "second").read_text() == "second only\n"
    assert (tmp_path / "third").read_text() == "third only\n"
    assert terminal.shown(terminal.out) == "second only\nthird only\n"


@on_the_console
def test_a_stream_wrapped_by_somebody_else_stays_theirs(tee: ConsoleTee, terminal: Console, log: Path) -> None:
    class Shout:
        def __init__(self, below: io.TextIOBase) -> None:
            self.below = below

        def write(self, text: str) -> int:
            return self.below.write(text.upper())

    ours = sys.stdout
    sys.stdout = theirs = Shout(ours)  # type: ignore[assignment,arg-type]
    print("copied")
    tee.stop()
    print("passed on")
    assert sys.stdout is theirs
    ours.write("also by those who kept it\n")
    assert log.read_text() == "COPIED\n"
    assert terminal.shown(terminal.out) == "COPIED\nPASSED ON\nalso by those who kept it\n"


@on_the_console
def test_a_program_without_a_console(terminal: Console, log: Path) -> None:
    sys.stdout = None
    tee = ConsoleTee(log)
    tee.start()
    print("nowhere")
    sys.stderr.write("somewhere\n")
    tee.stop()
    assert sys.stdout is None
    assert log.read_text() == "somewhere\n"


@on_the_console
def test_logging_set_up_before(terminal: Console, log: Path) -> None:
    handler = logging.StreamHandler()
    logger = logging.getLogger("tests.console")
    logger.addHandler(handler)
    tee = ConsoleTee(log)
    tee.start()
    logger.warning("copied")
    tee.stop()
    logger.warning("not copied")
    logger.removeHandler(handler)
    assert log.read_text() == "copied\n"
    assert terminal.shown(terminal.err) == "copied\nnot copied\n"
    assert handler.stream is terminal.err


@on_the_console
def test_threads_printing_at_once(tee: ConsoleTee, log: Path, terminal: Console) -> None:
    def work(name: int) -> None:
        for count in range(300):
            sys.stdout.write(f"{name} {count}\n")

    threads = [threading.Thread(target=work, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    tee.stop()
    lines = log.read_text().splitlines()
    assert len(lines) == 2400
    for name in range(8):
        assert [line for line in lines if line.startswith(f"{name} ")] == [f"{name} {c}" for c in range(300)]


@on_the_console
def test_printing_while_the_copy_is_being_made(terminal: Console, log: Path) -> None:
    """As a signal handler does, or a stream below that prints."""

    class Talks(io.StringIO):
        def write(self, text: str) -> int:
            if text == "outer\n":
                sys.stdout.write("inner\n")
            return super().write(text)

    sys.stdout = Talks()  # type: ignore[assignment]
    tee = ConsoleTee(log)
    tee.start()
    sys.stdout.write("outer\n")
    tee.stop()
    assert sorted(log.read_text().splitlines()) == ["inner", "outer"]


def test_output_waits_for_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there" / "output.log"
    file = AppendFile(str(path))
    file.append(b"one\n")
    file.append(b"two\n")
    path.parent.mkdir(parents=True)
    file.append(b"three\n")
    file.close()
    assert path.read_bytes() == b"one\ntwo\nthree\n"


@on_the_console
def test_a_folder_renamed_before_the_first_line(terminal: Console, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    tee = ConsoleTee(tmp_path / "run" / "output.log")
    tee.start()
    (tmp_path / "run").rename(tmp_path / "renamed")
    print("found")
    tee.stop()
    assert (tmp_path / "renamed" / "output.log").read_text() == "found\n"


def test_a_file_deleted_under_way_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "run" / "output.log"
    path.parent.mkdir()
    file = AppendFile(str(path))
    file.append(b"gone\n")
    path.unlink()
    path.parent.rmdir()
    file.append(b"waits\n")
    path.parent.mkdir()
    file.append(b"new\n")
    file.close()
    assert path.read_bytes() == b"waits\nnew\n"


def test_output_beyond_the_backlog_is_dropped_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "not" / "output.log"
    file = AppendFile(str(path))
    line = b"x" * 999 + b"\n"
    for _ in range(3000):
        file.append(line)
    path.parent.mkdir()
    file.append(b"back\n")
    file.close()
    kept = console.BACKLOG // 1000
    lines = path.read_bytes().splitlines(keepends=True)
    assert lines[:-2] == [line] * kept
    assert lines[-2:] == [b"[whirr: %d bytes of output were dropped]\n" % ((3000 - kept) * 1000), b"back\n"]


def test_a_descriptor_that_was_closed_and_given_to_another_file(tmp_path: Path) -> None:
    path, other = tmp_path / "output.log", tmp_path / "precious"
    file = AppendFile(str(path))
    file.append(b"one\n")
    (ours,) = [fd for fd in range(3, 256) if _is(fd, path)]
    os.close(ours)
    taken = os.open(other, os.O_WRONLY | os.O_CREAT)
    os.dup2(taken, ours)
    file.append(b"two\n")
    file.close()
    os.write(ours, b"still open")
    os.close(ours)
    if taken != ours:
        os.close(taken)
    assert other.read_bytes() == b"still open"
    assert path.read_bytes() == b"one\ntwo\n"


def _is(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("\n\na\n\n", "\n\na\n\n"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("\r  5%\r 50%\r100%\r\n", "100%\n"),
        ("\r100% long\r5%       \n", "5%\n"),
        ("\r50%\r     \rprinted\n", "printed\n"),
        ("\r50%\r     \r", ""),
        ("spin |\b/\b-\b done\n", "spin  done\n"),
        ("▁▂\b▃\n", "▁▃\n"),
        ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
        ("\x1b[?25lhidden\x1b[?25h\x1b[3G\n", "hidden\n"),
        ("50%\x1b[2K\r100%\n", "100%\n"),
        ("50%\r\x1b[K\n", ""),
        ("\x1b]0;title\x07text\n", "\x1b]0;title\x07text\n"),
        (f"a 1\nb 1\n{UP}{UP}\ra 2\n\rb 2\n", "a 1\nb 1\na 2\nb 2\n"),
        ("a 1\nb 1\n\x1b[2F\ra 1\n\rb 1\x1b[Eend\n", "a 1\nb 1\nend\n"),
        ("\x1b[99Astill here\n", "still here\n"),
    ],
)
def test_what_a_terminal_would_finally_show(written: str, expected: str) -> None:
    assert transcript([written.encode()]) == expected


def test_a_bar_below_a_very_long_line() -> None:
    long = "x" * 5000
    assert transcript([f"a\n{long}\nb 1\n{UP}\rb 2\n".encode()]) == f"a\n{long}\nb 1\nb 2\n"
    assert transcript([f"{long}\n{UP}b\n".encode()]) == f"{long}\nb\n"


def test_more_rows_than_a_cursor_can_go_back_to() -> None:
    lines = "".join(f"{count}\n" for count in range(200))
    assert transcript([(lines + "\x1b[500A\rtop\n\x1b[500B\rend\n").encode()]) == lines + "top\nend\n"


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    found = transcript([b"x" * 1000] * 1000)
    assert found.replace("\n", "") == "x" * 1_000_000
    assert max(map(len, found.splitlines())) == LONGEST_LINE


CONTROLS = ("\r", "\n", "\r\n", "\b", "\b\b", UP, "\x1b[2B", "\x1b[2K", "\x1b[K", "\x1b[?25l", f"\n\rbar{UP}")
TEXT = ("a", "bc", " ", "é▁", "%", "\x1b[1;31m")
TORN = ("\x1b", "[", "3", "m", "A", "\x1b[" + "1" * 25)
PIECES = st.sampled_from((*CONTROLS, *TEXT, *TORN))
TEXTS = st.lists(PIECES, max_size=60).map(lambda pieces: "".join(pieces).encode())


@given(text=TEXTS, cuts=st.sets(st.integers(0, 200)))
@example(text=b"\x1b[A", cuts={1, 2})
def test_the_pieces_a_text_comes_in_make_no_difference(text: bytes, cuts: set[int]) -> None:
    edges = [0, *sorted(cut for cut in cuts if cut < len(text)), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]
    assert b"".join(pieces) == text
    assert transcript(pieces) == transcript([text])


@given(st.lists(st.text(alphabet="ab \rü", max_size=12), max_size=6))
def test_a_carriage_return_keeps_the_last_state(lines: list[str]) -> None:
    expected = ""
    for line in lines:
        first, *rest = line.split("\r")
        frames = [frame for frame in rest if frame]
        if not frames:
            expected += first + "\n"
        elif frames[-1].strip(" "):  # else a bar that was wiped out
            expected += frames[-1].rstrip(" ") + "\n"
    assert transcript([line.encode() + b"\n" for line in lines]) == expected


@given(st.text(alphabet=st.characters(blacklist_characters="\r\n\b\x1b", codec="utf-8")), st.data())
def test_plain_text_is_kept_to_the_letter(text: str, data: st.DataObject) -> None:
    lines = data.draw(st.lists(st.just(text), max_size=5))
    whole = "".join(line + "\n" for line in lines)
    assert transcript([whole.encode()]) == whole


@on_the_console
def test_bars_of_rich(tee: ConsoleTee, log: Path, terminal: Console) -> None:
    from rich.console import Console as RichConsole
    from rich.progress import Progress

    with Progress(console=RichConsole(force_terminal=True, width=80), auto_refresh=False) as progress:
        tasks = [progress.add_task(name, total=50) for name in ("first", "second")]
        for _ in range(50):
            for task in tasks:
                progress.advance(task)
            progress.refresh()
            tee.flush_partial()
    tee.stop()
    lines = log.read_text().splitlines()
    assert terminal.shown(terminal.out).count("second") > 50
    assert [line.split()[0] for line in lines if line] == ["first", "second"]
    assert sum("100%" in line for line in lines) == 2
