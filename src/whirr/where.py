"""Choosing runs: what a key means for a run, conditions on keys, and the order they give."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import orjson

from whirr.derive import Derived
from whirr.errors import UsageError
from whirr.values import NON_FINITE

MISSING = object()
"""What a key means for a run that has no such thing."""


class Run(Protocol):
    """A run, as far as keys are looked up in it: ``index.RunEntry``, ``catalog.RunView``."""

    @property
    def id(self) -> str:
        """The name of its folder."""

    @property
    def name(self) -> str | None:
        """The name given to it."""

    @property
    def status(self) -> str:
        """Its status word."""

    @property
    def tags(self) -> list[str]:
        """Its tags."""

    @property
    def record(self) -> Mapping[str, Any]:
        """Its ``meta.json``."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """Its summary."""

    @property
    def config(self) -> Mapping[str, Any]:
        """Its configuration."""

    @property
    def metrics(self) -> Mapping[str, Derived]:
        """What whirr derived from what it logged."""


T = TypeVar("T")

FIELDS: dict[str, Callable[[Run], Any]] = {
    "id": lambda run: run.id,
    "name": lambda run: run.name,
    "status": lambda run: run.status,
    "cause": lambda run: (run.record.get("cause") or {}).get("message"),
    "started": lambda run: run.record.get("started_at"),
    "finished": lambda run: run.record.get("finished_at"),
    "duration": lambda run: run.record.get("duration_seconds"),
    "tags": lambda run: ",".join(run.tags),
    "job": lambda run: run.record.get("job_id"),
    "commit": lambda run: (run.record.get("git_info") or {}).get("commit"),
    "branch": lambda run: (run.record.get("git_info") or {}).get("branch"),
}
"""The keys that are the run's own, before everything logged or configured."""

_CONDITION = re.compile(r"\s*(?P<key>.+?)\s*(?P<op>!=|<=|>=|==|=|<|>|~)\s*(?P<value>.*?)\s*", re.DOTALL)
_WORDS = {
    "true": True,
    "false": False,
    "null": None,
    "none": None,
    "nan": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
}


def lookup(run: Run, key: str) -> Any:
    """What ``key`` means for a run, or MISSING.

    A field of the run (``FIELDS``), else ``summary.KEY``, ``metrics.KEY`` (its last value; ``.last``,
    ``.min``, ``.max``, ``.count`` may follow) or ``config.KEY``; a bare key is looked for in the summary,
    then in the metrics, then in the config. Dots and slashes also lead into nested values.
    """
    return find(run, key)[1]


def find(run: Run, key: str) -> tuple[str, Any]:
    """Where ``key`` was found (``summary``, ``metrics``, ``config``, or empty) and what ``lookup`` gives."""
    if key in FIELDS:
        value = FIELDS[key](run)
        return "", MISSING if value is None else value
    room, _, rest = key.partition(".")
    if rest and room in _ROOMS:
        found = _ROOMS[room](run, rest)
        if found is not MISSING:
            return room, found
    for room in ("summary", "metrics", "config"):
        found = _ROOMS[room](run, key)
        if found is not MISSING:
            return room, found
    return "", MISSING


def dig(value: Any, key: str) -> Any:
    """A possibly nested part of a document by its dotted or slashed key, or MISSING."""
    if not isinstance(value, dict):
        return MISSING
    if key in value:
        return revived(value[key])
    for position, letter in enumerate(key):
        if letter in "./" and key[:position] in value:
            found = dig(value[key[:position]], key[position + 1 :])
            if found is not MISSING:
                return found
    return MISSING


def revived(value: Any) -> Any:
    """A value of a document; a spelled out non-finite float becomes that float."""
    return NON_FINITE.get(value, value) if isinstance(value, str) else value


def derived(run: Run, key: str) -> Any:
    """A derived metric (its last value, or the named part), or MISSING."""
    metrics = run.metrics
    if key in metrics:
        return revived(metrics[key].last)
    name, _, part = key.rpartition(".")
    if name in metrics and part in ("last", "min", "max", "count"):
        value = revived(metrics[name].as_dict()[part])
        return MISSING if value is None else value
    return MISSING


_ROOMS: dict[str, Callable[[Run, str], Any]] = {
    "summary": lambda run, key: dig(run.summary, key),
    "metrics": derived,
    "config": lambda run, key: dig(run.config, key),
}


Path = tuple[str, ...]
"""The keys that lead to a value in nested objects."""


def paths(document: Mapping[str, Any]) -> Iterator[tuple[Path, Any]]:
    """Everything in a document that is not an object itself (or is an empty one), and where it lies."""
    for key, value in document.items():
        if isinstance(value, dict) and value:
            for path, found in paths(value):
                yield (key, *path), found
        else:
            yield (key,), revived(value)


