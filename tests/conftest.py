"""Set up for all tests: no setting and no git identity of the machine leaks in."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings
from postgres import database_url, postgres_server, postgres_url

__all__ = ["database_url", "postgres_server", "postgres_url"]  # fixtures of all tests

# Shared machines pause for longer than any deadline; a test here says what is right, never how fast.
settings.register_profile("whirr", deadline=None)
settings.load_profile("whirr")

# A shell starts what runs in its background deaf to Ctrl-C, and so would be every program that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--thorough", action="store_true", help="fault tests: many rounds, as long as it takes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Beside each other run files, not their tests; those that break things on purpose run one after the other."""
    if config.pluginmanager.hasplugin("dsession"):
        for item in items:
            group = "faults" if item.path.parent.name == "faults" else str(item.path)
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether a test is to take all the time it needs."""
    return bool(request.config.getoption("--thorough"))


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WHIRR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A Researcher")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "researcher@example.org")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory; runs started in it land in its `.whirr`."""
    monkeypatch.chdir(tmp_path)
    return tmp_path
