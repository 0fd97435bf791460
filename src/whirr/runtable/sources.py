"""Where the values of a key are: how keys are spelt, and what of a run lies at a place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from whirr.catalog import RunView
from whirr.expression.matching import TAGS, moment_of
from whirr.expression.times import TIMES
from whirr.where import FIELDS, MISSING, Path, lookup, paths, revived

PARTS = ("last", "min", "max", "count")
ROOMS = ("summary", "metrics", "config")
TAG = "tag"


class Source(NamedTuple):
    """Where the values of a column come from.

    Attributes:
        room: ``field``, ``summary``, ``metrics`` (the last values), ``config``; ``part`` (of a metric: its name, and
            one of ``PARTS``); ``lookup`` (a key that leads to whole objects in some runs).
        path: in that room.
    """

    room: str
    path: Path


class Spellings:
    """All sources there are, and the keys that lead to them."""

    def __init__(self) -> None:
        self._metrics: set[str] = set()
        self._spelt: dict[tuple[str, str], list[Path]] = {}
        self._inner: dict[tuple[str, str], set[Path]] = {}

    def add(self, source: Source) -> None:
        """A new source."""
        room, path = source
        if room == "metrics":
            self._metrics.add(path[0])
        elif room in ROOMS:
            self._spelt.setdefault((room, _normal(path)), []).append(path)
            for end in range(1, len(path)):
                self._inner.setdefault((room, _normal(path[:end])), set()).add(path[:end])

    def sources(self, key: str) -> list[Source]:
        """Where the values of a key are, in the order in which ``where.lookup`` looks for them."""
        if key in FIELDS or key in TAGS:
            return [Source("field", (key,))] if key in FIELDS else [Source("field", ("tags",))]
        asked = [(room, key) for room in ROOMS]
        room, _, rest = key.partition(".")
        if rest and room in ROOMS:
            asked.insert(0, (room, rest))
        if any(self._is_inner(room, name) for room, name in asked):
            return [Source("lookup", (key,))]
        return [source for room, name in asked for source in self._in_room(room, name)]

    def _is_inner(self, room: str, name: str) -> bool:
        return any(_spells(path, name) for path in self._inner.get((room, _normal((name,))), ()))

    def _in_room(self, room: str, name: str) -> Iterator[Source]:
        if room == "metrics":
            yield from self._in_metrics(name)
            return
        spelt = [path for path in self._spelt.get((room, _normal((name,))), ()) if _spells(path, name)]
        yield from (Source(room, path) for path in sorted(spelt, key=_precedence))

    def _in_metrics(self, name: str) -> Iterator[Source]:
        if name in self._metrics:
            yield Source("metrics", (name,))
        whole, _, part = name.rpartition(".")
        if part in PARTS and whole in self._metrics:
            yield Source("part", (whole, part))


def record_of(run: RunView) -> Iterator[tuple[Source, Any]]:
    """All that the record of a run says, flat."""
    for key in (*FIELDS, TAG):
        yield Source("field", (key,)), field_of(run, key)
    documents: tuple[tuple[str, Mapping[str, Any]], ...] = (("summary", run.summary), ("config", run.config))
    for room, document in documents:
        for path, value in paths(document):
            yield Source(room, path), value


def field_of(run: RunView, key: str) -> Any:
    """A field of a run; times in seconds since 1970, ``TAG``: all its tags."""
    return (
        (tuple(run.tags) or MISSING)
        if key == TAG
        else moment_of(lookup(run, key))
        if key in TIMES
        else lookup(run, key)
    )


def metrics_of(run: RunView) -> Iterator[tuple[Source, Any]]:
    """The last values of all that a run has logged."""
    for name, metric in run.metrics.items():
        yield Source("metrics", (name,)), revived(metric.last)


def value_at(run: RunView, source: Source) -> Any:
    """The value of one run at a source."""
    room, path = source
    match room:
        case "field":
            return field_of(run, path[0])
        case "lookup":
            return lookup(run, path[0])
        case "metrics":
            return revived(run.metrics[path[0]].last) if path[0] in run.metrics else MISSING
        case "part":
            value = run.metrics[path[0]].as_dict()[path[1]] if path[0] in run.metrics else None
            return MISSING if value is None else revived(value)
    found: Any = run.summary if room == "summary" else run.config
    for key in path:
        if not isinstance(found, dict) or key not in found:
            return MISSING
        found = found[key]
    return MISSING if isinstance(found, dict) and found else revived(found)


def _normal(path: Path) -> str:
    """What all keys are equal in that may lead along a path."""
    return ".".join(path).replace("/", ".")


def _spells(path: Path, key: str) -> bool:
    """Whether a key leads along a path: its parts with a dot or a slash between each two."""
    place = 0
    for part in path[:-1]:
        if not key.startswith(part, place) or key[place + len(part) : place + len(part) + 1] not in ("/", "."):
            return False
        place += len(part) + 1
    return key[place:] == path[-1]


def _precedence(path: Path) -> list[int]:
    """In the order in which ``where.dig`` tries paths that are spelt the same."""
    return [*(len(part) + 1 for part in path[:-1]), 0]
