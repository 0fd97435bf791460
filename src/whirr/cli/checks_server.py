"""What ``whirr doctor`` looks at of a server."""

from __future__ import annotations

import time
from collections.abc import Iterator

import whirr
from whirr import clock
from whirr.cli.checks_queue import workers
from whirr.cli.finding import Finding, ok, problem, remark
from whirr.config import Settings
from whirr.connect import reach
from whirr.errors import WhirrError
from whirr.fleet import look

APART_S = 5.0
"""Clocks that differ by more are worth a remark."""


def server(url: str, settings: Settings) -> Iterator[Finding]:
    """Whether it answers, what this user may do there, its clock, its workers."""
    try:
        hub = reach(url, settings)
    except WhirrError as error:
        yield problem("server", str(error), error.hint or "")
        return
    try:
        info = hub.info
        yield ok("server", f"{url}, over {info.root} ({info.database})")
        yield ok("token", f"its role is {info.role}")
        if info.version != whirr.__version__:
            advice = "install the same version on both: the server first"
            yield remark("version", f"the server is {info.version}, this is {whirr.__version__}", advice)
        apart = abs(hub.now() - time.time())
        if apart > APART_S:
            text = f"the server's clock and this one are {clock.format_duration(apart)} apart"
            yield remark("clock", text, "times are shown by the server's clock; nothing else depends on it")
        yield from workers(hub, look(hub))
    except WhirrError as error:
        yield problem("server", str(error), error.hint or "")
    finally:
        hub.close()
