"""A job submitted again: what it was submitted with, with changes."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from whirr.capture.redact import HIDDEN, hide_arguments
from whirr.errors import UsageError
from whirr.model import NOTHING, JobSpec

AGAIN_OF = "again_of"
"""The key under which what was recorded at a submission names the job that it repeats."""

RESETTABLE = ("name", "gpus", "timeout_s")
FIELDS = ("name", "tags", "priority", "gpus", "timeout_s", "grace_s", "retries", "after", "after_any")


class Changes(NamedTuple):
    """What is different when a job is submitted again; None: as it was.

    A word of ``argv`` or a value of ``env`` that is what ``shown`` gave for a secret stands for that secret.

    Attributes:
        env: variables to set, beside those it had.
        without_env: variables that it had and is no longer given.
        reset: the fields among ``RESETTABLE`` that are to be as if they had never been given.
    """

    argv: tuple[str, ...] | None = None
    name: str | None = None
    tags: tuple[str, ...] | None = None
    priority: int | None = None
    gpus: int | None = None
    timeout_s: float | None = None
    grace_s: float | None = None
    retries: int | None = None
    after: tuple[int, ...] | None = None
    after_any: tuple[int, ...] | None = None
    env: Mapping[str, str] = NOTHING
    without_env: tuple[str, ...] = ()
    reset: tuple[str, ...] = ()


def shown(spec: JobSpec) -> JobSpec:
    """What was submitted, without its secrets."""
    return spec._replace(argv=tuple(hide_arguments(spec.argv)), env=_shown_env(spec.env))


def written(words: Sequence[str]) -> str:
    """Words as a shell would take them; what is hidden stays legible."""
    return " ".join(word if word == HIDDEN else shlex.quote(word) for word in words)


def changed(spec: JobSpec, changes: Changes, job_id: int) -> JobSpec:
    """What is submitted when the job of this number is submitted again.

    Code and packages stay those that were recorded; so does the program, unless the command names another one.

    Raises:
        UsageError: a change cannot be understood, or a hidden word in it not be told from others.
    """
    if strange := sorted(set(changes.reset) - set(RESETTABLE)):
        raise UsageError(f"{strange[0][:80]!r} has no default to go back to", hint=f"only {', '.join(RESETTABLE)} have")
    argv = spec.argv if changes.argv is None else _unhidden(changes.argv, spec.argv)
    about: dict[str, Any] = {name: value for name in FIELDS if (value := getattr(changes, name)) is not None}
    about |= dict.fromkeys(changes.reset)
    submitted = {**spec.submitted, AGAIN_OF: job_id}
    if argv[:1] != spec.argv[:1]:
        about["executable"] = None
        submitted.pop("executable", None)
    return spec._replace(argv=argv, env=_env(spec.env, changes), submitted=submitted, **about)


def _shown_env(env: Mapping[str, str]) -> dict[str, str]:
    return dict(pair.split("=", 1) for pair in hide_arguments([f"{name}={text}" for name, text in env.items()]))


def _env(before: Mapping[str, str], changes: Changes) -> dict[str, str]:
    if missing := sorted(set(changes.without_env) - set(before)):
        raise UsageError(f"the job was given no variable {missing[0][:80]}", hint="there is nothing to leave out")
    seen = _shown_env(before)
    found = {name: value for name, value in before.items() if name not in changes.without_env}
    for name, value in changes.env.items():
        hidden = value == seen.get(name) and value != before[name]
        if HIDDEN in value and not hidden and value != before.get(name):
            raise UsageError(f"{name[:80]}: {HIDDEN} stands for what is hidden", hint="write the whole value")
        found[name] = before[name] if hidden else value
    return found


def _unhidden(argv: Sequence[str], before: Sequence[str]) -> tuple[str, ...]:
    """The words of a command in which those that are hidden are shown as ``shown`` gave them."""
    hidden: dict[str, list[str]] = {}
    for real, seen in zip(before, hide_arguments(before), strict=True):
        if real != seen:
            hidden.setdefault(seen, []).append(real)
    times = Counter(argv)
    found = []
    for word in argv:
        behind = hidden.get(word)
        if behind is None:
            found.append(_plain(word, before))
        elif len(set(behind)) == 1:
            found.append(behind[0])
        elif times[word] == len(behind):
            found.append(behind[0])
            hidden[word], times[word] = behind[1:], times[word] - 1
        else:
            raise UsageError(f"{word[:80]} hides several different words", hint="write those that are to stay")
    return tuple(found)


def _plain(word: str, before: Sequence[str]) -> str:
    if HIDDEN in word and word not in before:
        raise UsageError(f"in {word[:80]} {HIDDEN} stands for what is hidden", hint="write the whole word")
    return word