def dotted(path: Path) -> str:
    """A key that leads along a path, where no other path happens to be spelt the same."""
    return ".".join(path)


def text_of(value: Any) -> str:
    """A value as text to search in; nested values as JSON."""
    if isinstance(value, dict | list | bool) or value is None:
        return orjson.dumps(value).decode()
    return str(value)


class Condition(NamedTuple):
    """``KEY OP VALUE``; a run without the key does not meet it, whatever the operator.

    Attributes:
        key: what ``lookup`` understands.
        op: one of ``= != < <= > >= ~``.
        value: the wanted number, bool, None or text.
        text: the value as it was written.
    """

    key: str
    op: str
    value: Any
    text: str

    def meets(self, run: Run) -> bool:
        """Whether the run meets the condition."""
        actual = lookup(run, self.key)
        return actual is not MISSING and holds(actual, self)


def parse_condition(text: str) -> Condition:
    """A condition from ``config.lr>=0.01``; quotes around the value make it a text.

    Raises:
        UsageError: it cannot be understood.
    """
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{text!r} is not a condition",
            hint="write KEY OP VALUE with one of = != < <= > >= ~, such as 'config.lr>=0.01'",
        )
    key, op, written = match["key"], match["op"].replace("==", "="), match["value"]
    if not written:
        raise UsageError(
            f"{text!r} has no value", hint=f"write '' for the empty text, such as {key + op + chr(39) * 2!r}"
        )
    if op == "~":
        try:
            return Condition(key, op, re.compile(written), written)
        except re.error as error:
            raise UsageError(f"{written!r} is not a regular expression: {error}") from None
    if len(written) > 1 and written[0] == written[-1] and written[0] in "'\"":
        return Condition(key, op, written[1:-1], written[1:-1])
    return Condition(key, op, typed(written), written)


def typed(text: str) -> Any:
    """What an unquoted value is: a number, a bool, None, or the text itself."""
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def holds(actual: Any, condition: Condition) -> bool:
    """Whether a value, which is not MISSING, meets a condition."""
    op, wanted = condition.op, condition.value
    if op == "~":
        return wanted.search(text_of(actual)) is not None
    if op in ("=", "!="):
        return _equal(actual, condition) is (op == "=")
    if not (_is_number(actual) and _is_number(wanted)) and not (isinstance(actual, str) and isinstance(wanted, str)):
        return False
    if op in ("<", "<="):
        return bool(actual < wanted or (op == "<=" and actual == wanted))
    return bool(actual > wanted or (op == ">=" and actual == wanted))


def _equal(actual: Any, condition: Condition) -> bool:
    wanted = condition.value
    if _is_number(actual) and _is_number(wanted):
        return bool(actual == wanted or (actual != actual and wanted != wanted))
    if isinstance(actual, bool) or actual is None:
        return actual is wanted
    return text_of(actual) == condition.text


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class Remark(NamedTuple):
    """What a key or a value of a query may have been meant for, where no run has it.

    Attributes:
        text: what was found, for people.
        hint: what to do about it.
        at: from and to which character of the expression.
    """

    text: str
    hint: str | None
    at: tuple[int, int]


class Selection(NamedTuple):
    """Which runs are wanted; every part must hold.

    Attributes:
        statuses: one of these (none: any).
        tags: all of these.
        name: a shell pattern for the name, or None.
        conditions: all of these.
    """

    statuses: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    name: str | None = None
    conditions: tuple[Condition, ...] = ()

    def admits(self, run: Run) -> bool:
        """Whether a run is wanted; what costs least is asked first."""
        return (
            (self.name is None or fnmatchcase(run.name or "", self.name))
            and all(tag in run.tags for tag in self.tags)
            and (not self.statuses or run.status in self.statuses)
            and all(condition.meets(run) for condition in self.conditions)
        )


def sort_by(
    runs: Iterable[T], key: str, *, descending: bool = False, look: Callable[[T, str], Any] | None = None
) -> list[T]:
    """Runs in the order of a key: numbers, then texts; runs without it (or with NaN) last, either way.

    Args:
        look: gives what ``key`` means for one of them (default: ``lookup``).
    """
    look = look or cast(Callable[[T, str], Any], lookup)
    ranked: list[tuple[tuple[int, Any], T]] = []
    last: list[T] = []
    for run in runs:
        value = look(run, key)
        if value is MISSING or value is None or value != value:
            last.append(run)
        else:
            ranked.append(((0, value) if isinstance(value, int | float) else (1, text_of(value)), run))
    ranked.sort(key=lambda pair: pair[0], reverse=descending)
    return [run for _, run in ranked] + last
