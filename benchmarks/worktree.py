"""A git work tree with hundreds of files and an environment with hundreds of packages."""

from __future__ import annotations

import subprocess
from pathlib import Path

FILES, CHANGED, PACKAGES = 500, 10, 300
SOURCE = "def layer(x):\n    return x * 2\n" * 40


def make_tree(folder: Path) -> Path:
    """A committed work tree, some of whose files have changed since."""
    for number in range(FILES):
        file = folder / f"package_{number % 20}" / f"module_{number}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"NUMBER = {number}\n{SOURCE}")
    _git(folder, "init", "--quiet", "--initial-branch=main")
    _git(folder, "add", "--all")
    _git(folder, "-c", "user.name=b", "-c", "user.email=b@localhost", "commit", "--quiet", "--message=all")
    for number in range(CHANGED):
        (folder / f"package_{number}" / f"module_{number}.py").write_text(f"NUMBER = -{number}\n{SOURCE}")
    return folder


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], check=True)


def make_packages(folder: Path) -> Path:
    """A folder of installed packages, for ``PYTHONPATH``."""
    for number in range(PACKAGES):
        information = folder / f"package_{number}-1.{number}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: package-{number}\nVersion: 1.{number}\n")
        (information / "INSTALLER").write_text("pip\n")
        (information / "RECORD").write_text("".join(f"package_{number}/{n}.py,,\n" for n in range(50)))
    return folder
