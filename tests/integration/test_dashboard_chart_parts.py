"""The arithmetic of the charts, run in a browser and held against the same thing told in Python."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
from browser import Dashboard, dashboard
from curve_runs import line, write
from playwright.sync_api import Page
from run_folders import write_run

NAN = math.nan
MINUS = "\N{MINUS SIGN}"
Calls = Callable[..., Any]


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    root = tmp_path_factory.mktemp("parts") / ".whirr"
    write_run(root, "odd", name="odd")
    records = [
        line(0, 10, 0, loss=4.0, wide=1e300),
        line(1, 20, 1, loss=NAN, wide=2e300),
        line(2, 30, 2, loss=math.inf, wide=-1e300),
        line(3, 40, 3, loss=9.0),
        line(4, 35, 4, loss=1.25),
        line(5, 50, 5, loss=1.0),
    ]
    write(root, "odd", {"metrics.jsonl": b"".join(records)})
    with dashboard(root) as made:
        yield made


@pytest.fixture(scope="module")
def page(board: Dashboard) -> Iterator[Page]:
    with board.page() as page:
        yield page


@pytest.fixture
def calls(page: Page) -> Calls:
    """Evaluates JavaScript with a module of the charts as ``m`` and an argument as ``a``."""

    def call(module: str, script: str, argument: Any = None) -> Any:
        return page.evaluate(
            f"""async (a) => {{
                const page = document.querySelector('script[src*="runs/main.js"]').src;
                const load = (name) => import(page.replace('runs/main.js', `charts/${{name}}.js`));
                const m = await load('{module}');
                {script}
            }}""",
            argument,
        )

    return call


LOADED = """
    const store = new m.CurveStore();
    const query = { metric: a.metric, source: 'metrics', x: 'step', from: null, to: null, points: 400 };
    const found = (await store.load(query, ['odd', 'nobody'])).get('odd');
    const told = (value) => Number.isNaN(value) ? 'NaN' : value;
    return { ...found, x: [...found.x], y: [...found.y].map(told) };
"""


def test_curves_come_as_they_were_logged(calls: Calls) -> None:
    found = calls("curves", LOADED, {"metric": "loss"})
    values = dict(zip(found["x"], found["y"], strict=True))
    assert {x: y for x, y in values.items() if y != "NaN"} == {10: 4.0, 35: 1.25, 50: 1.0}
    assert found["nonfinite"] == [[20, "NaN"], [30, "Infinity"]]
    assert found["nonfiniteTotal"] == 2
    assert found["restarts"] == [35]
    assert (found["first"], found["last"], found["lastY"]) == (10, 50, 1.0)


def test_curves_that_32_bits_cannot_hold_are_whole(calls: Calls) -> None:
    assert calls("curves", LOADED, {"metric": "wide"})["y"] == [1e300, 2e300, -1e300]


STORE = """
    const asked = [];
    let version = 1;
    const fixed = { n: 1, at: 0, x0: 0, total: 1, first: 0, last: 0, last_y: 1 };
    const series = (run) => ({ ...fixed, run, version: String(version) });
    const post = async (path, body) => {
        asked.push(body.runs.join());
        const head = new TextEncoder().encode(JSON.stringify({ series: body.runs.map(series) }));
        const length = head.length + (8 - (head.length + 4) % 8) % 8;
        const buffer = new Uint8Array(4 + length + 16).fill(32, 4, 4 + length);
        new DataView(buffer.buffer).setUint32(0, length, true);
        buffer.set(head, 4);
        return buffer.buffer;
    };
    const store = new m.CurveStore(post, a.limit);
    const query = (metric) => ({ metric, source: 'metrics', x: 'step', from: null, to: null, points: 400 });
