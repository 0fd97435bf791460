"""Small disks of a test's own: file systems in memory that only this thread, and what it starts, can see."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

CLONE_NEWNS = 0x20000


@contextmanager
def a_small_disk(place: Path, size: str) -> Iterator[None]:
    """A disk of so many bytes at a place; the test is skipped where there can be none."""
    place.mkdir(parents=True)
    before = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    here = os.getcwd()
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if libc.unshare(CLONE_NEWNS) != 0:
            pytest.skip(f"no file system of its own can be mounted here: {os.strerror(ctypes.get_errno())}")
        try:
            for words in (
                ["--make-rprivate", "/"],
                ["-t", "tmpfs", "-o", f"size={size}", "whirr-test", str(place)],
            ):
                subprocess.run(["mount", *words], check=True, capture_output=True)
            yield
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no file system of its own can be mounted here: {error.stderr}")
        finally:
            if libc.setns(before, CLONE_NEWNS) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            os.chdir(here)
    finally:
        os.close(before)


def fill(disk: Path) -> Path:
    """Take every byte that is left; the file that has them."""
    with (disk / "filler").open("ab", buffering=0) as file:
        for size in (65536, 4096, 1):
            with suppress(OSError):
                while True:
                    file.write(b"x" * size)
    return disk / "filler"
