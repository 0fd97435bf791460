"""Data for a dashboard to show: a queue with its workers and the runs of sweeps, odd and broken folders, and plenty.

Jobs go through a real hub, so that queue and run folders are what whirr makes of them; only what programs would have
written is made up. `python tests/demo_runs.py FOLDER` fills a `.whirr` folder to look at.
"""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from demo_data import FATAL, Trial, grid_rows, output, patch, picture, rows, samples, traceback, trials
from hubs import worker
from run_folders import meta_of

from whirr import clock
from whirr.folder import ARTIFACTS, HEARTBEAT, METRICS, OUTPUT, PATCH, QUEUE, REQUIREMENTS, SYSTEM, make_root
from whirr.jsonio import dumps, write_atomic
from whirr.local import LocalHub
from whirr.model import Cause, CauseKind, Claim, JobSpec, Outcome, Verdict, WorkerInfo
from whirr.store import open_database

WORKDIR, ELSEWHERE = "/home/ada/vision", "/home/ada/speech"
PERSON = "ada@lab"
AHEAD_S = 86_400.0
"""Signs of life are dated ahead by this, so that workers and runs made up here live as long as a test may take."""

LEASE_S = 1e7
FLEET = (("node-01", 8), ("node-02", 8), ("node-03", 8), ("node-04", 4))
HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
HOSTILE_FILE = "<img src=x onerror=window.pwned=1>.txt"


class Demo(NamedTuple):
    """What was made.

    Attributes:
        runs: ids of the runs, the newest first.
        running: those that run.
        failed: one that failed with an exception.
        waiting: ids of the runs of jobs that wait, in the order of their submission.
    """

    root: Path
    trials: dict[str, Trial]
    runs: list[str]
    running: list[str]
    failed: str
    waiting: list[str]


class Lab:
    """A queue whose clock is set by hand; from ``open_lab``."""

    def __init__(self, root: Path, now: float) -> None:
        self.now = now
        self.moment = now
        make_root(root)
        (root / QUEUE).mkdir(mode=0o700, exist_ok=True)
        self.hub = LocalHub(root, open_database(root / QUEUE / "queue.db"), stamp=lambda: self.stamp())
        self.workers = [self._worker(name, gpus) for name, gpus in FLEET]

    def stamp(self, ago_s: float | None = None) -> str:
        """The stamp of the moment that is set, or of one so long before now."""
        return clock.stamp(clock.at(self.moment if ago_s is None else self.now - ago_s))

    def _worker(self, name: str, gpus: int) -> WorkerInfo:
        ids = tuple(f"GPU-{zlib.crc32(f'{name}/{number}'.encode()):08x}-{number:04}" for number in range(gpus))
        made = worker(name, host=name, slots=8, gpus=ids, lease_s=LEASE_S)._replace(started_at=self.stamp(90_000))
        self.moment = self.now + AHEAD_S
        self.hub.register(made)
        self.hub.tell_folders(made.id, {WORKDIR: True, ELSEWHERE: False})
        return made

    def submit(self, at_s: float, *argv: str, **about: Any) -> int:
        """Submit a job so many seconds before now; its number."""
        self.moment = self.now - at_s
        about = {"workdir": WORKDIR, "submitted_by": PERSON, **about}
        return self.hub.submit(JobSpec(argv, **about)).id

    def claim(self, by: WorkerInfo, at_s: float) -> Claim:
        """Let a worker take the only job that it can."""
        self.moment = self.now - at_s
        claim = self.hub.claim(by)
        assert claim is not None
        return claim

    def end(self, claim: Claim, at_s: float, verdict: Verdict, cause: Cause | None = None) -> None:
        """Report how an attempt ended."""
        self.moment = self.now - at_s
        seconds = self.moment - clock.epoch(claim.job.started_at or self.stamp())
        self.hub.finish(claim.lease, Outcome(verdict, cause, seconds, self.stamp()))


@contextmanager
def open_lab(root: Path, now: float | None = None) -> Iterator[Lab]:
    """A queue with a fleet of workers that live far away."""
    lab = Lab(root, clock.now().timestamp() if now is None else now)
    try:
        yield lab
    finally:
        lab.hub.close()


