"""One run as text for people: the sections of ``whirr show``."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from whirr.catalog import Curve, FileEntry, RunDetail, RunView
from whirr.cli.chart import plot, sparkline, wants_log
from whirr.cli.common import age, duration, status_words, submitted_command
from whirr.cli.screen import STATUS_STYLES, Screen, clean, exact, number, short, size
from whirr.cli.table import Cell, Column, cut, render
from whirr.errors import NotFound
from whirr.folder import ATTEMPTS

TRACEBACK_LINES = 6
MAIN_PLOTS = 2
MAX_PLOTS = 12
SPARK_WIDTH = 24
PLOT_WIDTH, PLOT_HEIGHT = 76, 10
SHOWN_ARTIFACTS = 20
SHOWN_CHANGES = 3
VALUE_WIDTH = 200
NAME_WIDTH = 60


def report(found: RunDetail, screen: Screen, patterns: Sequence[str], *, whole_traceback: bool) -> list[str]:
    """The lines of ``whirr show``.

    Raises:
        NotFound: ``patterns`` were given and fit no metric.
    """
    run, meta = found.run, found.meta
    parts = [
        _head(found, screen),
        _problems(run.problems, meta, screen),
        _traceback(meta, screen, whole_traceback),
        _section("config", _flat(run.config), screen),
        _section("summary", [(key, exact(value)) for key, value in run.summary.items()], screen),
        _metrics(run, found.curves, patterns, screen),
        *_plots(found, patterns, screen),
        _artifacts(found.artifacts, screen),
    ]
    lines: list[str] = []
    for part in filter(None, parts):
        lines += ["", *part] if lines else part
    return lines


def _head(found: RunDetail, screen: Screen) -> list[str]:
    run = found.run
    dot = ("● " if screen.unicode else "* ") if screen.color else ""
    name = f"  {clean(run.name)}" if run.name else ""
    status = screen.paint(dot + status_words(run), STATUS_STYLES.get(run.status, ""))
    rows = [("status", status), *_cause(run), *_facts(found)]
    return [screen.paint(run.id + name, "bold"), *pairs(rows, screen, indent="")]


def _cause(run: RunView) -> Iterator[tuple[str, str]]:
    """The whole message of an ending, where the status line has only its gist."""
    cause = run.record.get("cause")
    message = clean(str((cause or {}).get("message") or ""))
    if message and message not in status_words(run):
        yield "cause", message


def _facts(found: RunDetail) -> Iterator[tuple[str, str]]:
    run, meta, now = found.run, found.meta, found.now
    for label, key in (("started", "started_at"), ("finished", "finished_at"), ("last seen", "last_seen_at")):
        if isinstance(meta.get(key), str):
            yield label, f"{clean(meta[key][:19].replace('T', ' '))} UTC  ({age(meta[key], now)})"
    if meta.get("duration_seconds") is not None:
        yield "duration", duration(meta["duration_seconds"])
    if run.tags:
        yield "tags", clean(", ".join(run.tags))
    if meta.get("job_id") is not None:
        yield "job", short(meta["job_id"])
        yield from _job(found)
    yield from _place(meta)
    yield from _git(meta.get("git_info"))
    yield from _machine(found.system)
    yield "folder", clean(run.path)


def _job(found: RunDetail) -> Iterator[tuple[str, str]]:
    """Which attempt this is and where the earlier ones are; which code had changed since the submission."""
    attempt = (found.meta.get("job") or {}).get("attempt")
    if isinstance(attempt, int) and attempt > 1:
        yield "attempt", f"{attempt}; the files of earlier ones are in {clean(os.path.join(found.run.path, ATTEMPTS))}"
    changes = found.code_changes
    if changes is not None:
        named = ", ".join(f"{letter} {name}" for letter, name in changes["names"][:SHOWN_CHANGES])
        more = f" and {changes['count'] - SHOWN_CHANGES} more" if changes["count"] > SHOWN_CHANGES else ""
        unknown = changes.get("unknown") or changes.get("damaged")
        yield "changed", clean(named + more if named else f"not known: {unknown}") + "  (since the submission)"


def _place(meta: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where it ran; of a job whose program recorded nothing of that, what the queue was told."""
    environment = meta.get("environment")
    if not isinstance(environment, dict):
        environment = {}
    command = environment.get("command")
    if isinstance(command, list):
        yield "command", clean(shlex.join(map(str, command)))
    elif submitted := submitted_command(meta):
        yield "command", submitted
        yield "in", clean(str(meta["job"].get("workdir")))
    where = [environment.get("user"), environment.get("host")]
    host = "@".join(str(part) for part in where if part)
    python = f"Python {environment['python']}" if environment.get("python") else ""
    if host or python:
        yield "host", clean(", ".join(filter(None, (host, python))))


