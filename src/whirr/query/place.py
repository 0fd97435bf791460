"""Where the runs are that a program asks for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from whirr.catalog import Runs
from whirr.config import Settings, server_url
from whirr.errors import UsageError
from whirr.folder import named_root


@contextmanager
def opened(dir: str | os.PathLike[str] | None, server: str | None, token: str | None) -> Iterator[Runs]:
    """The runs of a folder or of a server.

    Raises:
        UsageError: both were named, or the address is none.
        NotFound: there is no such folder.
        Unreachable, AccessDenied, BadAnswer: the server cannot be asked.
    """
    if dir is not None and server is not None:
        raise UsageError("dir and server exclude each other", hint="give one of them")
    settings = Settings({**os.environ, "WHIRR_TOKEN": token}) if token else Settings.from_env()
    url = server_url(server) if server is not None else None if dir is not None else settings.server_url
    if url is None:
        from whirr.localruns import LocalRuns

        yield LocalRuns(named_root(None if dir is None else Path(dir)))
        return
    from whirr.connect import reach

    hub = reach(url, settings)
    try:
        yield hub.runs
    finally:
        hub.close()
