"""All routes of the interface for programs."""

from __future__ import annotations

from fastapi import APIRouter

from whirr.server import routes_code, routes_inbox, routes_queue, routes_runs, routes_server, routes_workers

API_ROUTES = (routes_server, routes_queue, routes_workers, routes_runs, routes_inbox, routes_code)


def routers() -> tuple[APIRouter, ...]:
    """The routers of health and of the API; none within another, since each such step costs every request."""
    return routes_server.outside, *(module.router for module in API_ROUTES)
