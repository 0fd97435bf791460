"""What the documents of a run folder say, as a listing keeps it: small, and every key of the kind it should be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import orjson

from whirr import clock
from whirr.annotations import ANNOTATIONS, annotations_of
from whirr.folder import CONFIG, FURTHER_WRITER, META, checked
from whirr.jsonio import plain_file
from whirr.pack import Packed, packed_json

UNKNOWN = "unknown"
"""The status word of a run whose ``meta.json`` cannot be read."""

SEEN = "_seen"
"""The key of a record under which the signature of its documents stands."""

DOCUMENTS = (META, CONFIG, ANNOTATIONS)
TEXT, OBJECT = (str, "a text"), (dict, "an object")
KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("name", "status", "started_at", "finished_at"), TEXT),
    **dict.fromkeys(("summary", "git_info", "cause", "process", "environment"), OBJECT),
    "tags": (list, "a list of texts"),
    "duration_seconds": (int | float, "a number"),
    "job_id": (str | int, "a text or a number"),
    "dropped_records": (int, "a number"),
}
"""What the keys of ``meta.json`` hold unless someone has edited it: a type, and its name for people."""


def documents_signature(folder: str) -> int:
    """A number that changes when one of the documents of a run does."""
    found = []
    for name in DOCUMENTS:
        try:
            status = os.stat(f"{folder}/{name}")
        except OSError:
            found.append(0)
            continue
        found += [status.st_mtime_ns, status.st_size, status.st_ino]
    return hash(tuple(found))


def read_record(folder: str, signature: int) -> Packed:
    """The record of one run, small: what only judging a live process needs is left out of ended ones.

    Args:
        signature: of the folder as it was looked at before.
    """
    problems: list[str] = []
    # Looked at before they are read: a change in between is then seen the next time.
    seen = documents_signature(folder)
    record = {"run_id": os.path.basename(folder), **_checked(f"{folder}/{META}", problems)}
    record["status"] = record.get("status") or UNKNOWN
    record.pop("environment", None)
    if record["status"] != "running":
        record.pop("process", None)
    if record.get("cause"):
        record["cause"].pop("traceback", None)
    _read_others(folder, record, problems)
    record |= {"problems": problems, SEEN: seen}
    return Packed(signature, record.get("started_at") or _changed_at(folder), packed_json(record))


def own_tags(folder: Path) -> list[str]:
    """The tags that a run's program or job gave it."""
    return _checked(f"{folder}/{META}", []).get("tags") or []


def _read_others(folder: str, record: dict[str, Any], problems: list[str]) -> None:
    """Add the config, what further processes of the run put into the summary, and what people gave it afterwards."""
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    record["config"] = _document(f"{folder}/{CONFIG}", problems) if CONFIG in names else {}
    for name in sorted(filter(FURTHER_WRITER.fullmatch, names)):
        said = _checked(f"{folder}/{name}", problems)
        record["summary"] = {**(said.get("summary") or {}), **(record.get("summary") or {})}
    record.pop("notes", None)  # a key of a program's own
    if ANNOTATIONS in names:
        given = annotations_of(_document(f"{folder}/{ANNOTATIONS}", problems))
        record |= {"tags": given.tags(record.get("tags") or []), "notes": given.notes}


def _checked(path: str, problems: list[str]) -> dict[str, Any]:
    """A document in which every key of ``KINDS`` holds what it should, or null."""
    found = _document(path, problems)
    for key, (_, what) in KINDS.items():
        value = found.get(key)
        if not _fits(key, value):
            problems.append(f"{os.path.basename(path)}: {key} is not {what}")
            found[key] = (
                [tag for tag in value if isinstance(tag, str)] if key == "tags" and type(value) is list else None
            )
    return found


def _fits(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool):
        return value is None
    return isinstance(value, KINDS[key][0]) and (key != "tags" or all(isinstance(tag, str) for tag in value))


def _document(path: str, problems: list[str]) -> dict[str, Any]:
    """A document as it stands in the file: non-finite floats stay spelled out."""
    return checked(lambda: _raw(path), os.path.basename(path), problems)


def _raw(path: str) -> Any:
    with open(path, "rb", buffering=0, opener=plain_file) as file:
        return orjson.loads(file.read())


def _changed_at(folder: str) -> str:
    try:
        return clock.stamp(clock.at(os.stat(folder).st_mtime))
    except OSError:
        return ""
