from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from whirr.cli.screen import Screen, clean, exact, number, short, size
from whirr.cli.table import Cell, Column, cut, render, text_width

PIPE = Screen(width=20, fixed=False, color=False, unicode=True)


def column(title: str, *texts: str, **more: object) -> Column:
    return Column(title, [Cell(text) for text in texts], **more)  # type: ignore[arg-type]


def test_left_and_right() -> None:
    table = [column("name", "a", "bcd"), column("loss", "0.5", "12.25", right=True)]
    assert render(table, PIPE) == ["name   loss", "a       0.5", "bcd   12.25"]


def test_a_pipe_gets_everything() -> None:
    table = [column("name", "x" * 100, least=5, most=0), column("loss", "1", right=True, rank=9)]
    assert render(table, PIPE)[1] == "x" * 100 + "     1"


def test_one_long_text_does_not_widen_every_line() -> None:
    for screen in (PIPE, PIPE._replace(fixed=True, width=200)):
        lines = render([column("sample", "x" * 4800, "short"), column("loss", "1", "2")], screen)
        assert lines[1:] == ["x" * 39 + "…  1", "short" + " " * 35 + "  2"]
    assert len(render([column("t" * 4800, "1")], PIPE)[0]) == 40


def test_the_highest_rank_goes_first_then_the_widest_is_cut() -> None:
    screen = PIPE._replace(fixed=True)
    table = [column("id", "1234567890"), column("name", "abcdefghij", least=4), column("a", "1", rank=1)]
    assert render([*table, column("b", "22222", rank=2)], screen)[1] == "1234567890  abcd…  1"
    assert render([*table, column("b", "22222", rank=2)], screen._replace(width=40))[1].endswith("abcdefghij  1  22222")


def test_wide_letters() -> None:
    assert (text_width("日本"), text_width("e\u0301"), text_width("abc")) == (4, 1, 3)
    assert cut("日本語", 5, "…") == "日本…"
    assert render([column("名", "日本"), column("x", "1")], PIPE) == ["名    x", "日本  1"]


def test_styles_take_no_width() -> None:
    screen = PIPE._replace(color=True)
    table = [Column("s", [Cell("ok", "green"), Cell("failed", "red")]), column("x", "1", "2")]
    lines = render(table, screen)
    assert lines[1] == "\033[32mok\033[0m      1"
    assert lines[2] == "\033[31mfailed\033[0m  2"


@given(st.lists(st.tuples(st.text(max_size=40), st.integers(0, 10), st.integers(0, 3)), min_size=1), st.integers(1, 80))
def test_no_line_is_wider_than_the_terminal_but_for_what_may_not_be_cut(
    columns: list[tuple[str, int, int]], width: int
) -> None:
    table = [Column("", [Cell(clean(text))], least=least, rank=rank) for text, least, rank in columns]
    screen = Screen(width, True, False, True)
    kept = [part for part in table if part.rank == 0]
    bound = sum(min(part.least or part.width, part.width) for part in kept) + 2 * (len(kept) - 1)
    assert max(map(text_width, render(table, screen))) <= max(width, bound)


@given(st.text(), st.integers(1, 30))
def test_cut_never_exceeds(text: str, width: int) -> None:
    assert text_width(cut(text, width, "…")) <= width


@given(st.text())
def test_clean_is_printable(text: str) -> None:
    assert clean(text).isprintable()


def test_numbers() -> None:
    values = [0.5, 0.123456, 12345.678, 1234567.0, 1e-9, 1e12, 3, 123456789, -0.00012345, float("nan"), True, 0.0]
    assert [number(value) for value in values] == [
        *("0.5", "0.1235", "12346", "1234567", "1e-09", "1e+12", "3", "123456789", "-0.0001234", "nan", "true", "0"),
    ]
    assert [number(float(text)) for text in ("inf", "-inf")] == ["inf", "-inf"]


def test_values() -> None:
    values = ["a\nb", "NaN", None, [1, 2.5], {"a": None}, False]
    assert [short(value) for value in values] == [r"a\nb", "nan", "null", "[1,2.5]", '{"a":null}', "false"]


def test_exact_values() -> None:
    values = [0.123456789, 12345.678, 1e-5, 3, True, "NaN", [0.123456789], 1e300, "a"]
    assert [exact(value) for value in values] == [
        *("0.123456789", "12345.678", "1e-05", "3", "true", "nan", "[0.123456789]", "1e+300", "a"),
    ]


def test_sizes() -> None:
    counts = [0, 999, 1000, 2048, 99_499, 99_500, 123_456, 999_499, 1_500_000, 2e9, 3e12, 4e15]
    assert [size(count) for count in counts] == [
        *("0 B", "999 B", "1.0 kB", "2.0 kB", "99.5 kB", "100 kB", "123 kB", "999 kB", "1.5 MB", "2.0 GB", "3.0 TB"),
        "4000.0 TB",
    ]
