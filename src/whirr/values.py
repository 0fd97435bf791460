"""Any Python value as plain JSON data, by duck typing, without refusing or changing anything.

Nothing of numpy, torch, jax, pydantic, attrs or OmegaConf is imported: their objects are known by
the methods they have.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Set, Sized
from dataclasses import fields, is_dataclass
from datetime import date, time
from enum import Enum

from whirr.errors import let_through

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How a document (``meta.json``, ``config.json``) spells floats that JSON has no number for."""

LONGEST_TEXT = 2000
LARGEST_ARRAY = 1000
DEEPEST = 40
NAMESPACES = ("Namespace", "SimpleNamespace")


def spell(value: float) -> float | str:
    """A float for a document: itself when finite, else its name in ``NON_FINITE``."""
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def revive(value: Any) -> Any:
    """The reverse of ``spell`` over a whole document read from disk."""
    if isinstance(value, dict):
        return {key: revive(item) for key, item in value.items()}
    if isinstance(value, list):
        return [revive(item) for item in value]
    return NON_FINITE.get(value, value) if isinstance(value, str) else value


def encodes(text: str, errors: str = "surrogateescape") -> bool:
    """Whether a text has a form in bytes; unless ``errors`` is "strict", those that are no UTF-8 count, too.

    Such a text is what ``os.fsdecode`` makes of the name of a file. Any other lone surrogate is half a character.
    """
    try:
        text.encode("utf-8", errors)
    except UnicodeEncodeError:
        return False
    return True


def fields_of(value: Any) -> dict[Any, Any] | None:
    """The named parts of a mapping-like object, or None when it has none that can be asked for.

    Knows mappings (OmegaConf too), ``argparse.Namespace``, dataclasses, attrs and pydantic objects.
    A part that cannot be read (a missing OmegaConf value, say) is replaced by a text that says so.
    """
    try:
        return _fields_of(value)
    except Exception:
        return None


def _fields_of(value: Any) -> dict[Any, Any] | None:
    kind = type(value)
    if isinstance(value, Mapping):
        return {key: _part(value.__getitem__, key) for key in value}
    if isinstance(value, type):
        return None
    if is_dataclass(kind):
        return {field.name: _part(_attribute_of(value), field.name) for field in fields(kind)}
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: _part(_attribute_of(value), field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "model_fields"):
        return {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    if any(base.__name__ in NAMESPACES for base in kind.__mro__) and hasattr(value, "__dict__"):
        return dict(vars(value))
    return None


def _attribute_of(value: Any) -> Callable[[str], Any]:
    return lambda name: getattr(value, name)


def _part(read: Callable[[Any], Any], key: Any) -> Any:
    try:
        return read(key)
    except Exception as error:
        return f"<unreadable: {type(error).__name__}>"


def scalar(value: Any) -> Any:
    """The Python scalar in a numpy, torch or jax scalar, a one-element array, a Decimal or what else turns to a float.

    Raises:
        TypeError: it holds no single value.
    """
    item = getattr(value, "item", None)
    if callable(item):
        try:
            found = item()
        except Exception as error:
            let_through(error)
            raise TypeError(f"{type(value).__name__} is not a single value: {error}") from None
        if isinstance(found, bool | int | float | str):
            return found
    elif hasattr(type(value), "__float__"):
        return float(value)
    raise TypeError(f"{type(value).__name__} is not a number, text or bool")


def to_plain(value: Any, _above: tuple[int, ...] = ()) -> Any:
    """``value`` as dicts, lists, strings, numbers, bools and None; never raises, never refuses."""
    if value is None or isinstance(value, bool) or type(value) is str:
        return value
    if isinstance(value, Enum):
        return to_plain(value.value, _above)
    if isinstance(value, int):
        return int(value) if -(2**63) <= value < 2**64 else str(int(value))
    if isinstance(value, float):
        return spell(float(value))
    if isinstance(value, str):
        return str(value)
    if id(value) in _above or len(_above) > DEEPEST:
        return f"<{type(value).__name__} again>"
    try:
        return _plain_object(value, (*_above, id(value)))
    except Exception:
        return show(value)


def _plain_object(value: Any, above: tuple[int, ...]) -> Any:
    parts = fields_of(value)
    if parts is not None:
        return {_key(key): to_plain(item, above) for key, item in parts.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item, above) for item in value]
    if isinstance(value, Set):
        return [to_plain(item, above) for item in _in_order(value)]
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")[:LONGEST_TEXT]
    if callable(getattr(value, "tolist", None)) and hasattr(value, "shape"):
        return _array(value, above)
    if isinstance(value, type) or (callable(value) and hasattr(value, "__qualname__")):
        return f"{value.__module__}.{value.__qualname__}"
    try:
        return to_plain(scalar(value), above)
    except TypeError:
        return [to_plain(item, above) for item in value] if _is_sequence(value) else show(value)


def _is_sequence(value: Any) -> bool:
    """OmegaConf lists, deques and ranges, told from endless or one-shot iterables by their length."""
    return isinstance(value, Iterable) and isinstance(value, Sized) and len(value) <= LARGEST_ARRAY


def _array(value: Any, above: tuple[int, ...]) -> Any:
    size = math.prod(value.shape)
    if size > LARGEST_ARRAY:
        kind = getattr(value, "dtype", "?")
        return f"{type(value).__name__}(shape={tuple(value.shape)}, dtype={kind})"
    return to_plain(value.tolist(), above)


def _in_order(items: Set[Any]) -> list[Any]:
    try:
        return sorted(items)
    except TypeError:
        return sorted(items, key=repr)


def _key(key: Any) -> str:
    return key if type(key) is str else str(to_plain(key))


def show(value: Any) -> str:
    """The ``repr`` of anything, shortened; never raises."""
    try:
        text = repr(value)
    except Exception as error:
        let_through(error)
        text = f"<{type(value).__name__} that cannot be shown>"
    return text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + "…"


class ReadOnlyDict(dict):  # type: ignore[type-arg]
    """A dict that refuses every change; what it holds is the run's own copy."""

    def _refuse(self, *args: object, **kwargs: object) -> Any:
        raise TypeError("run.config is read-only; give values to whirr.init(config=...)")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __reduce__(self) -> tuple[type[dict[Any, Any]], tuple[dict[Any, Any]]]:
        return dict, (dict(self),)


def freeze(value: Any, _above: tuple[int, ...] = ()) -> Any:
    """A copy of mappings (read-only), lists, tuples and sets; whatever else lies in them stays the very object."""
    if id(value) in _above or len(_above) > DEEPEST:
        return value
    above = (*_above, id(value))
    parts = fields_of(value) if isinstance(value, Mapping) else None
    if parts is not None:
        return ReadOnlyDict({key: freeze(item, above) for key, item in parts.items()})
    if type(value) in (list, tuple):
        return type(value)(freeze(item, above) for item in value)
    return set(value) if type(value) is set else value


def as_config(config: Any) -> ReadOnlyDict:
    """A config of any type as a read-only dict; a value without named parts becomes ``{"config": value}``."""
    if config is None:
        return ReadOnlyDict()
    parts = fields_of(config)
    return ReadOnlyDict(freeze({"config": config} if parts is None else parts))
