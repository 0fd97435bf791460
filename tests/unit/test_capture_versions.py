"""Version numbers are spelled as `packaging`, which pip uses, spells them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version

from whirr.capture.versions import normal

PIECES = [
    "1",
    "0",
    "07",
    "2023",
    ".",
    "-",
    "_",
    "!",
    "+",
    "a",
    "b",
    "rc",
    "c",
    "alpha",
    "preview",
    "post",
    "rev",
]
PIECES += ["r", "dev", "v", " ", "cu118", "g0a1", "x"]


def judged(version: str) -> str | None:
    try:
        return str(Version(version))
    except InvalidVersion:
        return None


KNOWN = "1.0 2023.07.22 1.0-beta 1.0.0rc1 2.1.0+cu118 1!2.0 0!1.0 1.0-1 1.0.post 1.0.dev v1.2 1.0a.1 "
ODD = ["1.0-r4.dev3", "1.0+ubuntu-01_x", "not-a-version", "", "1.0+", "1..0", "2004d", " 1.0 "]


@pytest.mark.parametrize("version", [*KNOWN.split(), *ODD])
def test_known_spellings(version: str) -> None:
    assert normal(version) == judged(version)


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join))
def test_agrees_with_packaging_on_anything_like_a_version(version: str) -> None:
    assert normal(version) == judged(version)
