"""The expressions that choose runs: what they say, for which runs they hold, and where they are wrong."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from run_folders import write_run

from whirr.errors import UsageError
from whirr.expression import (
    And,
    Between,
    Compare,
    Glob,
    Has,
    Literal,
    Node,
    Not,
    OneOf,
    Or,
    Question,
    Word,
    matcher,
    parse,
    question_of,
)
from whirr.expression.parser import DEEPEST, LONGEST
from whirr.expression.regex import Search
from whirr.expression.remarks import remarks
from whirr.index import RunEntry, RunIndex
from whirr.where import FIELDS, holds, parse_condition

NOW = 1_772_366_400.0  # 2026-03-01T12:00:00Z


def text(value: str) -> Literal:
    return Literal(value)


def plain(value: str) -> Literal:
    return Literal(value, plain=True)


@pytest.mark.parametrize(
    ("written", "tree"),
    [
        ("", And(())),
        ("  \n", And(())),
        ("vit", Word("vit")),
        ("'my run'", Word("my run")),
        ("val/acc > 0.7", Compare("val/acc", ">", plain("0.7"))),
        ("val/acc>0.7", Compare("val/acc", ">", plain("0.7"))),
        ("lr==1e-3", Compare("lr", "=", plain("1e-3"))),
        ("name != vit", Compare("name", "!=", text("vit"))),
        ("name = '64'", Compare("name", "=", text("64"))),
        ("flag = true", Compare("flag", "=", plain("true"))),
        ("name ~ ^vit-(s|b)$", Compare("name", "~", text("^vit-(s|b)$"))),
        ("(name ~ ^vit)", Compare("name", "~", text("^vit"))),
        (r'name !~ "\d+ x"', Compare("name", "!~", text(r"\d+ x"))),
        ("lr in 1e-4..3e-3", Between("lr", plain("1e-4"), plain("3e-3"))),
        ("lr in ..3", Between("lr", None, plain("3"))),
        ("lr in 1..", Between("lr", plain("1"), None)),
        ("lr in 1 .. 3", Between("lr", plain("1"), plain("3"))),
        ("lr in 1.. vit", And((Between("lr", plain("1"), None), Word("vit")))),
        ("(lr in 1..)", Between("lr", plain("1"), None)),
        ("x in (a, 'b c', 3)", OneOf("x", (text("a"), text("b c"), plain("3")))),
        ("x not in (a)", Not(OneOf("x", (text("a"),)))),
        ("x not in 1..2", Not(Between("x", plain("1"), plain("2")))),
        ("tag:sweep-*", Glob("tag", "sweep-*")),
        ("name: 'a b'", Glob("name", "a b")),
        ("has val/acc", Has("val/acc")),
        ("missing val/acc", Not(Has("val/acc"))),
        ('"odd key" > 1', Compare("odd key", ">", plain("1"))),
        ("a b", And((Word("a"), Word("b")))),
        ("a and b or c and d", Or((And((Word("a"), Word("b"))), And((Word("c"), Word("d")))))),
        ("a and (b or c)", And((Word("a"), Or((Word("b"), Word("c")))))),
        ("not a b", And((Not(Word("a")), Word("b")))),
        ("a not b", And((Word("a"), Not(Word("b"))))),
        ("NOT a AND b OR c", Or((And((Not(Word("a")), Word("b"))), Word("c")))),
        ("not (a or b)", Not(Or((Word("a"), Word("b"))))),
        ("'and' or \"or\"", Or((Word("and"), Word("or")))),
        ("started > 2026-02-28T10:00+02:00", Compare("started", ">", text("2026-02-28T10:00+02:00"))),
        ("name = a..b", Compare("name", "=", text("a..b"))),
    ],
)
def test_what_an_expression_says(written: str, tree: Node) -> None:
    assert parse(written) == tree
    assert parse(str(tree)) == tree


def test_records_of_different_kinds_are_not_equal() -> None:
    assert Has("a") != Word("a")
    assert hash(parse("a=1 or b")) == hash(parse("(a = 1) or b"))
    with pytest.raises(AttributeError):
        parse("a").text = "b"  # type: ignore[union-attr, misc]


TEXTS = st.text(max_size=8) | st.sampled_from(
    ["and", "in", "1e3", "..", "a..b", "true", "'", '"', "\\", "x.", ".5", ":"]
)
NAMES = TEXTS.filter(bool)
NUMBERS = st.sampled_from(["1", "-2.5", "1.", ".5", "1e-4", "nan", "-inf", "true", "False", "null", "1_0"])
LITERALS = st.builds(Literal, TEXTS) | st.builds(Literal, NUMBERS, st.just(True))
KEYS = NAMES.filter(lambda key: key not in ("started", "finished", "duration"))
PATTERNS = st.sampled_from(["a", "^x y$", "(a|b)", r"\d+", ")", "[)]", "'", '"', "a\\\\b"]).filter(
    lambda pattern: pattern != ")"
)
LEAVES = (
    st.builds(Word, NAMES)
    | st.builds(Has, KEYS)
    | st.builds(Glob, KEYS, TEXTS)
    | st.builds(Compare, KEYS, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), LITERALS)
    | st.builds(Compare, KEYS, st.sampled_from(["~", "!~"]), st.builds(Literal, PATTERNS))
    | st.builds(Between, KEYS, LITERALS, st.none() | LITERALS)
    | st.builds(Between, KEYS, st.none(), LITERALS)
    | st.builds(OneOf, KEYS, st.lists(LITERALS, min_size=1, max_size=3).map(tuple))
    | st.builds(Compare, st.sampled_from(["started", "duration"]), st.just(">"), st.just(Literal("2d")))
)


def with_parts(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    many = st.lists(inner, min_size=2, max_size=4).map(tuple)
    return st.builds(Not, inner) | st.builds(And, many) | st.builds(Or, many)


TREES = st.recursive(LEAVES, with_parts, max_leaves=12)


@settings(max_examples=400, deadline=None)
@given(TREES)
def test_what_is_printed_is_parsed_as_the_same(tree: Node) -> None:
    assert parse(str(tree)) == tree


SIGNS = [
    "in ",
    "and ",
    "or ",
    "not ",
    "in ",
    "has ",
    "(",
    ")",
    "..",
    ",",
    ":",
    "=",
    "!",
    "~",
    "<",
    '"',
    "'",
    "a",
    "1",
    " ",
    "started",
    "2d",
    "\\",
    "*+",
    "[",
    "{,",
]


@settings(max_examples=600, deadline=None)
@given(st.text() | st.lists(st.sampled_from(SIGNS), max_size=20).map("".join))
@example("(" * 3000)
@example("not " * 900)
@example("x ~ " + "(" * 250)
@example("x = " + "9" * 3900)
@example("x in " + "9" * 400 + "..1e999")
@example("started > 99999999999d")
@example("started = 9999-12")
@example("started = 0000")
@example("duration = 1e400")
@example("x ~ a{99999999999}")
@example("x ~ [[a]&&b]")
@example("\ud800 = \udfff")
@example("a" * 5000)
def test_no_text_raises_anything_but_a_usage_error_that_says_where(written: str) -> None:
    try:
        tree = parse(written)
        matcher(written, NOW)
    except UsageError as error:
        start, end = error.at or (-1, -1)
    else:
        start = end = 0
        assert parse(str(tree)) == tree
    assert 0 <= start <= end <= len(written)


@pytest.mark.parametrize(
    ("written", "place", "message", "hint"),
    [
        ("(a", "(", "not closed", "write )"),
        ("a) b", ")", "closes nothing", None),
        ("x >", "", "a value is missing at the end", None),
        ("x > and y", "and", "a value belongs here", '"and"'),
        ("x => 3", "=>", "means nothing", "write >="),
        ("x <> 3", "<>", "means nothing", "write !="),
        ("x =~ 3", "=~", "means nothing", "write ~"),
        ("x ~= 3", "~=", "means nothing", "write ~"),
        ("a && b", "&&", "means nothing", "write and"),
        ("a | b", "|", "means nothing", "write or"),
        ("!a", "!", "means nothing", "write not"),
        ("x in 3", "", "a range LOW..HIGH or a list", "such as in (3)"),
        ("x in (a b)", "b", "comma", "such as"),
        ("x in (a", "(", "not closed", None),
        ("x in ()", ")", "a value belongs here", None),
        ("x in ..", "..", "no ends", "has x"),
        ("has", "", "missing at the end", None),
        ("x = 'a", "'a", "not closed", None),
        ("'' = a", "''", "empty", None),
        ("tag:", "", "a pattern is missing", None),
        ("name ~ [", "[", "not a regular expression", None),
        ("name ~ (a+)+b", "(a+)+b", "for ever", "repeat no group"),
        ("started > soon", "soon", "no time", "2d (ago)"),
        ("started > 90", "90", "lacks a unit", None),
        ("started > 2026-02-30", "2026-02-30", "no date that there is", None),
        ("duration > long", "long", "no duration", "1h30m"),
        ("and x", "and", "belongs here", None),
    ],
)
def test_an_error_names_the_place_and_what_to_do(written: str, place: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError, match=re.escape(message)) as caught:
        parse(written)
    assert caught.value.at is not None
    assert written[slice(*caught.value.at)] == place
    assert hint is None or hint in str(caught.value.hint)


def test_depth_and_length_are_bounded() -> None:
    parse("(" * DEEPEST + "a" + ")" * DEEPEST)
    parse("a " * (LONGEST // 2))
    for too_much in (
        "(" * (DEEPEST + 1) + "a" + ")" * (DEEPEST + 1),
        "not " * (DEEPEST + 1) + "a",
        "a" * (LONGEST + 1),
    ):
        with pytest.raises(UsageError):
            parse(too_much)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[RunEntry]:
    root = tmp_path_factory.mktemp("runs")
    write_run(
        root,
        "r1",
        name="ViT-s adamw",
        tags=["sweep-7", "paper"],
        started_at="2026-02-27T11:59:59.000000Z",
        duration_seconds=5400.0,
        config={"lr": 1e-3, "optimizer": "adamw", "text": "64", "model": {"depth": 12}, "flag": True, "none": None},
        summary={"val/acc": 0.8, "wild": math.nan},
        rows=[{"loss": 2.0}, {"loss": 1.0}],
    )
    write_run(
        root,
        "r2",
        name="resnet",
        status="failed",
        started_at="2026-02-28T23:59:59.500000Z",
        duration_seconds=30,
        config={"lr": 3e-3, "optimizer": "sgd", "a b": 1, "big": 2**60 + 1},
        summary={"val/acc": 0.6},
    )
    write_run(
        root, "r3", name=None, status="cancelled", started_at="2026-03-01T00:00:00.000000Z", duration_seconds=None
    )
    return RunIndex(root).runs()


@pytest.mark.parametrize(
    ("written", "fitting"),
    [
        ("", "r1 r2 r3"),
        ("val/acc > 0.7", "r1"),
        ("val/acc >= 0.6 and lr in 1e-3..3e-3", "r1 r2"),
        ("lr in ..0.001", "r1"),
        ("lr in 0.0011..", "r2"),
        ("lr not in 0.0011..", "r1 r3"),
        ("lr != 0.001", "r2"),
        ("not lr = 0.001", "r2 r3"),
        ("has lr", "r1 r2"),
        ("missing lr", "r3"),
        ("has none", "r1"),
        ("none = null", "r1"),
        ("flag = true", "r1"),
        ("flag = 1", ""),
        ("text = 64", "r1"),
        ("text > 9", ""),
        ("'a b' = 1", "r2"),
        ("config.model.depth = 12", "r1"),
        ("model:*depth*", "r1"),
        ("metrics.loss.min = 1 and loss.count = 2", "r1"),
        ("wild = nan", "r1"),
        ("wild != nan", ""),
        ("wild < 1 or wild > 1 or wild in 0..2", ""),
        (f"big = {2**60 + 1}", "r2"),
        (f"big = {2**60}", ""),
        (f"big > {2**60}", "r2"),
        ("optimizer in (sgd, adamw)", "r1 r2"),
        ("optimizer in (sgd, 'adam')", "r2"),
        ("optimizer:adam*", "r1"),
        ("optimizer:adam", ""),
        ("optimizer ~ ^a|d$", "r1 r2"),
        ("optimizer !~ ^a", "r2"),
        ("tag:sweep-*", "r1"),
        ("tags:paper", "r1"),
        ("tag = paper", "r1"),
        ("tag != paper", "r2 r3"),
        ("tag ~ 7$", "r1"),
        ("tag !~ 7$", "r2 r3"),
        ("tag in (a, paper)", "r1"),
        ("has tag", "r1"),
        ("missing tags", "r2 r3"),
        ("status:failed", "r2"),
        ("status in (failed, cancelled)", "r2 r3"),
        ("name:res*", "r2"),
        ("name:RES*", ""),
        ("vit", "r1"),
        ("VIT ADAMW", "r1"),
        ("'vit-s a'", "r1"),
        ("r3 or paper", "r1 r3"),
        ("sweep not resnet", "r1"),
        ("started > 2d", "r2 r3"),
        ("started > 1d12h1s", "r2 r3"),
        ("started < 2d", "r1"),
        ("started = 2026-02-28", "r2"),
        ("started != 2026-02-28", "r1 r3"),
        ("started > 2026-02-28", "r3"),
        ("started >= 2026-02-28", "r2 r3"),
        ("started <= 2026-02-28", "r1 r2"),
        ("started < 2026-02-28", "r1"),
        ("started = 2026-02", "r1 r2"),
        ("started = 2026", "r1 r2 r3"),
        ("started in 2026-02-27..2026-02-28", "r1 r2"),
        ("started in (2026-02-27, 2026-03-01)", "r1 r3"),
        ("started >= 2026-03-01T01:00+01:00", "r3"),
        ("started = 2026-02-28T23:59", "r2"),
        ("started = '2026-02-28 23:59:59'", "r2"),
        ("started = 2026-02-28T23:59:59.5", "r2"),
        ("started = today", "r3"),
        ("started = yesterday", "r2"),
        ("started < now", "r1 r2 r3"),
        ("started ~ ^2026-02-28T", "r2"),
        ("started:2026-02-*", "r1 r2"),
        ("duration > 1h", "r1"),
        ("duration in 10s..1h", "r2"),
        ("duration = 1h30m or duration = 30", "r1 r2"),
        ("id:r[12]", "r1 r2"),
        ("absent > 1 or absent != 1 or absent ~ .", ""),
    ],
)
def test_which_runs_an_expression_chooses(runs: list[RunEntry], written: str, fitting: str) -> None:
    holding = matcher(written, NOW)
    assert sorted(run.id for run in runs if holding(run)) == fitting.split()


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">="])
@settings(max_examples=60, deadline=None)
@given(
    value=st.floats() | st.integers(-(2**70), 2**70) | st.booleans() | st.none() | st.sampled_from(["1", "a", "nan"]),
    wanted=st.floats().map(str) | st.integers(-(2**70), 2**70).map(str) | st.sampled_from(["true", "null", "a", "1.0"]),
)
def test_comparisons_mean_what_where_means(op: str, value: object, wanted: str) -> None:
    condition = parse_condition(f"x{op}{wanted}")
    question = _question(f"x {op} {wanted}")
    assert question.holds(value) is holds(value, condition)
    if question.interval is not None and isinstance(value, int | float) and not isinstance(value, bool):
        low, high = question.interval
        assert abs(value) >= 2**53 or (low <= value <= high) is question.ask(value)


def _question(written: str) -> Question:
    leaf = parse(written)
    assert isinstance(leaf, Compare)
    return question_of(leaf, NOW)


@pytest.mark.parametrize(
    "pattern",
    [
        "(a+)+b",
        "(a|b)*c",
        "(a*){2}",
        "(?:x+x+)+y",
        "(a?){30}",
        "a?" * 30 + "a" * 30,
        "(a|a)" * 20,
        "((a|b)c){2,}",
        ".*" * 5,
        "a" * 301,
    ],
)
def test_regular_expressions_that_could_take_for_ever_are_refused(pattern: str) -> None:
    with pytest.raises(UsageError, match=r"for ever|longer than"):
        Search(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^(vit|res)-[sb]$", "vit-s"),
        (r"\d{4}-\d{2}-\d{2}", "on 2026-11-28"),
        (r"(foo|bar)?baz", "bazaar"),
        (r"[)(|*+]*x", "(|)x"),
        (r"\(+\)", "(()"),
        (r".*lr.*seed.*", "lr=1 seed=2"),
        ("|".join(f"run-{number}" for number in range(30)), "run-29"),
        (r"(?i)VIT", "vit"),
        (r"((ab)){3}", "ababab"),
    ],
)
def test_regular_expressions_of_everyday_use_are_not(pattern: str, text: str) -> None:
    assert Search(pattern)(text)


def test_of_a_long_text_the_beginning_is_searched() -> None:
    text = "a" * 5000 + "b"
    assert Search("a*b")(text)
    assert not Search(r"\w*\w*\w*b")(text)


def test_a_look_at_many_texts_is_given_up_when_it_takes_too_long() -> None:
    moments = iter((0.0, 2.9, 3.1))
    search = Search("a", clock=lambda: next(moments))
    assert search("cat")
    assert not search("dog")
    with pytest.raises(UsageError, match="too long"):
        search("cat")


class TestRemarks:
    KEYS = ("val/acc", "train/loss", "lr", "optimizer")
    VALUES = {"status": ("running", "failed"), "tag": ("sweep-7", "paper")}  # noqa: RUF012

    def told(self, written: str) -> list[tuple[str, str | None, str]]:
        found = remarks(parse(written), self.KEYS.__contains__, lambda: self.KEYS, self.VALUES)
        return [(remark.text, remark.hint, written[slice(*remark.at)]) for remark in found]

    def test_keys_that_no_run_has(self) -> None:
        assert self.told("lr > 1 and val/ac > 0.7") == [("no run has val/ac", "did you mean val/acc?", "val/ac")]
        assert self.told("not has acc") == [("no run has acc", "did you mean val/acc?", "acc")]
        assert self.told("zzz in 1..2") == [("no run has zzz", None, "zzz")]

    def test_what_is_known_is_not_remarked_on(self) -> None:
        assert self.told(" and ".join(f"has {key}" for key in [*FIELDS, "tag", *self.KEYS])) == []
        assert self.told("some words status:run* tag ~ x") == []

    def test_states_and_tags_that_there_are_not(self) -> None:
        assert self.told("status:runing") == [("there is no status called runing", "did you mean running?", "status")]
        assert self.told("tag in (paper, sweep-6)") == [("there is no tag sweep-6", "did you mean sweep-7?", "tag")]


def test_the_index_gives_runs(tmp_path: Path) -> None:
    write_run(tmp_path, "odd", name="<b>x</b>")
    (entry,) = RunIndex(tmp_path).runs()
    assert matcher("'<b>'", NOW)(entry)
