"""Records as JSON and back, for HTTP: one codec for all, led by their annotations; and errors by their codes."""

from __future__ import annotations

import json
import os
import sys
import types
from collections.abc import Mapping
from enum import Enum
from functools import cache
from pathlib import PurePath
from typing import Any, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

from whirr import errors
from whirr.errors import WhirrError
from whirr.values import revive, spell

R = TypeVar("R")
API = "/api/v1"


class ServerInfo(NamedTuple):
    """What a server says of itself.

    Attributes:
        id: unique to its database.
        root: its ``.whirr`` folder, on its own machine.
        database: ``sqlite`` or ``postgresql``.
        outage_s: as in ``hub.Hub``.
        now: its clock, seconds since 1970.
        role: of the token it was asked with.
    """

    id: str
    version: str
    root: str
    database: str
    outage_s: float
    now: float
    role: str


def dumps(value: Any) -> bytes:
    """Records, and what holds them, as JSON; a text that is no valid Unicode is escaped as ``json`` does it."""
    found = plain(value)
    try:
        return orjson.dumps(found, option=orjson.OPT_NON_STR_KEYS)
    except orjson.JSONEncodeError:
        return json.dumps(found).encode()


def loads(data: bytes) -> Any:
    """The inverse of ``dumps``, up to records.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def plain(value: Any) -> Any:
    """Records as dicts, tuples and sets as lists, enums and paths as texts."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return {name: plain(item) for name, item in zip(value._fields, value, strict=True)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return spell(value)
    return os.fspath(value) if isinstance(value, PurePath) else value


def record(kind: type[R], found: Any) -> R:
    """A record from what ``plain`` made of it; keys of a later version are left out.

    Raises:
        ValueError: it is none.
    """
    try:
        made: R = _built(kind, found)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"this is no {kind.__name__}: {error}") from None
    return made


@cache
def fields(kind: type) -> dict[str, Any]:
    """The annotations of a record, resolved."""
    return get_type_hints(kind, vars(sys.modules[kind.__module__]))


def _built(kind: Any, found: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any or found is None:
        return found
    if origin in (Union, types.UnionType):
        return _built(next(one for one in inner if one is not type(None)), found)
    if origin is tuple:
        if inner[-1] is Ellipsis:
            return tuple(_built(inner[0], item) for item in found)
        return tuple(_built(one, item) for one, item in zip(inner, found, strict=True))
    if origin is list:
        return [_built(inner[0], item) for item in found]
    if origin is not None and issubclass(origin, Mapping):
        return {key: _built(inner[1], item) for key, item in found.items()}
    if isinstance(kind, type) and hasattr(kind, "_fields"):
        known = fields(kind)
        return kind(**{name: _built(known[name], item) for name, item in found.items() if name in known})
    if kind is float and isinstance(found, str):
        return float(revive(found))
    return kind(found) if isinstance(kind, type) and issubclass(kind, Enum) else found


def _all_errors(kind: type[WhirrError]) -> dict[str, type[WhirrError]]:
    found = {kind.code: kind}
    for below in kind.__subclasses__():
        found |= _all_errors(below)
    return found


def error_as_dict(error: WhirrError) -> dict[str, Any]:
    """An error as the server answers it."""
    about: dict[str, Any] = {"code": error.code, "message": str(error), "hint": error.hint}
    if isinstance(error, errors.WrongOffset):
        about["actual"] = error.actual
    if isinstance(error, errors.UsageError) and error.at:
        about["at"] = list(error.at)
    return {"error": about}


def error_of(found: Any) -> WhirrError | None:
    """The error that an answer holds; None where it holds none."""
    about = found.get("error") if isinstance(found, dict) else None
    if not isinstance(about, dict) or not isinstance(about.get("message"), str):
        return None
    kind = _all_errors(WhirrError).get(str(about.get("code")), WhirrError)
    hint = about.get("hint")
    if kind is errors.WrongOffset:
        return errors.WrongOffset(about["message"], hint=hint, actual=int(about.get("actual") or 0))
    if kind is errors.UsageError and about.get("at"):
        start, end = about["at"]
        return errors.UsageError(about["message"], hint=hint, at=(int(start), int(end)))
    return kind(about["message"], hint=hint)
