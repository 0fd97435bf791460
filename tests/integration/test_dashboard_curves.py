"""What the charts ask a server for: curves as bytes, metrics, and all values of a panel."""

from __future__ import annotations

import csv
import gzip
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from curve_runs import line, write
from servers import serving

from whirr.connect import open_hub
from whirr.model import Role

STEPS = 5000


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("curves") / ".whirr"
    for number in range(3):
        lines = (
            line(step, step, step, loss=(math.nan if step == 77 else math.sin(step) + number), epoch=step // 9)
            for step in range(STEPS)
        )
        write(root, f"run-{number}", {"metrics.jsonl": b"".join(lines), "system.jsonl": b'{"cpu_percent": 1}\n'})
    write(root, "=<b>hostile", {"metrics.jsonl": line(0, 0, 0.0, **{'lo"ss,<i>': math.inf})})
    return root


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[httpx.Client]:
    hub = open_hub(root, None, serving=True)
    token = hub.tokens.create("reader", Role.READ)
    with serving(hub) as url, httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        yield client
    hub.close()


def asked(**more: Any) -> dict[str, Any]:
    return {"runs": ["run-0", "run-1", "run-2"], "metric": "loss", **more}


def decoded(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    data = answer.content
    size = int.from_bytes(data[:4], "little")
    head: dict[str, Any] = orjson.loads(data[4 : 4 + size])
    for one in head["series"]:
        at = 4 + size + one["at"]
        one["x"] = one["x0"] + np.frombuffer(data, "<f4", one["n"], at).astype(np.float64)
        one["y"] = np.frombuffer(data, "<f4", one["n"], -(-(at + 4 * one["n"]) // 8) * 8)
    return head


def test_curves_are_thinned_and_small(client: httpx.Client) -> None:
    answer = client.post("/ui/curves", json=asked(points=200))
    head = decoded(answer)
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < 10_000
    assert [one["run"] for one in head["series"]] == ["run-0", "run-1", "run-2"]
    assert head["total"] == 3 * STEPS
    for number, one in enumerate(head["series"]):
        assert one["n"] <= 210
        assert one["nonfinite"] == [[77, "NaN"]]
        assert np.nanmax(one["y"]) == pytest.approx(number + 1, abs=1e-4)
        assert (one["first"], one["last"]) == (0, STEPS - 1)
        assert one["last_y"] == math.sin(STEPS - 1) + number


def test_who_does_not_take_packed_answers_gets_plain_ones(client: httpx.Client) -> None:
    plain = client.post("/ui/curves", json=asked(), headers={"Accept-Encoding": "gzip;q=0, identity"})
    packed = client.post("/ui/curves", json=asked(), headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content


@pytest.mark.parametrize("axis", ["step", "time", "relative", "metric:epoch"])
def test_every_axis(client: httpx.Client, axis: str) -> None:
    head = decoded(client.post("/ui/curves", json=asked(x=axis, points=20_000, runs=["run-1"])))
    assert head["x"] == axis
    (one,) = head["series"]
    assert one["n"] == STEPS
    assert (np.diff(one["x"]) >= 0).all()
    assert np.isnan(one["y"]).sum() == 1


def test_a_zoom_gives_every_value_of_its_range(client: httpx.Client) -> None:
    head = decoded(client.post("/ui/curves", json=asked(**{"from": 1000, "to": 1050})))
    for one in head["series"]:
        assert one["x"].tolist() == list(range(999, 1052))
        assert (one["total"], one["first"], one["last"]) == (51, 0, STEPS - 1)


def test_runs_without_the_metric_and_runs_that_are_gone(client: httpx.Client) -> None:
    head = decoded(client.post("/ui/curves", json=asked(runs=["gone", "run-1", "../run-1", "=<b>hostile", "run-1"])))
    assert [one["run"] for one in head["series"]] == ["run-1"]
    assert [one["run"] for one in head["problems"]] == ["gone", "../run-1"]


def test_metrics(client: httpx.Client) -> None:
    found = client.get("/ui/metrics", params={"runs": "run-0,run-1,gone"}).json()
    assert {"name": "loss", "runs": 2, "points": 2 * STEPS, "source": "metrics"} in found["metrics"]
    assert {"name": "cpu_percent", "runs": 2, "points": 2, "source": "system"} in found["metrics"]
    assert found["axes"] == ["step", "time", "relative", "metric:epoch"]
    assert client.get("/ui/metrics").json()["metrics"] == []


def test_all_values_of_a_panel_as_csv(client: httpx.Client) -> None:
    answer = client.post("/ui/curves.csv", json=asked(runs=["run-1", "gone", "run-2"], x="metric:epoch"))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    first, *rows = csv.reader(io.StringIO(answer.text))
    assert first == ["run", "epoch", "loss"]
    assert len(rows) == 2 * STEPS
    assert rows[0] == ["run-1", "0", "1"]
    assert rows[77] == ["run-1", "8", "NaN"]
    assert float(rows[-1][2]) == math.sin(STEPS - 1) + 2


def test_hostile_names_are_quoted(client: httpx.Client) -> None:
    answer = client.post("/ui/curves.csv", json={"runs": ["=<b>hostile"], "metric": 'lo"ss,<i>'})
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows == [["run", "step", 'lo"ss,<i>'], ["=<b>hostile", "0", "Infinity"]]


def test_samples_as_csv_are_told_by_time(client: httpx.Client) -> None:
    answer = client.post("/ui/curves.csv", json=asked(metric="cpu_percent", source="system"))
    assert answer.text.splitlines()[0] == "run,relative,cpu_percent"


@pytest.mark.parametrize(
    "wrong",
    [
        {"x": "metric:"},
        {"x": "steps"},
        {"points": 1},
        {"points": 10**6},
        {"source": "files"},
        {"from": "a"},
        {"runs": ["r"] * 2000},
        {"more": 1},
    ],
)
def test_what_cannot_be_understood_is_refused(client: httpx.Client, wrong: dict[str, Any]) -> None:
    for path in ("/ui/curves", "/ui/curves.csv"):
        answer = client.post(path, json=asked(**wrong))
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "usage")


def test_nobody_without_a_token_gets_a_curve(client: httpx.Client) -> None:
    for method, path in (("POST", "/ui/curves"), ("POST", "/ui/curves.csv"), ("GET", "/ui/metrics")):
        assert httpx.request(method, f"{client.base_url}{path}", json=asked()).status_code == 401


def test_packed_answers_are_the_same_each_time(client: httpx.Client) -> None:
    request = client.build_request("POST", "/ui/curves", json=asked(), headers={"Accept-Encoding": "gzip"})
    raw = [b"".join(client.send(request, stream=True).iter_raw()) for _ in range(2)]
    assert raw[0] == raw[1]
    assert gzip.decompress(raw[0])[:4] != b""