def _git(info: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(info, dict):
        return
    dirty = {"True": "uncommitted changes", "False": "clean"}.get(str(info.get("dirty")), "")
    words = [str(info.get("commit") or "no commit")[:10], info.get("branch"), dirty]
    yield "git", clean(", ".join(str(word) for word in words if word))
    if info.get("remote_url"):
        yield "remote", clean(str(info["remote_url"]))
    patch = info.get("patch")
    if isinstance(patch, dict) and patch.get("file"):
        bytes_ = patch.get("bytes")
        yield "patch", clean(str(patch["file"])) + (f"  {size(bytes_)}" if isinstance(bytes_, int) else "")
    elif isinstance(patch, dict) and patch.get("why") and info.get("dirty"):
        yield "patch", f"none: {clean(str(patch['why']))}"


def _machine(use: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    words = []
    if use.get("peak_process_memory_mb") is not None:
        words.append(f"peak memory {size(use['peak_process_memory_mb'] * 2**20)}")
    if use.get("mean_cpu_percent") is not None:
        words.append(f"mean CPU {use['mean_cpu_percent']:.0f} %")
    for gpu, of_gpu in use.get("gpus", {}).items():
        memory = of_gpu["peak_memory_mb"]
        more = f" (peak {size(memory * 2**20)})" if memory is not None else ""
        if of_gpu["mean_utilization"] is not None:
            words.append(f"GPU {gpu} mean {of_gpu['mean_utilization']:.0f} %{more}")
    if words:
        yield "machine", ", ".join(words)


def _problems(problems: list[str], meta: Mapping[str, Any], screen: Screen) -> list[str]:
    lines = [clean(problem) for problem in problems]
    dropped = meta.get("dropped_records")
    if dropped:
        lines.append(f"{short(dropped)} records could not be written and were dropped")
    return [screen.paint("problems", "bold"), *(f"  {screen.paint(line, 'red')}" for line in lines)] if lines else []


def _traceback(meta: Mapping[str, Any], screen: Screen, whole: bool) -> list[str]:
    cause = meta.get("cause")
    if not isinstance(cause, dict) or not isinstance(cause.get("traceback"), str):
        return []
    lines = [clean(line) for line in cause["traceback"].rstrip().split("\n")]
    title = screen.paint("traceback", "bold")
    if whole or len(lines) <= TRACEBACK_LINES:
        return [title, *(f"  {line}" for line in lines)]
    more = screen.paint(f"  ({len(lines) - TRACEBACK_LINES} lines more with --traceback)", "dim")
    return [title, more, *(f"  {line}" for line in lines[-TRACEBACK_LINES:])]


def _flat(config: Mapping[str, Any], above: str = "") -> list[tuple[str, str]]:
    """A nested config as rows with dotted keys, the keys that filters and columns understand."""
    rows = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            rows += _flat(value, f"{above}{key}.")
        else:
            rows.append((above + key, exact(value)))
    return rows


def _section(title: str, rows: list[tuple[str, str]], screen: Screen) -> list[str]:
    return [screen.paint(title, "bold"), *pairs(rows, screen, indent="  ")] if rows else []


def pairs(rows: list[tuple[str, str]], screen: Screen, indent: str) -> list[str]:
    """Rows of a label and a value, the labels in one column."""
    width = max(len(label) for label, _ in rows)
    labels = [screen.paint(clean(label).ljust(width), "dim") for label, _ in rows]
    values = [cut(value, VALUE_WIDTH, screen.ellipsis) for _, value in rows]
    return [f"{indent}{label}  {value}" for label, value in zip(labels, values, strict=True)]


def _metrics(run: RunView, series: Mapping[str, Curve], patterns: Sequence[str], screen: Screen) -> list[str]:
    """What whirr derived: a row a metric, with its curve."""
    names = _chosen(list(run.metrics), patterns)
    if not names:
        return []
    derived = [run.metrics[name] for name in names]
    curves = [_spark(series.get(name), screen) for name in names]
    columns = [
        Column("metric", [Cell(clean(name)) for name in names], least=12, most=NAME_WIDTH),
        Column("last", [Cell(short(metric.last)) for metric in derived], right=True, least=8),
        Column("min", [Cell(_number(metric.min)) for metric in derived], right=True, rank=2),
        Column("max", [Cell(_number(metric.max)) for metric in derived], right=True, rank=3),
        Column("count", [Cell(str(metric.times)) for metric in derived], right=True, rank=4),
        Column("curve", [Cell(curve, "cyan") for curve in curves], rank=5),
    ]
    if any(metric.nonfinite for metric in derived):
        cells = [Cell(str(metric.nonfinite or ""), "red") for metric in derived]
        columns.insert(5, Column("nan/inf", cells, right=True, rank=1))
    title = screen.paint("metrics", "bold") + screen.paint("  (derived from what was logged)", "dim")
    inner = screen._replace(width=screen.width - 2)
    return [title, *(f"  {line}" for line in render(columns, inner))]


def _number(value: float | None) -> str:
    return "" if value is None else number(value)


def _spark(series: Curve | None, screen: Screen) -> str:
    if series is None or len(series.values) < 2:
        return ""
    return sparkline(series.values, SPARK_WIDTH, unicode=screen.unicode)


def _chosen(names: list[str], patterns: Sequence[str]) -> list[str]:
    """The metrics that fit one of the patterns, all without patterns."""
    if not patterns:
        return names
    fits = [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
    if not fits:
        raise NotFound(f"no metric fits {', '.join(patterns)}", hint=f"there are {', '.join(names) or 'none'}")
    return fits


def _plots(found: RunDetail, patterns: Sequence[str], screen: Screen) -> Iterator[list[str]]:
    series = found.curves
    drawable = [name for name in series if series[name].varies()]
    if patterns:
        names = [name for name in drawable if any(fnmatchcase(name, pattern) for pattern in patterns)][:MAX_PLOTS]
    else:
        names = sorted(drawable, key=interest)[:MAIN_PLOTS]
    for name in names:
        yield _plot(name, series[name], screen, sampled=found.sampled)


def interest(name: str) -> int:
    """How late one looks at a metric of this name; 0: first."""
    lower = name.lower()
    checked = any(word in lower for word in ("val", "eval", "test"))
    for rank, word in enumerate(("loss", "acc", "score")):
        if word in lower:
            return rank * 2 + (not checked)
    return 6 + (not checked)


def _plot(name: str, series: Curve, screen: Screen, *, sampled: bool) -> list[str]:
    points = list(series.points)
    log = wants_log([value for _, value in points if math.isfinite(value)])
    how = [f"over {'step' if series.stepped else 'record'}", "log scale" * log, "from samples" * sampled]
    width = min(screen.width, PLOT_WIDTH)
    title = screen.paint(clean(name), "bold") + screen.paint("  " + ", ".join(filter(None, how)), "dim")
    return [title, *plot(points, width, PLOT_HEIGHT, log=log, unicode=screen.unicode)]


def _artifacts(files: Sequence[FileEntry], screen: Screen) -> list[str]:
    if not files:
        return []
    total = f"  ({len(files)}, {size(sum(file.size for file in files))})"
    rows = [(file.path, size(file.size)) for file in files[:SHOWN_ARTIFACTS]]
    more = [f"  and {len(files) - SHOWN_ARTIFACTS} more"] if len(files) > SHOWN_ARTIFACTS else []
    title = screen.paint("artifacts", "bold") + screen.paint(total, "dim")
    return [title, *pairs(rows, screen, indent="  "), *more]