"""


def test_only_what_is_missing_or_may_have_grown_is_asked_for(calls: Calls) -> None:
    asked, same, other = calls(
        "curves",
        f"""{STORE}
        const first = (await store.load(query('loss'), ['a', 'b'])).get('a');
        await store.load(query('loss'), ['a', 'b', 'c']);
        await store.load(query('acc'), ['a']);
        store.touch(['b']);
        await store.load(query('loss'), ['a', 'b', 'c']);
        store.touch(null);
        const again = (await store.load(query('loss'), ['a'])).get('a');
        version = 2;
        store.touch(['a']);
        const grown = (await store.load(query('loss'), ['a'])).get('a');
        return [asked, again === first, grown === first];""",
        {"limit": 1e6},
    )
    assert asked == ["a,b", "c", "a", "b", "a", "a"]
    assert same, "what did not change stays the same object"
    assert not other


def test_curves_unused_for_longest_are_let_go(calls: Calls) -> None:
    asked = calls(
        "curves",
        f"""{STORE}
        for (const metric of ['one', 'two', 'one', 'three', 'one', 'two']) await store.load(query(metric), ['a']);
        return asked.length;""",
        {"limit": 900},
    )
    assert asked == 4, "of three curves two fit: the second gave way to the third"


def test_few_requests_go_at_a_time_and_aborted_ones_never(calls: Calls) -> None:
    most, order, aborted = calls(
        "lane",
        """
        const lane = new m.Lane(2);
        const order = [];
        let [now, most] = [0, 0];
        const work = (name) => async () => {
            most = Math.max(most, ++now);
            await new Promise((done) => setTimeout(done));
            order.push(name);
            now -= 1;
        };
        const stop = new AbortController();
        const all = ['a', 'b', 'c', 'd'].map((name) => lane.run(work(name), name === 'c' ? stop.signal : undefined));
        stop.abort();
        const ends = await Promise.allSettled(all);
        await lane.run(work('e'));
        return [most, order.join(''), ends.map((end) => end.status[0]).join('')];
        """,
    )
    assert (most, order, aborted) == (2, "abde", "ffrf")


def tensorboard(values: list[float], weight: float) -> list[float]:
    last, smoothed = 0.0, []
    for count, value in enumerate(values, 1):
        last = last * weight + (1 - weight) * value
        smoothed.append(last / (1 - weight**count))
    return smoothed


SMOOTH = "return [...m.smooth(a.x, a.y.map((y) => y ?? NaN), a.weight, a.span)].map((y) => Number.isNaN(y) ? null : y)"


@pytest.mark.parametrize("weight", [0.1, 0.62, 0.99])
def test_smoothing_of_even_steps_is_that_of_tensorboard(calls: Calls, weight: float) -> None:
    chance = random.Random(7)
    values = [chance.gauss(0, 1) for _ in range(201)]
    about = {"x": list(range(201)), "y": values, "weight": weight, "span": 200}
    assert calls("smooth", SMOOTH, about) == pytest.approx(tensorboard(values, weight))


def test_smoothing_passes_over_gaps_and_weighs_by_distance(calls: Calls) -> None:
    about: dict[str, Any] = {"x": [0, 1, 2, 3], "y": [5, None, 5, 5], "weight": 0.9, "span": 3}
    assert calls("smooth", SMOOTH, about) == [5, None, 5, 5]
    far = {"x": [0, 100], "y": [0, 1], "weight": 0.9, "span": 100}
    assert calls("smooth", SMOOTH, far)[1] == pytest.approx(1, abs=1e-6), "what lies far behind has no weight"
    pair = {"x": [5, 5], "y": [1, 3], "weight": 0.5, "span": 100}
    assert calls("smooth", SMOOTH, pair) == [1, 2], "two values at one place count alike"
    assert calls("smooth", SMOOTH, {**pair, "weight": 0}) == [1, 3]


def test_groups_are_mean_and_deviation_where_they_have_values(calls: Calls) -> None:
    curves = [{"x": [0, 4], "y": [0, 8]}, {"x": [0, 2], "y": [2, 2]}, {"x": [1, 4], "y": [1, 4]}]
    found = calls("aggregate", "const r = m.aggregate(a, 0, 4, 5); return [[...r.x], [...r.y], [...r.sd]]", curves)
    present = [[0, 2], [2, 2, 1], [4, 2, 2], [6, 3], [8, 4]]
    assert found[0] == [0, 1, 2, 3, 4]
    assert found[1] == pytest.approx([statistics.mean(values) for values in present])
    assert found[2] == pytest.approx([statistics.stdev(values) for values in present])


def test_single_points_have_a_place_among_the_means(calls: Calls) -> None:
    script = "const r = m.aggregate(a, 99.5, 100.5); return [[...r.x], [...r.y], [...r.sd]]"
    alone = [{"x": [100], "y": [1]}, {"x": [100], "y": [3]}]
    assert calls("aggregate", script, alone) == [[100], [2], [pytest.approx(math.sqrt(2))]]
    script = "const r = m.aggregate(a.map(({ x, y }) => ({ x, y: y.map((v) => v ?? NaN) })), 0, 10, 4); return [...r.y]"
    gap = [{"x": [0, 4.5, 5, 5.5, 10], "y": [1, None, 7, None, 2]}]
    assert 7 in calls("aggregate", script, gap)


def test_labels_keep_apart_within_their_bounds_and_in_order(calls: Calls) -> None:
    chance = random.Random(11)
    for count in [1, 2, 5, 12, 13]:
        heights = [chance.choice([20.0, chance.uniform(10, 210)]) for _ in range(count)]
        labels = [{"y": y, "textY": 0} for y in heights]
        placed = calls("labels", "return m.spread(a, 16, 10, 210).map((label) => [label.y, label.textY])", labels)
        texts = [text for _, text in placed]
        assert [y for y, _ in placed] == sorted(heights)
        assert all(below - above >= 16 - 1e-6 for above, below in pairwise(texts)), texts
        assert min(texts) >= 10 - 1e-6
        assert max(texts) <= 210 + 1e-6
    alone = calls("labels", "return m.spread(a, 16, 10, 210)[0].textY", [{"y": 77, "textY": 0}])
    assert alone == 77


def lines(*columns: list[float]) -> list[dict[str, Any]]:
    return [{"x": list(range(len(column))), "y": column, "raw": None, "sd": None} for column in columns]


EXTENT = """
    const shown = [0, a.lines[0].x.length - 1];
    const range = m.extent(a.lines, shown, { logy: a.logy ?? false, clip: a.clip });
    return [range.lo, range.hi, range.clipped, a.lines.flatMap((line) => m.excursions(line, shown, range))];
