"""What the charts ask for: curves, which metrics there are, and all values of a panel."""

from __future__ import annotations

import csv
import gzip
import io
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from whirr.curves.cache import Curve, CurveCache, Kind
from whirr.curves.drawing import Wanted
from whirr.dashboard.curve_columns import encode
from whirr.errors import FolderError, NotFound
from whirr.server.access import READ, Guarded
from whirr.server.app import answer, hub_of
from whirr.server.lanes import lengthy
from whirr.values import spell

router = APIRouter(route_class=Guarded, include_in_schema=False)

MOST_RUNS = 1000
FEWEST_POINTS, MOST_POINTS = 4, 20_000
WORTH_PACKING = 1000
QUICK = 1
NOT_KEPT = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
MAKING = threading.Lock()

RunId = Annotated[str, Field(min_length=1, max_length=255)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Panel(BaseModel):
    """What a panel shows: a metric of some runs, on an axis, in a range of it."""

    model_config = ConfigDict(extra="forbid")

    runs: Annotated[list[RunId], Field(max_length=MOST_RUNS)]
    metric: str
    x: Annotated[str, Field(pattern=r"^(step|time|relative|metric:.+)$")] = "step"
    source: Kind = Kind.METRICS
    start: Annotated[Number | None, Field(alias="from")] = None
    end: Annotated[Number | None, Field(alias="to")] = None
    points: Annotated[int, Field(ge=FEWEST_POINTS, le=MOST_POINTS)] = 400

    @property
    def wanted(self) -> Wanted:
        """What is asked for of each run."""
        return Wanted(self.x, self.start, self.end, self.points)


@router.post("/ui/curves", dependencies=[READ])
@lengthy
def curves(request: Request, panel: Panel) -> Response:
    """The curves of a metric (``curve_columns.encode``); of runs that have it, in the order that was asked for."""
    cache = curves_of(request)
    found: list[tuple[str, Curve]] = []
    problems: list[dict[str, str]] = []
    for run in dict.fromkeys(panel.runs):
        try:
            curve = cache.curve(run, panel.metric, panel.wanted, panel.source)
        except (NotFound, FolderError) as error:
            problems.append({"run": run, "message": str(error)})
            continue
        if curve is not None:
            found.append((run, curve))
    data = encode(panel.metric, panel.x, found, problems)
    headers = dict(NOT_KEPT)
    if len(data) > WORTH_PACKING and _takes_gzip(request):
        data = gzip.compress(data, QUICK, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(data, media_type="application/octet-stream", headers=headers)


def _takes_gzip(request: Request) -> bool:
    offers = (offer.strip().partition(";") for offer in request.headers.get("accept-encoding", "").split(","))
    return any(name.strip() == "gzip" and "q=0" not in more.replace(" ", "").split(";") for name, _, more in offers)


@router.get("/ui/metrics", dependencies=[READ])
@lengthy
def metrics(request: Request, runs: Annotated[str, Query()] = "") -> Response:
    """The metrics of some runs, and on which axes they can be drawn."""
    found = curves_of(request).metrics(run for run in dict.fromkeys(runs.split(",")) if run)
    told = [
        {"name": metric.name, "runs": metric.runs, "points": metric.points, "source": metric.kind}
        for metric in found.metrics
    ]
    return answer({"metrics": told, "axes": found.axes})


@router.post("/ui/curves.csv", dependencies=[READ])
def as_csv(request: Request, panel: Panel) -> Response:
    """All values that the curves of a panel are drawn from: run, where it stands on the axis, value."""
    headers = {**NOT_KEPT, "Content-Disposition": 'attachment; filename="curves.csv"'}
    return StreamingResponse(_lines(curves_of(request), panel), media_type="text/csv; charset=utf-8", headers=headers)


def _lines(cache: CurveCache, panel: Panel) -> Iterator[str]:
    timed = panel.source == Kind.SYSTEM and panel.x != "time"
    axis = "relative" if timed else panel.x.removeprefix("metric:")
    yield _csv([("run", axis, panel.metric)])
    for run in dict.fromkeys(panel.runs):
        with suppress(NotFound):  # gone
            for part in cache.rows(run, panel.metric, panel.wanted, panel.source):
                values = zip(map(_number, part.x.tolist()), map(_number, part.y.tolist()), strict=True)
                yield _csv([(run, x, y) for x, y in values])


def _csv(rows: list[tuple[str, str, str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else str(spell(value))


def curves_of(request: Request) -> CurveCache:
    """The cache of the hub that a request is about."""
    state = request.app.state
    with MAKING:
        if not hasattr(state, "curves"):
            state.curves = CurveCache(hub_of(request).root)
        cache: CurveCache = state.curves
    return cache
