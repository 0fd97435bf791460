"""Files as answers: in blocks, in parts (``Range``), with tags to go on or to compare by (RFC 9110)."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from whirr.errors import NotFound
from whirr.folder import ATTEMPTS, OUTPUT
from whirr.server.app import answer
from whirr.wire import error_as_dict

BLOCK = 2**18
BINARY = "application/octet-stream"
LOOK_EVERY_S = 0.05
LOOKS_A_SECOND = round(1 / LOOK_EVERY_S)
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
APPENDED = re.compile(rf"({ATTEMPTS}/\d+/)?({re.escape(OUTPUT)}|(metrics|system)(\..+)?\.jsonl)")
"""Files that only grow: what was read of one stands. Any other may have been written anew in its place."""


class Asked(NamedTuple):
    """What a request asks of a file.

    Attributes:
        range: the ``Range`` header; the others are named as theirs are.
        wait_s: wait so long for a part that begins at the end.
        head: send no bytes.
    """

    range: str | None = None
    if_range: str | None = None
    if_match: str | None = None
    if_none_match: str | None = None
    wait_s: float = 0.0
    head: bool = False


class Part(NamedTuple):
    """Bytes of a file, from ``start`` up to before ``end``."""

    start: int
    end: int


class Stream(StreamingResponse):
    """An answer that is made of files, which are closed behind it, also where nobody takes it any more."""

    def __init__(self, files: Sequence[BinaryIO], content: Iterator[bytes], *more: Any, **named: Any) -> None:
        super().__init__(content, *more, **named)
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            for file in self._files:
                file.close()


async def sent(file: BinaryIO, path: str, asked: Asked, known: Callable[[], Awaitable[object]]) -> Response:
    """The answer to a request for a file, which is closed when all of it is sent.

    How long the answer is is fixed now, though the file may grow.

    Args:
        known: raises a ``WhirrError`` when whoever asks may no longer; asked once a second while the file is to grow.
    """
    streams = False
    try:
        wanted = _wanted(asked.range)
        if wanted and wanted[1]:
            await _growth(file.fileno(), int(wanted[1]), asked.wait_s, known)
        status = os.fstat(file.fileno())
        headers = _headers(status, path)
        if asked.if_match and not is_same(asked.if_match, path, status):
            replaced = NotFound(f"{path} was replaced while it was read", hint="read it again")
            return answer(error_as_dict(replaced), 412)
        if asked.if_none_match and _is_among(headers["ETag"], asked.if_none_match):
            return Response(status_code=304, headers=headers)
        if asked.if_range and not is_same(asked.if_range, path, status):
            wanted = None
        size = status.st_size
        part = _part(wanted, size) if wanted else Part(0, size)
        if part is None:
            return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
        headers["Content-Length"] = str(part.end - part.start)
        if wanted:
            headers["Content-Range"] = f"bytes {part.start}-{part.end - 1}/{size}"
        code = 206 if wanted else 200
        if asked.head:
            return Response(status_code=code, headers=headers, media_type=BINARY)
        streams = True
        return Stream([file], blocks(file, part), code, headers, BINARY)
    finally:
        if not streams:
            file.close()


def blocks(file: BinaryIO, part: Part) -> Iterator[bytes]:
    """Bytes of a file, never many at once."""
    place = file.seek(part.start)
    while place < part.end and (block := file.read(min(BLOCK, part.end - place))):
        place += len(block)
        yield block


def tag_of(*of: os.stat_result) -> str:
    """The entity tag of files as they are."""
    return '"' + ".".join(f"{one.st_dev:x}-{one.st_ino:x}-{one.st_size:x}-{one.st_mtime_ns:x}" for one in of) + '"'


def is_unchanged(tag: str, if_none_match: str | None) -> Response | None:
    """The answer that says so, where a request has what the tag names."""
    if if_none_match and _is_among(tag, if_none_match):
        return Response(status_code=304, headers={"ETag": tag})
    return None


def _headers(status: os.stat_result, path: str) -> dict[str, str]:
    name = re.sub(r"[^A-Za-z0-9._-]", "_", path.rpartition("/")[2])
    return {
        "ETag": tag_of(status),
        "Accept-Ranges": "bytes",
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-cache",
    }


def _is_among(tag: str, tags: str) -> bool:
    return any(one.strip().removeprefix("W/") in (tag, "*") for one in tags.split(","))


def is_same(tag: str, path: str, status: os.stat_result) -> bool:
    """Whether a tag is of this file as it is, or, of one that only grows, as it was before it grew."""
    now, parts = tag_of(status), tag.strip().strip('"').split("-")
    if tag.strip() in (now, "*"):
        return True
    if not APPENDED.fullmatch(path) or parts[:2] != now.strip('"').split("-")[:2]:
        return False
    try:
        return int(parts[2], 16) <= status.st_size
    except (ValueError, IndexError):
        return False


def _wanted(text: str | None) -> re.Match[str] | None:
    """The range that a header names; one that means nothing, or names several, is ignored."""
    found = RANGE.fullmatch(text.strip()) if text else None
    if found is None or found[0] == "bytes=-" or (found[1] and found[2] and int(found[2]) < int(found[1])):
        return None
    return found


def _part(wanted: re.Match[str], size: int) -> Part | None:
    """The part that a range names; None where the file has no such part."""
    first, last = wanted[1], wanted[2]
    if not first:
        return Part(max(size - int(last), 0), size) if int(last) and size else None
    return Part(int(first), min(int(last) + 1, size) if last else size) if int(first) < size else None


async def _growth(handle: int, size: int, wait_s: float, known: Callable[[], Awaitable[object]]) -> None:
    """Wait until a file is longer. To look costs less than a thread would: any number may wait."""
    for look in range(1, round(wait_s / LOOK_EVERY_S) + 1):
        if os.fstat(handle).st_size > size:
            return
        if look % LOOKS_A_SECOND == 0:
            await known()
        await asyncio.sleep(LOOK_EVERY_S)
