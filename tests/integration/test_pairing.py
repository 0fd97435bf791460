"""A PostgreSQL database has one folder of runs: programs that come with another one are told."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Barrier

import pytest
from hubs import spec
from queue_cli import ask, drain, job, submit, worker
from servers import running_server

from whirr.connect import open_hub
from whirr.errors import UsageError
from whirr.folder import QUEUE
from whirr.pairing import FILE

AT_ONCE = 6


def opens(root: Path, url: str, *, adopt: bool = False) -> None:
    with closing(open_hub(root, url, adopt=adopt)):
        pass


def refused(root: Path, url: str, *, instead: Path) -> None:
    with pytest.raises(UsageError, match="keeps its runs in") as told:
        opens(root, url)
    assert f" {instead} on " in str(told.value)
    assert "whirr init --adopt" in str(told.value.hint)
    assert "secret" not in str(told.value)  # the database's password


def test_another_folder_is_refused_and_left_as_it_is(tmp_path: Path, postgres_url: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    opens(one, postgres_url)
    refused(two, postgres_url, instead=one)
    assert not two.exists()
    with closing(open_hub(two)) as hub:
        hub.submit(spec("true"))
    before = sorted(two.rglob("*"))
    refused(two, postgres_url, instead=one)
    assert sorted(two.rglob("*")) == before
    opens(one, postgres_url)


def test_a_folder_that_was_moved_is_known(tmp_path: Path, postgres_url: str) -> None:
    opens(tmp_path / "one", postgres_url)
    (tmp_path / "one").rename(tmp_path / "two")
    opens(tmp_path / "two", postgres_url)
    refused(tmp_path / "one", postgres_url, instead=tmp_path / "one")


def test_a_folder_takes_the_place_of_one_that_is_lost(tmp_path: Path, postgres_url: str) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    with closing(open_hub(one, postgres_url)) as hub:
        hub.submit(spec("true"))
    opens(two, postgres_url, adopt=True)
    refused(one, postgres_url, instead=two)
    with closing(open_hub(two, postgres_url)) as hub:
        assert hub.submit(spec("true")).id == 2
    opens(two, postgres_url, adopt=True)  # once more changes nothing
    opens(two, postgres_url)


@pytest.mark.parametrize("content", [b"", b'{"id": ', b"[]", b"{}"])
def test_a_damaged_file_is_mended_by_adopting(tmp_path: Path, postgres_url: str, content: bytes) -> None:
    opens(tmp_path / "one", postgres_url)
    (tmp_path / "one" / QUEUE / FILE).write_bytes(content)
    refused(tmp_path / "one", postgres_url, instead=tmp_path / "one")
    opens(tmp_path / "one", postgres_url, adopt=True)
    opens(tmp_path / "one", postgres_url)


def test_a_process_that_died_before_the_database_knew_is_made_good(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        written(*_, **__)
        raise KeyboardInterrupt

    from whirr import pairing

    written = pairing.write_atomic
    monkeypatch.setattr(pairing, "write_atomic", die)
    with pytest.raises(KeyboardInterrupt):
        opens(tmp_path / "one", postgres_url)
    monkeypatch.undo()
    opens(tmp_path / "one", postgres_url)
    refused(tmp_path / "two", postgres_url, instead=tmp_path / "one")


@pytest.mark.parametrize("folders", [1, AT_ONCE])
def test_many_that_come_first_agree(tmp_path: Path, postgres_url: str, folders: int) -> None:
    start = Barrier(AT_ONCE)

    def come(number: int) -> int | None:
        start.wait(60)
        try:
            opens(tmp_path / str(number % folders), postgres_url)
        except UsageError:
            return None
        return number % folders

    with ThreadPoolExecutor(AT_ONCE) as threads:
        came = [folder for folder in threads.map(come, range(AT_ONCE)) if folder is not None]
    assert len(set(came)) == 1
    assert len(came) == AT_ONCE // folders
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(came[0])]


class TestCommands:
    """Run in two folders, over one database."""

    @pytest.fixture
    def places(self, tmp_path: Path) -> tuple[Path, Path]:
        one, two = tmp_path / "one", tmp_path / "two"
        one.mkdir()
        two.mkdir()
        return one, two

    def test_every_command_says_where_the_runs_are(self, places: tuple[Path, Path], postgres_url: str) -> None:
        one, two = places
        variables = {"WHIRR_DATABASE_URL": postgres_url}
        submit(one, "--", "true", **variables)
        for words in (("status",), ("submit", "--", "true"), ("worker", "--drain"), ("logs", "1"), ("server",)):
            answer = ask(*words, cwd=two, **variables)
            assert (answer.code, answer.out) == (2, "")
            assert f"keeps its runs in {one / '.whirr'} on " in answer.err
            assert "Traceback" not in answer.err
        assert list(two.iterdir()) == []
        assert ask("status", "--dir", str(one), cwd=two, **variables).code == 0

    def test_doctor_names_it_as_a_problem(self, places: tuple[Path, Path], postgres_url: str) -> None:
        one, two = places
        variables = {"WHIRR_DATABASE_URL": postgres_url}
        submit(one, "--", "true", **variables)
        answer = ask("doctor", "--json", cwd=two, **variables)
        assert answer.code == 1
        (found,) = (each for each in answer.json() if each["state"] == "problem")
        assert found["about"] == "database"
        assert "whirr init --adopt" in found["advice"]

    def test_adopting_goes_on_with_what_is_queued(self, places: tuple[Path, Path], postgres_url: str) -> None:
        one, two = places
        variables = {"WHIRR_DATABASE_URL": postgres_url}
        number = submit(one, "--", "true", **variables)
        shutil.rmtree(one / ".whirr")
        assert ask("status", cwd=one, **variables).code == 2
        answer = ask("init", "--adopt", cwd=two, **variables)
        assert (answer.code, answer.out) == (0, f"{two / '.whirr'}\n")
        assert "the runs of the queue are in this folder from now on" in answer.err
        drain(two, **variables)
        assert job(two, number, **variables)["status"] == "completed"

    def test_a_folder_that_is_worked_with_is_not_replaced(self, places: tuple[Path, Path], postgres_url: str) -> None:
        one, two = places
        variables = {"WHIRR_DATABASE_URL": postgres_url}
        submit(one, "--", "true", **variables)
        with worker(one, "--name", "gpu-1", **variables) as running:
            refused = ask("init", "--adopt", cwd=two, **variables)
            assert (refused.code, refused.out) == (2, "")
            assert f"error: they still work with {one / '.whirr'}: worker gpu-1 on " in refused.err
            assert ask("init", "--adopt", cwd=one, **variables).code == 0  # its own
            running.kill()
            running.wait()
        with running_server(one, "--database-url", postgres_url, "--replicas") as server:
            refused = ask("init", "--adopt", cwd=two, **variables)
            assert refused.code == 2
            assert f"work with {one / '.whirr'}: the server {server.url}\n" in refused.err
            assert list(two.iterdir()) == []
        adopted = ask("init", "--adopt", cwd=two, **variables)
        assert adopted.code == 0, adopted.err
        assert "start anew what cannot be seen from here" in adopted.err

    def test_there_is_nothing_to_adopt_without_such_a_database(self, places: tuple[Path, Path]) -> None:
        answer = ask("init", "--adopt", cwd=places[0])
        assert answer.code == 2
        assert "error: a queue in SQLite lies in its folder" in answer.err
        assert list(places[0].iterdir()) == []
