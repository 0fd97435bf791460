"""``whirr runs``: the runs there are, as a table or JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from whirr.catalog import STATUSES, RunPage, RunQuery, RunView
from whirr.cli.common import (
    Place,
    age,
    duration,
    json_option,
    place_option,
    print_json,
    runs_of,
    status_words,
    submitted_command,
)
from whirr.cli.filtering import joined
from whirr.cli.screen import STATUS_STYLES, Screen, clean, emit, exact, note, screen_of, short
from whirr.cli.table import WIDEST, Cell, Column, draw, fit
from whirr.errors import UsageError
from whirr.where import FIELDS, MISSING, find, lookup, revived

USUAL = {"id": 0, "name": 0, "status": 0, "started": 2, "duration": 4, "tags": 5}
"""The columns of every table, and their rank: on a narrow terminal the highest goes first."""

METRIC_RANKS = (1, 3)
CUT = {"name": 12, "status": 18, "tags": 8, "cause": 12, "branch": 8, "commit": 8}
"""How narrow a column may become."""

WIDE = {"id": 0, "name": 60, "status": 80}
"""How wide a column may become in a table of the usual columns; 0: any width."""

DAMAGED = " !"
"""The mark in the status of a run with problems."""


@click.command()
@click.option("--status", multiple=True, metavar="WORD", help="Only runs with this status; repeat for several.")
@click.option("--tag", multiple=True, metavar="TAG", help="Only runs with this tag; repeat for all of several.")
@click.option("--name", metavar="GLOB", help="Only runs whose name fits a pattern, such as 'lr-*'.")
@click.option("--where", multiple=True, metavar="CONDITION", help="Only runs that meet KEY OP VALUE; see above.")
@click.option(
    "--filter", "expressions", multiple=True, metavar="EXPR", help="Only runs for which EXPR holds; see above."
)
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
@place_option
@json_option
def command(
    status: tuple[str, ...],
    tag: tuple[str, ...],
    name: str | None,
    where: tuple[str, ...],
    expressions: tuple[str, ...],
    sort: str | None,
    reverse: bool,
    limit: int,
    columns: str | None,
    place: Place,
    json: bool,
) -> None:
    """List runs, newest first.

    A KEY is a field of the run (id, name, status, cause, started, finished, duration, tags, job, commit,
    branch), or summary.KEY, metrics.KEY (the last value; .min, .max and .count may follow) or config.KEY. A bare
    key is looked for in the summary, then in the metrics, then in the config.

    A CONDITION is KEY OP VALUE, such as 'config.lr>=0.01' or 'val_loss<0.3'. OP is one of = != < <= > >= and
    ~ (regular expression). A run without the key does not meet it.

    An EXPR joins conditions by and, or, not and parentheses, such as 'val/acc > 0.7 and lr in 1e-4..3e-3 and
    tag:sweep-7'; docs/reference/filter.md says all of it.

    In the table, * marks a value logged last by a run whose summary does not have it.
    """
    query = RunQuery(
        _words(status),
        tag,
        name,
        where,
        sort,
        reverse,
        limit,
        glance=not (json or columns),
        filter=joined(expressions),
    )
    with runs_of(place) as runs:
        page = runs.page(query)
        shown = page.runs
        if json:
            print_json([run.as_dict() for run in shown])
        elif shown:
            _print_table(page, columns)
        _remark(page, str(getattr(runs, "root", place.server)))
    if sort:
        _remark_on_missing([sort.removeprefix("-")], shown, page.every)


def _print_table(page: RunPage, columns: str | None) -> None:
    runs, screen = page.runs, screen_of()
    damaged = {run.id for run in runs if run.problems}
    keys = _keys(columns) if columns is not None else []
    table = _chosen_columns(page, keys, screen, damaged) if keys else _columns(page, screen, damaged)
    shown = fit(table, screen)
    emit("\n".join(draw(shown, screen)))
    if len(shown) < len(table):
        note(f"{_count(len(table) - len(shown), 'more column')}: --columns or a wider terminal")
    if damaged:
        example = next(run.id for run in runs if run.id in damaged)
        have = "has" if len(damaged) == 1 else "have"
        note(f"{_count(len(damaged), 'run')} {have} damaged files (!): whirr show {example} tells")
    _remark_on_missing(keys, runs, page.every)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _remark_on_missing(keys: list[str], runs: Sequence[RunView], every: int) -> None:
    """Name the keys that may be misspelt."""
    whose = "no run" if len(runs) == every else "none of these runs"
    for key in keys:
        if runs and key not in FIELDS and all(lookup(run, key) is MISSING for run in runs):
            note(f"{whose} has {clean(key)}")


def _words(status: tuple[str, ...]) -> tuple[str, ...]:
    for word in status:
        if word not in STATUSES:
            raise UsageError(f"{word!r} is no status", hint=f"use one of {', '.join(STATUSES)}")
    return status


def _remark(page: RunPage, where: str) -> None:
    """What is not in the table, on stderr."""
    if not page.every:
        note(f"no runs in {where}")
        note("hint: start one with whirr.init() in your script, or name another place with --dir")
    elif not page.chosen:
        note(f"none of {page.every} runs fits")
        for remark in page.remarks:
            note(clean(f"{remark.text}: {remark.hint}" if remark.hint else remark.text))
    elif len(page.runs) < page.chosen:
        note(f"{len(page.runs)} of {page.chosen} runs; --limit 0 shows all")


def _columns(page: RunPage, screen: Screen, damaged: set[str]) -> list[Column]:
    fields = [(_field(key, page, screen, damaged), rank, WIDE.get(key, WIDEST)) for key, rank in USUAL.items()]
    table = [column._replace(rank=rank, most=most) for column, rank, most in fields if _has_text(column)]
    return table + _metric_columns(page.runs)


def _has_text(column: Column) -> bool:
    return any(cell.text for cell in column.cells)


def _keys(columns: str) -> list[str]:
    keys = [key.strip() for key in columns.split(",") if key.strip()]
    if not keys:
        raise UsageError("--columns names no column", hint="such as --columns id,config.lr,summary.val_loss")
    return keys


def _chosen_columns(page: RunPage, keys: list[str], screen: Screen, damaged: set[str]) -> list[Column]:
    """What was asked for: never left out, and cut only to fit a terminal."""
    table = [_field(key, page, screen, damaged) if key in FIELDS else _key(key, page.runs) for key in keys]
    return [column._replace(most=0) for column in table]


def _field(key: str, page: RunPage, screen: Screen, damaged: set[str]) -> Column:
    """A column of one of the run's own fields."""
    runs = page.runs
    if key == "status":
        return Column(key, [_status(run, screen, run.id in damaged) for run in runs], least=CUT[key])
    if key in ("started", "finished"):
        return Column(key, [Cell(age(FIELDS[key](run), page.now), "dim") for run in runs])
    if key == "duration":
        return Column(key, [Cell(duration(FIELDS[key](run))) for run in runs], right=True)
    texts = [FIELDS[key](run) for run in runs]
    style = "bold" if key == "name" else ""
    cells = [Cell("" if text is None else clean(str(text)), style) for text in texts]
    if key == "name":  # as in whirr status
        cells = [
            cell if cell.text else Cell(submitted_command(run.record)) for cell, run in zip(cells, runs, strict=True)
        ]
    return Column(key, cells, least=CUT.get(key, 0))


