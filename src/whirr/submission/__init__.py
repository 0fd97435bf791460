"""What a job was submitted with: code, packages, program.

`record` writes it down when a job is submitted, `changed_since` tells when it starts whether the code is still
that, and `checkout` gives a job the submitted code whatever became of the work folder meanwhile.
"""

from __future__ import annotations

import glob
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from whirr import process
from whirr.capture import git_info, packages
from whirr.errors import UsageError, WhirrError
from whirr.folder import PATCH, REQUIREMENTS
from whirr.jsonio import write_atomic
from whirr.submission.changes import Change, Changes, changed_since
from whirr.submission.checkout import checkout, remove, require
from whirr.submission.parallel import both
from whirr.submission.scan import LeftOut
from whirr.submission.tree import UNTRACKED_LIMIT, Tree, forget, keep, record_tree, spell, unspell

__all__ = [
    "UNTRACKED_LIMIT",
    "Change",
    "Changes",
    "LeftOut",
    "Submission",
    "Tree",
    "changed_since",
    "checkout",
    "forget",
    "keep",
    "record",
    "record_tree",
    "remove",
]

DECIDING = ("PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "LD_LIBRARY_PATH")
"""Variables that decide which program and which libraries run."""


MACHINE = ("host", "machine_id", "boot_id")
"""What of the identity of a process says on which machine it is."""


class Submission(NamedTuple):
    """What was recorded at a submission.

    Attributes:
        git_info: as `whirr.capture.git_info` describes the work tree; None outside one.
        tree: the files of the work tree; None outside one, or when they could not be recorded.
        executable: the program, absolute, as the submitter's PATH has it; None when it was not found.
        variables: those of DECIDING that were set.
        requirements: the file of the installed packages in the staging folder; None when it was not written.
        notes: what could not be recorded, for people.
        machine: where it was submitted (``process.identity``): paths and variables are good only there.
    """

    git_info: dict[str, Any] | None
    tree: Tree | None
    executable: str | None
    variables: Mapping[str, str] = MappingProxyType({})
    requirements: str | None = None
    notes: tuple[str, ...] = ()
    machine: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "git_info": self.git_info,
            "tree": self.tree.as_dict() if self.tree else None,
            "executable": spell(self.executable),
            "variables": spell(dict(self.variables)),
            "requirements": self.requirements,
            "notes": list(self.notes),
            "machine": None if self.machine is None else dict(self.machine),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Submission:
        """A submission from what `as_dict` gave.

        Raises:
            WhirrError: its tree is none.
        """
        tree = plain.get("tree")
        return cls(
            plain.get("git_info"),
            Tree.from_dict(tree) if tree else None,
            unspell(plain.get("executable")),
            unspell(plain.get("variables") or {}),
            plain.get("requirements"),
            tuple(plain.get("notes") or ()),
            plain.get("machine"),
        )


def record(
    argv: Sequence[str],
    workdir: Path,
    staging: Path,
    *,
    environ: Mapping[str, str],
    include: Sequence[str] = (),
    snapshot: bool = False,
    own: Path | None = None,
    limit_s: float = 10.0,
    untracked_limit: int = UNTRACKED_LIMIT,
) -> Submission:
    """Record with what the command `argv` is submitted in `workdir`; files go into the existing folder `staging`.

    `environ` is the submitter's; `include`, `own` (whirr's folder) and `untracked_limit` are as in `record_tree`. What
    cannot be recorded within `limit_s` seconds becomes a note: a submission never fails for that, unless `snapshot`
    says that the job is to run on the recorded files.

    Raises:
        UsageError: `include` names what is not there, or a snapshot is asked for outside a git work tree.
        WhirrError: a snapshot is asked for, and the files could not be recorded.
    """
    workdir = Path(os.path.abspath(workdir))
    notes: list[str] = []
    executable = find_program(argv[0], workdir, environ)
    if executable is None:
        notes.append(_no_program(argv[0], workdir))

    def files() -> Tree | None:
        try:
            found = record_tree(workdir, include=include, own=own, limit_s=limit_s, untracked_limit=untracked_limit)
        except WhirrError as error:
            if snapshot or isinstance(error, UsageError):
                raise
            notes.append(f"the files of the work tree were not recorded: {error}")
            return None
        if snapshot:
            return require(found, workdir)
        if found is None:
            notes.append("not in a git work tree: the files are not recorded, and later changes cannot be named")
        return found

    described, (tree, requirements) = both(
        lambda: git_info(workdir, staging / PATCH, limit_s=limit_s),
        lambda: both(
            files, lambda: _write_packages(staging, _environment(executable, environ, workdir), notes, limit_s)
        ),
    )
    variables = {name: environ[name] for name in DECIDING if name in environ}
    here = {name: value for name, value in process.identity().items() if name in MACHINE}
    return Submission(described, tree, executable, variables, requirements, tuple(notes), here)


def _write_packages(
    staging: Path, environment: tuple[str | None, list[str] | None], notes: list[str], limit_s: float
) -> str | None:
    """Write the packages of an environment (see `_environment`); the file's name, or None and a note."""
    prefix, folders = environment
    if folders is None and prefix != sys.prefix:
        notes.append(f"the packages are those of {sys.prefix}, and the job may run in another environment")
    text = "".join(f"{line}\n" for line in packages(folders, limit_s=limit_s))
    try:
        write_atomic(staging / REQUIREMENTS, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        notes.append(f"the packages could not be recorded: {error}")
        return None
    return REQUIREMENTS


def find_program(name: str, workdir: Path, environ: Mapping[str, str]) -> str | None:
    """The absolute path that the shell of `environ` would start for `name` in `workdir`; links are not followed."""
    folders = [""] if "/" in name else environ.get("PATH", os.defpath).split(os.pathsep)
    for folder in folders:
        path = os.path.abspath(os.path.join(workdir, folder, name))
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def _no_program(name: str, workdir: Path) -> str:
    if "/" not in name:
        return f"there is no program {name} on the PATH of the submission"
    if os.path.isfile(os.path.join(workdir, name)):
        return f"{name} is not executable: chmod +x {shlex.quote(name)}"
    return f"there is no program {name}"


def _environment(
    executable: str | None, environ: Mapping[str, str], workdir: Path
) -> tuple[str | None, list[str] | None]:
    """The environment that the command runs in and its package folders; None for this interpreter's.

    It is the one whose `bin` holds the program or else the `python` on the PATH: a shell script starts that.
    """
    for program in (executable, find_program("python", workdir, environ), find_program("python3", workdir, environ)):
        prefix = os.path.dirname(os.path.dirname(program or ""))
        if program is None or not _belongs(program, prefix):
            continue
        if prefix == sys.prefix:
            return prefix, None
        folders = glob.glob(os.path.join(glob.escape(prefix), "lib", "python3*", "site-packages"))
        return prefix, folders if len(folders) == 1 else None
    return None, None


def _belongs(program: str, prefix: str) -> bool:
    """Whether a program runs on the Python of this prefix: it is that Python, or a script of an environment."""
    marks = (os.path.join(prefix, "pyvenv.cfg"), os.path.join(prefix, "conda-meta"))
    return os.path.basename(program).startswith("python") or any(map(os.path.exists, marks))
