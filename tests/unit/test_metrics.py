"""The writer of ``metrics.jsonl``: nothing that was acknowledged is lost, in order, once."""

from __future__ import annotations

import json
import os
import resource
import signal
import threading
import warnings
from collections import UserDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from helpers import strict_json
from hypothesis import given
from hypothesis import strategies as st

from whirr.clock import epoch
from whirr.errors import NotAMapping, WhirrWarning
from whirr.folder import read_metrics
from whirr.metrics import MetricsWriter

Make = Callable[..., MetricsWriter]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    """Writers of `path`, closed at the end."""
    writers = []

    def make_writer(**arguments: Any) -> MetricsWriter:
        writers.append(MetricsWriter(str(path), **arguments))
        return writers[-1]

    yield make_writer
    for writer in writers:
        writer.close()


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Beyond `size` bytes the kernel cuts writes short, then refuses them (Python ignores SIGXFSZ)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def column(path: Path, name: str = "i") -> list[Any]:
    return [record[name] for record in read_metrics(path)]


def append(writer: MetricsWriter, values: Iterable[int]) -> None:
    for i in values:
        assert writer.append({"i": i})


def append_under_growing_limit(writer: MetricsWriter, values: Iterable[int], size: int) -> None:
    """Now and then a part of a line fits."""
    for i in values:
        size += 13
        with file_size_limit(size):
            assert writer.append({"i": i})


def test_a_record_is_in_the_file_when_append_returns(make: Make, path: Path) -> None:
    writer = make()
    assert writer.append({"loss": 0.5}, 3)
    assert writer.append({"loss": 0.25})
    first, second = (strict_json(line) for line in path.read_text().splitlines())
    assert (first.pop("_timestamp") <= second.pop("_timestamp"), first) == (True, {"_idx": 0, "step": 3, "loss": 0.5})
    assert second == {"_idx": 1, "loss": 0.25}


def test_every_line_is_strict_json_with_index_and_utc_stamp(make: Make, path: Path) -> None:
    writer = make()
    values = [1, 0.5, True, None, "x", float("nan"), np.float32(2), np.array(3), [1, 2], {"deep": 1}, 2**70, 10**18]
    for position, value in enumerate(values):
        writer.append({"value": value, "other": 1}, position)
    lines = path.read_text().splitlines()
    for position, line in enumerate(lines):
        record = strict_json(line)
        assert list(record)[:3] == ["_idx", "_timestamp", "step"]
        assert (record["_idx"], record["step"]) == (position, position)
        assert record["_timestamp"].endswith("Z")
        assert epoch(record["_timestamp"]) > 0
    assert len(lines) == len(values)


@pytest.mark.parametrize("metrics", [None, 3, "loss", [("loss", 1)], {1, 2}])
def test_what_is_no_mapping_leaves_no_trace(make: Make, path: Path, metrics: Any) -> None:
    writer = make()
    with pytest.raises(NotAMapping):
        writer.append(metrics)
    writer.append({"i": 1})
    assert [record["_idx"] for record in read_metrics(path)] == [0]


def test_a_step_that_goes_back_is_kept(make: Make, path: Path) -> None:
    writer = make()
    for step in (5, 3, 4, 3):
        writer.append({"i": step}, step)
    assert column(path, "step") == [5, 3, 4, 3]


class TestContinuing:
    """A file that is there already."""

    def test_the_index_goes_on(self, make: Make, path: Path) -> None:
        make().append({"i": 0})
        make(primary=False).append({"i": 1})
        assert column(path, "_idx") == [0, 1]

    def test_no_record_is_glued_to_a_torn_one(self, make: Make, path: Path) -> None:
        line = b'{"_idx":%d,"_timestamp":"2026-01-01T00:00:00Z","i":%d}\n'
        whole, first = line % (0, 0) + line % (1, 1), len(line % (0, 0))
        for cut in range(first, len(whole) + 1):
            path.unlink(missing_ok=True)
            path.write_bytes(whole[:cut])
            writer = make()
            writer.append({"i": 2})
            writer.close()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", WhirrWarning)
                records = read_metrics(path)
            kept = [0, 1] if cut >= len(whole) - 1 else [0]
            assert [record["i"] for record in records] == [*kept, 2], cut
            assert [record["_idx"] for record in records] == list(range(len(kept) + 1)), cut

    def test_garbage_at_the_end_longer_than_one_look(self, make: Make, path: Path) -> None:
        path.write_bytes(b'{"_idx":41}\n' + b"garbage\n" * 20_000 + b"[41]\n{}\n" + b'{"_idx":"x"}\n')
        make().append({"i": 1})
        assert json.loads(path.read_bytes().splitlines()[-1])["_idx"] == 42

    def test_a_file_of_garbage_alone(self, make: Make, path: Path) -> None:
        path.write_bytes(b"\0" * 100_000)
        make().append({"i": 1})
        assert json.loads(path.read_bytes().splitlines()[-1])["_idx"] == 0