def _status(run: RunView, screen: Screen, damaged: bool) -> Cell:
    dot = ("● " if screen.unicode else "* ") if screen.color else ""
    return Cell(dot + status_words(run, DAMAGED * damaged), STATUS_STYLES.get(run.status, ""))


def _key(key: str, runs: Sequence[RunView]) -> Column:
    """A column of one key, wherever the run has it."""
    found = [find(run, key) for run in runs]
    # Only what whirr derived is rounded: all else can be put into a condition.
    texts = ["" if value is MISSING else (short if room == "metrics" else exact)(value) for room, value in found]
    return Column(clean(key), [Cell(text) for text in texts], right=_numeric([value for _, value in found]), least=8)


def _numeric(values: list[Any]) -> bool:
    return all(value is MISSING or isinstance(value, int | float) for value in values)


def _metric_columns(runs: Sequence[RunView]) -> list[Column]:
    """The most common keys of the summaries; where a run set none, the value it logged last, marked ``*``."""
    counts: Counter[str] = Counter()
    for run in runs:
        counts.update(dict.fromkeys(run.summary, 2))
        counts.update({key: 1 for key in run.metrics if key not in run.summary})
    columns = []
    for place, (key, _) in enumerate(counts.most_common()):
        values = [_value(run, key) for run in runs]
        rank = METRIC_RANKS[place] if place < len(METRIC_RANKS) else 10 + place
        columns.append(_metric_column(key, values)._replace(rank=rank))
    return columns


def _value(run: RunView, key: str) -> tuple[Any, bool]:
    """The value of a key, and whether whirr derived it."""
    if key in run.summary:
        return revived(run.summary[key]), False
    return (revived(run.metrics[key].last), True) if key in run.metrics else (MISSING, False)


def _metric_column(key: str, values: list[tuple[Any, bool]]) -> Column:
    marked = any(derived for _, derived in values)
    cells = []
    for value, derived in values:
        text = "" if value is MISSING else short(value)
        mark = "*" if derived else " " if marked and text else ""
        cells.append(Cell(text + mark, "dim" if derived else ""))
    return Column(clean(key) + " " * marked, cells, _numeric([value for value, _ in values]))
