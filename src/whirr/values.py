"""Any Python value as plain JSON data, by duck typing, without refusing or changing anything.

Nothing of numpy, torch, jax, pydantic, attrs or OmegaConf is imported: their objects are known by
the methods they have.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Set, Sized
from datetime import date, time
from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""How a document (``meta.json``, ``config.json``) spells floats that JSON has no number for."""

LONGEST_TEXT = 2000
LARGEST_ARRAY = 1000
DEEPEST = 40


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


def fields_of(value: Any) -> dict[Any, Any] | None:
    """The named parts of a mapping-like object, or None when it has none.

    Knows mappings (OmegaConf too), ``argparse.Namespace``, dataclasses, attrs and pydantic objects.
    A part that cannot be read (a missing OmegaConf value, say) is replaced by a text that says so.
    """
    kind = type(value)
    if isinstance(value, Mapping):
        return {key: _part(value.__getitem__, key) for key in value}
    if isinstance(value, type):
        return None
    if hasattr(kind, "__dataclass_fields__"):
        return {name: _part(_attribute_of(value), name) for name in kind.__dataclass_fields__}
    if hasattr(kind, "__attrs_attrs__"):
        return {field.name: _part(_attribute_of(value), field.name) for field in kind.__attrs_attrs__}
    if hasattr(kind, "model_fields"):
        return {**vars(value), **(getattr(value, "__pydantic_extra__", None) or {})}
    if kind.__name__ in ("Namespace", "SimpleNamespace") and hasattr(value, "__dict__"):
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
    """The Python scalar in a numpy, torch or jax scalar, a one-element array, a Decimal or a Fraction.

    Raises:
        TypeError: it holds no single value.
    """
    item = getattr(value, "item", None)
    if callable(item):
        try:
            found = item()
        except Exception as error:
            raise TypeError(f"{type(value).__name__} is not a single value: {error}") from None
        if isinstance(found, bool | int | float | str):
            return found
    elif isinstance(value, float) or type(value).__name__ in ("Decimal", "Fraction"):
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
    fields = fields_of(value)
    if fields is not None:
        return {_key(key): to_plain(item, above) for key, item in fields.items()}
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
    except Exception:
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


def freeze(value: Any, depth: int = 0) -> Any:
    """A copy of a config's containers, mappings read-only; what lies in them stays the very object."""
    if depth > DEEPEST:
        return value
    fields = fields_of(value)
    if fields is not None:
        return ReadOnlyDict({key: freeze(item, depth + 1) for key, item in fields.items()})
    if type(value) is list:
        return [freeze(item, depth + 1) for item in value]
    return value


def as_config(config: Any) -> ReadOnlyDict:
    """A config of any type as a read-only dict; a value without named parts becomes ``{"config": value}``."""
    if config is None:
        return ReadOnlyDict()
    frozen = freeze(config)
    return frozen if isinstance(frozen, ReadOnlyDict) else ReadOnlyDict({"config": frozen})
