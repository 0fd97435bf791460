"""A running sum is that of the file, or none is believed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whirr.sums import RunningSums


def append(path: Path, running: RunningSums, data: bytes) -> None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        status = os.fstat(handle)
        os.pwrite(handle, data, status.st_size)
        running.written(handle, status.st_size, memoryview(data), status.st_mtime_ns)
    finally:
        os.close(handle)


def told(path: Path, running: RunningSums) -> str:
    with path.open("rb") as file:
        return running.of(file.fileno())


@given(st.lists(st.tuples(st.booleans(), st.binary(max_size=50)), max_size=12))
def test_it_is_the_sum_of_what_is_there(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[bool, bytes]]
) -> None:
    path, running = tmp_path_factory.mktemp("sums") / "file", RunningSums()
    path.touch()
    for clock, (foreign, data) in enumerate(parts):
        if foreign:  # by a program that tells nothing
            path.write_bytes(data)
            os.utime(path, ns=(clock, clock))
        else:
            append(path, running, data)
        assert told(path, running) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_that_was_written_whole_is_not_read_again(tmp_path: Path) -> None:
    path, running = tmp_path / "file", RunningSums()
    append(path, running, b"abc")
    append(path, running, b"def")
    handle = os.open(path, os.O_WRONLY)  # so that it cannot be read
    try:
        assert running.of(handle) == hashlib.sha256(b"abcdef").hexdigest()
        with pytest.raises(OSError, match="Bad file descriptor"):
            RunningSums().of(handle)
    finally:
        os.close(handle)
