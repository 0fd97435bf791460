"""Line by line what the real pip freeze prints, in environments that the real pip installed into."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from whirr.capture import packages

BACKEND = '''
"""The smallest build backend: a wheel with one module, or with a link to it."""
import pathlib, zipfile

def _wheel(folder, content):
    name, version = pathlib.Path("NAME").read_text().split()
    stem = name.replace("-", "_") + "-" + version
    with zipfile.ZipFile(pathlib.Path(folder) / (stem + "-py3-none-any.whl"), "w") as wheel:
        for path, text in content.items():
            wheel.writestr(path, text)
        info = stem + ".dist-info/"
        wheel.writestr(info + "METADATA", f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return stem + "-py3-none-any.whl"

def build_wheel(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {"module.py": ""})

def build_editable(folder, config_settings=None, metadata_directory=None):
    return _wheel(folder, {"__editable__.pth": str(pathlib.Path.cwd())})
'''
PROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
ENV = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PIP_", "PYTHON"))}
ENV |= {"PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}
ENV |= {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "PIP_ROOT_USER_ACTION": "ignore"}
ENV |= {f"GIT_{who}_{what}": "a@b.test" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def call(*argv: str | Path, cwd: Path | str = "/", **env: str) -> str:
    done = subprocess.run(argv, cwd=cwd, env=ENV | env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def freeze(python: Path, **env: str) -> list[str]:
    return call(python, "-m", "pip", "freeze", **env).splitlines()


def import_path(python: Path, **env: str) -> list[str]:
    code = "import sys, json; print(json.dumps(sys.path[1:]))"
    return list(json.loads(call(python, "-c", code, **env)))


def project(folder: Path, name: str, version: str = "1.0") -> Path:
    folder.mkdir(parents=True)
    (folder / "backend.py").write_text(BACKEND)
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "NAME").write_text(f"{name} {version}")
    return folder


def repository(folder: Path, remote: str | None = None) -> Path:
    call("git", "init", "-q", "-b", "main", folder)
    call("git", "add", "-A", cwd=folder)
    call("git", "commit", "-qm", "first", cwd=folder)
    if remote:
        call("git", "remote", "add", "origin", remote, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with one package of every origin."""
    base = tmp_path_factory.mktemp("packages")
    venv.create(base / "env", with_pip=True)
    python = base / "env/bin/python"
    wheel_folder = base / "wheels"
    wheel_folder.mkdir()
    plain = project(base / "plain", "Plain.Name", "2023.07.22")
    call(python, "-m", "pip", "wheel", "-q", "-w", wheel_folder, plain)
    archive = project(base / "archive src", "archived")
    call("git", "archive", "-o", base / "archived.zip", "HEAD", cwd=repository(archive))
    mono = base / "mono"
    project(mono / "libs/deep", "in-mono")
    repository(mono, "https://host.test/mono.git")
    editable = [
        repository(project(base / "scp", "by_scp"), "git@host.test:me/scp.git"),
        repository(project(base / "local", "by-folder"), str(mono)),
        repository(project(base / "alone", "no-remote")),
        repository(project(base / "lost", "lost-remote"), "../deleted"),
        project(base / "loose one", "no-vcs", "1.0rc1"),
        mono / "libs/deep",
    ]
    vcs = repository(project(base / "vcs", "From-Vcs"))
    installs = [next(wheel_folder.iterdir()), base / "archived.zip", f"git+file://{vcs}"]
    edits = [word for path in editable for word in ("-e", str(path))]
    find = project(base / "by-name", "by-name", "3+local.1")
    call(python, "-m", "pip", "wheel", "-q", "-w", base / "index", find)
    call(python, "-m", "pip", "install", "-q", *map(str, installs), *edits)
    call(python, "-m", "pip", "install", "-q", "--find-links", base / "index", "by-name")
    return python


def test_every_origin(built: Path) -> None:
    expected = freeze(built)
    assert len([line for line in expected if not line.startswith("#")]) == 10
    assert packages(import_path(built)) == expected


def test_credentials_are_removed_which_pip_itself_prints(built: Path) -> None:
    scp = built.parents[2] / "scp"
    call("git", "remote", "set-url", "origin", "https://me:hunter2@host.test/scp.git", cwd=scp)
    expected = [line.replace("me:hunter2@", "") for line in freeze(built)]
    assert "git+https://host.test/scp.git@" in "\n".join(expected)
    assert packages(import_path(built)) == expected


def test_an_environment_that_sees_the_systems_packages_and_the_users(tmp_path: Path) -> None:
    base = Path(sys.base_prefix) / "bin/python3"
    call(base, "-m", "venv", "--system-site-packages", tmp_path / "env")
    python = tmp_path / "env/bin/python"
    user = call(python, "-m", "site", "--user-site", PYTHONUSERBASE=str(tmp_path / "user")).strip()
    for folder in (user, *tmp_path.glob("env/lib/python*/site-packages")):
        info = Path(folder) / "Mine-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: Mine\nVersion: {len(str(folder))}\n")
    env = {"PYTHONUSERBASE": str(tmp_path / "user")}
    expected = freeze(python, **env)
    assert any(line.startswith("Mine==") for line in expected)
    assert packages(import_path(python, **env)) == expected


def test_the_environment_of_the_tests(tmp_path: Path) -> None:
    """From inside a program, whose own folder and additions to the path are not installed packages."""
    pytest.importorskip("pip")
    script, early, given = tmp_path / "script", tmp_path / "early", tmp_path / "given"
    for folder in (script, early, given):
        (folder / "decoy-1.egg-info").mkdir(parents=True)
        (folder / "decoy-1.egg-info/PKG-INFO").write_text(f"Metadata-Version: 1.0\nName: {folder.name}\nVersion: 1\n")
    code = f"import sys; sys.path.insert(0, {str(early)!r})\nfrom whirr.capture import packages\n"
    (script / "main.py").write_text(code + "print(*packages(), sep='\\n')\n")
    env = {"PYTHONPATH": str(given)}
    found = call(Path(sys.executable), script / "main.py", cwd=script, **env).splitlines()
    assert "given==1" in found
    assert found == freeze(Path(sys.executable), **env)


def test_a_git_that_is_missing_costs_only_the_commit(built: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(built.parents[2] / "nothing"))
    found = packages(import_path(built))
    assert f"-e {built.parents[2] / 'scp'}" in found
    assert "by-name==3+local.1" in found
