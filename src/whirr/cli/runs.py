"""``whirr runs``: the runs there are, as a table or JSON."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import click

from whirr import clock
from whirr.cli.common import age, as_json, duration, folder_option, json_option, print_json, root_of, status_words
from whirr.cli.screen import STATUS_STYLES, Screen, clean, emit, note, screen_of, short
from whirr.cli.table import Cell, Column, render
from whirr.errors import UsageError
from whirr.index import RunEntry, RunIndex
from whirr.where import FIELDS, MISSING, Selection, lookup, parse_condition, revived, sort_by

STATUSES = ("queued", "running", "completed", "failed", "cancelling", "cancelled", "unknown")
USUAL = {"id": 0, "name": 0, "status": 0, "started": 2, "duration": 4, "tags": 5}
"""The columns of every table, and their rank: on a narrow terminal the highest goes first."""

METRIC_RANKS = (1, 3)
CUT = {"name": 12, "status": 18, "tags": 8, "cause": 12, "branch": 8, "commit": 8}
"""How narrow a column may become."""

PIPE_METRICS = 6
SCREEN_METRICS = 20


@click.command(short_help="List runs, newest first.")
@click.option("--status", multiple=True, metavar="WORD", help="Only runs with this status; repeat for several.")
@click.option("--tag", multiple=True, metavar="TAG", help="Only runs with this tag; repeat for all of several.")
@click.option("--name", metavar="GLOB", help="Only runs whose name fits a pattern, such as 'lr-*'.")
@click.option("--where", multiple=True, metavar="CONDITION", help="Only runs that meet KEY OP VALUE; see above.")
@click.option("--sort", metavar="KEY", help="Sort by a key, smallest first; -KEY: largest first.")
@click.option("--reverse", is_flag=True, help="Turn the order round.")
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=30,
    show_default=True,
    metavar="N",
    help="Show so many runs at most; 0: all.",
)
@click.option("--columns", metavar="A,B,C", help="Show these keys instead of the usual columns.")
@folder_option
@json_option
def command(
    status: tuple[str, ...],
    tag: tuple[str, ...],
    name: str | None,
    where: tuple[str, ...],
    sort: str | None,
    reverse: bool,
    limit: int,
    columns: str | None,
    folder: Path | None,
    json: bool,
) -> None:
    """List runs, newest first.

    A KEY is a field of the run (id, name, status, cause, started, finished, duration, tags, job, commit,
    branch), or summary.KEY, metrics.KEY (the last value; .min, .max and .count may follow) or config.KEY. A bare
    key is looked for in the summary, then in the metrics, then in the config.

    A CONDITION is KEY OP VALUE, such as 'config.lr>=0.01' or 'val_loss<0.3'. OP is one of = != < <= > >= and
    ~ (regular expression). A run without the key does not meet it.

    In the table, * marks a value logged last by a run whose summary does not have it.
    """
    selection = _selection(status, tag, name, where)
    index = RunIndex(root_of(folder))
    every = index.runs()
    chosen = [run for run in every if selection.admits(run)] if any(selection) else every
    chosen = _ordered(chosen, sort, reverse)
    shown = chosen[:limit] if limit else chosen
    if json:
        print_json([as_json(run) for run in shown])
    elif shown:
        screen = screen_of()
        table = _chosen_columns(shown, columns, screen) if columns else _columns(index, shown, screen)
        emit("\n".join(render(table, screen)))
    index.save()
    _remark(index, len(every), len(chosen), len(shown))


def _selection(status: tuple[str, ...], tags: tuple[str, ...], name: str | None, where: tuple[str, ...]) -> Selection:
    for word in status:
        if word not in STATUSES:
            raise UsageError(f"{word!r} is no status", hint=f"use one of {', '.join(STATUSES)}")
    return Selection(status, tags, name, tuple(map(parse_condition, where)))


def _ordered(runs: list[RunEntry], sort: str | None, reverse: bool) -> list[RunEntry]:
    if not sort:
        return runs[::-1] if reverse else runs
    key = sort.removeprefix("-")
    if not key:
        raise UsageError("--sort needs a key", hint="such as --sort val_loss, or --sort -val_loss")
    return sort_by(runs, key, descending=sort.startswith("-") is not reverse)


def _remark(index: RunIndex, every: int, chosen: int, shown: int) -> None:
    """What is not in the table, on stderr."""
    if not every:
        note(f"no runs in {index.root}")
        note("hint: start one with whirr.init() in your script, or name another place with --dir")
    elif not chosen:
        note(f"none of {every} runs fits")
    elif shown < chosen:
        note(f"{shown} of {chosen} runs; --limit 0 shows all")


def _columns(index: RunIndex, runs: list[RunEntry], screen: Screen) -> list[Column]:
    now = clock.now().timestamp()
    table = [_field(key, runs, now, screen)._replace(rank=rank) for key, rank in USUAL.items()]
    table = [column for column in table if any(cell.text for cell in column.cells)]
    return table + _metric_columns(index, runs, screen)


def _chosen_columns(runs: list[RunEntry], columns: str, screen: Screen) -> list[Column]:
    now = clock.now().timestamp()
    keys = [key.strip() for key in columns.split(",") if key.strip()]
    if not keys:
        raise UsageError("--columns names no column", hint="such as --columns id,config.lr,summary.val_loss")
    return [_field(key, runs, now, screen) if key in FIELDS else _key(key, runs) for key in keys]


def _field(key: str, runs: list[RunEntry], now: float, screen: Screen) -> Column:
    """A column of one of the run's own fields."""
    if key == "status":
        return Column(key, [_status(run, screen) for run in runs], least=CUT[key])
    if key in ("started", "finished"):
        return Column(key, [Cell(age(FIELDS[key](run), now), "dim") for run in runs])
    if key == "duration":
        return Column(key, [Cell(duration(FIELDS[key](run))) for run in runs], right=True)
    texts = [FIELDS[key](run) for run in runs]
    style = "bold" if key == "name" else ""
    cells = [Cell("" if text is None else clean(str(text)), style) for text in texts]
    return Column(key, cells, least=CUT.get(key, 0))