"""


def test_a_spike_does_not_flatten_the_curve(calls: Calls) -> None:
    plain = [1 + 0.1 * math.sin(i / 5) for i in range(200)]
    spiky = [*plain]
    spiky[50], spiky[120] = 40.0, -30.0
    lo, hi, clipped, out = calls("extent", EXTENT, {"lines": lines(plain, spiky), "clip": True})
    assert clipped
    assert 0.8 < lo < 0.9
    assert 1.1 < hi < 1.2
    assert [(one["x"], one["above"]) for one in out] == [(50, True), (120, False)]
    lo, hi, clipped, out = calls("extent", EXTENT, {"lines": lines(plain, spiky), "clip": False})
    assert (lo < -30, hi > 40, clipped, out) == (True, True, False, [])


def test_plain_curves_are_shown_whole(calls: Calls) -> None:
    for column in ([float(i) for i in range(200)], [0.5] * 200, [1.0, 2.0, 900.0], [1.0] * 100 + [0.1] * 100):
        lo, hi, clipped, out = calls("extent", EXTENT, {"lines": lines(column), "clip": True})
        assert not clipped
        assert out == []
        assert lo < max(column)
        assert lo <= min(column)
        assert hi > max(column)


def test_a_run_that_left_altogether_counts_as_one(calls: Calls) -> None:
    good = [[1 + 0.01 * (i % 7) + 0.1 * j for i in range(100)] for j in range(9)]
    *_, out = calls("extent", EXTENT, {"lines": lines(*good, [500.0] * 100), "clip": True})
    assert [one["whole"] for one in out] == [True]


def test_a_logarithmic_range_has_positive_ends(calls: Calls) -> None:
    column = [10.0 ** (-i / 20) for i in range(100)] + [0.0, -1.0]
    lo, hi, *_ = calls("extent", EXTENT, {"lines": lines(column), "clip": False, "logy": True})
    assert 0 < lo < 10 ** (-99 / 20)
    assert hi > 1


@pytest.mark.parametrize("logy", [False, True])
@pytest.mark.parametrize(
    "column",
    [[1e-300, 1.0, 1e300], [5e-324, 1.7e308], [1e308] * 3, [1e-320] * 3, [-1.7e308, 1.0, 1.7e308], [1e17, 1e17 + 16]],
)
def test_a_range_is_finite_and_has_ticks_however_far_values_lie_apart(
    calls: Calls, column: list[float], logy: bool
) -> None:
    lo, hi, *_ = calls("extent", EXTENT, {"lines": lines(column), "clip": False, "logy": logy})
    assert 0 < hi - lo < math.inf
    assert lo > 0 or not logy
    assert 1 <= len(calls("ticks", TICKS, {"kind": "numberTicks", "lo": lo, "hi": hi, "log": logy})) <= 10


def test_a_spread_beyond_all_numbers_does_not_decide_the_range(calls: Calls) -> None:
    (mean,) = lines([1.0, 2.0])
    lo, hi, *_ = calls("extent", EXTENT, {"lines": [{**mean, "sd": [0.5, math.inf]}], "clip": False})
    assert 0 <= lo < 0.5
    assert 1.5 < hi < 2


TICKS = """
    const { Scale } = await load('scale');
    return m[a.kind](new Scale(a.lo, a.hi, 0, 600, a.log ?? false), 6);
