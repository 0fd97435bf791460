"""Runs and what they logged as tables: pandas, polars or plain Python, of this machine or of a server.

from whirr import query

best = query.runs("val/acc > 0.7 and tag:sweep-7", sort="-val/acc")
curves = query.metrics(best, ["val/loss"])
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from whirr.catalog import RunQuery, Runs
from whirr.errors import UsageError
from whirr.expression.matching import moment_of
from whirr.query.frames import chosen
from whirr.query.place import opened
from whirr.query.points import Wanted, points
from whirr.query.rows import row_of

__all__ = ["metrics", "runs"]

Place = str | os.PathLike[str] | None


def runs(
    filter: str = "",
    *,
    columns: Sequence[str] | None = None,
    sort: str | None = None,
    limit: int = 0,
    dir: Place = None,
    server: str | None = None,
    token: str | None = None,
    frame: str | None = "auto",
) -> Any:
    """The runs for which an expression holds, one a row.

    Args:
        filter: such as ``"val/acc > 0.7 and tag:sweep-7"``; empty: all.
        columns: keys, in the order of the columns; None: ``name``, ``status``, ``started``, ``finished``, ``duration``,
            ``tags``, ``job``, and every ``config.KEY``, ``summary.KEY`` and ``metrics.KEY`` (the last value) there is.
        sort: a key, smallest first; with ``-`` before it largest first; None: newest first.
        limit: so many at most; 0: all.
        dir: a ``.whirr`` folder, or a folder in or above which it lies; None: the one in force.
        server: the address of a server, in place of a folder (default: ``WHIRR_SERVER_URL`` unless ``dir`` is given).
        token: for the server (default: ``WHIRR_TOKEN``, else the one that ``whirr login`` kept).
        frame: ``pandas`` or ``polars``; ``auto``: the first of them that is installed; None: a list of dicts.

    Returns:
        A table whose first column, ``run``, holds the ids. What a run does not have is missing (None in dicts). Times
        are in UTC, durations in seconds.

    Raises:
        UsageError: the filter cannot be understood; ``at`` says which characters.
        MissingExtra: pandas or polars is wanted, and not installed.
        NotFound: there is no such folder.
        Unreachable, AccessDenied, BadAnswer: the server cannot be asked.
    """
    made = chosen(frame)
    if isinstance(columns, str):
        raise UsageError(f"columns={columns!r} is no list of keys", hint=f"write columns=[{columns!r}]")
    with opened(dir, server, token) as found:
        page = found.page(RunQuery(filter=filter or None, sort=sort, limit=limit))
    return made.table([row_of(run, columns) for run in page.runs], ["run", *(columns or ())])


def metrics(
    runs: Any,
    keys: str | Sequence[str] | None = None,
    *,
    x: str = "step",
    between: tuple[float | None, float | None] = (None, None),
    dir: Place = None,
    server: str | None = None,
    token: str | None = None,
    frame: str | None = "auto",
) -> Any:
    """What runs have logged, one record a row, the runs one after the other.

    Args:
        runs: what ``runs`` gave, or ids; of a text that is no id: the one run that it means, as in ``whirr show``.
        keys: the metrics wanted, or one; records that have none of them are left out. None: all.
        x: ``step``, ``time`` (seconds since 1970), ``relative`` (seconds since the run started), or a metric: it is one
            of the columns, and any but ``step`` puts the records of a run in its order.
        between: the smallest and the largest ``x`` wanted; None: no bound. Records without an ``x`` are left out then.
        dir, server, token, frame: as for ``runs``.

    Returns:
        A table with ``run``, ``step``, ``timestamp``, then a column for each metric. What a record does not have is
        missing (left out in dicts); pandas does not tell that apart from NaN.

    Raises:
        NotFound: there is no such run.
        Others: as ``runs``.
    """
    made = chosen(frame)
    wanted = Wanted([keys] if isinstance(keys, str) else None if keys is None else list(keys), x, between)
    with opened(dir, server, token) as found:
        ids = _ids(found, runs)
        starts = _starts(found, ids) if x == "relative" else {}
        parts = []
        for run_id in ids:
            with found.metrics(run_id) as folder:
                parts.append(points(run_id, folder, wanted, starts.get(run_id), made))
    return made.joined(parts, wanted.names)


def _ids(found: Runs, runs: Any) -> list[str]:
    """The ids in what a caller gives."""
    if isinstance(runs, str):
        return [found.find(runs)]
    names = runs["run"] if "run" in getattr(runs, "columns", ()) else runs
    if hasattr(names, "columns") or not isinstance(names, Iterable):
        raise UsageError("this names no runs", hint="give what query.runs() gave, or ids")
    found_ids = [run.get("run") if isinstance(run, Mapping) else run for run in names]
    texts = [run_id for run_id in found_ids if isinstance(run_id, str)]
    if len(texts) < len(found_ids):
        raise UsageError("some of the runs have no id", hint="give what query.runs() gave, or ids")
    return texts


def _starts(found: Runs, ids: Sequence[str]) -> dict[str, float]:
    """When runs have started, in seconds since 1970."""
    views = [found.detail(run_id, curves=False).run for run_id in ids]
    moments = {run.id: moment_of(run.record.get("started_at")) for run in views}
    return {run_id: moment for run_id, moment in moments.items() if isinstance(moment, float)}