def _status(run: RunEntry, screen: Screen) -> Cell:
    dot = ("● " if screen.unicode else "* ") if screen.color else ""
    return Cell(dot + status_words(run), STATUS_STYLES.get(run.status, ""))


def _key(key: str, runs: list[RunEntry]) -> Column:
    """A column of one key, wherever the run has it."""
    values = [lookup(run, key) for run in runs]
    cells = [Cell("" if value is MISSING else short(value)) for value in values]
    return Column(key, cells, right=_numeric(values), least=8)


def _numeric(values: list[Any]) -> bool:
    return all(value is MISSING or isinstance(value, int | float) for value in values)


def _metric_columns(index: RunIndex, runs: list[RunEntry], screen: Screen) -> list[Column]:
    """The most common keys of the summaries; where a run set none, the value it logged last, marked ``*``."""
    latest = [index.latest(run) for run in runs]
    counts: Counter[str] = Counter()
    for run, logged in zip(runs, latest, strict=True):
        counts.update(dict.fromkeys(run.summary, 2))
        counts.update({key: 1 for key in logged if key not in run.summary})
    columns = []
    common = counts.most_common(SCREEN_METRICS if screen.fixed else PIPE_METRICS)
    for place, (key, _) in enumerate(common):
        values = [_value(run, logged, key) for run, logged in zip(runs, latest, strict=True)]
        rank = METRIC_RANKS[place] if place < len(METRIC_RANKS) else 10 + place
        columns.append(_metric_column(key, values)._replace(rank=rank))
    return columns


def _value(run: RunEntry, logged: dict[str, Any], key: str) -> tuple[Any, bool]:
    """The value of a key, and whether whirr derived it."""
    if key in run.summary:
        return revived(run.summary[key]), False
    return (revived(logged[key]), True) if key in logged else (MISSING, False)


def _metric_column(key: str, values: list[tuple[Any, bool]]) -> Column:
    marked = any(derived for _, derived in values)
    cells = []
    for value, derived in values:
        text = "" if value is MISSING else short(value)
        mark = "*" if derived else " " if marked and text else ""
        cells.append(Cell(text + mark, "dim" if derived else ""))
    return Column(clean(key) + " " * marked, cells, _numeric([value for value, _ in values]))
