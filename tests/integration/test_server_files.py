"""Files and records of runs as a server sends them: parts, tags, waiting, streams."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx
import orjson
import pytest
from helpers import wait_until
from hypothesis import given, settings
from hypothesis import strategies as st
from run_folders import write_rows, write_run
from servers import serving

from whirr.connect import open_hub
from whirr.folder import decode, read_metrics
from whirr.model import Role

SIZE = 1000
DATA = bytes(number * 7 % 251 for number in range(SIZE))


class Place(NamedTuple):
    """A server, and the folder of one of its runs."""

    client: httpx.Client
    folder: Path

    def get(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """Ask for a file or more of the run."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, f"/runs/{self.folder.name}{path}", headers=named)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    root = tmp_path_factory.mktemp("files") / ".whirr"
    hub = open_hub(root, serving=True)
    with serving(hub) as url:
        token = hub.tokens.create("reader", Role.READ)
        with httpx.Client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as client:
            client.root = root  # type: ignore[attr-defined]
            yield client
    hub.close()


@pytest.fixture
def place(server: httpx.Client, request: pytest.FixtureRequest) -> Place:
    name = hashlib.sha1(request.node.name.encode()).hexdigest()
    folder = write_run(server.root, f"run-{name}")  # type: ignore[attr-defined]
    (folder / "data.bin").write_bytes(DATA)
    return Place(server, folder)


class TestParts:
    def test_the_whole(self, place: Place) -> None:
        found = place.get("/files/data.bin")
        assert (found.status_code, found.content) == (200, DATA)
        assert found.headers["Content-Length"] == str(SIZE)
        assert found.headers["Accept-Ranges"] == "bytes"
        assert found.headers["Content-Type"] == "application/octet-stream"
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert found.headers["Content-Disposition"] == 'attachment; filename="data.bin"'

    def test_a_name_never_breaks_a_header(self, place: Place) -> None:
        (place.folder / 'a";b=\r.html').write_bytes(b"x")
        found = place.get("/files/a%22;b=%0d.html")
        assert found.headers["Content-Disposition"] == 'attachment; filename="a__b__.html"'

    def test_the_head_alone(self, place: Place) -> None:
        for headers in ({}, {"Range": "bytes=10-19"}):
            whole, head = place.get("/files/data.bin", **headers), place.get("/files/data.bin", "HEAD", **headers)
            assert (head.status_code, head.content) == (whole.status_code, b"")
            named = ("Content-Length", "Content-Range", "ETag", "Content-Type")
            assert [head.headers.get(name) for name in named] == [whole.headers.get(name) for name in named]
        assert place.get("/files/none", "HEAD").status_code == 404

    @settings(max_examples=150)
    @given(st.integers(0, 2 * SIZE) | st.none(), st.integers(0, 2 * SIZE) | st.none())
    def test_a_range(self, server: httpx.Client, first: int | None, last: int | None) -> None:
        folder = server.root / "runs" / "ranges"  # type: ignore[attr-defined]
        if not folder.exists():
            write_run(server.root, "ranges")  # type: ignore[attr-defined]
            (folder / "data.bin").write_bytes(DATA)
        text = f"bytes={'' if first is None else first}-{'' if last is None else last}"
        found = server.get("/runs/ranges/files/data.bin", headers={"Range": text})
        if (first is None and last is None) or (first is not None and last is not None and last < first):
            expected = DATA  # a range that means nothing is no range
        elif first is None:
            assert last is not None
            expected = DATA[-last:] if last else b""
        else:
            expected = DATA[first:] if last is None else DATA[first : last + 1]
        if found.status_code == 416:
            assert (expected, found.headers["Content-Range"]) == (b"", f"bytes */{SIZE}")
            return
        assert found.content == expected != b""
        assert found.headers["Content-Length"] == str(len(expected))
        if found.status_code == 206:
            start = int(re.fullmatch(rf"bytes (\d+)-(\d+)/{SIZE}", found.headers["Content-Range"])[1])  # type: ignore[index]
            assert DATA[start : start + len(expected)] == expected
        else:
            assert (found.status_code, expected) == (200, DATA)

    @pytest.mark.parametrize("text", ["bytes=a-b", "lines=1-2", "bytes=1-2,4-5", "bytes 1-2", "1-2", "bytes=--1"])
    def test_a_range_that_is_not_understood_is_ignored(self, place: Place, text: str) -> None:
        found = place.get("/files/data.bin", Range=text)
        assert (found.status_code, found.content) == (200, DATA)

    def test_an_empty_file(self, place: Place) -> None:
        (place.folder / "empty").touch()
        assert (place.get("/files/empty").status_code, place.get("/files/empty").content) == (200, b"")
        for text in ("bytes=0-", "bytes=-5", "bytes=0-0"):
            assert place.get("/files/empty", Range=text).status_code == 416


