"""Version numbers in the one spelling that PEP 440 gives them."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PLAIN = r"(?:0|[1-9]\d*)(?:\.(?:0|[1-9]\d*))*"
_FULL = r"""
    v? (?:(?P<epoch>\d+)!)? (?P<release>\d+(?:\.\d+)*)
    (?:[-_.]?(?P<pre>alpha|beta|preview|pre|a|b|c|rc)[-_.]?(?P<pre_n>\d+)?)?
    (?P<post>-(?P<post_bare>\d+)|[-_.]?(?:post|rev|r)[-_.]?(?P<post_n>\d+)?)?
    (?P<dev>[-_.]?dev[-_.]?(?P<dev_n>\d+)?)?
    (?:\+(?P<local>[a-z0-9]+(?:[-_.][a-z0-9]+)*))?
"""
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}


def normal(version: str) -> str | None:
    """The normal form of `version` ("2023.07.22" is "2023.7.22", "1.0-beta" is "1.0b0"), or None."""
    if re.fullmatch(_PLAIN, version, re.ASCII):
        return version
    match = re.fullmatch(_FULL, version.strip().lower(), re.VERBOSE | re.ASCII)
    return _spell(match.groupdict()) if match else None


def _spell(part: Mapping[str, str | None]) -> str:
    spelled = ".".join(_number(n) for n in (part["release"] or "").split("."))
    if part["epoch"] and int(part["epoch"]):
        spelled = f"{_number(part['epoch'])}!{spelled}"
    if part["pre"]:
        spelled += _PRE.get(part["pre"], part["pre"]) + _number(part["pre_n"])
    if part["post"]:
        spelled += ".post" + _number(part["post_bare"] or part["post_n"])
    if part["dev"]:
        spelled += ".dev" + _number(part["dev_n"])
    if part["local"]:
        spelled += "+" + ".".join(_number(p) if p.isdigit() else p for p in re.split("[-_.]", part["local"]))
    return spelled


def _number(digits: str | None) -> str:
    return (digits or "0").lstrip("0") or "0"
