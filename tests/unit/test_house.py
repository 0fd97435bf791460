"""The rules of the house that a program can check (docs/explanation/architecture.md has the reasons)."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import whirr
from whirr.cli import program

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "whirr"
MODULES = sorted(SOURCE.rglob("*.py"))
REFERENCE = ROOT / "docs" / "reference"

PUBLIC_NAMES = {
    "Run",
    "WhirrError",
    "WhirrWarning",
    "finish",
    "init",
    "log",
    "read_columns",
    "read_meta",
    "read_metrics",
    "save_artifact",
    "summary",
}

# What `import whirr` may load besides orjson. A name is added here only with its cost measured
# (`python -X importtime -c "import whirr"`): the whole must stay under 30 ms.
LIGHT = [
    "__future__",
    "atexit",
    "datetime",
    "errno",
    "math",
    "orjson",
    "os",
    "signal",
    "threading",
    "time",
    "warnings",
]


def modules_after(statement: str) -> set[str]:
    """What a bare Python has loaded after a statement; neither site nor the environment add to it."""
    path = [str(SOURCE.parent), *sys.path]
    code = f"import sys; sys.path[:0] = {path!r}\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def functions(module: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_import_loads_light_modules_only() -> None:
    loaded = modules_after("import whirr") - modules_after(f"import {', '.join(LIGHT)}")
    assert {name for name in loaded if name.split(".")[0] != "whirr"} == set()


def test_import_starts_no_thread_and_touches_no_folder(tmp_path: Path) -> None:
    code = "import threading, whirr; assert threading.active_count() == 1"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


def test_public_names() -> None:
    assert set(whirr.__all__) == PUBLIC_NAMES
    page = (REFERENCE / "python-api.md").read_text()
    assert {name for name in PUBLIC_NAMES if not re.search(rf"`(whirr\.)?{name}\b", page)} == set()
    assert all(hasattr(whirr, name) for name in PUBLIC_NAMES)


def test_readers_are_in_the_run_module_too() -> None:
    from whirr.run import read_meta, read_metrics

    assert (read_meta, read_metrics) == (whirr.read_meta, whirr.read_metrics)


def test_version_is_a_literal() -> None:
    assert re.search(rf'^__version__ = "{re.escape(whirr.__version__)}"$', (SOURCE / "__init__.py").read_text(), re.M)


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_sizes(module: Path) -> None:
    assert len(module.read_text().splitlines()) <= 500
    long = [(f.name, f.lineno) for f in functions(module) if f.end_lineno - f.lineno + 1 > 60]
    assert long == []


def cli_words() -> Iterator[tuple[str, str]]:
    """(heading of the command on its reference page, a word of it that the page has to explain)"""
    context = click.Context(program)
    yield from (("whirr", word) for param in program.get_params(context) for word in words(param))
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        assert command is not None
        yield from ((f"whirr {name}", word) for param in command.params for word in words(param))


def words(param: click.Parameter) -> list[str]:
    if isinstance(param, click.Option):
        return [*param.opts, *param.secondary_opts]
    return [param.human_readable_name]


@pytest.mark.parametrize(("command", "word"), sorted(set(cli_words())))
def test_every_option_is_on_its_reference_page(command: str, word: str) -> None:
    page = (REFERENCE / "cli.md").read_text()
    section = re.search(rf"^## `{re.escape(command)}`\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    assert section, f"docs/reference/cli.md has no section for {command}"
    assert re.search(rf"`[^`]*(?<![\w-]){re.escape(word)}(?![\w-])[^`]*`", section[1]), f"{command}: {word}"


def variables(text: str) -> set[str]:
    return set(re.findall(r"\bWHIRR_[A-Z_]+[A-Z]\b", text))


def test_every_variable_is_documented_and_lives_in_config() -> None:
    known = variables((SOURCE / "config.py").read_text())
    assert {name for module in MODULES for name in variables(module.read_text())} == known
    assert variables((REFERENCE / "settings.md").read_text()) == known


def test_every_error_is_documented() -> None:
    from whirr import errors

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    codes = {kind.code for kind in kinds if issubclass(kind, errors.WhirrError)}
    page = (REFERENCE / "python-api.md").read_text()
    assert {code for code in codes if f"`{code}`" not in page} == set()


def test_the_map_shows_the_floors_that_are_enforced() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    drawn = re.search(r"^```text\n(F6.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert drawn
    lines = [line[len("F6  faces      ") :].split() for line in drawn[1].splitlines()]
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert [set(line) for line in lines] == [set(re.findall(r"\w+", layer)) for layer in contracts[0]["layers"]]


def test_every_module_is_on_the_map() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    rooms = {path.stem for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert {room for room in rooms - {"__init__"} if f"`{room}`" not in page} == set()