class TestTags:
    def test_the_same_is_not_sent_again(self, place: Place) -> None:
        tag = place.get("/files/data.bin").headers["ETag"]
        for given_tags in (tag, f'"x", {tag}', f"W/{tag}", "*"):
            same = place.get("/files/data.bin", If_None_Match=given_tags)
            assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
        (place.folder / "data.bin").write_bytes(DATA[::-1])
        assert place.get("/files/data.bin", If_None_Match=tag).content == DATA[::-1]

    def test_a_part_of_what_became_another_file(self, place: Place) -> None:
        file = place.folder / "data.bin"
        tag = place.get("/files/data.bin").headers["ETag"]
        part = {"Range": "bytes=10-19"}
        assert place.get("/files/data.bin", If_Range=tag, **part).content == DATA[10:20]
        assert place.get("/files/data.bin", If_Match=tag, **part).content == DATA[10:20]
        file.write_bytes(DATA[::-1] * 2)  # anew in its place, and longer
        whole = place.get("/files/data.bin", If_Range=tag, **part)
        assert (whole.status_code, whole.content) == (200, DATA[::-1] * 2)
        refused = place.get("/files/data.bin", If_Match=tag, **part)
        assert (refused.status_code, refused.json()["error"]["code"]) == (412, "not-found")

    @pytest.mark.parametrize("name", ["output.log", "metrics.jsonl", "metrics.rank1.jsonl", "attempts/2/output.log"])
    def test_what_grows_stays_the_same_file(self, place: Place, name: str) -> None:
        file = place.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"one\n")
        tag = place.get(f"/files/{name}").headers["ETag"]
        with file.open("ab") as end:
            end.write(b"two\n")
        for headers in ({"If_Range": tag}, {"If_Match": tag}):
            found = place.get(f"/files/{name}", Range="bytes=4-", **headers)
            assert (found.status_code, found.content) == (206, b"two\n")
        file.write_bytes(b"x")  # cut off: what was read no longer stands
        assert place.get(f"/files/{name}", Range="bytes=0-", If_Match=tag).status_code == 412


class TestWaiting:
    def test_until_the_file_grows(self, place: Place) -> None:
        log = place.folder / "output.log"
        log.write_bytes(b"one\n")
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(place.get, "/files/output.log?wait=30", Range="bytes=4-99")
            with log.open("ab") as end:
                end.write(b"two\n")
            assert (answer.result(20).status_code, answer.result().content) == (206, b"two\n")

    def test_not_for_ever(self, place: Place) -> None:
        (place.folder / "output.log").write_bytes(b"one\n")
        assert place.get("/files/output.log?wait=0.2", Range="bytes=4-").status_code == 416
        assert place.get("/files/output.log?wait=1000", Range="bytes=4-").status_code == 422

    def test_any_number_may_wait_and_others_are_served(self, place: Place) -> None:
        log = place.folder / "output.log"
        log.write_bytes(b"one\n")
        url = urlsplit(str(place.client.base_url))
        waiting = []
        for _ in range(80):  # twice the threads that a server has
            connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)  # type: ignore[arg-type]
            headers = {"Range": "bytes=4-", "Authorization": place.client.headers["Authorization"]}
            connection.request("GET", f"{url.path}runs/{place.folder.name}/files/output.log?wait=30", headers=headers)
            waiting.append(connection)
        assert place.client.get("/runs").status_code == 200
        with log.open("ab") as end:
            end.write(b"two\n")
        answers = [connection.getresponse() for connection in waiting]
        assert {(answer.status, answer.read()) for answer in answers} == {(206, b"two\n")}
        for connection in waiting:
            connection.close()


