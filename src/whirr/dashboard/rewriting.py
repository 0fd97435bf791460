"""A job as the texts of a form, and what people made of those texts as changes."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from whirr import clock, resubmission
from whirr.errors import UsageError
from whirr.model import Job, JobSpec
from whirr.resubmission import Changes

T = TypeVar("T")
TEXTS = ("command", "env", "name", "tags", "priority", "gpus", "timeout", "grace", "retries", "after", "after_any")
DEFAULTS = {"name": "name", "gpus": "gpus", "timeout": "timeout_s"}
"""Texts that may be empty, and the fields which then go back to their defaults."""


def form_of(job: Job) -> dict[str, Any]:
    """What a form begins with: each part of a job as a text, without secrets, and what cannot be changed."""
    tree = job.spec.submitted.get("tree")
    return {
        "id": job.id,
        **texts_of(job.spec),
        "workdir": job.spec.workdir,
        "snapshot": job.spec.snapshot,
        "commit": str(tree.get("commit") or "") if isinstance(tree, Mapping) else "",
    }


def texts_of(spec: JobSpec) -> dict[str, str]:
    """The parts that can be changed, as people write them."""
    shown = resubmission.shown(spec)
    return {
        "command": resubmission.written(shown.argv),
        "env": "\n".join(f"{name}={resubmission.written([value])}" for name, value in shown.env.items()),
        "name": spec.name or "",
        "tags": ", ".join(spec.tags),
        "priority": str(spec.priority),
        "gpus": "" if spec.gpus is None else str(spec.gpus),
        "timeout": "" if spec.timeout_s is None else clock.spell_duration(spec.timeout_s),
        "grace": clock.spell_duration(spec.grace_s),
        "retries": str(spec.retries),
        "after": ", ".join(map(str, spec.after)),
        "after_any": ", ".join(map(str, spec.after_any)),
    }


def changes_of(spec: JobSpec, texts: Mapping[str, str]) -> Changes:
    """What people want to be different; a text that was left as it was changes nothing.

    Raises:
        UsageError: a text cannot be understood.
    """
    before = texts_of(spec)
    new = {
        name: text for name in TEXTS if (text := texts.get(name, before[name]).replace("\r\n", "\n")) != before[name]
    }
    reset = tuple(field for name, field in DEFAULTS.items() if name in new and not new[name].strip())
    given = {name: text for name, text in new.items() if not (name in DEFAULTS and not text.strip())}
    env, without = _env(spec, given["env"]) if "env" in given else ({}, ())
    return Changes(
        argv=_read(given, "command", _words),
        name=_read(given, "name", str.strip),
        tags=_read(given, "tags", _list),
        priority=_read(given, "priority", _count),
        gpus=_read(given, "gpus", _count),
        timeout_s=_read(given, "timeout", _duration),
        grace_s=_read(given, "grace", _duration),
        retries=_read(given, "retries", _count),
        after=_read(given, "after", _jobs),
        after_any=_read(given, "after_any", _jobs),
        env=env,
        without_env=without,
        reset=reset,
    )


def _read(texts: Mapping[str, str], name: str, read: Callable[[str], T]) -> T | None:
    if name not in texts:
        return None
    try:
        return read(texts[name])
    except ValueError as error:
        raise UsageError(f"{name}: {error}") from None


def _words(text: str) -> tuple[str, ...]:
    try:
        found = tuple(shlex.split(text))
    except ValueError as error:
        raise ValueError(f"{str(error).lower()}: words with spaces stand in quotes") from None
    if not found:
        raise ValueError("there is no command to run")
    return found


def _list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, (word.strip() for word in text.split(",")))))


def _count(text: str) -> int:
    try:
        return int(text.strip().replace("\u2212", "-"))
    except ValueError:
        raise ValueError(f"{text.strip()[:40]!r} is no whole number") from None


def _jobs(text: str) -> tuple[int, ...]:
    return tuple(_count(word.removeprefix("job-")) for word in _list(text.replace(" ", ",")))


def _duration(text: str) -> float:
    return clock.parse_duration(text)


def _env(spec: JobSpec, text: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """The variables that differ, and those that are no longer there."""
    try:
        pairs = [word.partition("=") for word in shlex.split(text)]
    except ValueError as error:
        raise UsageError(f"env: {str(error).lower()}", hint="values with spaces stand in quotes") from None
    for name, equals, _ in pairs:
        if not name or not equals:
            raise UsageError(f"env: {name[:80]!r} is no variable", hint="one a line, such as SEED=1")
    found = {name: value for name, _, value in pairs}
    seen = resubmission.shown(spec).env
    new = {name: value for name, value in found.items() if seen.get(name) != value}
    return new, tuple(name for name in seen if name not in found)
