"""The pages. What changes on them is asked for by their scripts."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from whirr.dashboard.rendering import PageRoute, rendered, root_of
from whirr.server.access import READ
from whirr.server.app import hub_of

router = APIRouter(route_class=PageRoute, dependencies=[READ])


@router.get("/")
def runs(request: Request) -> Response:
    """All runs: table, charts, the one in focus."""
    return rendered(request, "runs.html", page="runs")


@router.get("/runs/{run_id}")
def run(request: Request, run_id: str) -> Response:
    """One run, by its id or whatever else names it."""
    found = hub_of(request).runs.find(run_id)
    if found != run_id:
        return RedirectResponse(f"{root_of(request)}/runs/{found}", 303)
    return rendered(request, "run.html", page="run", run_id=run_id)


@router.get("/compare")
def compare(request: Request) -> Response:
    """Runs beside each other."""
    return rendered(request, "compare.html", page="compare")


@router.get("/queue")
def queue(request: Request) -> Response:
    """The jobs: what runs, what waits and why, what ended."""
    return rendered(request, "queue.html", page="queue")


@router.get("/workers")
def workers(request: Request) -> Response:
    """The workers and their GPUs."""
    return rendered(request, "workers.html", page="workers")


@router.get("/artifacts")
def artifacts(request: Request) -> Response:
    """The files that runs have saved."""
    return rendered(request, "artifacts.html", page="artifacts")
