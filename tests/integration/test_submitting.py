"""Several submissions at once, over both databases: each gets its own job or its own error, and leaves nothing else."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hubs import spec

from whirr.connect import open_hub
from whirr.errors import FolderError, NotFound
from whirr.folder import read_meta
from whirr.local import LocalHub
from whirr.model import Job
from whirr.server.submissions import Submissions
from whirr.submitting import Submission


@pytest.fixture
def hub(tmp_path: Path, database_url: str) -> Iterator[LocalHub]:
    made = open_hub(tmp_path / ".whirr", database_url if database_url.startswith("postgresql") else None)
    yield made
    made.close()


def runs(hub: LocalHub) -> list[str]:
    return sorted(path.name for path in (hub.root / "runs").iterdir())


def test_each_gets_its_job_or_its_error(hub: LocalHub) -> None:
    first, lost, again, twin = (hub.staging_folder() for _ in range(4))
    (first / "requirements.txt").write_text("numpy\n")
    found = hub.submit_all(
        [
            Submission(spec("one", tags=("a",)), first, "key of one"),
            Submission(spec("lost", after=(77,)), lost),
            Submission(spec("one"), again, "key of one"),
            Submission(spec("one", config={"lr": 1}), twin),
            Submission(spec("needs one", after=(1,))),
        ]
    )
    one, error, same, other, dependent = found
    assert isinstance(error, NotFound)
    assert isinstance(one, Job)
    assert isinstance(other, Job)
    assert isinstance(dependent, Job)
    assert same == one
    assert dependent.blocked == 1
    assert runs(hub) == sorted(hub.run_dir(job.id).name for job in (one, other, dependent))
    assert (hub.run_dir(one.id) / "requirements.txt").read_text() == "numpy\n"
    for job in (one, other, dependent):
        assert hub.job(job.id) == job
        assert read_meta(hub.run_dir(job.id))["job_id"] == job.id


def test_a_disk_that_takes_nothing_leaves_no_job(hub: LocalHub) -> None:
    (hub.root / "runs").rename(hub.root / "elsewhere")
    found = hub.submit_all([Submission(spec("true")), Submission(spec("true"))])
    assert [type(each) for each in found] == [FolderError, FolderError]
    assert hub.jobs() == []
    (hub.root / "elsewhere").rename(hub.root / "runs")
    hub.submit(spec("true"))
    assert len(runs(hub)) == 1


def at_once(hub: LocalHub, submissions: Sequence[Submission]) -> tuple[list[Job | BaseException], list[Job]]:
    """What comes of submissions that are made in the same turn of an event loop, and the jobs that were told."""
    told: list[Job] = []

    async def all_of_them() -> list[Job | BaseException]:
        queue = Submissions(hub)
        try:
            return await asyncio.gather(
                *(queue.submit(one, told.append) for one in submissions), return_exceptions=True
            )
        finally:
            queue.close()

    return asyncio.run(all_of_them()), told


def test_what_comes_at_once_is_committed_together(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    groups: list[int] = []
    together = hub.database.together
    monkeypatch.setattr(hub.database, "together", lambda works: groups.append(len(works)) or together(works))
    found, told = at_once(hub, [Submission(spec(f"{number}", after=(77,) * (number == 5))) for number in range(200)])
    assert isinstance(found[5], NotFound)
    jobs = [each for each in found if isinstance(each, Job)]
    assert [job.spec.argv[0] for job in jobs] == [f"{number}" for number in range(200) if number != 5]
    assert told == jobs == sorted(hub.jobs(), key=lambda job: job.id)
    assert sum(groups) == 200
    assert len(groups) < 10


def test_a_hub_that_breaks_is_told_to_all_and_serves_the_next(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Exception):
        pass

    def broken(_: object) -> list[Job | Exception]:
        monkeypatch.undo()
        raise Broken

    async def some() -> None:
        queue = Submissions(hub)
        monkeypatch.setattr(hub, "submit_all", broken)
        tasks = [queue.submit(Submission(spec("true")), lambda _: None) for _ in range(3)]
        assert [type(each) for each in await asyncio.gather(*tasks, return_exceptions=True)] == [Broken] * 3
        assert (await queue.submit(Submission(spec("true")), lambda _: None)).spec == spec("true")
        queue.close()

    asyncio.run(some())


def test_one_that_gave_up_waiting_keeps_no_other_from_its_job(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    submit_all = hub.submit_all

    def held(submissions: Sequence[Submission]) -> list[Job | Exception]:
        assert go_on.wait(10)
        return submit_all(submissions)

    async def some() -> Job:
        queue = Submissions(hub)
        monkeypatch.setattr(hub, "submit_all", held)
        gone, stays = (
            asyncio.create_task(queue.submit(Submission(spec(name)), lambda _: None)) for name in ("gone", "stays")
        )
        await asyncio.sleep(0)
        gone.cancel()
        go_on.set()
        try:
            return await stays
        finally:
            queue.close()

    assert asyncio.run(some()).spec.argv == ("stays",)
    assert {job.spec.argv[0] for job in hub.jobs()} == {"gone", "stays"}


def test_all_get_their_jobs_where_what_follows_one_breaks(hub: LocalHub, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []

    def follow(job: Job) -> None:
        if job.spec.argv == ("1",):
            raise RuntimeError("no disk for the audit")
        told.append(job.spec.argv[0])

    async def some() -> list[Job]:
        queue = Submissions(hub)
        try:
            return await asyncio.gather(*(queue.submit(Submission(spec(f"{n}")), follow) for n in range(3)))
        finally:
            queue.close()

    assert [job.spec.argv[0] for job in asyncio.run(some())] == ["0", "1", "2"]
    assert told == ["0", "2"]
    assert "no disk for the audit" in caplog.text


def test_without_its_thread_each_is_told_so_at_once(hub: LocalHub) -> None:
    async def some() -> list[Job | BaseException]:
        queue = Submissions(hub)
        queue.close()
        found: list[Job | BaseException] = []
        async with asyncio.timeout(20):
            for _ in range(2):
                found += await asyncio.gather(
                    queue.submit(Submission(spec("true")), lambda _: None), return_exceptions=True
                )
        return found

    assert [type(each) for each in asyncio.run(some())] == [RuntimeError] * 2
    assert hub.jobs() == []
