"""The table of runs: its rows, the keys there are, and what may be written next in a filter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from whirr.catalog import STATUSES
from whirr.errors import UsageError
from whirr.expression.completion import complete
from whirr.runtable import TablePage, TableQuery
from whirr.server.access import READ
from whirr.server.app import answer, hub_of
from whirr.server.lanes import lengthy

router = APIRouter(include_in_schema=False)

MOST_ROWS = 1000
MOST_COLUMNS = 60
LONGEST = 8000
"""Characters of a parameter."""

Text = Annotated[str, Query(max_length=LONGEST)]


@router.get("/ui/runs", dependencies=[READ])
@lengthy
def runs(
    request: Request,
    filter: Text = "",
    hide: Text = "",
    sort: Text = "",
    group: Text = "",
    columns: Annotated[str | None, Query(max_length=LONGEST)] = None,
    start: Annotated[int, Query(ge=0)] = 0,
    count: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 100,
    sample: Annotated[int, Query(ge=0, le=MOST_ROWS)] = 0,
) -> Response:
    """Some rows of the table. Without `columns` it has those in which the runs differ most tellingly.

    With `sample` they are so many of all groups, and not those from `start` on.
    """
    keys = None if columns is None else _list(columns)
    if keys is not None and len(keys) > MOST_COLUMNS:
        raise UsageError(f"{len(keys)} columns are too many", hint=f"at most {MOST_COLUMNS}")
    query = TableQuery(filter, _list(hide), sort, group, keys, start, count, sample)
    with _pointing_into(filter):
        page = hub_of(request).runs.table.page(query)
    return _fresh(_shown(page, filter))


@router.get("/ui/mattered", dependencies=[READ])
def mattered(
    request: Request, metric: Text, filter: Text = "", hide: Text = "", runs: Annotated[str, Query()] = ""
) -> Response:
    """What of the configuration goes with a metric, over all that a filter chooses; of `runs` with their own values."""
    query = TableQuery(filter, _list(hide))
    with _pointing_into(filter):
        found = hub_of(request).runs.table.mattered(query, metric, _list(runs))
    return _fresh({**found._asdict(), "axes": [axis._asdict() for axis in found.axes]})


@router.get("/ui/keys", dependencies=[READ])
@lengthy
def keys(request: Request) -> Response:
    """The keys that runs have."""
    return _fresh(hub_of(request).runs.table.keys())


@router.get("/ui/complete", dependencies=[READ])
@lengthy
def completion(request: Request, text: Text = "", at: Annotated[int | None, Query(ge=0)] = None) -> Response:
    """What may be written at a place of a filter."""
    place = len(text) if at is None else _from_utf16(text, at)
    found = complete(text, place, hub_of(request).runs.table.keys(), STATUSES)
    return _fresh({"from": _utf16(text, found.start), "to": _utf16(text, found.end), "items": found.items})


@contextmanager
def _pointing_into(filter: str) -> Iterator[None]:
    """Errors say where in the filter, as JavaScript counts."""
    try:
        yield
    except UsageError as error:
        if error.at:
            error.at = _utf16(filter, error.at[0]), _utf16(filter, error.at[1])
        raise


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part for part in text.split(",") if part))


def _shown(page: TablePage, filter: str) -> dict[str, Any]:
    """As JSON; the places in the filter as JavaScript counts."""
    remarks = [
        remark._replace(at=(_utf16(filter, remark.at[0]), _utf16(filter, remark.at[1]))) for remark in page.remarks
    ]
    groups = [
        {"value": group.value, "label": group.label, "count": group.size, "start": group.start, "cells": group.cells}
        for group in page.groups
    ]
    return {**page._asdict(), "remarks": remarks, "groups": groups}


def _utf16(text: str, place: int) -> int:
    """A place in a text as JavaScript counts it."""
    return len(text[:place].encode("utf-16-le", "surrogatepass")) // 2


def _from_utf16(text: str, place: int) -> int:
    """The reverse of ``_utf16``."""
    return len(text.encode("utf-16-le", "surrogatepass")[: 2 * place].decode("utf-16-le", "replace"))


def _fresh(value: Any) -> Response:
    found = answer(value)
    found.headers["Cache-Control"] = "no-store"
    return found