class TestRecords:
    def test_are_what_read_metrics_gives(self, place: Place) -> None:
        rows = [{"_idx": n, "_timestamp": f"2026-01-01T00:00:0{n}Z", "step": n, "loss": n / 2} for n in range(5)]
        write_rows(place.folder / "metrics.jsonl", rows)
        with (place.folder / "metrics.jsonl").open("ab") as end:
            end.write(b'{"_idx": 5, "lo')  # torn
        found = place.get("/metrics")
        assert found.headers["Content-Type"] == "application/x-ndjson"
        assert decode(found.content.removesuffix(b"\n")) == (rows, 0)
        with (place.folder / "metrics.jsonl").open("ab") as end:
            end.write(b'ss": 1}')  # whole, but for its newline
        assert decode(place.get("/metrics").content.removesuffix(b"\n"))[0] == read_metrics(place.folder)

    def test_of_several_processes(self, place: Place) -> None:
        for name, odd in (("metrics.jsonl", 0), ("metrics.rank1.jsonl", 1), ("metrics.rank2.jsonl", 1)):
            stamps = [f"2026-01-01T00:00:{2 * n + odd:02}.5Z" for n in range(20)]
            rows = [{"_idx": n, "_timestamp": at, "who": name, "v": "NaN"} for n, at in enumerate(stamps)]
            write_rows(place.folder / name, rows)
        records = decode(place.get("/metrics").content.removesuffix(b"\n"))[0]
        assert len(records) == 60
        assert orjson.dumps(records) == orjson.dumps(read_metrics(place.folder))

    def test_damage_is_passed_on(self, place: Place) -> None:
        (place.folder / "metrics.jsonl").write_bytes(b'{"_idx": 0}\nnonsense\n{"_idx": 1}\n')
        (place.folder / "metrics.a.jsonl").write_bytes(b'\xff\n{"_idx": 0}\n')
        assert decode(place.get("/metrics").content.removesuffix(b"\n"))[1] == 2

    def test_none_and_no_run(self, place: Place) -> None:
        assert (place.get("/metrics").status_code, place.get("/metrics").content) == (200, b"")
        assert place.client.get("/runs/none/metrics").status_code == 404

    def test_the_same_are_not_sent_again(self, place: Place) -> None:
        write_rows(place.folder / "metrics.jsonl", [{"_idx": 0}])
        tag = place.get("/metrics").headers["ETag"]
        assert place.get("/metrics", If_None_Match=tag).status_code == 304
        write_rows(place.folder / "metrics.jsonl", [{"_idx": 0}, {"_idx": 1}])
        assert len(place.get("/metrics", If_None_Match=tag).content.splitlines()) == 2

    def test_very_many_begin_at_once_and_are_never_whole_in_memory(self, place: Place) -> None:
        line = b'{"_idx":0,"_timestamp":"2026-01-01T00:00:00Z","loss":0.5}\n'
        for name in ("metrics.jsonl", "metrics.rank1.jsonl"):
            (place.folder / name).write_bytes(line * 500_000)
        before = _memory()
        with place.client.stream("GET", f"/runs/{place.folder.name}/metrics") as answer:
            pieces = answer.iter_raw()
            assert next(pieces).startswith(b'{"_idx":0,')
            assert _memory() - before < 30 * 2**20  # of 57 MB


class TestSending:
    def test_a_file_that_grows_meanwhile_is_sent_as_it_was(self, place: Place) -> None:
        file = place.folder / "growing.bin"
        file.write_bytes(DATA * 10_000)
        with place.client.stream("GET", f"/runs/{place.folder.name}/files/growing.bin") as answer:
            pieces = answer.iter_raw()
            got = next(pieces)
            with file.open("ab") as end:
                end.write(DATA * 1000)
            got += b"".join(pieces)
        assert got == DATA * 10_000

    def test_files_are_closed(self, place: Place) -> None:
        def opened() -> int:
            links = (os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd"))
            return sum(str(place.folder) in link for link in _existing(links))

        (place.folder / "big.bin").write_bytes(DATA * 20_000)
        for headers in (
            {},
            {"Range": "bytes=5-9"},
            {"Range": "bytes=99999999-"},
            {"If_None_Match": "*"},
            {"If_Match": "x"},
        ):
            place.get("/files/big.bin", **headers)
        place.get("/files/big.bin", "HEAD")
        with place.client.stream("GET", f"/runs/{place.folder.name}/files/big.bin") as answer:
            next(answer.iter_raw())  # and away
        wait_until(lambda: opened() == 0)


def _existing(links: Iterator[str]) -> Iterator[str]:
    while True:
        try:
            yield next(links)
        except StopIteration:
            return
        except OSError:
            return


def _memory() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
