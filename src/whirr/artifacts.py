"""Copying artifacts into a run's folder: whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from whirr.errors import ArtifactNameError
from whirr.folder import ARTIFACTS, inside, under
from whirr.paths import LONGEST_NAME, LONGEST_PATH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

CLONE = 0x40049409  # the FICLONE request of linux/fs.h


def target_of(run_dir: Path, source: Path, name: str | os.PathLike[str] | None) -> Path:
    """Where an artifact goes.

    Raises:
        ArtifactNameError: the name would leave the run's ``artifacts/`` folder or lead through a file, or no file can
            have it.
    """
    chosen = os.fspath(name) if name is not None else os.path.basename(os.path.abspath(source))
    _refuse_impossible(chosen)
    base = run_dir / ARTIFACTS
    target = inside(base, chosen)
    if target is None:
        raise ArtifactNameError(
            f"the artifact name {chosen!r} leaves the run's folder",
            hint="give a relative name without '..', such as 'checkpoints/best.pt'",
        )
    for above in target.relative_to(base).parents:
        if (base / above).is_file():
            raise ArtifactNameError(f"the artifact {str(above)!r} is a file already", hint="choose another name")
    return target


def _refuse_impossible(name: str) -> None:
    try:
        longest = max(len(os.fsencode(part)) for part in name.split("/"))
    except UnicodeEncodeError:
        raise ArtifactNameError(
            f"no file can have the name {name!r:.60}", hint="give a name of whole Unicode characters"
        ) from None
    if longest > LONGEST_NAME or len(name) > LONGEST_PATH:
        raise ArtifactNameError(
            f"the artifact name {name!r:.60} is too long",
            hint=f"a file or folder has at most {LONGEST_NAME} bytes in its name, and a path {LONGEST_PATH} characters",
        )


def save(source: Path, target: Path) -> None:
    """Copy a file or folder to ``target``, in place only when the copy is whole.

    A file replaces the file of that name. A folder joins the folder of that name: equal names are replaced, and
    what was saved there under other names stays. Of a folder that contains ``target`` itself (a work tree that
    holds its runs), the sub-folder that does is left out.

    Raises:
        ArtifactNameError: a file would take the place of a folder, or a folder that of a file.
        OSError: ``source`` cannot be read, or the copy cannot be written.
    """
    if target.exists() and os.path.samefile(source, target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{os.urandom(6).hex()}.tmp"
    try:
        if source.is_dir():
            _copy_folder(source, temporary)
        else:
            _copy_file(str(source), str(temporary))
        _refuse_other_kinds(temporary, target)
        _replace(temporary, target)
    except BaseException:
        _remove(temporary)
        raise


def _refuse_other_kinds(copy: Path, target: Path) -> None:
    """No file takes the place of a folder of artifacts, nor a folder that of a file; checked before anything moves."""
    for part in (copy, *copy.rglob("*")):
        there = target / part.relative_to(copy)
        if there.exists() and not there.is_symlink() and there.is_dir() != part.is_dir():
            kind = "folder" if there.is_dir() else "file"
            raise ArtifactNameError(f"the artifact {there.name!r} is a {kind} already", hint="choose another name")


def _replace(temporary: Path, target: Path) -> None:
    """Put the finished copy in place, file by file where a folder of that name is there."""
    if target.is_symlink():
        target.unlink(missing_ok=True)
    if not (temporary.is_dir() and target.is_dir()):
        try:
            os.replace(temporary, target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
    # Now there is a folder, if only since a moment: another thread or process has just saved it.
    for part in temporary.iterdir():
        _replace(part, target / part.name)
    temporary.rmdir()


def _remove(path: Path) -> None:
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _copy_folder(source: Path, target: Path) -> None:
    import shutil

    # Of each folder, the real ones on the way to it.
    ways: dict[str, tuple[str, ...]] = {os.path.dirname(source): (os.path.realpath(target),)}

    def left_out(folder: str, names: list[str]) -> set[str]:
        endless = ways[folder] = (*ways[os.path.dirname(folder)], os.path.realpath(folder))
        return {name for name in names if not _wanted(os.path.join(folder, name), endless)}

    try:
        shutil.copytree(source, target, copy_function=_copy_file, ignore=left_out)
    except shutil.Error as error:  # a list of all that failed
        failed = error.args[0]
        raise OSError(f"{len(failed)} file(s) could not be copied, the first: {failed[0][2]}") from None
    except RecursionError:
        raise OSError("its folders are nested too deeply") from None


def _wanted(path: str, endless: Iterable[str]) -> bool:
    """Files and folders; no sockets, pipes or devices, and no folder around one of ``endless``."""
    if not os.path.isdir(path):
        return os.path.isfile(path)
    real = os.path.realpath(path)
    return not any(under(folder, real) for folder in endless)


def _copy_file(source: str, target: str) -> str:
    import shutil

    os.stat(source)  # a missing file is told as such
    if not os.path.isfile(source):
        raise OSError(f"{source} is neither a file nor a folder")
    if not _clone(source, target):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)
    return target


def _clone(source: str, target: str) -> bool:
    """Share the blocks of ``source`` with ``target`` where the file system can (btrfs, XFS); else nothing."""
    from fcntl import ioctl

    with open(source, "rb") as original, open(target, "wb") as copy:
        try:
            ioctl(copy.fileno(), CLONE, original.fileno())
        except OSError:
            return False
    return True
