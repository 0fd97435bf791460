"""Documents on disk: replaced as a whole or not at all."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

import pytest

from whirr import jsonio
from whirr.jsonio import dumps, read_document, write_atomic


def test_a_document_is_indented_and_ends_with_a_newline() -> None:
    assert dumps({"b": 1, "a": [2]}) == b'{\n  "b": 1,\n  "a": [\n    2\n  ]\n}\n'


def test_write_and_read(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    write_atomic(path, dumps({"inf": float("inf"), "text": "ü"}))
    assert read_document(path) == {"inf": float("inf"), "text": "ü"}
    assert os.listdir(tmp_path) == ["meta.json"]


@pytest.mark.parametrize("durable", [True, False])
@pytest.mark.parametrize("name", [str, Path])
def test_replaces_what_was_there(tmp_path: Path, durable: bool, name: type) -> None:
    path = tmp_path / "meta.json"
    path.write_text("old and much longer")
    write_atomic(name(path), b"new", durable=durable)
    assert path.read_bytes() == b"new"


def test_a_relative_name_lands_in_the_working_directory(workplace: Path) -> None:
    write_atomic("meta.json", b"here")
    assert (workplace / "meta.json").read_bytes() == b"here"


def test_a_file_of_a_killed_process_is_never_in_the_way(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f".meta.json.{os.getpid()}.{number}.tmp").write_text("torn")
    write_atomic(tmp_path / "meta.json", b"whole")
    assert (tmp_path / "meta.json").read_bytes() == b"whole"


def test_without_room_the_old_file_stays_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            write_atomic(path, b"n" * 2000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["meta.json"]


def test_a_folder_that_is_gone_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "gone" / "meta.json", b"")


def test_a_reader_always_finds_a_whole_document(tmp_path: Path) -> None:
    path = tmp_path / "meta.json"
    documents = [dumps({"letters": letter * 20_000}) for letter in "ab"]
    write_atomic(path, documents[0])
    over = threading.Event()

    def write() -> None:
        for turn in range(200):
            write_atomic(path, documents[turn % 2])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not over.is_set():
        seen.add(path.read_bytes())
    writer.join()
    assert seen <= set(documents)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b'{"a":NaN}', b"[" * 1000 + b"]" * 1000])
def test_what_is_no_json_is_a_value_error(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "meta.json"
    path.write_bytes(data)
    with pytest.raises(ValueError):  # noqa: PT011 - the words are the JSON reader's
        read_document(path)


def test_write_all_writes_all_through_a_full_pipe() -> None:
    out, into = os.pipe()
    data = os.urandom(2**20)
    received = bytearray()

    def receive() -> None:
        while chunk := os.read(out, 10_000):
            received.extend(chunk)

    reader = threading.Thread(target=receive)
    reader.start()
    jsonio.write_all(into, data)
    os.close(into)
    reader.join()
    os.close(out)
    assert bytes(received) == data
