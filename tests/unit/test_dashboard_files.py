"""The rules of the dashboard's own files: sizes, no HTML out of data, nothing inline, nothing from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DASHBOARD = Path(__file__).parents[2] / "src" / "whirr" / "dashboard"
STATIC = DASHBOARD / "static"
VENDOR = STATIC / "vendor"
SCRIPTS = sorted((STATIC / "js").rglob("*.js"))
STYLES = sorted((STATIC / "css").rglob("*.css"))
TEMPLATES = sorted((DASHBOARD / "templates").rglob("*.html"))
OURS = [*SCRIPTS, *STYLES, *TEMPLATES]
MOST_LINES = 500

HTML_OUT_OF_TEXT = re.compile(
    r"\b(innerHTML|outerHTML|insertAdjacentHTML|createContextualFragment|setHTMLUnsafe|DOMParser|srcdoc|document\.write"
    r"|new Function)\b|\beval\s*\("
)
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|javascript:|<script(?![^>]*\bsrc=)", re.IGNORECASE)
FOREIGN = re.compile(r"""(?:src|href|action|from|import|url|fetch)\s*[(=]?\s*["'(]\s*(?:https?:)?//""")
STYLE_TEXT = re.compile(r"""setAttribute\(\s*["']style["']|\bstyle:\s*[`"']|\.cssText\b""")


def names(paths: list[Path]) -> list[str]:
    return [str(path.relative_to(DASHBOARD)) for path in paths]


def code_of(script: Path) -> str:
    """A script without its comments, which may speak of what the code must not do."""
    return re.sub(r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*", "", script.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("path", OURS, ids=names(OURS))
def test_sizes(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("script", SCRIPTS, ids=names(SCRIPTS))
def test_scripts_make_nodes_and_never_html(script: Path) -> None:
    code = code_of(script)
    assert HTML_OUT_OF_TEXT.findall(code) == []
    assert STYLE_TEXT.findall(code) == []  # the content security policy would refuse it


@pytest.mark.parametrize("path", OURS, ids=names(OURS))
def test_nothing_comes_from_elsewhere(path: Path) -> None:
    text = code_of(path) if path.suffix == ".js" else path.read_text()
    assert FOREIGN.findall(text) == []


@pytest.mark.parametrize("template", TEMPLATES, ids=names(TEMPLATES))
def test_templates_have_nothing_inline_and_escape_all(template: Path) -> None:
    text = template.read_text()
    assert INLINE.findall(text) == []
    assert not re.search(r"\|\s*safe\b|autoescape\s+false", text)


def test_every_vendored_folder_has_its_licence() -> None:
    page = (VENDOR / "LICENSES.md").read_text()
    folders = {path.parent.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()} - {"."}
    assert folders
    assert [folder for folder in folders if f"{folder}/" not in page] == []


def test_the_rules_find_what_they_look_for() -> None:
    assert HTML_OUT_OF_TEXT.search("node.innerHTML = text")
    assert STYLE_TEXT.search("node.style.cssText = x")
    assert FOREIGN.search('<script src="https://cdn.example.org/x.js">')
    assert FOREIGN.search("@import url(//fonts.example.org/x)")
    assert INLINE.search('<p onclick="x()">')
    assert INLINE.search("<script>1</script>")
    assert not INLINE.search('<script type="module" src="{{ static(1) }}"></script>')
