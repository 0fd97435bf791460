"""Every error whirr raises, in one tree.

    WhirrError
    ├── UsageError              the call or command line cannot be understood
    ├── NotFound                no such run, metric or folder
    ├── Ambiguous               a prefix or name fits several runs
    ├── MissingExtra            an optional package is needed and not installed
    ├── FolderError             a run folder cannot be made or written     (also an OSError)
    │   └── NoRoom              the disk is full, or a quota used up
    ├── NoActiveRun             whirr.log() without whirr.init()           (also a RuntimeError)
    ├── RunFinished             log() or summary() after finish()          (also a RuntimeError)
    ├── NotAMapping             log() or summary() was not given a mapping (also a TypeError)
    ├── ArtifactNameError       an artifact cannot have this name          (also a ValueError)
    ├── StoreError              the queue's database cannot do it: locked, full, damaged, unreachable
    │   ├── SchemaTooNew        it was written by a newer whirr
    │   └── Unreachable         the server cannot be reached, or gave no answer in time
    ├── AccessDenied            the token's role does not allow it
    │   └── Unauthenticated     the server wants a token, and was given none that is good
    ├── TooMany                 too many requests, or failed ones, in a short time
    ├── TooLarge                more was sent than the server takes
    ├── WrongOffset             bytes were sent for another place than the end of what is there
    ├── BadAnswer               what answered is no whirr server, or one of another version
    ├── EditConflict            somebody else changed the same thing meanwhile
    ├── LeaseLost               the job was given to another attempt meanwhile
    └── IllegalTransition       a job in this state cannot do this

Each error says what happened (``str(error)``), what to do next (``error.hint``) and has a fixed
``error.code`` for programs.
"""

from __future__ import annotations

import sys
import warnings
from errno import EACCES, EDQUOT, ENOSPC, EROFS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType

VARARGS = 4  # the flag of code with ``*arguments``: inspect.CO_VARARGS


class WhirrError(Exception):
    """Base of all errors raised by whirr.

    Args:
        message: what happened, one line, for people.
        hint: what to do next, one line, or None.
    """

    code = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        return str(self.args[0])


class UsageError(WhirrError):
    """The call or the command line cannot be understood.

    Attributes:
        at: in an expression, from and to which character it is that cannot be understood; else None.
    """

    code = "usage"

    def __init__(self, message: str, *, hint: str | None = None, at: tuple[int, int] | None = None) -> None:
        super().__init__(message, hint=hint)
        self.at = at


class NotFound(WhirrError):
    """There is no such run, metric or folder."""

    code = "not-found"


class Ambiguous(WhirrError):
    """A prefix or a name fits more than one run."""

    code = "ambiguous"


class MissingExtra(WhirrError):
    """An optional package is needed; the hint names the extra that installs it."""

    code = "missing-extra"


def how_to_install(extra: str) -> str:
    """The hint that names an extra: by the source tree, since the package of this name on the index is another's."""
    return f"in whirr's source tree: pip install '.[{extra}]'"


class FolderError(WhirrError, OSError):
    """A run folder cannot be made or written."""

    code = "folder"


class NoRoom(FolderError):
    """A run folder cannot be written for now: the disk is full, or a quota is used up."""

    code = "no-room"


def folder_error(message: str, error: OSError, *, hint: str | None = None) -> FolderError:
    """The error for what cannot be written, of the kind that says whether room is all that is missing."""
    hints = {
        ENOSPC: "make room",
        EDQUOT: "make room: the quota is used up",
        EROFS: "it lies on a disk that is mounted read-only",
        EACCES: "mend its permissions, or use another folder",
    }
    kind = NoRoom if error.errno in (ENOSPC, EDQUOT) else FolderError
    return kind(message, hint=hint or hints.get(error.errno or 0, "make room or mend its permissions"))


def not_written(folder: object, error: OSError) -> FolderError:
    """The error of whatever is no run that begins: the queue, what people note."""
    return folder_error(f"cannot write into {folder}: {error.strerror or error}", error)


