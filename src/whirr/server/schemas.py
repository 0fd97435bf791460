"""Records as pydantic models, made from their annotations: what a request must hold, and what OpenAPI says."""

from __future__ import annotations

import types
from collections.abc import Mapping
from functools import cache
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, create_model

from whirr.wire import fields


@cache
def schema(kind: type, name: str | None = None) -> type[BaseModel]:
    """The model of a record (a ``NamedTuple``); fields with defaults may be left out."""
    defaults = kind._field_defaults  # type: ignore[attr-defined]
    known: dict[str, Any] = {
        field: (_modelled(hint), _default(defaults, field)) for field, hint in fields(kind).items()
    }
    made: type[BaseModel] = create_model(
        name or kind.__name__, __config__=ConfigDict(extra="forbid"), __doc__=_about(kind), **known
    )
    return made


def _about(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _default(defaults: Mapping[str, Any], field: str) -> Any:
    if field not in defaults:
        return ...
    value = defaults[field]
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if type(value) is tuple else value  # as JSON has it


def _modelled(hint: Any) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return Union[tuple(_modelled(one) for one in inner)]  # noqa: UP007 - made at run time
    if origin is tuple:
        parts = tuple(map(_modelled, inner[:1] if inner[-1] is Ellipsis else inner))
        # Made at run time, from what the annotation of the record says.
        made: Any = list if inner[-1] is Ellipsis else tuple
        return made[parts[0]] if inner[-1] is Ellipsis else made[parts]
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        mapping: Any = dict
        return mapping[str, inner[1] if inner[1] is Any else _modelled(inner[1])]
    if isinstance(hint, type) and hasattr(hint, "_fields"):
        return schema(hint)
    return hint