def make(root: Path, *, runs: int = 22, steps: int = 600, metrics: int = 14, now: float | None = None) -> Demo:
    """The runs of sweeps as a queue has run them, three of them running, and jobs that wait.

    Args:
        root: the ``.whirr`` folder, made if need be.
        runs: how many; the first 22 are those of sweep-7, jobs on GPUs, the further ones were started by hand.
        steps: records of a whole training.
        metrics: names that each logs.
    """
    made = trials(runs)
    by_id: dict[str, Trial] = {}
    with open_lab(root, now) as lab:
        # The oldest first: the order of submission is that of the numbers.
        for trial in reversed(made):
            if trial.sweep != "sweep-7":
                by_id[_by_hand(lab, trial, steps // 4, metrics)] = trial
            elif trial.end != "running":
                by_id[_ended(lab, trial, steps, metrics)] = trial
        running = [trial for trial in made if trial.end == "running"]
        for trial, by, gpus in zip(reversed(running), lab.workers[2::-1], (8, 4, 8), strict=False):
            by_id[_running(lab, trial, by, gpus, steps, metrics)] = trial
        waiting = [f"job-{number}" for number in _others(lab)] if running else []
    ids = list(reversed(by_id))
    failed = next((run for run, trial in by_id.items() if trial.end == "failed" and run.startswith("job-")), "")
    return Demo(root, by_id, ids, [run for run in ids if by_id[run].end == "running"], failed, waiting)


def _spec(trial: Trial, gpus: int) -> dict[str, Any]:
    git_info = {
        "commit": f"a1b2c3d{trial.number:02x}".ljust(40, "9"),
        "branch": "main",
        "dirty": True,
        "remote_url": "git@example.org:lab/vision.git",
        "untracked": {"names": [f"engine/{trial.optimizer}.py"], "count": 1},
        "patch": {"file": PATCH, "bytes": len(patch(trial))},
    }
    submitted = {"git_info": git_info, "requirements": REQUIREMENTS, "notes": []}
    about = {"name": trial.name, "config": trial.config, "tags": (trial.sweep, "vision"), "submitted": submitted}
    return {**about, "gpus": gpus, "priority": trial.number % 3}


def _command(trial: Trial) -> list[str]:
    return ["python", "train.py", "--model", trial.model, "--optimizer", trial.optimizer, "--lr", f"{trial.lr:g}"]


def _ended(lab: Lab, trial: Trial, steps: int, metrics: int) -> str:
    began = trial.age_s + trial.duration_s
    lab.submit(began + 300, *_command(trial), **_spec(trial, 4))
    claim = lab.claim(lab.workers[trial.number % 3], began)
    folder = lab.hub.run_dir(claim.job.id)
    if trial.number % 7 == 0:  # lost once before: its first records are those of an earlier attempt
        _write(folder, lab, trial._replace(share=trial.share / 3), steps, metrics, trial.age_s + trial.duration_s / 2)
        lab.end(claim, began - 60, Verdict.CRASHED, Cause(CauseKind.WORKER_LOST, "its worker was killed"))
        claim = lab.claim(lab.workers[trial.number % 3], began - 90)
    _write(folder, lab, trial, steps, metrics, trial.age_s)
    verdict, cause = Verdict.FAILED, None
    if trial.end == "completed":
        verdict = Verdict.COMPLETED
    elif trial.end == "killed":
        cause = Cause(CauseKind.OUT_OF_MEMORY, "killed by the kernel: out of memory", signal="SIGKILL")
    elif trial.end == "cancelled":
        lab.hub.cancel(claim.job.id, PERSON)
    else:
        own = {"kind": "exception", "type": "RuntimeError", "message": FATAL, "traceback": traceback(trial)}
        _note(folder, status="failed", cause=own, finished_at=lab.stamp(trial.age_s), duration_seconds=trial.duration_s)
        cause = Cause(CauseKind.EXIT, "exit code 1", exit_code=1)
    lab.end(claim, trial.age_s, verdict, cause)
    return claim.job.run_id


def _running(lab: Lab, trial: Trial, by: WorkerInfo, gpus: int, steps: int, metrics: int) -> str:
    lab.submit(trial.duration_s + 300, *_command(trial), **_spec(trial, gpus))
    claim = lab.claim(by, trial.duration_s)
    folder = lab.hub.run_dir(claim.job.id)
    _write(folder, lab, trial, steps, metrics, 0.0, gpus)
    _beat(folder, lab)
    return claim.job.run_id


def _beat(folder: Path, lab: Lab) -> None:
    (folder / HEARTBEAT).touch()
    os.utime(folder / HEARTBEAT, (lab.now + AHEAD_S, lab.now + AHEAD_S))


def _others(lab: Lab) -> list[int]:
    """Three small jobs that run, and some that wait, each for another reason; the numbers of those that wait."""
    for number in range(3):
        command = ("python", "evaluate.py", f"--fold={number}")
        lab.submit(900, *command, name=f"eval · fold {number}", gpus=1, tags=("eval",))
        claim = lab.claim(lab.workers[3], 800 - number)
        folder = lab.hub.run_dir(claim.job.id)
        (folder / OUTPUT).write_text(f"fold {number}: 4,120 of 10,000 images\n")
        _beat(folder, lab)
    first = lab.submit(
        600, "python", "train.py", "--ema", name="vit-s · adamw · ema", gpus=8, priority=5, tags=("sweep-8",)
    )
    second = lab.submit(500, "python", "report.py", name="report", gpus=0, after=(first,), tags=("sweep-8",))
    third = lab.submit(400, "python", "train.py", name="whisper-s", workdir=ELSEWHERE, gpus=2, tags=("speech",))
    wide = lab.submit(300, "python", "train.py", "--nodes", "4", name="vit-g", gpus=16, tags=("wide",))
    return [first, second, third, wide]


def _write(folder: Path, lab: Lab, trial: Trial, steps: int, metrics: int, age_s: float, gpus: int = 4) -> None:
    """What the program and its worker write while a training runs."""
    until = lab.now - age_s
    host = orjson.loads((folder / "meta.json").read_bytes())["job"]["host"]
    cards = next(each.gpus for each in lab.workers if each.name == host)
    (folder / METRICS).write_bytes(rows(trial, steps, metrics, until))
    (folder / SYSTEM).write_bytes(samples(trial, gpus, len(cards), until))
    (folder / OUTPUT).write_bytes(output(trial, until))
    (folder / PATCH).write_bytes(patch(trial))
    (folder / REQUIREMENTS).write_text(f"numpy==2.4.{trial.number % 3}\ntimm==1.0.22\ntorch==2.9.1\n")
    artifacts = folder / ARTIFACTS
    (artifacts / "figures").mkdir(parents=True, exist_ok=True)
    (artifacts / "best.pt").write_bytes(bytes(range(256)) * 64)
    (artifacts / "figures" / "confusion.png").write_bytes(picture(shade=trial.number * 9))
    (artifacts / "classes.csv").write_text("class,accuracy\ntench,0.91\ngoldfish,0.87\n")
    (artifacts / "settings.json").write_bytes(dumps(trial.config))
    last = orjson.loads((folder / METRICS).read_bytes().rstrip().rpartition(b"\n")[2])
    about = {"name": "NVIDIA H100", "memory_total_bytes": 80 << 30}
    described = [{"index": number, "uuid": uuid, **about} for number, uuid in enumerate(cards)]
    environment = {
        "command": _command(trial),
        "script": f"{WORKDIR}/train.py",
        "cwd": WORKDIR,
        "python": "3.12.4",
        "host": host,
        "user": "ada",
        "cpu_count": 64,
        "memory_total_bytes": 512 << 30,
        "cuda_devices": {"visible": "0,1,2,3", "driver": "570.86", "gpus": described},
        "whirr": "0.1.0",
    }
    _note(folder, environment=environment, summary={"best_acc": last.get("val/acc"), "best_epoch": last.get("epoch")})


def _note(folder: Path, **about: Any) -> None:
    meta = orjson.loads((folder / "meta.json").read_bytes())
    write_atomic(folder / "meta.json", dumps({**meta, **about}))


def _by_hand(lab: Lab, trial: Trial, steps: int, metrics: int) -> str:
    """A run that somebody started without the queue."""
    began = clock.at(lab.now - trial.age_s - trial.duration_s)
    run_id = f"local-{began:%Y%m%d-%H%M%S}-{trial.number:06x}"
    failed = trial.end == "failed"
    about = {"kind": "exception", "type": "RuntimeError", "message": FATAL, "traceback": traceback(trial)}
    records = rows(trial, steps, metrics, lab.now - trial.age_s)
    quick_run(
        lab.hub.root,
        run_id,
        records,
        trial.config,
        name=trial.name,
        tags=[trial.sweep, "vision"],
        status="failed" if failed else "completed",
        cause=about if failed else None,
        started_at=clock.stamp(began),
        finished_at=lab.stamp(trial.age_s),
        duration_seconds=trial.duration_s,
    )
    return run_id


def quick_run(root: Path, run_id: str, records: bytes, config: dict[str, Any], **meta: Any) -> Path:
    """A run folder of the fewest files, written as fast as can be; its folder.

    Args:
        records: the content of ``metrics.jsonl``.
        meta: what ``meta.json`` says.
    """
    folder = root / "runs" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (
        ("meta.json", orjson.dumps(meta_of(run_id, **meta))),
        ("config.json", orjson.dumps(config)),
        (METRICS, records),
    ):
        (folder / name).write_bytes(content)
    return folder


def accuracy_of(number: int) -> float:
    """What the run of this number of ``many`` has logged as val/acc."""
    return 0.6 + 0.2 * ((number * 0.6180339887498949) % 1)


def many(root: Path, count: int = 10_000) -> list[str]:
    """Very many short runs; their ids, the newest first."""
    made = trials(min(count, 400))
    ids = []
    for number in range(count):
        trial = made[number % len(made)]
        began = clock.stamp(clock.at(1_760_000_000 + number * 60))
        run_id = f"local-20251009-{number // 3600:02}{number // 60 % 60:02}{number % 60:02}-{number:06x}"
        accuracy = accuracy_of(number)
        record = {"_idx": 0, "_timestamp": began, "step": 100, "val/acc": accuracy, "val/loss": 1.6 - accuracy}
        config = {**trial.config, "seed": number}
        about = {"name": f"run {number}", "tags": [trial.sweep], "started_at": began, "finished_at": began}
        quick_run(root, run_id, orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE), config, **about)
        ids.append(run_id)
    return ids[::-1]


def grid(root: Path, *, runs: int = 50, steps: int = 10_000, metrics: Sequence[str]) -> list[str]:
    """Runs that log these metrics at every step; their ids, the newest first."""
    ids = []
    for number in range(runs):
        began = 1_760_000_000.0 + number * steps
        run_id = f"local-20251010-0000{number % 60:02}-{number:06x}"
        stamp = clock.stamp(clock.at(began))
        about = {"name": f"run {number}", "tags": ["grid"], "started_at": stamp, "duration_seconds": float(steps)}
        config = {"lr": 10.0 ** -(2 + number % 3), "seed": number}
        quick_run(root, run_id, grid_rows(steps, metrics, number, began), config, **about)
        ids.append(run_id)
    return ids[::-1]


def hostile(root: Path) -> str:
    """A run that would run script in a page that took its words for HTML; its id."""
    words = {HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}, "__proto__": {"polluted": 1}}
    records = [{"_idx": n, "_timestamp": clock.stamp(), "step": n, HOSTILE: 1 / (n + 1)} for n in range(20)]
    lines = b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
    folder = quick_run(
        root,
        "hostile",
        lines,
        words,
        name=HOSTILE,
        tags=[HOSTILE, "javascript:alert(1)"],
        status="failed",
        summary={HOSTILE: HOSTILE},
        cause={"kind": "exception", "type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE},
        environment={"command": [HOSTILE], "host": HOSTILE},
        git_info={"commit": HOSTILE, "branch": HOSTILE, "remote_url": "javascript:alert(1)", "dirty": True},
        started_at=clock.stamp(),
        finished_at=clock.stamp(),
    )
    (folder / OUTPUT).write_text(f"\x1b[31m{HOSTILE}\x1b[0m\n\x1b]8;;javascript:alert(1)\x07link\x1b]8;;\x07\n")
    (folder / PATCH).write_text(f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{HOSTILE}\n+{HOSTILE}\n")
    (folder / REQUIREMENTS).write_text(f"{HOSTILE}==1.0\n")
    artifacts = folder / ARTIFACTS
    artifacts.mkdir(exist_ok=True)
    (artifacts / HOSTILE_FILE).write_text(HOSTILE)
    (artifacts / "page.html").write_text(f"<body>{HOSTILE}</body>")
    (artifacts / "drawing.svg").write_text(f'<svg xmlns="http://www.w3.org/2000/svg">{HOSTILE}</svg>')
    (artifacts / "table.csv").write_text(f'name,value\n"{HOSTILE}",1\n=cmd(),2\n')
    return folder.name


def broken(root: Path) -> list[str]:
    """Folders that no run has left whole; their names."""
    runs = root / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    (runs / "broken-empty").mkdir()
    torn = quick_run(root, "broken-torn", b'{"_idx":0,"step":0,"loss":1}\n{"_idx":1,"st', {"lr": 0.1}, name="torn")
    (torn / "meta.json").write_bytes(b'{"run_id": "broken-torn", "na')
    listed = quick_run(root, "broken-list", b"[1,2]\n\x00\xff\xfe\nnull\n", {}, name="list")
    (listed / "meta.json").write_bytes(b"[]")
    odd = {
        "name": 7,
        "tags": "x",
        "started_at": "yesterday",
        "summary": [1],
        "cause": "bad",
        "duration_seconds": "long",
    }
    quick_run(root, "broken-types", b'{"step":"x","loss":"text","acc":{"a":1}}\n', {}, **odd)
    unread = quick_run(root, "broken-folders", b"", {}, name="folders")
    for name in ("metrics.jsonl", "config.json"):
        (unread / name).unlink()
        (unread / name).mkdir()
    looped = quick_run(root, "broken-loop", b"", {}, name="loop")
    (looped / ARTIFACTS).symlink_to(looped)
    (runs / "broken-file").write_text("no folder")
    return ["broken-empty", "broken-torn", "broken-list", "broken-types", "broken-folders", "broken-loop"]


def main() -> None:
    """Fill a folder to look at."""
    root = Path(sys.argv[1])
    print(make(root, runs=int(sys.argv[2]) if len(sys.argv) > 2 else 248).runs[0])


if __name__ == "__main__":
    main()
