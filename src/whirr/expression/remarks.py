"""What may be misspelt in an expression: keys that no run has, states and tags that there are not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from whirr.expression.matching import TAGS, value_of
from whirr.expression.parser import parse
from whirr.expression.tree import Compare, Glob, Leaf, Node, OneOf, Word, leaves
from whirr.where import FIELDS, MISSING, Remark, Run, dotted, paths

WILD = frozenset("*?[")


def remarks(
    node: Node,
    known: Callable[[str], bool],
    keys: Callable[[], Iterable[str]],
    values: Mapping[str, Collection[str]],
) -> list[Remark]:
    """Remarks on an expression.

    Args:
        known: whether any run has a key.
        keys: all keys there are; asked for only where one is not known.
        values: of some keys, all the values that there are.
    """
    found: list[Remark] = []
    for leaf in leaves(node):
        if isinstance(leaf, Word):
            continue
        key = "tag" if leaf.key in TAGS else leaf.key
        if key in values:
            found += _on_values(leaf, "tag" if key == "tag" else f"{key} called", values[key])
        elif key not in (*FIELDS, "tag") and not known(key):
            hint = did_you_mean(key, [*keys(), *FIELDS, "tag"])
            found.append(Remark(f"no run has {key}", hint, leaf.at))
    return list(dict.fromkeys(found))


def remarks_among(runs: Sequence[Run], expression: str, statuses: Collection[str]) -> list[Remark]:
    """Remarks on an expression that is put to these runs."""

    def known(key: str) -> bool:
        return any(value_of(run, key) is not MISSING for run in runs)

    def keys() -> Iterator[str]:
        for run in runs:
            yield from run.metrics
            for document in (run.config, run.summary):
                yield from (dotted(path) for path, _ in paths(document))

    tags = {tag for run in runs for tag in run.tags}
    return remarks(parse(expression), known, keys, {"status": statuses, "tag": tags})


def _on_values(leaf: Leaf, what: str, known: Collection[str]) -> Iterator[Remark]:
    for text in _texts(leaf):
        if text not in known:
            yield Remark(f"there is no {what} {text}", did_you_mean(text, known), leaf.at)


def _texts(leaf: Leaf) -> list[str]:
    """The whole values that a leaf wants to see."""
    match leaf:
        case Compare(_, "=" | "!=", value):
            return [value.text]
        case OneOf(_, values):
            return [value.text for value in values]
        case Glob(_, pattern) if WILD.isdisjoint(pattern):
            return [pattern]
    return []


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint with those of the known words that are most like one: as a part of it, or with other letters."""
    from difflib import get_close_matches

    by_lower = {one.lower(): one for one in known}
    lower = word.lower()
    same_end = [low for low in by_lower if low.replace(".", "/").endswith("/" + lower.replace(".", "/"))]
    found = [*same_end, *get_close_matches(lower, by_lower, n=3, cutoff=0.7)]
    if not found:
        return None
    return f"did you mean {' or '.join(by_lower[one] for one in dict.fromkeys(found[:3]))}?"