def no_access(folder: object, error: OSError) -> FolderError:
    """The error where a folder may not even be looked into."""
    return FolderError(
        f"cannot look into {folder}: {error.strerror}", hint="mend its permissions, or use another folder"
    )


class NoActiveRun(WhirrError, RuntimeError):
    """A module-level function was called while no run is active in this process."""

    code = "no-active-run"


class RunFinished(WhirrError, RuntimeError):
    """Something was logged to a run that has ended."""

    code = "run-finished"


class NotAMapping(WhirrError, TypeError):
    """Metrics must be a mapping of names to values."""

    code = "not-a-mapping"


class ArtifactNameError(WhirrError, ValueError):
    """An artifact's name leaves the run's ``artifacts/`` folder, or belongs to one of another kind."""

    code = "artifact-name"


class StoreError(WhirrError):
    """The queue's database cannot do what was asked: locked, full, damaged, unreachable."""

    code = "store"


class CommitUnknown(StoreError):
    """The connection to the queue's database was lost while a change was being committed: it may have been made."""

    code = "commit-unknown"


class SchemaTooNew(StoreError):
    """The queue's database was written by a newer whirr than this one."""

    code = "schema-too-new"


class Unreachable(StoreError):
    """The server cannot be reached, or gave no answer in time.

    Attributes:
        refused: nothing listens at its address: the server is not running.
    """

    code = "unreachable"

    def __init__(self, message: str, *, hint: str | None = None, refused: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.refused = refused


class AccessDenied(WhirrError):
    """The role of the token does not allow it, or the request comes from where it must not."""

    code = "access-denied"


class Unauthenticated(AccessDenied):
    """The server wants a token, and was given none, or one that is unknown, expired or revoked."""

    code = "unauthenticated"


class TooMany(WhirrError):
    """Too many requests, or failed ones, in a short time."""

    code = "too-many"


class TooLarge(WhirrError):
    """More was sent than the server takes."""

    code = "too-large"


class WrongOffset(WhirrError):
    """Bytes were sent for another place than the end of what is there.

    Attributes:
        actual: how many bytes are there.
    """

    code = "wrong-offset"

    def __init__(self, message: str, *, hint: str | None = None, actual: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.actual = actual


class BadAnswer(WhirrError):
    """What answered is no whirr server, or one of another version."""

    code = "bad-answer"


class EditConflict(WhirrError):
    """Somebody else changed the same thing meanwhile; nothing was changed."""

    code = "edit-conflict"


class LeaseLost(WhirrError):
    """The job was taken from this attempt meanwhile: what it reports no longer counts."""

    code = "lease-lost"


class IllegalTransition(WhirrError):
    """A job in its present state cannot do this."""

    code = "illegal-transition"


class WhirrWarning(UserWarning):
    """Something could not be recorded; the program goes on."""


def warn(text: str) -> None:
    """Tell people without ever breaking their program, not even where warnings are turned into errors."""
    try:
        try:
            warnings.warn(text, WhirrWarning, stacklevel=_first_frame_outside())
        except Warning:
            sys.stderr.write(f"whirr: warning: {text}\n")
    except Exception as error:  # nowhere is left to say it: stderr is closed or full
        let_through(error)


def let_through(error: Exception) -> None:
    """Raise ``error`` again if a signal handler of the program raised it, such as the time-out of an alarm.

    It is meant for the program, and no trouble of what it has interrupted.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        if _handles_signal(trace.tb_next.tb_frame, trace.tb_frame):
            raise error
        trace = trace.tb_next


def _handles_signal(frame: FrameType, caller: FrameType) -> bool:
    """A signal handler, and nothing else, is given the frame that it is called in."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & VARARGS)
    for name in code.co_varnames[:count]:
        value = frame.f_locals.get(name)
        if any(part is caller for part in (value if type(value) is tuple else (value,))):
            return True
    return False


def _first_frame_outside() -> int:
    """The stack level of the user's own line, so that the warning points at it."""
    frame, level = sys._getframe(2), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("whirr."):
        frame, level = frame.f_back, level + 1
    return level