class TestLock:
    """One process is the run's own writer."""

    def test_a_second_one_is_refused_and_leaves_nothing_open(self, make: Make, path: Path) -> None:
        first = make()
        before = os.listdir("/proc/self/fd")
        with pytest.raises(BlockingIOError):
            make()
        assert os.listdir("/proc/self/fd") == before
        first.close()
        assert make().append({"i": 1})

    def test_a_further_writer_needs_no_lock(self, make: Make) -> None:
        assert not make().closed
        assert not make(primary=False).closed

    def test_a_folder_that_is_missing_is_an_os_error(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            MetricsWriter(str(tmp_path / "gone" / "metrics.jsonl"))


class TestClosing:
    """After the end."""

    def test_nothing_is_taken_any_more(self, make: Make, path: Path) -> None:
        writer = make()
        assert writer.append({"i": 0})
        assert writer.close() == 0
        assert writer.closed
        assert not writer.append({"i": 1})
        assert not writer.append({"i": "slow road"})
        assert writer.close() == 0
        assert column(path) == [0]

    @pytest.mark.parametrize("durable", [True, False])
    def test_what_waits_is_written_first(self, make: Make, path: Path, durable: bool) -> None:
        writer = make()
        with file_size_limit(0), pytest.warns(WhirrWarning, match="wait in memory"):
            writer.append({"i": 0})
        assert writer.close(durable=durable) == 0
        assert column(path) == [0]

    def test_what_cannot_be_written_is_counted(self, make: Make, path: Path) -> None:
        writer = make()
        with file_size_limit(0):
            with pytest.warns(WhirrWarning, match="wait in memory"):
                append(writer, range(7))
            assert writer.close(patience=0.1) == 7
        assert column(path) == []


class TestTrouble:
    """The file cannot be written for a while. The limits are the kernel's own: writes are cut short and refused."""

    def test_rows_wait_and_are_written_in_order(self, make: Make, path: Path) -> None:
        writer = make()
        append(writer, range(100))
        with pytest.warns(WhirrWarning, match="wait in memory") as caught:
            append_under_growing_limit(writer, range(100, 300), path.stat().st_size)
        assert len(caught) == 1
        assert writer.waiting > 0
        assert writer.drain()
        assert (column(path), writer.waiting, writer.dropped) == (list(range(300)), 0, 0)
        assert [record["_idx"] for record in read_metrics(path)] == list(range(300))

    def test_a_line_cut_at_any_byte_is_completed(self, make: Make, path: Path) -> None:
        line = len(b'{"_idx":0,"_timestamp":"2026-11-23T14:00:00.000000Z","i":0}\n')
        for cut in range(line):
            path.unlink(missing_ok=True)
            writer = make()
            with file_size_limit(cut), warnings.catch_warnings():
                warnings.simplefilter("ignore", WhirrWarning)
                writer.append({"i": 0})
                assert path.stat().st_size == cut
                writer.append({"i": 1})
                assert not writer.drain()
            assert writer.drain()
            writer.append({"i": 2})
            assert column(path) == [0, 1, 2]
            assert writer.close() == 0

    def test_memory_is_bounded_and_the_lost_are_counted(self, make: Make, path: Path) -> None:
        writer = make(room=1_000)
        with file_size_limit(100), pytest.warns(WhirrWarning) as caught:
            append(writer, range(100))
        assert [("wait in memory" in str(w.message), "dropped" in str(w.message)) for w in caught] == [
            (True, False),
            (False, True),
        ]
        assert 0 < writer.dropped < 100
        assert writer.drain()
        assert column(path) == list(range(100 - writer.dropped))
        assert writer.append({"i": "after"})
        assert column(path)[-1] == "after"
        assert writer.close() == 100 - (len(column(path)) - 1)

    def test_a_line_longer_than_the_room_is_not_cut_in_two(self, make: Make, path: Path) -> None:
        writer = make(room=10)
        with file_size_limit(30), pytest.warns(WhirrWarning):
            append(writer, range(2))
        writer.append({"i": 2})
        writer.drain()
        assert column(path)[0] == 0
        assert len(column(path)) == 3 - writer.dropped

    def test_an_earlier_torn_line_does_not_count_as_lost(self, make: Make, path: Path) -> None:
        path.write_bytes(b'{"_idx":0,"i":0}\n{"_id')
        with file_size_limit(0), warnings.catch_warnings():
            warnings.simplefilter("ignore", WhirrWarning)
            assert make().close() == 0

    def test_trouble_while_continuing_a_torn_file_glues_nothing(self, make: Make, path: Path) -> None:
        torn = b'{"_idx":0,"i":0}\n{"_id'
        path.write_bytes(torn)
        with file_size_limit(len(torn)), warnings.catch_warnings():
            warnings.simplefilter("ignore", WhirrWarning)
            writer = make()
            for i in (1, 2):
                writer.append({"i": i})
            for _ in range(3):
                assert not writer.drain()
        assert writer.drain()
        with pytest.warns(WhirrWarning, match="1 line"):
            assert column(path) == [0, 1, 2]

    def test_every_trouble_is_told_anew(self, make: Make, path: Path) -> None:
        writer = make()
        for _ in range(2):
            with file_size_limit(0), pytest.warns(WhirrWarning, match="wait in memory"):
                writer.append({"i": 0})
            assert writer.drain()

    def test_a_descriptor_that_the_program_closed(self, make: Make, path: Path) -> None:
        """Programs that become daemons close every descriptor they do not know."""
        writer = make()
        writer.append({"i": 0})
        known = set(os.listdir("/proc/self/fd"))
        ours = next(int(fd) for fd in known if os.path.realpath(f"/proc/self/fd/{fd}") == str(path))
        os.close(ours)
        with pytest.warns(WhirrWarning, match="wait in memory"):
            writer.append({"i": 1})
        assert writer.drain()
        writer.append({"i": 2})
        assert column(path) == [0, 1, 2]

    def test_after_reopening_the_lock_is_held(self, make: Make, path: Path) -> None:
        writer = make()
        with file_size_limit(0), pytest.warns(WhirrWarning):
            writer.append({"i": 0})
        writer.drain()
        with pytest.raises(BlockingIOError):
            make()


class TestDeleted:
    """Somebody deleted the file under the writer."""

    def test_it_is_written_anew_with_all_its_records(self, make: Make, path: Path) -> None:
        writer = make()
        writer.append({"i": 0})
        assert not writer.deleted()
        path.unlink()
        assert writer.deleted()
        writer.append({"i": 1})
        writer.restore()
        assert not writer.deleted()
        writer.append({"i": 2})
        assert column(path) == [0, 1, 2]
        with pytest.raises(BlockingIOError):
            make()

    def test_an_attempt_that_failed_leaves_no_duplicates(self, make: Make, path: Path) -> None:
        writer = make()
        for i in range(100):
            writer.append({"i": i})
        path.unlink()
        with file_size_limit(1_000), pytest.raises(OSError, match="too large"):
            writer.restore()
        assert writer.deleted()
        writer.restore()
        assert column(path) == list(range(100))

    def test_trouble_after_it_loses_nothing(self, make: Make, path: Path) -> None:
        writer = make()
        writer.append({"i": 0})
        path.unlink()
        with file_size_limit(20):
            with pytest.warns(WhirrWarning, match="wait in memory"):
                append(writer, [1, 2])
            assert not writer.drain()
        writer.restore()
        assert writer.drain()
        assert column(path) == [0, 1, 2]

    def test_a_folder_that_is_gone_is_an_os_error(self, tmp_path: Path) -> None:
        folder = tmp_path / "run"
        folder.mkdir()
        writer = MetricsWriter(str(folder / "metrics.jsonl"))
        writer.append({"i": 0})
        (folder / "metrics.jsonl").unlink()
        folder.rmdir()
        with pytest.raises(FileNotFoundError):
            writer.restore()
        assert writer.append({"i": 1})
        folder.mkdir()
        writer.restore()
        assert column(folder) == [0, 1]
        writer.close()


def test_a_forked_child_lets_go(make: Make, path: Path) -> None:
    writer = make(room=1)
    with file_size_limit(0), pytest.warns(WhirrWarning):
        append(writer, range(3))
    writer.leave_to_parent()
    assert (writer.closed, writer.waiting, writer.close()) == (True, 0, 0)
    assert path.read_bytes() == b""


def test_threads_share_a_writer(make: Make, path: Path) -> None:
    writer = make()

    def work(name: str) -> None:
        for i in range(300):
            writer.append({"name": name, "i": i} if i % 2 else {"i": i, name: 1})

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    records = read_metrics(path)
    assert [record["_idx"] for record in records] == list(range(8 * 300))
    for name in "abcdefgh":
        assert [record["i"] for record in records if record.get("name") == name or name in record] == list(range(300))


class Interrupted(BaseException):
    """What a signal handler raises as Python does at Ctrl-C."""


@contextmanager
def alarm_raises(error: BaseException, *, takes_frame: bool = True) -> Iterator[None]:
    """SIGALRM raises `error`."""

    def handler(number: int, frame: FrameType | None) -> None:
        raise error

    def bare_handler(*_: object) -> None:
        raise error

    before = signal.signal(signal.SIGALRM, handler if takes_frame else bare_handler)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class TestInterrupted:
    """A signal handler of the program raises while a record is being written."""

    def test_the_writer_is_free_for_other_threads(self, make: Make, path: Path) -> None:
        writer = make()

        def append_until_interrupted() -> None:
            signal.setitimer(signal.ITIMER_REAL, 0.0005)
            while True:
                writer.append({"i": 1})

        with alarm_raises(Interrupted()):
            for _ in range(100):
                with pytest.raises(Interrupted):
                    append_until_interrupted()
                other = threading.Thread(target=writer.append, args=({"i": 2},), daemon=True)
                other.start()
                other.join(30)
                assert not other.is_alive()
        assert column(path).count(2) == 100

    @pytest.mark.parametrize("takes_frame", [True, False])
    @pytest.mark.parametrize("error", [TimeoutError("too slow"), ValueError("stop")], ids=repr)
    @pytest.mark.parametrize("where", ["keys", "item", "name", "step"])
    def test_what_it_raises_reaches_the_program(
        self, make: Make, path: Path, where: str, error: Exception, takes_frame: bool
    ) -> None:
        class Alarming:
            """Stands for a moment in the midst of ``append``."""

            def item(self) -> float:
                signal.raise_signal(signal.SIGALRM)
                return 0.5

            def __str__(self) -> str:
                return str(self.item())

        class Metrics(UserDict[str, float]):
            alarms = iter([Alarming()])

            def keys(self) -> Any:
                for alarm in self.alarms:
                    alarm.item()
                return super().keys()

        metrics, step = {
            "keys": (Metrics(a=1), None),
            "item": ({"a": "slow road", "b": Alarming()}, None),
            "name": ({"a": "slow road", Alarming(): 1}, None),
            "step": ({"a": 1}, Alarming()),
        }[where]
        writer = make()
        with alarm_raises(error, takes_frame=takes_frame), pytest.raises(type(error)) as caught:
            writer.append(metrics, step)  # type: ignore[arg-type]
        assert caught.value is error
        writer.append({"i": 1})
        assert column(path) == [1]


NUMBERS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.floats(width=32).map(np.float32),
    st.integers(-128, 127).map(np.int8),
    st.floats().map(np.array),
)
NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/"), max_size=6).filter(
    lambda name: name not in ("step", "_idx", "_timestamp", "_nonfinite")
)
METRICS = st.recursive(
    st.one_of(NUMBERS, st.none(), st.text(st.characters(codec="utf-8"), max_size=6)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


def flattened(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The documented mapping, written down a second time."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from flattened(f"{name}/{key}", item)
    else:
        yield name, value.item() if isinstance(value, np.generic | np.ndarray) else value


@given(st.lists(st.tuples(st.dictionaries(NAMES, METRICS, max_size=4), st.none() | st.integers(-5, 2**63)), max_size=4))
def test_any_metrics_come_back(tmp_path_factory: pytest.TempPathFactory, rows: list[Any]) -> None:
    file = tmp_path_factory.mktemp("run") / "metrics.jsonl"
    writer = MetricsWriter(str(file))
    for metrics, step in rows:
        shown = repr(metrics)
        assert writer.append(metrics, step)
        assert repr(metrics) == shown
    assert writer.close() == 0
    for line in file.read_bytes().splitlines():
        strict_json(line)
    records = read_metrics(file)
    assert [record.pop("_idx") for record in records] == list(range(len(rows)))
    assert all(epoch(record.pop("_timestamp")) > 0 for record in records)
    for record, (metrics, step) in zip(records, rows, strict=True):
        expected = dict(pair for name, value in metrics.items() for pair in flattened(name, value))
        if step is not None:
            expected["step"] = step
        assert {name: repr(value) for name, value in record.items()} == {
            name: repr(value) for name, value in expected.items()
        }
