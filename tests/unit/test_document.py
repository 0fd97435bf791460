"""The document of a live run: in memory for certain, on disk as a whole, never raising."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from helpers import strict_json

from whirr.document import Document
from whirr.errors import WhirrWarning


@contextmanager
def nothing_can_be_written() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return Document(tmp_path / "meta.json", {"status": "running", "summary": {}})


def test_an_update_changes_some_keys_and_keeps_the_rest(document: Document) -> None:
    document.update({"status": "completed"})
    document.update({"new": 1}, durable=True)
    assert (
        strict_json(document.path.read_bytes()) == {"status": "completed", "summary": {}, "new": 1} == document.content
    )
    assert not document.unsaved


def test_what_cannot_be_written_is_kept_and_told_once(document: Document) -> None:
    document.update({"kept": 1})
    with nothing_can_be_written(), pytest.warns(WhirrWarning, match=r"meta\.json cannot be written now") as caught:
        saved = [document.update({"status": "failed"}), document.update({"more": 2}), document.save()]
    assert saved == [None, None, False]
    assert (len(caught), document.unsaved) == (1, True)
    assert strict_json(document.path.read_bytes())["status"] == "running"
    assert document.save()
    assert not document.unsaved
    assert strict_json(document.path.read_bytes()) == {"status": "failed", "summary": {}, "kept": 1, "more": 2}


def test_trouble_is_told_again_after_it_was_over(document: Document) -> None:
    for _ in range(2):
        with nothing_can_be_written(), pytest.warns(WhirrWarning):
            document.update({"a": 1})
        document.save()


def test_a_folder_that_is_gone(document: Document) -> None:
    document.path.parent.rmdir()
    with pytest.warns(WhirrWarning, match="No such file"):
        document.update({"a": 1})
    document.path.parent.mkdir()
    assert document.save()


def test_the_space_set_aside_is_given_back_at_the_end(document: Document) -> None:
    document.set_space_aside()
    assert sum(path.stat().st_blocks for path in document.path.parent.iterdir()) > 0
    document.end({"status": "completed"}, durable=True)
    assert os.listdir(document.path.parent) == ["meta.json"]
    assert strict_json(document.path.read_bytes())["status"] == "completed"


def test_a_further_writer_leaves_the_space_of_the_run_alone(document: Document) -> None:
    document.set_space_aside()
    further = Document(document.path.with_name("writer.p1.json"), {})
    further.end({"cause": None}, durable=False)
    names = {path.name for path in document.path.parent.iterdir()}
    assert names == {".reserve", "writer.p1.json"}


def test_the_end_is_kept_even_if_it_cannot_be_written(document: Document) -> None:
    document.set_space_aside()
    with nothing_can_be_written(), pytest.warns(WhirrWarning):
        document.end({"status": "completed"}, durable=False)
    assert (document.unsaved, document.content["status"]) == (True, "completed")


def test_threads_lose_no_update(document: Document) -> None:
    threads = [threading.Thread(target=document.update, args=({f"k{n}": n},)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert strict_json(document.path.read_bytes()) == {
        "status": "running",
        "summary": {},
        **{f"k{n}": n for n in range(16)},
    }
