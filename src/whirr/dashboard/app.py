"""The whole application: the server with the pages over it."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from whirr.dashboard import (
    pages,
    routes_curves,
    routes_events,
    routes_queue,
    routes_run,
    routes_table,
    signing_in,
    static_files,
)
from whirr.dashboard.rendering import missing
from whirr.local import LocalHub
from whirr.model import Token
from whirr.server.app import create_app
from whirr.server.routers import routers

ROUTES = (static_files, signing_in, routes_events, routes_table, routes_curves, routes_run, routes_queue, pages)


def application(
    hub: LocalHub, *, hosts: frozenset[str] = frozenset("*"), prefix: str = "", owner: Token | None = None
) -> FastAPI:
    """The server of a hub with its pages; the arguments are those of ``create_app``."""
    version = static_files.files().version
    every = (*routers(), pages_router())
    return create_app(hub, every, hosts=hosts, prefix=prefix, owner=owner, version=version, missing=missing)


def pages_router() -> APIRouter:
    """The pages and what they ask for; none of it is promised to others, so no document describes it."""
    found = APIRouter(include_in_schema=False)
    for module in ROUTES:
        found.include_router(module.router)
    return found
