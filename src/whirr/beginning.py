"""The files of a run as it begins: new ones, or those of a worker, whose content is kept."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic

from whirr import clock
from whirr.config import Settings
from whirr.document import Document
from whirr.errors import UsageError, warn
from whirr.folder import CONFIG, META, METRICS, cannot_write
from whirr.jsonio import dumps, read_document, write_atomic
from whirr.metrics import MetricsWriter
from whirr.opening import Place
from whirr.process import identity
from whirr.values import ReadOnlyDict, show, to_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


class Start:
    """What a run begins with.

    Attributes:
        config: what the program sees as ``run.config``.
        config_bytes: ``config.json``.
        document: ``meta.json``.
        monotonic: the start on the clock that never steps.
    """

    def __init__(self, config: ReadOnlyDict, config_bytes: bytes, document: Document, monotonic: float) -> None:
        self.config = config
        self.config_bytes = config_bytes
        self.document = document
        self.monotonic = monotonic


def own_metrics(folder: Path) -> MetricsWriter | None:
    """The writer of the run's own metrics file; None when another live process has it.

    Raises:
        FolderError: the file cannot be written.
    """
    try:
        return MetricsWriter(str(folder / METRICS))
    except BlockingIOError:
        return None
    except OSError as error:
        raise cannot_write(folder, error) from None


def write(place: Place, settings: Settings, name: str | None, config: ReadOnlyDict, tags: list[str]) -> Start:
    """Write ``config.json`` and ``meta.json`` of a run that begins now.

    Raises:
        FolderError: they cannot be written.
    """
    meta_before = _before(place.folder / META) if place.adopted else {}
    config_before = _before(place.folder / CONFIG) if place.adopted else {}
    plain = to_plain(config)
    content = _meta(place, settings, name, tags)
    content = _keep(content, meta_before)
    theirs = to_plain(config_before)
    conflicts = {key: value for key, value in plain.items() if theirs.get(key, value) != value}
    if conflicts:
        content["config_conflicts"] = conflicts
        warn(f"the job's configuration and the program's differ in {', '.join(conflicts)}; both are kept")
    config_bytes = dumps({**plain, **config_before})
    document = Document(place.folder / META, content)
    try:
        write_atomic(place.folder / CONFIG, config_bytes)
        write_atomic(place.folder / META, dumps(content))
        document.set_space_aside()
    except OSError as error:
        raise cannot_write(place.folder, error) from None
    began = monotonic() - _age(content["started_at"])
    return Start(ReadOnlyDict({**config_before, **config}), config_bytes, document, began)


def _before(path: Path) -> dict[str, Any]:
    """What the worker put into a file."""
    try:
        found = read_document(path)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        warn(f"{path} cannot be read and is written anew: {error}")
        return {}
    return found if isinstance(found, dict) else {}


def _meta(place: Place, settings: Settings, name: str | None, tags: list[str]) -> dict[str, Any]:
    meta: dict[str, Any] = {
        "run_id": place.run_id,
        "name": None if name is None else str(name),
        "status": "running",
        "started_at": clock.stamp(),
        "finished_at": None,
        "duration_seconds": None,
        "tags": tags,
        "config_file": CONFIG,
        "summary": {},
        "cause": None,
        "process": identity(),
    }
    if settings.job_id is not None:
        meta["job_id"] = int(settings.job_id) if settings.job_id.isdecimal() else settings.job_id
    if place.launch is not None:
        meta["launch"] = place.launch
    return meta


NEW_EACH_TIME = ("status", "finished_at", "duration_seconds", "cause", "process")


def _keep(meta: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """``meta`` with all that stood in the file before, but for what this start makes anew."""
    kept = {key: value for key, value in before.items() if key not in NEW_EACH_TIME and value is not None}
    tags = [*(before.get("tags") or ()), *meta["tags"]]
    return {**meta, **kept, "tags": list(dict.fromkeys(tags))}


def as_tags(tags: Any) -> list[str]:
    """Tags as a list of texts.

    Raises:
        UsageError: they are none.
    """
    if tags is None:
        return []
    if isinstance(tags, bytes | bytearray) or not isinstance(tags, Iterable):
        raise UsageError(f"tags={show(tags):.60} is no list of texts", hint='write tags=["baseline", "resnet"]')
    return [tags] if isinstance(tags, str) else [str(tag) for tag in tags]


def _age(started_at: str) -> float:
    """Seconds since the worker started the run; 0 for a run that starts now."""
    try:
        return max(clock.now().timestamp() - clock.epoch(started_at), 0.0)
    except (TypeError, ValueError):
        return 0.0
