"""Words of the queue's commands: durations, job numbers, progress, tables on narrow and wide screens."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hubs import outcome, spec, worker

from whirr import clock
from whirr.cli.board import board, metric_words, progress_words, summary
from whirr.cli.gpus import GpuNames
from whirr.cli.job import report
from whirr.cli.queue import JOB
from whirr.cli.screen import Screen
from whirr.cli.table import text_width
from whirr.clock import parse_duration
from whirr.connect import open_hub
from whirr.model import CauseKind, Verdict
from whirr.overview import overview
from whirr.progress import Progress

PLAIN = Screen(width=120, fixed=False, color=False, unicode=True)
ASCII = PLAIN._replace(unicode=False)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90),
        ("0.5", 0.5),
        ("30s", 30),
        ("10m", 600),
        ("2h", 7200),
        ("1d", 86400),
        ("1h30m", 5400),
        (" 1H30M ", 5400),
        ("1.5h", 5400),
        ("0", 0),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1x", "-1", "1h30", "1 h", "nan", "inf", "1e3", "٣s", "10 years", "4000d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|ten years"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "number"), [("12", "12"), ("job-12", "12"), ("job12", None), ("-1", None), ("٣", None)]
)
def test_job_numbers(text: str, number: str | None) -> None:
    match = JOB.fullmatch(text)
    assert (match[1] if match else None) == number


@pytest.mark.parametrize(
    ("progress", "words"),
    [
        (Progress(36, 37, 100, {}), " 37/100 ▇▇▁▁▁▁▁▁"),
        (Progress(99, 100, 100, {}), "100/100 ▇▇▇▇▇▇▇▇"),
        (Progress(40, 1.25, 3, {}), "1.25/3 ▇▇▇▁▁▁▁▁"),
        (Progress(40, None, None, {}), "step 40"),
        (Progress(None, None, None, {}), ""),
    ],
)
def test_progress(progress: Progress, words: str) -> None:
    assert progress_words(progress, PLAIN) == words
    assert progress_words(progress, ASCII) == words.replace("▇", "#").replace("▁", ".")


def test_the_metrics_one_looks_at_first() -> None:
    latest = {"lr": 0.1, "epoch": 3, "train/loss": 0.123456, "val/acc": "NaN", "val/loss": 2}
    assert metric_words(latest, 3) == "val/loss 2  train/loss 0.1235  val/acc nan"


def hostile(tmp_path: Path) -> tuple[list[str], list[str]]:
    """What the screens of a queue say whose texts are long and malicious: without and with colours, 80 wide."""
    hub = open_hub(tmp_path / ".whirr")
    try:
        info = worker("w\n\033[31m" + "x" * 60, slots=2, gpus=("GPU-0123456789", "GPU-b"))
        info = info._replace(started_at=clock.stamp())
        hub.register(info)  # nobody holds its lock: it is dead
        for number in range(6):
            name = f"\033[2J{number}\n" + "name " * 30
            hub.submit(spec("python", "a" * 300, "\033]0;title\007", name=name, tags=("\r",), env={"A": "\033[1m"}))
        hub.submit(spec("true", after=tuple(range(1, 7))))
        claims = [claim for _ in range(2) if (claim := hub.claim(info)) is not None]
        (hub.run_dir(1) / "metrics.jsonl").write_text('{"_idx": 0, "step": 3, "a\\nb": 1, "loss": 1e300}\n')
        (hub.run_dir(1) / "config.json").write_text('{"epochs": 10}')
        failed = outcome(Verdict.FAILED, kind=CauseKind.START_FAILED)
        assert failed.cause is not None
        failed = failed._replace(cause=failed.cause._replace(message="\033[2J" + "why " * 80))
        hub.finish(claims[1].lease, failed)
        screens = []
        for color in (False, True):
            screen = Screen(width=80, fixed=True, color=color, unicode=True)
            view = overview(hub, 10)
            lines = [*board(hub, view, screen, GpuNames()), *summary(hub, view, screen)]
            one = [line for number in (1, 2, 7) for line in report(hub, hub.job(number), screen)]
            screens.append((lines, one))
        assert [strip(line) for line in screens[1][0]] != screens[1][0]
        return [*screens[0][0], *map(strip, screens[1][0])], [*screens[0][1], *map(strip, screens[1][1])]
    finally:
        hub.close()


def strip(line: str) -> str:
    return re.sub(r"\x1b\[\d+m", "", line)


def test_nothing_wraps_and_nothing_steers_the_terminal(tmp_path: Path) -> None:
    tables, about_one = hostile(tmp_path)
    assert max(map(text_width, tables)) <= 80
    assert all(line.isprintable() for line in [*tables, *about_one])
    text = "\n".join(tables)
    assert "dead worker, with job 1: " in text
    assert "3/10 ▇▇▁▁▁▁▁▁" in text
