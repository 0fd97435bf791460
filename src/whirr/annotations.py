"""Notes and tags that people give a run afterwards.

They lie in the run's folder in a file of their own, ``annotations.json``, because the training process rewrites
``meta.json``. Of the tags it holds what was added to those of ``meta.json`` and what was taken off, so that the program
and people can both change them. It is replaced as a whole under a lock of the folder: of two edits none is lost.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from whirr.errors import EditConflict, FolderError, UsageError, not_written
from whirr.jsonio import dumps, read_document, write_atomic

ANNOTATIONS = "annotations.json"
LONGEST_NOTES, LONGEST_TAG, MOST_TAGS = 50_000, 200, 200
"""Characters of the notes and of a tag; tags of a run."""


class Edit(NamedTuple):
    """What is to be changed; None and empty: nothing.

    Attributes:
        notes: the new notes, as a whole.
        over: the notes that these are an edit of: where others are there by now, nothing is changed.
        tags: the tags that the run is to have, no others.
        add: tags that it is to have, too.
        remove: tags that it is not to have.
    """

    notes: str | None = None
    over: str | None = None
    tags: tuple[str, ...] | None = None
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


class Annotations(NamedTuple):
    """What was given to a run afterwards.

    Attributes:
        notes: text for people.
        added: tags that ``meta.json`` does not have.
        removed: tags of ``meta.json`` that were taken off.
    """

    notes: str = ""
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def tags(self, own: Iterable[str]) -> list[str]:
        """The tags of a run whose ``meta.json`` has these."""
        kept = [tag for tag in own if tag not in self.removed]
        return [*kept, *(tag for tag in self.added if tag not in kept)]


def annotations_of(found: Mapping[str, Any]) -> Annotations:
    """From what stands in the file; what is of the wrong kind is left out."""
    notes = found.get("notes")
    return Annotations(
        notes if isinstance(notes, str) else "", _texts(found.get("tags_added")), _texts(found.get("tags_removed"))
    )


def _texts(found: Any) -> tuple[str, ...]:
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def read_annotations(folder: Path) -> Annotations:
    """What was given to the run in a folder.

    Raises:
        FolderError: the file is there and cannot be read.
    """
    try:
        found = read_document(folder / ANNOTATIONS)
    except FileNotFoundError:
        return Annotations()
    except (OSError, ValueError) as error:
        raise FolderError(f"{folder / ANNOTATIONS} cannot be read: {error}", hint="mend or delete it") from None
    if not isinstance(found, dict):
        raise FolderError(f"{folder / ANNOTATIONS} holds no JSON object", hint="mend or delete it")
    return annotations_of(found)


def annotate(folder: Path, own: Sequence[str], edit: Edit) -> Annotations:
    """Change what was given to a run.

    Args:
        folder: the run's.
        own: the tags of its ``meta.json``.

    Returns:
        What it has now.

    Raises:
        UsageError: a tag is none, or there is too much of something.
        EditConflict: the notes were changed by somebody else meanwhile.
        FolderError: the file cannot be read or written.
    """
    checked = _checked(edit)
    with _held(folder):
        before = read_annotations(folder)
        after = _edited(before, own, checked)
        if after != before:
            _write(folder, after)
    return after


def _edited(before: Annotations, own: Sequence[str], edit: Edit) -> Annotations:
    if edit.notes is not None and edit.over is not None and before.notes not in (edit.over, edit.notes):
        raise EditConflict("the notes were changed meanwhile", hint="look at them, then write yours again")
    wanted = list(before.tags(own)) if edit.tags is None else list(edit.tags)
    wanted = [tag for tag in dict.fromkeys((*wanted, *edit.add)) if tag not in edit.remove]
    if len(wanted) > MOST_TAGS:
        raise UsageError(f"{len(wanted)} tags are too many", hint=f"a run has at most {MOST_TAGS}")
    return Annotations(
        before.notes if edit.notes is None else edit.notes,
        tuple(tag for tag in wanted if tag not in own),
        tuple(tag for tag in own if tag not in wanted),
    )


def _checked(edit: Edit) -> Edit:
    if edit.notes is not None and len(edit.notes) > LONGEST_NOTES:
        raise UsageError(f"notes of {len(edit.notes)} characters are too long", hint=f"at most {LONGEST_NOTES}")
    tags = None if edit.tags is None else tuple(map(_tag, edit.tags))
    return edit._replace(tags=tags, add=tuple(map(_tag, edit.add)), remove=tuple(tag.strip() for tag in edit.remove))


def _tag(text: str) -> str:
    tag = text.strip()
    if not tag or len(tag) > LONGEST_TAG or not tag.isprintable():
        raise UsageError(f"{text[:40]!r} is no tag", hint=f"give one line of 1 to {LONGEST_TAG} characters")
    return tag


def _write(folder: Path, given: Annotations) -> None:
    about = {"notes": given.notes, "tags_added": list(given.added), "tags_removed": list(given.removed)}
    try:
        write_atomic(folder / ANNOTATIONS, dumps(about), durable=True)
    except OSError as error:
        raise not_written(folder, error) from None


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Nobody else changes the annotations of a run meanwhile."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FolderError(f"cannot open {folder}: {error.strerror}", hint="mend its permissions") from None
    try:
        with suppress(OSError):  # some network file systems lock no folders
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
