"""Where a package came from, when not from an index: a URL, a folder, a repository."""

from __future__ import annotations

import os
import re
from pathlib import Path

from whirr.capture.redact import clean_url

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from whirr.capture.git import Repository
    from whirr.capture.packages import Found

_LIMIT = 1 << 20
_KINDS = ("archive_info", "dir_info", "vcs_info")
_LOST = "## !! Could not determine repository location"


def direct_url(info: str) -> dict[str, Any] | None:
    """The valid content of `direct_url.json` in the metadata folder `info` (PEP 610), else None."""
    import json

    try:
        fd = os.open(info + "/direct_url.json", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = json.loads(os.read(fd, _LIMIT))
    except (ValueError, OSError):
        return None
    finally:
        os.close(fd)
    return content if _valid(content) else None


def _valid(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("url"), str):
        return False
    kinds = [content[kind] for kind in _KINDS if content.get(kind) is not None]
    if len(kinds) != 1 or not isinstance(kinds[0], dict):
        return False
    vcs = content.get("vcs_info")
    return vcs is None or (isinstance(vcs.get("vcs"), str) and isinstance(vcs.get("commit_id"), str))


def reference(direct: dict[str, Any]) -> str:
    """The URL of a requirement that installs the same again, credentials removed."""
    url = clean_url(direct["url"])
    fragments = []
    if vcs := direct.get("vcs_info"):
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    elif archive := direct.get("archive_info"):
        hashes = archive.get("hashes")
        if archive.get("hash"):
            fragments.append(str(archive["hash"]))
        elif isinstance(hashes, dict) and hashes:
            fragments.append("{}={}".format(*next(iter(hashes.items()))))
    if direct.get("subdirectory"):
        fragments.append(f"subdirectory={direct['subdirectory']}")
    return f"{url}#{'&'.join(fragments)}" if fragments else url


def editable_location(direct: dict[str, Any]) -> str | None:
    """The source folder of an editable installation, None for any other."""
    folder = direct.get("dir_info")
    if not folder or folder.get("editable") is not True or not direct["url"].startswith("file:"):
        return None
    from urllib.parse import unquote

    return unquote(re.sub(r"^file:(//[^/]*)?", "", direct["url"]))


def editable(one: Found, location: str, deadline: float) -> list[str]:
    """The lines for an editable installation: by its repository and commit where those are known."""
    from whirr.capture.git import find_repository

    location = os.path.abspath(location)
    here = f"-e {location}"
    repository = find_repository(location, deadline)
    if repository is None:
        if _other_repository(location):
            return [_LOST, here]
        return [f"# Editable install with no version control ({one.pinned})", here]
    try:
        return _from_git(one, repository, location, here)
    except FileNotFoundError:  # no git: pip gives up on the commit too
        return [here]


def _from_git(one: Found, repository: Repository, location: str, here: str) -> list[str]:
    url = _remote(repository)
    if url is None:
        return [f"# Editable Git install with no remote ({one.pinned})", here]
    url = clean_url(url)
    requirement = _as_url(url, repository.top)
    if requirement is None:
        broken = "with either a deleted local remote or invalid URI"
        return [f"# Editable Git install ({one.pinned}) {broken}:", f"# '{url}'", here]
    head = repository.git("rev-parse", "HEAD")
    if not head.ok:
        return [_LOST, here]
    egg = one.name.replace("-", "_")
    line = f"-e git+{requirement}@{head.data.decode().strip()}#egg={egg}"
    project = _project(location)
    if project and os.path.realpath(project) != os.path.realpath(repository.top):
        line += f"&subdirectory={os.path.relpath(project, repository.top)}"
    return [line]


def _remote(repository: Repository) -> str | None:
    """The URL of origin, else of the first remote."""
    output = repository.git("config", "--get-regexp", r"remote\..*\.url")
    remotes = output.data.decode("utf-8", "replace").splitlines()
    remotes.sort(key=lambda line: not line.startswith("remote.origin.url "))
    return remotes[0].split(" ")[1].strip() if remotes else None


def _as_url(remote: str, top: str) -> str | None:
    """What git calls a remote in the form pip reads; None for what is no URL and no folder."""
    if re.match(r"\w+://", remote):
        return remote
    if os.path.exists(remote):
        return Path(os.path.abspath(remote)).as_uri()
    scp = re.fullmatch(r"(\w+@)?([^/:]+):(\w[^:]*)", remote)
    return f"ssh://{scp[1] or ''}{scp[2]}/{scp[3]}" if scp else None


def _project(location: str) -> str | None:
    """The nearest folder at or above `location` with a pyproject.toml or setup.py."""
    while not any(os.path.isfile(os.path.join(location, name)) for name in ("pyproject.toml", "setup.py")):
        parent = os.path.dirname(location)
        if parent == location:
            return None
        location = parent
    return location


def _other_repository(location: str) -> bool:
    """Whether Mercurial, Subversion or Bazaar manage the folder."""
    while True:
        if any(os.path.isdir(os.path.join(location, name)) for name in (".hg", ".svn", ".bzr")):
            return True
        parent = os.path.dirname(location)
        if parent == location:
            return False
        location = parent
