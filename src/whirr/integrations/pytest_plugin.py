"""A run that a test begins and leaves open ends with the test, and as the test does.

pytest catches what a test raises, so that an exception never reaches the hooks of the process. This plugin
is loaded by pytest on its own; it does nothing in tests that do not use whirr.
"""

from __future__ import annotations

import sys
from collections.abc import Generator

import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, None]:
    """Around the body of each test."""
    before = _open_runs()
    outcome = yield
    error = outcome.excinfo[1] if outcome.excinfo else None  # type: ignore[attr-defined]
    for run in _open_runs():
        if run in before:
            continue
        if error is None or isinstance(error, pytest.skip.Exception):
            run.finish()  # type: ignore[attr-defined]
        else:
            run.fail(error)  # type: ignore[attr-defined]


def _open_runs() -> list[object]:
    """Open runs, without importing whirr for tests that do not."""
    module = sys.modules.get("whirr.run")
    return module.open_runs() if module is not None else []