"""


@pytest.mark.parametrize(
    ("kind", "lo", "hi"),
    [("numberTicks", -3.7, 12.1), ("numberTicks", 0, 61240), ("numberTicks", 0, 2.7e-3), ("numberTicks", 5e9, 9e9)]
    + [("durationTicks", 0, seconds) for seconds in (0.4, 50, 4000, 90000, 4e6)]
    + [("timeTicks", 1.76e9, 1.76e9 + seconds) for seconds in (3, 700, 40000, 900000, 9e7)],
)
def test_ticks_are_few_distinct_and_within(calls: Calls, kind: str, lo: float, hi: float) -> None:
    ticks = calls("ticks", TICKS, {"kind": kind, "lo": lo, "hi": hi})
    places = [tick["at"] for tick in ticks]
    assert 1 <= len(ticks) <= 8
    assert places == sorted(set(places))
    assert lo - (hi - lo) * 1e-5 <= places[0]
    assert places[-1] <= hi + (hi - lo) * 1e-5
    assert len({tick["text"] for tick in ticks}) == len(ticks)


def test_ticks_say_what_people_write(calls: Calls) -> None:
    def texts(**about: Any) -> list[str]:
        return [tick["text"] for tick in calls("ticks", TICKS, about)]

    assert texts(kind="numberTicks", lo=0, hi=61240) == ["0", "20k", "40k", "60k"]
    assert texts(kind="numberTicks", lo=0.75, hi=1.5) == ["0.8", "1.0", "1.2", "1.4"]
    assert texts(kind="numberTicks", lo=0, hi=3e-3) == [
        "0",
        f"5e{MINUS}4",
        f"1e{MINUS}3",
        f"1.5e{MINUS}3",
        f"2e{MINUS}3",
        f"2.5e{MINUS}3",
        f"3e{MINUS}3",
    ]
    assert texts(kind="numberTicks", lo=1e-5, hi=2, log=True) == [
        f"1e{MINUS}5",
        f"1e{MINUS}4",
        "0.001",
        "0.01",
        "0.1",
        "1",
    ]
    assert texts(kind="durationTicks", lo=0, hi=3 * 3600) == ["0", "30 m", "1 h", "1 h 30", "2 h", "2 h 30", "3 h"]


@pytest.mark.parametrize(
    ("axis", "ends", "said"),
    [
        ({"key": "lr", "kind": "number", "lo": 0, "hi": 1}, (0.25, 0.5), "lr in 0.25..0.5"),
        ({"key": "lr", "kind": "log", "lo": 1e-4, "hi": 1e-2}, (0.5, 1), "lr >= 0.001"),
        ({"key": "val/acc", "kind": "number", "lo": 0, "hi": 1}, (0, 0.5), "val/acc <= 0.5"),
        ({"key": "a b", "kind": "number", "lo": 0, "hi": 1}, (0, 0.5), '"a b" <= 0.5'),
        (
            {"key": "opt", "kind": "category", "categories": ["sgd", "lion", "adam w"], "hi": 2},
            (0.6, 1),
            'opt = "adam w"',
        ),
        (
            {"key": "opt", "kind": "category", "categories": ["sgd", "lion", "adam w"], "hi": 2},
            (0, 0.6),
            "opt in (sgd, lion)",
        ),
    ],
)
def test_a_brush_is_a_filter_that_the_server_understands(
    calls: Calls, board: Dashboard, axis: dict[str, Any], ends: tuple[float, float], said: str
) -> None:
    found = calls("axes", "return m.expression(a.axis, ...a.ends)", {"axis": axis, "ends": ends})
    assert found == said
    with board.client() as client:
        assert client.get("/ui/runs", params={"filter": found}).status_code == 200


def test_a_further_brush_narrows_and_one_on_the_same_axis_replaces(calls: Calls) -> None:
    script = "return m.narrowed(...a)"
    assert calls("mattered", script, ["", "lr <= 1", "lr"]) == "lr <= 1"
    assert calls("mattered", script, ["tag:x and lr <= 1", "lr in 0..2", "lr"]) == "tag:x and lr in 0..2"
    assert calls("mattered", script, ["a = 1 or b = 2", "lr <= 1", "lr"]) == "(a = 1 or b = 2) and lr <= 1"


def test_axes_hold_the_values_of_the_runs_that_are_drawn(calls: Calls) -> None:
    lr = {"key": "config.lr", "kind": "number", "categories": [], "lo": 1e-4, "hi": 0.1, "r": -1, "values": [0.1, None]}
    opt = {"key": "a.opt", "kind": "category", "categories": ["sgd", "adamw"], "lo": None, "hi": None, "r": None}
    acc = {"key": "val/acc", "kind": "number", "categories": [], "lo": 0, "hi": 0.9, "r": None, "values": [0.9, 0]}
    found = calls("axes", "return m.axesOf(a, [1, 0])", [lr, {**opt, "values": ["sgd", "adamw"]}, acc])
    assert [axis["title"] for axis in found] == ["lr", "a.opt", "val/acc"]
    assert [axis["kind"] for axis in found] == ["log", "category", "number"], "a result has no logarithmic axis"
    assert [axis["values"] for axis in found] == [[None, 0.1], ["adamw", "sgd"], [0, 0.9]]
    assert [axis["target"] for axis in found] == [False, False, True]
    assert (found[1]["lo"], found[1]["hi"]) == (0, 1)


@pytest.mark.parametrize(("key", "comparable"), [("lr", True), ("data.seed", False)])
def test_runs_that_differ_by_their_seed_alone_are_not_compared(calls: Calls, key: str, comparable: bool) -> None:
    runs = [{"config": {key: value, "same": 1}} for value in range(3)]
    assert calls("axes", "return m.comparable(a)", runs) == comparable


def test_the_most_watched_come_first(calls: Calls) -> None:
    names = ["train/lr", "train/loss", "val/acc", "val/loss", "grad_norm"]
    metrics = [{"name": name, "runs": 3, "points": 9, "source": "metrics"} for name in names]
    script = """
        const wish = { looks: new Map(a.looks), first: a.first, watched: new Map(a.watched), filter: a.filter };
        return m.arrange(a.metrics, wish).map((section) => [section.name, section.specs.map((spec) => spec.title)]);
    """
    plain: dict[str, Any] = {"metrics": metrics, "looks": [], "first": "", "watched": [], "filter": ""}
    assert calls("order", script, plain) == [["", ["val/loss", "val/acc", "train/loss", "grad_norm", "train/lr"]]]
    sorted_by = calls("order", script, {**plain, "first": "val/acc", "watched": [["grad_norm", 2]]})
    assert sorted_by[0][1][:2] == ["val/acc", "grad_norm"]
    pinned = calls(
        "order", script, {**plain, "first": "val/acc", "looks": [["train/lr", {"size": None, "pinned": True}]]}
    )
    assert pinned[0][1][:2] == ["train/lr", "val/acc"]
    assert calls("order", script, {**plain, "filter": "VAL o"})[0][1] == ["val/loss"]
    assert calls("order", script, {**plain, "filter": "/^(val|grad)/"})[0][1] == ["val/loss", "val/acc", "grad_norm"]
    assert calls("order", script, {**plain, "filter": "/(/"}) == []


def test_many_metrics_stand_under_their_prefixes_and_gpus_together(calls: Calls) -> None:
    names = [f"layer{i // 10}/norm{i % 10}" for i in range(30)] + ["val/loss"]
    metrics = [{"name": name, "runs": 3, "points": 9, "source": "metrics"} for name in names]
    script = """
        const wish = { looks: new Map(), first: '', watched: new Map(), filter: '' };
        return m.arrange(a, wish).map(({ name, specs }) => [name, specs.length, specs[0].metrics.length]);
    """
    found = calls("order", script, metrics)
    assert [(name, count) for name, count, _ in found] == [("", 5), ("layer0", 6), ("layer1", 10), ("layer2", 10)]
    gpus = [{"name": f"gpu_{i}_power", "runs": 1, "points": 9, "source": "system"} for i in range(8)]
    assert calls("order", script, gpus) == [["", 1, 8]]


def test_names_lose_only_what_all_begin_with(calls: Calls) -> None:
    script = "return m.shortNames(a)"
    assert calls("lines", script, ["lab/sweep-7/vit · 1", "lab/sweep-7/vit · 2"]) == ["vit · 1", "vit · 2"]
    assert calls("lines", script, ["GPU 0", "GPU 1"]) == ["GPU 0", "GPU 1"]
    assert calls("lines", script, ["sweep-7/a", "sweep-7/b", "other"]) == ["sweep-7/a", "sweep-7/b", "other"]
    assert calls("lines", script, ["run", "run"]) == ["run", "run"]


def test_what_panels_look_like_survives_the_address(calls: Calls) -> None:
    looks = [
        ["val/loss", {"size": "l", "pinned": True}],
        ["a:b", {"size": None, "pinned": True}],
        ["c", {"size": "s", "pinned": False}],
    ]
    script = "return [...m.readLooks(m.writeLooks(new Map(a)))]"
    assert calls("panels", script, looks) == looks
    assert calls("panels", "return [...m.readLooks(a)]", ["nonsense", ":l", "x:q"]) == []


def test_a_zoom_survives_the_address(calls: Calls) -> None:
    script = "return m.readZoom(m.writeZoom(a))"
    for zoom in ([1000, 5000], [1764315852.25, 1764315853.75], [0.00012, 0.00019], [-3.5, 2e9]):
        assert calls("view", script, zoom) == pytest.approx(zoom, rel=1e-4, abs=(zoom[1] - zoom[0]) * 1e-3)
    assert [calls("view", "return m.readZoom(a)", text) for text in ("", "5..1", "x..y", "7")] == [None] * 4
