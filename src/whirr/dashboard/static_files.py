"""The files that pages load: style sheets, modules, fonts, pictures.

They lie under a path with the sum of all of them in it, so that a browser may keep them for ever and none is mixed with
those of another version. Compressed forms are made once and kept in memory: there are few, and they are small.
"""

from __future__ import annotations

import gzip
import hashlib
import posixpath
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request
from fastapi.responses import Response

from whirr.errors import NotFound

FOLDER = Path(__file__).with_name("static")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
"""What is served; anything else that lies there is for people who read the source."""

COMPRESSED = (".css", ".js", ".svg")
POLICY = "default-src 'none'; script-src 'self'; connect-src 'self'"
"""For the shared worker, which is bound by the policy of its own file."""

FOR_EVER = "public, max-age=31536000, immutable"
IMPORT = re.compile(rb"""^(?:import|export)\b(?:[^"';]*?\bfrom)?\s*["'](\.[^"']+)["']""", re.MULTILINE)


class Kept(NamedTuple):
    """A file in memory; ``packed`` is it with gzip, where that is worth it."""

    kind: str
    data: bytes
    packed: bytes | None


class StaticFiles:
    """The files below a folder.

    Args:
        folder: read once; what changes in it afterwards is not seen.
    """

    def __init__(self, folder: Path = FOLDER) -> None:
        found = (path for path in sorted(folder.rglob("*")) if path.suffix in TYPES and path.is_file())
        self._files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}
        self._kept: dict[str, Kept] = {}

    @cached_property
    def version(self) -> str:
        """What tells these files from those of another version."""
        total = hashlib.sha256()
        for path, data in self._files.items():
            total.update(f"{path}\0{len(data)}\0".encode() + data)
        return total.hexdigest()[:12]

    def get(self, path: str) -> Kept:
        """A file by its path below the folder.

        Raises:
            NotFound: there is none.
        """
        kept = self._kept.get(path)
        if kept is None:
            if path not in self._files:
                raise NotFound("there is no such file")
            self._kept[path] = kept = _kept(path, self._files[path])
        return kept

    def modules_of(self, path: str) -> list[str]:
        """The modules that a module imports, directly or not, nearest first."""
        found, left = {path: None}, [path]
        while left:
            here = left.pop(0)
            for name in IMPORT.findall(self._files.get(here, b"")):
                there = posixpath.normpath(posixpath.join(posixpath.dirname(here), name.decode()))
                if there not in found and there in self._files:
                    found[there] = None
                    left.append(there)
        return list(found)[1:]


def _kept(path: str, data: bytes) -> Kept:
    suffix = posixpath.splitext(path)[1]
    packed = gzip.compress(data, 9, mtime=0) if suffix in COMPRESSED else None
    return Kept(TYPES[suffix], data, packed if packed is not None and len(packed) < len(data) else None)


@lru_cache(maxsize=1)
def files() -> StaticFiles:
    """The files of this package."""
    return StaticFiles()


router = APIRouter()


@router.get("/static/{version}/{path:path}")
async def static(request: Request, version: str, path: str) -> Response:
    """A file. An address of another version gives the file as it is now, to be kept no longer than this moment."""
    kept = files().get(path)
    lasts = FOR_EVER if version == files().version else "no-cache"
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": lasts, "Vary": "Accept-Encoding"}
    if kept.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(kept.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=kept.kind)
    return Response(kept.data, headers=headers, media_type=kept.kind)
