"""The installed packages as `pip freeze` prints them, without starting pip.

The rules are pip's: of two installations of a name the first on the path counts, names are spelled as in
the metadata, versions in their normal form. A plain scan is enough for that; `importlib.metadata` and an
e-mail parser would take ten times as long, all of it under the interpreter's lock.
"""

from __future__ import annotations

import os
import re
import sys
import time

from whirr.capture.versions import normal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEAD = 2048
"""Bytes of a metadata file read first: the name and the version stand in its first lines."""
WHOLE = 4 << 20
"""Bytes of a metadata file read at most."""
_SKIPPED = frozenset(("python", "wsgiref", "argparse", "pip"))
_SKIPPED_BEFORE_3_12 = frozenset(("setuptools", "distribute", "wheel"))


class Found:
    """One installed distribution: its name and version as the metadata spells them, and its folder."""

    __slots__ = ("folder", "info", "name", "version")

    def __init__(self, name: str, version: str, info: str, folder: str) -> None:
        self.name, self.version, self.info, self.folder = name, version, info, folder

    @property
    def pinned(self) -> str:
        """`name==version`, or `name===version` for a version that is not one by PEP 440."""
        version = normal(self.version)
        return f"{self.name}=={version}" if version else f"{self.name}==={self.version}"


def packages(path: list[str] | None = None, *, limit_s: float = 10.0) -> list[str]:
    """The lines `python -m pip freeze` prints for the import path `path`, credentials removed.

    None stands for the path this interpreter starts with: the script's folder and what the program itself
    put in front of the standard library are not part of it. After `limit_s` seconds the list ends with a
    comment that says so. Never raises.
    """
    deadline = time.monotonic() + limit_s
    found: dict[str, Found] = {}
    lines: list[tuple[str, list[str]]] = []
    note: list[str] = []
    try:
        links = _scan(_own_path() if path is None else path, found, deadline)
        skipped = _SKIPPED | (_SKIPPED_BEFORE_3_12 if sys.version_info < (3, 12) else frozenset())
        for one in found.values():
            if _canonical(one.name) not in skipped:
                lines.append((one.name.lower(), _lines(one, links, deadline)))
    except TimeoutError:
        note = [f"# not complete: reading the installed packages took over {limit_s:g} s"]
    except Exception as error:  # tracking never breaks training
        note = [f"# not complete: {error!r}".replace("\n", " ")]
    lines.sort(key=lambda item: item[0])
    return [line for _, own in lines for line in own] + note


def _own_path() -> list[str]:
    """`sys.path` without what stands before the standard library and is not from PYTHONPATH."""
    library = os.path.dirname(os.__file__)
    archive = f"python{sys.version_info[0]}{sys.version_info[1]}.zip"
    starts = [i for i, entry in enumerate(sys.path) if entry == library or os.path.basename(entry) == archive]
    start = min(starts, default=0)
    given = set()
    if not sys.flags.ignore_environment:
        given = {os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p}
    return [p for p in sys.path[:start] if p and os.path.abspath(p) in given] + sys.path[start:]


def _scan(path: Sequence[str], found: dict[str, Found], deadline: float) -> frozenset[str]:
    """Fill `found` by canonical name, first come first kept; return the names of all `.egg-link` files."""
    links: set[str] = set()
    for folder in path:
        try:
            names = os.listdir(folder or ".")
        except OSError:
            continue
        here = [name for name in names if name.endswith(".egg-link")]
        links.update(here)
        targets = [folder, *filter(None, (_link_target(folder, name) for name in here))]
        for target in targets:
            listed = names if target is folder else _listed(target)
            for name in _metadata_names(target, listed):
                if time.monotonic() > deadline:
                    raise TimeoutError
                one = _read(target, name)
                if one:
                    found.setdefault(_canonical(one.name), one)
    return frozenset(links)


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _metadata_names(folder: str, names: Sequence[str]) -> Iterator[str]:
    is_egg = folder.lower().endswith(".egg")
    for name in names:
        low = name.lower()
        if low.endswith((".dist-info", ".egg-info")) or (is_egg and low == "egg-info"):
            yield name


def _link_target(folder: str, name: str) -> str | None:
    """The source folder named by the first line of an `.egg-link`."""
    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            lines = (line.strip() for line in file.read(WHOLE).splitlines())
            target = next(filter(None, lines), None)
    except (OSError, UnicodeDecodeError):
        return None
    return os.path.join(folder, target) if target else None


def _read(folder: str, name: str) -> Found | None:
    """The distribution of one metadata folder (or file, as distutils wrote it); None for what is none."""
    if not (name[0].isalnum() and name.isascii()):
        return None  # what an interrupted pip left behind
    info = os.path.join(folder, name)
    for member in ("/METADATA", "/PKG-INFO", ""):
        try:
            text = _head(info + member)
        except OSError:
            continue
        if text:
            return _parse(text, info, folder)
    return None


def _parse(text: str, info: str, folder: str) -> Found | None:
    name = version = None
    for line in text.split("\n"):
        if line in ("", "\r"):
            break
        low = line[:8].lower()
        if name is None and low.startswith("name:"):
            name = line[5:].lstrip(" \t").rstrip("\r")
        elif version is None and low == "version:":
            version = line[8:].lstrip(" \t").rstrip("\r")
        if name and version:
            return Found(name, version, info, folder)
    return None


def _head(path: str) -> str:
    """The header of a metadata file: its first bytes where those hold all that is wanted."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(fd, HEAD)
        if len(data) == HEAD and not (b"\nName:" in data and b"\nVersion:" in data):
            while len(data) < WHOLE and (more := os.read(fd, WHOLE)):
                data += more
    finally:
        os.close(fd)
    return data.decode("utf-8", "replace")


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines(one: Found, links: frozenset[str], deadline: float) -> list[str]:
    """What pip freeze prints for one distribution: mostly one line, and comments before an editable."""
    from whirr.capture import origins

    direct = origins.direct_url(one.info)
    if direct is None:
        link = re.sub(r"[^A-Za-z0-9.]+", "-", one.name) + ".egg-link"
        return origins.editable(one, one.folder, deadline) if link in links else [one.pinned]
    location = origins.editable_location(direct)
    if location is not None:
        return origins.editable(one, location, deadline)
    return [f"{one.name} @ {origins.reference(direct)}"]
