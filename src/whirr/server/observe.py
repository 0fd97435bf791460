"""What a server tells of itself: a line a request, an audit of what people did, and metrics for Prometheus."""

from __future__ import annotations

import json
import logging
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from whirr import clock

LOG = logging.getLogger("whirr.server")
AUDIT = "audit.jsonl"
ENCODER = json.JSONEncoder(default=str)
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
QUEUED_LINES, LINES_AT_ONCE, LAST_LINES_S = 10_000, 100, 1.0
SAFE_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'; sandbox"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""For a browser that is shown an answer: it is data, never a page, unless the answer itself says otherwise."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        about = {"time": clock.stamp(clock.at(record.created)), "level": record.levelname.lower()}
        about |= {"event": record.getMessage(), **getattr(record, "about", {})}
        if record.exc_info:
            about["traceback"] = self.formatException(record.exc_info)
        return ENCODER.encode(about)


class PlainLines(logging.Formatter):
    """Lines for people."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        about = "  ".join(f"{name}={value}" for name, value in getattr(record, "about", {}).items())
        moment = time.strftime("%H:%M:%S", time.localtime(record.created))
        trace = "\n" + self.formatException(record.exc_info) if record.exc_info else ""
        return f"{moment}  {record.getMessage()}  {about}".rstrip() + trace


class Unhurried(logging.Handler):
    """Writes lines to stderr from a thread of its own: a terminal or pipe that takes nothing stops no request.

    Lines that do not fit into the queue are left out, and their number is told when it moves on.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="whirr-log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line."""
        if self._lines.qsize() < QUEUED_LINES:
            self._lines.put(self.format(record))
        else:
            self._dropped += 1

    def _write(self) -> None:
        over = False
        while not over:
            lines = [self._lines.get()]
            while len(lines) < LINES_AT_ONCE and not self._lines.empty():
                lines.append(self._lines.get())
            over = None in lines
            missing, self._dropped = self._dropped, 0
            told = [line for line in lines if line is not None] + [f"({missing} lines were left out)"] * bool(missing)
            with suppress(OSError, ValueError):  # stderr is gone; the server goes on
                sys.stderr.write("".join(f"{line}\n" for line in told))
                sys.stderr.flush()

    def close(self) -> None:
        """Write what is queued, unless that takes long."""
        self._lines.put(None)
        self._thread.join(LAST_LINES_S)
        super().close()


def log_to_stderr(*, as_json: bool, requests: bool = True) -> logging.Handler:
    """Send what the server logs to stderr, until the handler is closed.

    Args:
        requests: also what went well.
    """
    handler = Unhurried()
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    LOG.handlers[:] = [handler]
    LOG.setLevel(logging.INFO if requests else logging.WARNING)
    LOG.propagate = False
    errors = logging.getLogger("uvicorn.error")
    errors.handlers[:] = [handler]
    errors.setLevel(logging.WARNING)
    errors.propagate = False
    return handler


def tell(event: str, **about: Any) -> None:
    """Log something that happened."""
    LOG.info(event, extra={"about": about})


def keep_audit(root: Path, about: dict[str, Any]) -> None:
    """Log who did what, and append it to the audit file.

    Raises:
        OSError: it cannot be written.
    """
    LOG.info("audit", extra={"about": about})
    line = ENCODER.encode({"time": clock.stamp(), **about}) + "\n"
    handle = os.open(root / AUDIT, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.write(handle, line.encode())
    finally:
        os.close(handle)


class Meters:
    """The metrics of one server, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        here = self.registry
        self.requests = Counter("whirr_requests", "Requests answered.", ("method", "route", "status"), registry=here)
        self.seconds = Histogram("whirr_request_seconds", "Time to answer.", ("route",), buckets=BUCKETS, registry=here)
        self.received = Counter("whirr_received_bytes", "Bytes of request bodies.", registry=here)
        self.jobs = Gauge("whirr_jobs", "Jobs in each state.", ("status",), registry=here)
        self.workers = Gauge("whirr_workers", "Workers, by whether they are there.", ("health",), registry=here)
        self.bells = Gauge("whirr_bells", "Workers that listen.", registry=here)
        self.pages = Gauge("whirr_pages", "Browsers that listen.", registry=here)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)


class Observer:
    """ASGI middleware that counts, times and logs each request, and answers when one breaks.

    Args:
        quiet: routes that are not logged, only counted.
        broken: gives the answer to a request that raised, as (status, body), from the request's id.
    """

    def __init__(
        self, app: ASGIApp, meters: Meters, broken: Callable[[str], bytes], quiet: frozenset[str] = frozenset()
    ) -> None:
        self._app = app
        self._meters = meters
        self._broken = broken
        self._quiet = quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, received = time.perf_counter(), 0, 0
        request_id = _id_of(scope)
        scope.setdefault("state", {})["request_id"] = request_id

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                told = {name for name, _ in message["headers"]}
                safe = [header for header in SAFE_HEADERS if header[0] not in told]
                message["headers"] = [*message["headers"], *safe, (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, counted, watched)
        except Exception:
            if status:
                raise  # the answer has begun: it ends here, and the connection with it
            LOG.exception("a request broke", extra={"about": {"request_id": request_id}})
            headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
            await watched({"type": "http.response.start", "status": 500, "headers": headers})
            await watched({"type": "http.response.body", "body": self._broken(request_id)})
        finally:
            self._note(scope, status or 500, time.perf_counter() - began, received, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, received: int, request_id: str) -> None:
        route: str = getattr(scope.get("route"), "path", "none")
        self._meters.requests.labels(scope["method"], route, status).inc()
        self._meters.seconds.labels(route).observe(seconds)
        self._meters.received.inc(received)
        if route in self._quiet and status < 400:
            return
        caller = getattr(scope.get("state", {}).get("caller"), "name", None)
        client = scope["client"][0] if scope.get("client") else None
        about: dict[str, Any] = {"method": scope["method"], "path": scope["path"][:500], "status": status}
        about |= {"ms": round(seconds * 1000, 1), "caller": caller, "client": client, "request_id": request_id}
        tell("request", **about)


def _id_of(scope: Scope) -> str:
    """The name of a request in the log: what the client calls it, or a new one."""
    given = next((value for name, value in scope["headers"] if name == b"x-request-id"), b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else os.urandom(8).hex()
