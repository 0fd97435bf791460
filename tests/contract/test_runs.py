"""What everybody who gives runs must do: the rules of `catalog.Runs`, over a folder and over a server of it."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from helpers import wait_until
from run_folders import write_rows, write_run
from servers import served

from whirr.catalog import RunPage, RunQuery, Runs
from whirr.connect import open_hub
from whirr.errors import Ambiguous, EditConflict, FolderError, NotFound, UsageError
from whirr.folder import read_metrics
from whirr.localruns import LocalRuns
from whirr.remote_runs import RemoteRuns
from whirr.where import Remark


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / ".whirr"


@pytest.fixture(params=["folder", "http"])
def runs(request: pytest.FixtureRequest, root: Path) -> Iterator[Runs]:
    if request.param == "folder":
        yield LocalRuns(root)
        return
    hub = open_hub(root, serving=True)
    with served(hub) as far:
        yield far.runs
    hub.close()


def stamp(number: int) -> str:
    return f"2026-01-01T00:{number // 60:02}:{number % 60:02}.000000Z"


def numbered(root: Path, *numbers: int) -> None:
    """Runs r01, r02, ..., later ones started later."""
    for number in numbers:
        write_run(
            root,
            f"r{number:02}",
            name=f"lr-{number % 3}",
            status="failed" if number % 2 else "completed",
            tags=["odd"] if number % 2 else ["even", "all"],
            started_at=stamp(number),
            config={"lr": number / 10},
            summary={"loss": (number * 7) % 10},
            rows=[{"_idx": 0, "_timestamp": stamp(number), "step": 0, "acc": number / 100, "wild": "NaN"}],
        )


def ids(page: RunPage) -> list[str]:
    return [run.id for run in page.runs]


def walk(runs: Runs, query: RunQuery) -> list[str]:
    """All pages of a query, one after the other."""
    found: list[str] = []
    while True:
        page = runs.page(query)
        assert len(page.runs) <= query.limit
        found += ids(page)
        if page.cursor is None:
            return found
        query = query._replace(cursor=page.cursor)


class TestPages:
    def test_without_any(self, runs: Runs) -> None:
        page = runs.page(RunQuery())
        assert (page.runs, page.every, page.chosen, page.cursor) == ((), 0, 0, None)

    def test_the_newest_come_first_and_what_a_view_says(self, runs: Runs, root: Path) -> None:
        numbered(root, 1, 2, 3)
        page = runs.page(RunQuery())
        assert (ids(page), page.every, page.chosen, page.cursor) == (["r03", "r02", "r01"], 3, 3, None)
        view = page.runs[0]
        assert (view.name, view.status, view.tags, view.config, view.summary) == (
            "lr-0",
            "failed",
            ["odd"],
            {"lr": 0.3},
            {"loss": 1},
        )
        assert view.path == str(root / "runs" / "r03")
        assert (view.metrics["acc"].last, view.metrics["acc"].times, view.problems) == (0.03, 1, [])

    def test_pages_make_the_whole(self, runs: Runs, root: Path) -> None:
        numbered(root, *range(1, 11))
        for query in (
            RunQuery(limit=3),
            RunQuery(limit=3, reverse=True),
            RunQuery(limit=2, sort="summary.loss"),
            RunQuery(limit=2, sort="-loss", reverse=True),
            RunQuery(limit=2, statuses=("failed",)),
            RunQuery(limit=2, tags=("even", "all"), name="lr-[01]"),
            RunQuery(limit=1, where=("config.lr>0.3", "acc<0.08")),
            RunQuery(limit=4, glance=True),
        ):
            whole = runs.page(query._replace(limit=0))
            assert len(ids(whole)) == len(set(ids(whole))) == whole.chosen > query.limit
            assert walk(runs, query) == ids(whole) == ids(LocalRuns(root).page(query._replace(limit=0)))

    def test_conditions_and_orders(self, runs: Runs, root: Path) -> None:
        numbered(root, 1, 2, 3, 4)
        assert ids(runs.page(RunQuery(statuses=("failed",)))) == ["r03", "r01"]
        assert ids(runs.page(RunQuery(tags=("all",)))) == ["r04", "r02"]
        assert ids(runs.page(RunQuery(name="lr-1"))) == ["r04", "r01"]
        assert ids(runs.page(RunQuery(where=("config.lr>=0.3",)))) == ["r04", "r03"]
        assert ids(runs.page(RunQuery(sort="config.lr"))) == ["r01", "r02", "r03", "r04"]
        assert ids(runs.page(RunQuery(sort="-acc", limit=2))) == ["r04", "r03"]
        none = runs.page(RunQuery(name="other"))
        assert (none.runs, none.every, none.chosen) == ((), 4, 0)

    def test_expressions(self, runs: Runs, root: Path) -> None:
        numbered(root, 1, 2, 3, 4)
        for written, numbers in (
            ("lr > 0.15 and tag:odd", "3"),
            ("loss in 5..9 or lr = 0.3", "431"),
            ("not status:failed", "42"),
            ("name ~ ^lr-[12]$ and missing nothing", "421"),
            ("'lr-0' or even", "432"),
            ("started > 2025", "4321"),
            ("", "4321"),
        ):
            page = runs.page(RunQuery(filter=written))
            assert (ids(page), page.remarks) == ([f"r0{number}" for number in numbers], ())
        both = runs.page(RunQuery(filter="lr > 0.15", where=("lr<0.4",), tags=("odd",), sort="lr"))
        assert (ids(both), both.every, both.chosen) == (["r03"], 4, 1)
        assert walk(runs, RunQuery(filter="lr > 0.15", limit=1)) == ["r04", "r03", "r02"]

    def test_a_filter_that_fits_none_is_remarked_on(self, runs: Runs, root: Path) -> None:
        numbered(root, 1, 2)
        page = runs.page(RunQuery(filter="acc > 1 or los > 3 or tag:evn"))
        assert ids(page) == []
        assert page.remarks == (
            Remark("no run has los", "did you mean loss?", (11, 14)),
            Remark("there is no tag evn", "did you mean even?", (22, 25)),
        )

    @pytest.mark.parametrize("many", [False, True])
    def test_a_filter_that_cannot_be_understood_says_where(self, runs: Runs, root: Path, many: bool) -> None:
        if many:
            numbered(root, 1, 2)
        with pytest.raises(UsageError, match="closed") as caught:
            runs.page(RunQuery(filter="loss > 1 and (acc"))
        assert (caught.value.at, caught.value.hint) == ((13, 14), "write ) behind what belongs into it")

    @pytest.mark.parametrize("reverse", [False, True])
    def test_runs_that_come_and_go_between_pages_move_nothing(self, runs: Runs, root: Path, reverse: bool) -> None:
        numbered(root, *range(10, 20))
        first = runs.page(RunQuery(limit=4, reverse=reverse))
        numbered(root, 1, 2, 90, 91)
        shutil.rmtree(root / "runs" / first.runs[1].id)
        shutil.rmtree(root / "runs" / first.runs[-1].id)  # the one that the cursor names
        rest = walk(runs, RunQuery(limit=3, reverse=reverse, cursor=first.cursor))
        expected = [f"r{number}" for number in (range(14, 20) if reverse else range(15, 9, -1))]
        assert rest == [*expected, *(("r90", "r91") if reverse else ("r02", "r01"))]

    def test_what_changed_is_seen_at_once(self, runs: Runs, root: Path) -> None:
        numbered(root, 1)
        assert ids(runs.page(RunQuery(statuses=("failed",)))) == ["r01"]
        write_run(root, "r01", status="completed", started_at=stamp(1))
        assert ids(runs.page(RunQuery(statuses=("failed",)))) == []
        assert runs.page(RunQuery()).runs[0].status == "completed"
        numbered(root, 2)
        assert ids(runs.page(RunQuery())) == ["r02", "r01"]

    def test_what_cannot_be_understood(self, runs: Runs, root: Path) -> None:
        numbered(root, 1)
        for query in (RunQuery(where=("loss",)), RunQuery(sort="-"), RunQuery(cursor="x"), RunQuery(cursor="bnVsbA")):
            with pytest.raises(UsageError):
                runs.page(query)


class TestOneRun:
    def test_is_found(self, runs: Runs, root: Path) -> None:
        numbered(root, 1, 2)
        write_run(root, "job-7", name="only", started_at=stamp(0))
        for reference, run_id in (("r01", "r01"), ("-", "r02"), ("7", "job-7"), ("only", "job-7"), ("job", "job-7")):
            assert runs.find(reference) == run_id
        with pytest.raises(Ambiguous, match="fits 2 runs"):
            runs.find("r")
        for reference in ("none", "", "../r01", "a\nb"):
            with pytest.raises(NotFound):
                runs.find(reference)

    def test_detail(self, runs: Runs, root: Path) -> None:
        folder = write_run(
            root, "r01", environment={"host": "h"}, cause={"message": "m", "traceback": "T"}, status="failed"
        )
        write_rows(
            folder / "metrics.jsonl",
            [{"_idx": n, "_timestamp": stamp(n), "step": n, "loss": float(n), "bad": "NaN"} for n in range(3)],
        )
        (folder / "artifacts" / "deep").mkdir(parents=True)
        (folder / "artifacts" / "deep" / "a.bin").write_bytes(b"12345")
        found = runs.detail("r01")
        assert found.meta["environment"] == {"host": "h"}
        assert found.meta["cause"]["traceback"] == "T"
        assert found.curves["loss"].points == ((0.0, 0.0), (1.0, 1.0), (2.0, 2.0))
        assert [(file.path, file.size) for file in found.artifacts] == [("deep/a.bin", 5)]
        assert found._replace(now=0.0) == LocalRuns(root).detail("r01")._replace(now=0.0)
        assert runs.detail("r01", curves=False).curves == {}

    def test_progress(self, runs: Runs, root: Path) -> None:
        write_run(
            root, "r01", config={"epochs": 10}, rows=[{"_idx": 0, "_timestamp": stamp(0), "step": 4, "loss": 0.5}]
        )
        found = runs.progress("r01")
        assert (found.step, found.done, found.total, found.latest) == (4, 4, 10, {"loss": 0.5})

    def test_metrics(self, runs: Runs, root: Path) -> None:
        rows = [{"_idx": n, "_timestamp": stamp(n), "step": n, "loss": n / 2} for n in range(5)]
        folder = write_run(root, "r01", rows=rows[::2])
        write_rows(folder / "metrics.rank1.jsonl", rows[1::2])
        with (folder / "metrics.jsonl").open("ab") as file:
            file.write(b'{"torn": ')
        with runs.metrics("r01") as place:
            assert read_metrics(place) == rows
        with runs.metrics(write_run(root, "r02").name) as place:
            assert read_metrics(place) == []
        with pytest.raises(NotFound), runs.metrics("none"):
            pass

    def test_code_changes(self, runs: Runs, root: Path) -> None:
        folder = write_run(root, "r01")
        assert runs.code_changes("r01") is None
        (folder / "code_changes.json").write_text("{")
        found = runs.code_changes("r01")
        assert found is not None
        assert "code_changes.json" in found["damaged"]

    def test_notes(self, runs: Runs, root: Path) -> None:
        write_run(root, "r01")
        assert runs.annotate("r01") == ("", ())
        assert runs.annotate("r01", notes="a\n<b>ü</b>", over="").notes == "a\n<b>ü</b>"
        assert runs.detail("r01").run.notes == runs.page(RunQuery()).runs[0].notes == "a\n<b>ü</b>"
        assert runs.detail("r01").as_dict()["notes"] == "a\n<b>ü</b>"
        with pytest.raises(EditConflict):
            runs.annotate("r01", notes="other", over="older")
        assert runs.annotate("r01").notes == "a\n<b>ü</b>"
        assert runs.annotate("r01", notes="").notes == ""
        with pytest.raises(UsageError, match="too long"):
            runs.annotate("r01", notes="x" * 50_001)

    def test_tags_are_those_of_the_program_and_of_people(self, runs: Runs, root: Path) -> None:
        write_run(root, "r01", tags=["own", "kept"])
        assert runs.annotate("r01", add=["good", "own"], remove=["kept", "none"]).tags == ("own", "good")
        assert ids(runs.page(RunQuery(tags=("good",)))) == ["r01"]
        assert ids(runs.page(RunQuery(tags=("kept",)))) == []
        write_run(root, "r01", tags=["own", "kept", "later"])  # the program goes on
        assert runs.detail("r01").run.tags == ["own", "later", "good"]
        assert runs.annotate("r01", tags=["kept", "x"]).tags == ("kept", "x")
        assert runs.annotate("r01", notes="n").tags == ("kept", "x")
        assert json.loads((root / "runs/r01/meta.json").read_text())["tags"] == ["own", "kept", "later"]
        for wrong in ("", " ", "a\nb", "x" * 201):
            with pytest.raises(UsageError):
                runs.annotate("r01", add=[wrong])

    def test_annotations_of_no_run(self, runs: Runs, root: Path) -> None:
        write_run(root, "r01")
        for run_id in ("none", "..", "a/b", ".hidden"):
            with pytest.raises(NotFound):
                runs.annotate(run_id, notes="x")

    def test_annotations_that_cannot_be_read_are_not_replaced(self, runs: Runs, root: Path) -> None:
        folder = write_run(root, "r01", tags=["own"])
        (folder / "annotations.json").write_text("{broken")
        found = runs.detail("r01").run
        assert found.tags == ["own"]
        assert any("annotations.json" in problem for problem in found.problems)
        with pytest.raises(FolderError, match=r"annotations\.json"):
            runs.annotate("r01", notes="x")
        assert (folder / "annotations.json").read_text() == "{broken"

    def test_edits_at_the_same_time_are_all_kept(self, runs: Runs, root: Path) -> None:
        write_run(root, "r01")
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: runs.annotate("r01", add=[f"t{n}"]), range(24)))
        assert sorted(runs.annotate("r01").tags) == sorted(f"t{n}" for n in range(24))

    def test_none_of_that_id(self, runs: Runs, root: Path) -> None:
        write_run(root, "r01")
        write_run(root, ".hidden")
        (root / "runs" / "link").symlink_to(root / "runs" / "r01")
        for run_id in ("none", "..", ".", "", "../runs/r01", "r01/", "r01/.", ".hidden", "a\0b", "x" * 300, "link"):
            for ask in (runs.detail, runs.files, runs.code_changes, lambda run: runs.read(run, "meta.json")):
                with pytest.raises(NotFound):
                    ask(run_id)


ELSEWHERE = (
    "none",
    "",
    ".",
    "..",
    "../r02/meta.json",
    "artifacts/../../r02/meta.json",
    "/etc/passwd",
    "//etc/passwd",
    "artifacts//a",
    "artifacts/./a",
    "artifacts",
    "meta.json/",
    "meta.json/x",
    "a\0b",
    "x" * 300,
    "y/" * 3000,
    "link",
    "folder/passwd",
    "pipe",
)


class TestFiles:
    def test_all_but_links_and_drafts(self, runs: Runs, root: Path) -> None:
        folder = write_run(root, "r01")
        for name in (
            "output.log",
            "attempts/1/output.log",
            "artifacts/.cache/x",
            ".meta.json.1.tmp",
            "artifacts/.1.tmp/x",
        ):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("x")
        (folder / "link").symlink_to("/etc/hostname")
        (folder / "folder").symlink_to("/etc")
        os.mkfifo(folder / "pipe")
        found = runs.files("r01")
        assert [file.path for file in found] == [
            "artifacts/.cache/x",
            "attempts/1/output.log",
            "config.json",
            "meta.json",
            "output.log",
        ]
        assert {file.size for file in found if "output" in file.path} == {1}
        shutil.rmtree(folder)
        with pytest.raises(NotFound):
            runs.files("r01")

    def test_odd_names(self, runs: Runs, root: Path) -> None:
        folder = write_run(root, "r01")
        for name in ("a b.txt", "50%.txt", "%2e%2e", "q?x=1#y", "ü/ä.txt", "+&;=", "\udcff.bin"):
            content = os.fsencode(name)
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(content)
            assert name in [entry.path for entry in runs.files("r01")]
            assert runs.read("r01", name) == content

    @pytest.mark.parametrize("ask", ["read", "open"])
    def test_paths_that_lead_elsewhere(self, runs: Runs, root: Path, ask: str) -> None:
        folder = write_run(root, "r01")
        write_run(root, "r02")
        (folder / "artifacts").mkdir()
        (folder / "artifacts" / "a").write_text("a")
        (folder / "link").symlink_to("/etc/passwd")
        (folder / "folder").symlink_to("/etc")
        os.mkfifo(folder / "pipe")
        for path in ELSEWHERE:
            with pytest.raises(NotFound):
                getattr(runs, ask)("r01", path)

    @pytest.mark.parametrize("kind", ["link", "pipe"])
    def test_documents_that_lead_elsewhere_are_not_read(self, runs: Runs, root: Path, kind: str) -> None:
        elsewhere = write_run(root.parent / "elsewhere", "x", name="secret", config={"secret": 1})
        write_rows(elsewhere / "metrics.jsonl", [{"_idx": 0, "secret": 1.0}])
        write_rows(elsewhere / "system.jsonl", [{"memory_percent": 12.5}])
        (elsewhere / "artifacts").mkdir()
        (elsewhere / "artifacts" / "secret").write_text("x")
        for name in ("meta.json", "config.json", "metrics.jsonl", "system.jsonl", "artifacts"):
            folder = write_run(root, f"r-{name}", rows=[])
            (folder / name).unlink(missing_ok=True)
            if kind == "link":
                (folder / name).symlink_to(elsewhere / name)
            else:
                os.mkfifo(folder / name)
            for said in (runs.detail(folder.name), runs.progress(folder.name), runs.files(folder.name)):
                assert "secret" not in str(said)
                assert "12.5" not in str(said)
        assert "secret" not in str(runs.page(RunQuery(glance=True)))

    def test_seek_and_read(self, runs: Runs, root: Path) -> None:
        data = bytes(range(256)) * 5000
        (write_run(root, "r01") / "big.bin").write_bytes(data)
        with closing(runs.open("r01", "big.bin")) as file:
            assert file.read(10) == data[:10]
            assert file.read(0) == b""
            assert file.seek(-3, 2) == len(data) - 3
            assert (file.read(10), file.read(10)) == (data[-3:], b"")
            assert file.seek(1_000_000) == 1_000_000
            assert file.seek(5, 1) == 1_000_005
            assert file.read(100) == data[1_000_005:1_000_105]
            file.seek(0)
            assert b"".join(iter(lambda: file.read(70_000), b"")) == data
            assert file.seek(len(data) + 5) == len(data) + 5
            assert file.read(5) == b""
        assert runs.read("r01", "big.bin") == data

    def test_an_empty_file(self, runs: Runs, root: Path) -> None:
        (write_run(root, "r01") / "empty").touch()
        assert runs.read("r01", "empty") == b""
        with closing(runs.open("r01", "empty")) as file:
            assert (file.read(5), file.read(), file.seek(0, 2)) == (b"", b"", 0)

    @pytest.mark.parametrize("wait_s", [0.0, 5.0])
    def test_what_is_appended_is_read(self, runs: Runs, root: Path, wait_s: float) -> None:
        log = write_run(root, "r01") / "output.log"
        log.write_bytes(b"one\n")
        with closing(runs.open("r01", "output.log", wait_s=wait_s)) as file:
            assert file.read(100) == b"one\n"
            for line in (b"two\n", b"three\n"):
                with log.open("ab") as end:
                    writer = threading.Timer(0.1, lambda: os.write(end.fileno(), line))  # noqa: B023
                    writer.start()
                    assert wait_until(lambda: file.read(100)) == line
                    writer.join()

    def test_what_was_renamed_is_never_mixed_with_its_successor(self, runs: Runs, root: Path) -> None:
        folder = write_run(root, "r01")
        (folder / "output.log").write_bytes(b"first attempt\n")
        with closing(runs.open("r01", "output.log")) as file:
            assert file.read(6) == b"first "
            assert file.read(100) == b"attempt\n"
            (folder / "output.log").rename(folder / "kept.log")
            (folder / "output.log").write_bytes(b"second attempt, which is longer\n")
            if isinstance(runs, RemoteRuns):
                with pytest.raises(NotFound, match="replaced"):
                    file.read(100)
            else:
                assert file.read(100) == b""

    def test_a_file_written_anew_in_its_place_is_never_mixed(self, runs: Runs, root: Path) -> None:
        file = write_run(root, "r01") / "model.bin"
        file.write_bytes(b"a" * 1_000_000)
        with closing(runs.open("r01", "model.bin")) as opened:
            assert opened.read(10) == b"a" * 10
            file.write_bytes(b"b" * 2_000_000)
            opened.seek(900_000)
            if isinstance(runs, RemoteRuns):
                with pytest.raises(NotFound, match="replaced"):
                    opened.read(10)


class TestMany:
    """Among many runs a folder is not looked at anew for each page."""

    COUNT = 2100

    def test_new_gone_and_changed(self, root: Path) -> None:
        for number in range(self.COUNT):
            folder = root / "runs" / f"r{number:05}"
            folder.mkdir(parents=True)
            began = f"2026-01-01T{number:06}Z"
            meta = {"status": "completed", "name": "old", "started_at": began, "summary": {"n": number}}
            (folder / "meta.json").write_text(json.dumps(meta))
            os.utime(folder, (1_700_000_000, 1_700_000_000))
        runs = LocalRuns(root)
        first = runs.page(RunQuery(limit=5))
        assert (first.every, ids(first)[0]) == (self.COUNT, f"r{self.COUNT - 1:05}")
        write_run(root, "new", started_at="2027-01-01T00:00:00.000000Z", name="fresh")
        shutil.rmtree(root / "runs" / "r00000")
        wait_until(lambda: ids(runs.page(RunQuery(limit=2)))[0] == "new")
        assert runs.page(RunQuery(limit=1)).every == self.COUNT
        assert walk(runs, RunQuery(limit=500))[-1] == "r00001"
        assert ids(runs.page(RunQuery(limit=1, sort="n"))) == ["r00001"]
        assert ids(runs.page(RunQuery(limit=2, sort="-n"))) == [f"r{self.COUNT - 1:05}", f"r{self.COUNT - 2:05}"]
        assert runs.find("fresh") == "new"
        write_run(root, "r00007", status="failed", started_at="2026-01-01T000007Z")
        assert runs.page(RunQuery(limit=0)).runs[-7].status == "failed"  # what is shown is as it is now
        wait_until(lambda: ids(runs.page(RunQuery(statuses=("failed",)))) == ["r00007"], 30)
        again = LocalRuns(root)
        assert again.page(RunQuery(limit=0))._replace(now=0) == runs.page(RunQuery(limit=0))._replace(now=0)
