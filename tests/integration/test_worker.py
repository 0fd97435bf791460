"""A worker at its work: what a job gets, and what is known of it afterwards."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import QUICK, outputs, program, start, wait_until
from memory_group import kernel_log_names_pids, memory_limit
from queues import PYTHON, Queue, a_queue, told, whirr
from repositories import git, write
from run_folders import out_of_reach

import whirr as api
from whirr.model import CauseKind, JobStatus


def submitted(queue: Queue, *words: str | Path) -> int:
    """`whirr submit`; the job's number."""
    done = whirr(queue, "submit", "--json", *map(str, words))
    assert done.returncode == 0, done.stderr
    return int(json.loads(done.stdout)["job_id"])


PLAIN = """
import os, sys, time
print("to stdout", flush=True)
print("to stderr", file=sys.stderr)
sys.stdout.write("half a line")
os.system("echo; echo from a child")
while not os.path.exists("go"):
    time.sleep(0.01)
sys.exit(3)
"""


def test_a_program_that_knows_nothing_of_whirr(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        queue.worker(WHIRR_SYSTEM_INTERVAL="0.5")
        script = program(tmp_path / "plain.py", PLAIN)
        number = queue.submit("python3", script, name="plain")
        wait_until(lambda: _samples(queue, number) >= 2, 60)
        assert queue.meta(number)["status"] == "running"
        queue.let("go")
        queue.becomes(number, JobStatus.FAILED)
        meta = queue.meta(number)
        assert queue.output(number) == "to stdout\nto stderr\nhalf a line\nfrom a child\n"
        assert (meta["run_id"], meta["name"], meta["status"]) == (f"job-{number}", "plain", "failed")
        assert meta["cause"] == {"kind": "exit", "message": "exited with code 3", "exit_code": 3}
        assert meta["started_at"] < meta["finished_at"]
        assert meta["duration_seconds"] > 1
        usage = queue.attempts(number)[0].usage
        assert usage["max_rss_bytes"] > 2**20
        assert usage["cpu_s"] > 0


def _samples(queue: Queue, number: int) -> int:
    path = queue.folder(number) / "system.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return sum(any("cpu" in key for key in row) for row in rows)


TRAIN = f"""
import os, sys, whirr
with whirr.init(name="mine", config={{"lr": 0.1}}, tags=["a"], {QUICK}) as run:
    run.log({{"loss": 0.5}}, step=1)
    run.summary({{"best": 0.5}})
    print(run.run_id, run.run_dir)
    if os.environ["WHIRR_ATTEMPT"] == "1":
        raise ValueError("bad shape")
"""


def test_a_program_that_joins_its_run(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        queue.worker()
        script = program(tmp_path / "train.py", TRAIN)
        number = queue.submit(sys.executable, script)
        found = queue.becomes(number, JobStatus.FAILED)
        folder = queue.folder(number)
        assert f"job-{number} {folder}\n" in queue.output(number)
        meta = queue.meta(number)
        assert (meta["run_id"], meta["name"], meta["tags"], meta["config"]) == (
            f"job-{number}",
            "mine",
            ["a"],
            {"lr": 0.1},
        )
        assert (meta["status"], meta["cause"]["kind"], meta["cause"]["message"]) == ("failed", "exception", "bad shape")
        assert found.cause.kind is CauseKind.EXIT
        assert [path.name for path in (queue.hub.root / "runs").iterdir()] == [f"job-{number}"]
        assert whirr(queue, "retry", str(number)).returncode == 0
        queue.completes(number)
        assert queue.meta(number)["status"] == "completed"
        assert [row["loss"] for row in api.read_metrics(folder)] == [0.5]
        assert [row["loss"] for row in api.read_metrics(folder / "attempts" / "1")] == [0.5]
        assert "bad shape" in (folder / "attempts" / "1" / "output.log").read_text()


SHOW = """
import json, os, sys
json.dump({"environ": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv[1:]}, sys.stdout)
if os.environ["WHIRR_ATTEMPT"] == "1" and "again" in sys.argv:
    sys.exit(85)
"""


def test_what_a_job_is_given(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        tool = program(tmp_path / "tools" / "mytool", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        tool.chmod(0o755)
        path = f"{tool.parent}:{os.environ['PATH']}"
        queue.environ["PATH"] = path
        script = program(tmp_path / "work" / "show.py", SHOW)
        options = ("--env", "SEED=7", "--env", "EMPTY=", "--workdir", script.parent)
        number = submitted(queue, *options, "--", "mytool", "show.py", "a b", "$HOME;*", "again")
        queue.environ["PATH"] = os.environ["PATH"]  # the worker's differs
        queue.worker("--gpus", "none", SEED="8", WORKERS_OWN="yes", WHIRR_RUN_DIR="/nowhere", WHIRR_JOB_ID="77")
        queue.completes(number)
        first, second = (told_by(queue.folder(number) / part) for part in ("attempts/1", "."))
        environ = second["environ"]
        assert (second["argv"], second["cwd"]) == (["a b", "$HOME;*", "again"], str(script.parent))
        assert [environ[name] for name in ("SEED", "EMPTY", "WORKERS_OWN", "PATH")] == ["7", "", "yes", path]
        assert environ["PYTHONUNBUFFERED"] == "1"
        assert environ["WHIRR_DIR"] == str(queue.hub.root)
        assert environ["WHIRR_RUN_DIR"] == str(queue.folder(number))
        assert (environ["WHIRR_RUN_ID"], environ["WHIRR_JOB_ID"]) == (f"job-{number}", str(number))
        assert [each["environ"]["WHIRR_ATTEMPT"] for each in (first, second)] == ["1", "2"]
        assert "WHIRR_PREVIOUS_DIR" not in first["environ"]
        assert environ["WHIRR_PREVIOUS_DIR"] == str(queue.folder(number) / "attempts" / "1")


def told_by(folder: Path) -> Any:
    return json.loads((folder / "output.log").read_text())


NEIGHBOURS = """
import json, os, sys, time
open(os.environ["WHIRR_RUN_ID"], "w").close()
while len([name for name in os.listdir() if name.startswith("job-")]) < int(sys.argv[1]):
    time.sleep(0.01)
json.dump([os.environ.get(name) for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")], sys.stdout)
"""


def test_each_job_gets_its_own_gpus(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        script = program(tmp_path / "gpus.py", NEIGHBOURS)
        jobs = [queue.submit(*PYTHON, script, 4, gpus=count) for count in (None, 2, 0, 1)]  # all at once
        queue.worker_of_parts(gpus=4, slots=4).ends()
        queue.completes(*jobs)
        given = [told(queue, number)[0] for number in jobs]
        assert [told(queue, number)[1] for number in jobs] == ["PCI_BUS_ID"] * 4
        assert given[2] == ""
        assert [len(text.split(",")) for text in given if text] == [1, 2, 1]
        assert sorted(",".join(text for text in given if text).split(",")) == ["0", "1", "2", "3"]
        assert sorted(gpu for number in jobs for gpu in queue.attempts(number)[0].gpus) == [
            f"GPU-{n}" for n in range(4)
        ]


def test_mig_instances_are_given_by_uuid(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        number = queue.submit(*PYTHON, program(tmp_path / "gpus.py", NEIGHBOURS), 1, gpus=2)
        queue.worker_of_parts(gpus=2, mig=True).ends()
        assert told(queue, number)[0] == "GPU-0,GPU-1"


def test_a_gpu_out_of_memory_is_told_from_the_output(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        queue.worker()
        text = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"
        out = queue.submit("sh", "-c", f"echo {text!r}; exit 1")
        survived = queue.submit("sh", "-c", f"echo {text!r}; exit 0")
        assert queue.becomes(out, JobStatus.FAILED).cause.kind is CauseKind.GPU_OUT_OF_MEMORY
        assert queue.meta(out)["cause"]["exit_code"] == 1
        queue.completes(survived)


HOARD = """
import os
hoard = []
while True:
    hoard.append(os.urandom(2**20))
"""


@pytest.mark.needs_root
def test_the_kernel_kills_a_job_for_memory(tmp_path: Path) -> None:
    with memory_limit(256) as group, a_queue(tmp_path) as queue:
        command = [sys.executable, "-c", "from whirr.cli import main; main()", "worker"]
        worker = queue.run(["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(group), *command])
        number = queue.submit(*PYTHON, program(tmp_path / "hoard.py", HOARD))
        found = queue.becomes(number, JobStatus.FAILED)
        assert (found.cause.signal, len(queue.attempts(number))) == ("SIGKILL", 1)
        assert "out of memory" in found.cause.message
        by_group = queue.hub.workers()[0].process["oom_kills"]["cgroup"] is not None
        if by_group or kernel_log_names_pids():
            assert found.cause.kind is CauseKind.OUT_OF_MEMORY
        queue.completes(queue.record("exit", 0))  # the worker and its next supervisor live
        worker.kill()
        wait_until(lambda: not queue.processes(), 30)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    top = tmp_path / "project"
    top.mkdir()
    git(top, "init", "-q")
    write(
        top,
        {
            "main.py": "import helper; print(helper.WORD)\n",
            "helper.py": "WORD = 'old'\n",
            ".gitignore": "__pycache__\n",
        },
    )
    git(top, "add", "-A")
    git(top, "commit", "-qm", "first")
    write(top, {"new.py": "untracked = True\n"})
    return top


def test_code_that_changes_before_the_job_starts(tmp_path: Path, repository: Path) -> None:
    with a_queue(tmp_path / "queue") as queue:
        words = ("--workdir", repository)
        same = submitted(queue, *words, "--", sys.executable, "main.py")
        queue.worker("--drain").ends()
        changed = submitted(queue, *words, "--", sys.executable, "main.py")
        frozen = submitted(queue, *words, "--snapshot", "--", sys.executable, "main.py")
        write(repository, {"helper.py": "WORD = 'changed'\n", "new.py": "untracked = False\n"})
        said = queue.worker("--drain").ends()
        assert [queue.output(number) for number in (same, changed, frozen)] == ["old\n", "changed\n", "old\n"]
        found = json.loads((queue.folder(changed) / "code_changes.json").read_bytes())
        assert found["names"] == [["M", "helper.py"], ["M", "new.py"]]
        assert f"job {changed}: its code has changed since it was submitted: M helper.py, M new.py" in said
        for number in (same, frozen):
            assert not (queue.folder(number) / "code_changes.json").exists()
        assert (repository / "helper.py").read_text() == "WORD = 'changed'\n"


def test_results_beside_the_code_are_no_change_of_it(tmp_path: Path, repository: Path) -> None:
    with a_queue(tmp_path / "queue") as queue:
        number = submitted(queue, "--workdir", repository, "--", sys.executable, "main.py")
        write(repository, {"results/loss.csv": "0.5\n", "model.pt": "weights"})
        said = queue.worker("--drain").ends()
        queue.completes(number)
        assert "has changed" not in said
        assert not (queue.folder(number) / "code_changes.json").exists()
        other = submitted(queue, "--workdir", repository, "--", sys.executable, "main.py")
        write(repository, {"helper.py": "WORD = 'changed'\n", "sitecustomize.py": "", "more.pt": "weights"})
        said = queue.worker("--drain").ends()
        assert f"job {other}: its code has changed since it was submitted: M helper.py, A sitecustomize.py\n" in said
        found = json.loads((queue.folder(other) / "code_changes.json").read_bytes())
        assert found == {
            "names": [["M", "helper.py"], ["A", "sitecustomize.py"]], "count": 2, "unknown": None, "note": None,
        }  # fmt: skip


def test_a_program_of_the_work_tree_is_the_submitted_one_in_a_snapshot(tmp_path: Path, repository: Path) -> None:
    with a_queue(tmp_path / "queue") as queue:
        script = program(repository / "tools" / "job.sh", "#!/bin/sh\necho submitted\n")
        script.chmod(0o755)
        number = submitted(queue, "--workdir", repository, "--snapshot", "--", "tools/job.sh")
        script.write_text("#!/bin/sh\necho changed\n")
        queue.worker("--drain").ends()
        queue.completes(number)
        assert queue.output(number) == "submitted\n"


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        number = queue.submit("no-such-command", retries=2)
        text = queue.submit(program(tmp_path / "plain.txt", "not a program"), retries=2)
        fine = queue.record("exit", 0)
        queue.worker("--drain").ends()
        for job in (number, text):
            assert queue.job(job).cause.kind is CauseKind.COMMAND_NOT_FOUND
            assert queue.outcomes(job) == ["failed"]
        assert queue.job(number).cause.message == "there is no command no-such-command"
        assert queue.meta(number)["cause"]["kind"] == "command-not-found"
        queue.completes(fine)


def test_a_job_of_which_no_process_can_be_made_ends_no_worker(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        odd = [
            queue.submit("true", "\ud83d"),
            queue.submit("\ud83d"),
            queue.submit("true", env={"K": "\ud83d"}),
            queue.submit("true", workdir="/\ud83d"),
        ]
        unknown = queue.submit("no-such-\udcff")
        fine = queue.record("exit", 0)
        queue.worker("--drain").ends()
        queue.completes(fine)
        assert queue.job(unknown).cause.kind is CauseKind.COMMAND_NOT_FOUND
        for job in odd:
            assert (queue.job(job).status, queue.job(job).cause.kind) == (JobStatus.FAILED, CauseKind.START_FAILED)


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        place = tmp_path / "work"
        place.mkdir()
        number = queue.submit("true", workdir=str(place), retries=2)
        place.rmdir()
        queue.worker("--drain").ends()
        found = queue.job(number)
        assert (found.cause.kind, queue.outcomes(number)) == (CauseKind.WORKDIR_MISSING, ["failed"])
        assert str(place) in found.cause.message


def test_the_run_folder_is_deleted_while_the_job_runs(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker(WHIRR_SYSTEM_INTERVAL="0.1")
        number = queue.record("until", "go", "deaf")
        queue.tells("ready", number)
        shutil.rmtree(queue.folder(number))
        queue.let("go")
        queue.completes(number)
        meta = queue.meta(number)
        assert (meta["run_id"], meta["status"]) == (f"job-{number}", "completed")
        again = queue.record("exit", 0)
        queue.completes(again)
        assert "Traceback" not in worker.said()


def test_a_long_name_is_cut_in_what_a_worker_says(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        number = queue.submit("true", name="night " * 1000)
        said = queue.worker("--drain").ends()
        assert f"job {number} (night night " in said
        assert max(map(len, said.splitlines())) < 300


def test_the_run_folder_of_a_waiting_job_is_deleted(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        number = queue.submit("echo", "here", config={"lr": 0.1})
        shutil.rmtree(queue.folder(number))
        queue.worker("--drain").ends()
        queue.completes(number)
        assert (queue.output(number), queue.meta(number)["config"]) == ("here\n", {"lr": 0.1})


def test_a_run_folder_that_cannot_be_used_holds_up_no_other_job(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        number, after = queue.record("exit", 0), queue.record("exit", 0)
        shutil.rmtree(queue.folder(number))
        queue.folder(number).touch()
        worker = queue.worker()
        queue.completes(after)
        assert f"cannot write into {queue.folder(number)}" in worker.said()
        assert (queue.job(number).status, queue.job(number).attempt) == (JobStatus.QUEUED, 0)
        queue.folder(number).unlink()
        queue.completes(number)


def test_a_job_ends_though_its_run_folder_cannot_be_written(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker()
        number = queue.record("until", "go")
        queue.tells("ready", number)
        with out_of_reach(queue.folder(number)):
            queue.let("go")
            queue.completes(number)
            worker.says(f"cannot write into {queue.folder(number)}")
            queue.completes(queue.record("exit", 0))  # in the one slot there is
        assert queue.outcomes(number) == ["completed"]
        assert queue.meta(number)["status"] == "running"
        assert queue.hub.behind() == [number]
        queue.hub.catch_up(number)
        assert queue.meta(number)["status"] == "completed"


def test_a_dead_workers_job_is_settled_though_its_run_folder_cannot_be_written(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker("--slots", "2")
        jobs = [queue.record("first", "deaf") for _ in range(2)]
        for number in jobs:
            queue.tells("ready", number)
        worker.kill()
        shutil.rmtree(queue.folder(jobs[0]))
        queue.folder(jobs[0]).touch()
        heir = queue.worker()
        heir.says(f"cannot write into {queue.folder(jobs[0])}")
        queue.completes(jobs[1], queue.record("exit", 0))
        wait_until(lambda: queue.outcomes(jobs[0]) == ["lost"])
        assert queue.job(jobs[0]).status is JobStatus.QUEUED
        queue.folder(jobs[0]).unlink()
        queue.completes(jobs[0])
        assert [queue.outcomes(number) for number in jobs] == [["lost", "completed"]] * 2


def test_a_dead_workers_job_whose_run_folder_cannot_be_read_holds_up_no_other(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        worker = queue.worker("--slots", "2")
        jobs = [queue.record("first", "deaf") for _ in range(2)]
        for number in jobs:
            queue.tells("ready", number)
        worker.kill()
        folder, aside = queue.folder(jobs[0]), queue.folder(jobs[0]).with_name("aside")
        folder.rename(aside)
        folder.symlink_to(folder)  # a loop
        heir = queue.worker()
        queue.completes(jobs[1], queue.record("exit", 0))
        heir.says(f"clearing up after dead workers: cannot read {folder}")
        assert queue.job(jobs[0]).status is JobStatus.RUNNING  # how it ended stands in its folder
        folder.unlink()
        aside.rename(folder)
        queue.completes(jobs[0])
        assert "Traceback" not in heir.said()


BROKEN = """#!/bin/sh
[ -e {place}/broken ] && exit 1
exec {python} "$@"
"""


def test_supervisors_that_cannot_start_cost_no_job(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        python = program(tmp_path / "python", BROKEN.format(place=tmp_path, python=sys.executable))
        python.chmod(0o755)
        queue.let("broken")
        worker = queue.worker_of_parts(python=str(python))
        number = queue.record("exit", 0)
        worker.says(f"job {number} queued again")
        found = queue.job(number)
        assert (found.crashes, found.failures, found.cause.kind) == (0, 0, CauseKind.START_FAILED)
        (tmp_path / "broken").unlink()
        queue.completes(number)
        assert set(queue.outcomes(number)[:-1]) == {"requeued"}


COUNTING = """
import os, sys, time
from pathlib import Path
from whirr.connect import open_hub
from whirr.executors.process import ProcessExecutor
from whirr.worker import Options, Worker

class Counting:
    turns = 0

    def __init__(self, hub):
        self._hub = hub

    def __getattr__(self, name):
        return getattr(self._hub, name)

    @property
    def look_every_s(self):  # is asked for at every turn
        self.turns += 1
        return self._hub.look_every_s

hub = Counting(open_hub(Path(os.environ["WHIRR_DIR"])))
executor = ProcessExecutor()
executor.adopt_orphans()
since = time.monotonic()
options = Options("counting", slots=1, idle_timeout_s=1)
Worker(hub, executor, options, hub.queue, os.environ, lambda text: None).run()
print(hub.turns, time.monotonic() - since)
"""


def test_a_worker_sleeps_while_its_job_runs_and_while_there_is_none(tmp_path: Path) -> None:
    with a_queue(tmp_path) as queue:
        queue.submit("sleep", "1")
        counting = start(
            [sys.executable, program(tmp_path / "counting.py", COUNTING)], tmp_path, WHIRR_DIR=str(queue.hub.root)
        )
        turns, seconds = outputs(counting)[0].split()
        assert int(turns) < 40 * (1 + float(seconds))
