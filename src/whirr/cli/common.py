"""What several commands share: where the runs are, and how a run's parts are put into words."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from whirr import clock
from whirr.cli.screen import clean, emit
from whirr.config import Settings, server_url
from whirr.errors import UsageError
from whirr.folder import named_root
from whirr.jsonio import dumps
from whirr.records import UNKNOWN

if TYPE_CHECKING:
    from whirr.catalog import Runs, RunView


class Place(NamedTuple):
    """Which runs and queue a command works on, as its options say.

    Attributes:
        folder: what ``--dir`` says.
        server: what ``--server`` says.
    """

    folder: Path | None
    server: str | None

    def server_url(self, settings: Settings) -> str | None:
        """The server to work on; None: a folder of this machine.

        Raises:
            UsageError: both options were given, or the address is none.
        """
        if self.server is None:
            return None if self.folder is not None else settings.server_url
        if self.folder is not None:
            raise UsageError("--dir and --server exclude each other", hint="give one of them")
        return server_url(self.server)


dir_option = click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The .whirr folder, or a folder in or above which it lies.",
)
server_option = click.option(
    "--server", metavar="URL", help="Work on the queue and runs of this server (WHIRR_SERVER_URL)."
)


def place_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds ``--dir`` and ``--server`` to a command, which gets them as one argument ``place``."""

    @dir_option
    @server_option
    @wraps(function)
    def with_place(*arguments: Any, folder: Path | None, server: str | None, **options: Any) -> Any:
        return function(*arguments, place=Place(folder, server), **options)

    return with_place


json_option = click.option("--json", is_flag=True, help="Print JSON instead.")


root_of = named_root


@contextmanager
def runs_of(place: Place) -> Iterator[Runs]:
    """The runs a command works on; a folder needs no queue for that.

    Raises:
        NotFound: there is no such folder.
        Unreachable, AccessDenied, BadAnswer: the server cannot be worked on.
    """
    settings = Settings.from_env()
    url = place.server_url(settings)
    if url is None:
        from whirr.localruns import LocalRuns

        yield LocalRuns(root_of(place.folder))
        return
    from whirr.connect import reach

    hub = reach(url, settings)
    try:
        yield hub.runs
    finally:
        hub.close()


BRIEF = {"killed": "vanished (killed or crashed)", "interrupt": "interrupted", "out-of-memory": "out of memory"}
"""Causes whose own message is longer than a table wants."""


def status_words(run: RunView, mark: str = "") -> str:
    """The status, with ``mark`` after its word, and a short cause where the run did not end well."""
    word = clean(run.status) + mark
    cause = run.record.get("cause")
    if run.status == UNKNOWN and run.record["problems"]:
        return f"{word}: {clean(run.record['problems'][0])}"
    if cause is None or run.status in ("queued", "running", "cancelling", "completed"):
        return word
    kind = str(cause.get("kind"))
    message = str(cause.get("message") or "").partition("\n")[0]
    if kind == "exception":
        message = f"{cause.get('type')}: {message}" if message else str(cause.get("type"))
    words = clean(BRIEF.get(kind) or message or kind)
    return words + mark if words.startswith(run.status) else f"{word}: {words}"


def submitted_command(meta: Mapping[str, Any]) -> str:
    """The command with which a job was submitted, on one line; empty where the run is no job's."""
    job = meta.get("job")
    command = job.get("command") if isinstance(job, dict) else None
    return clean(shlex.join(map(str, command))) if isinstance(command, list) else ""


def age(stamp: Any, now: float) -> str:
    """How long ago a stamp was: ``12s ago``, ``3h ago``, ``5d ago``, then its date."""
    try:
        seconds = now - clock.epoch(stamp)
    except (TypeError, ValueError):
        return ""
    if seconds < 0:
        return "now" if seconds > -60 else str(stamp)[:10]
    for unit, length, limit in (("s", 1, 60), ("m", 60, 3600), ("h", 3600, 86400), ("d", 86400, 30 * 86400)):
        if seconds < limit:
            return f"{int(seconds // length)}{unit} ago"
    return str(stamp)[:10]


def duration(seconds: Any) -> str:
    """A duration for people; nothing where there is none."""
    return clock.format_duration(seconds) if isinstance(seconds, int | float) else ""


def print_json(value: Any) -> None:
    """Print a document as indented JSON."""
    import orjson

    try:
        data = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:  # a command or path that is not valid Unicode
        data = dumps(value)
    emit(data.decode().rstrip("\n"))
