"""Requests that take long: of each kind a few at a time, each kind in threads of its own; more of them wait.

All other requests share the threads that an application has for everything. Were long ones among them, forty that read
large files would keep out the renewals of leases, the claims and the look-ups of tokens.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from anyio import CapacityLimiter, to_thread
from fastapi import Request
from fastapi.responses import Response

T = TypeVar("T")

AT_ONCE = 8
"""More would only contend for the disk or the interpreter, and keep others from that too."""


class Lanes:
    """See the module."""

    def __init__(self) -> None:
        self._limiters: dict[str, CapacityLimiter] = {}

    async def run(self, kind: str, work: Callable[..., T], *given: Any) -> T:
        """What comes of work that is done in a thread, as soon as there is one for its kind."""
        if kind not in self._limiters:
            self._limiters[kind] = CapacityLimiter(AT_ONCE)
        return await to_thread.run_sync(work, *given, limiter=self._limiters[kind])


def lanes_of(request: Request) -> Lanes:
    """The lanes of the server that is asked."""
    return cast(Lanes, request.app.state.lanes)


def lengthy(route: Callable[..., Response]) -> Callable[..., Coroutine[Any, Any, Response]]:
    """Give a route that takes long, and has ``request`` as its first parameter, a lane of its own."""
    kind = f"{route.__module__}.{route.__name__}"

    @functools.wraps(route)
    async def in_lane(request: Request, **named: Any) -> Response:
        return await lanes_of(request).run(kind, functools.partial(route, request, **named))

    # FastAPI reads it, and would not know where to look for names.
    in_lane.__signature__ = inspect.signature(route, eval_str=True)  # type: ignore[attr-defined]
    return in_lane
