"""What the table of runs asks the server: rows, keys, completions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from helpers import wait_until
from run_folders import write_run
from servers import serving

from whirr.connect import open_hub
from whirr.model import Role


def stamp(number: int) -> str:
    return f"2026-01-01T00:00:{number:02}.000000Z"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / ".whirr"


@pytest.fixture
def client(root: Path) -> Iterator[httpx.Client]:
    """Asks a server of some runs, with the token of a reader."""
    for number in range(5):
        write_run(
            root,
            f"r{number}",
            name=f"vit 🚀 {number}" if number else "<b>bold</b>",
            status="failed" if number == 3 else "completed",
            started_at=stamp(number),
            tags=["sweep-7"] if number % 2 else [],
            config={"lr": 10.0**-number, "optimizer": "sgd" if number % 2 else "adamw"},
            rows=[{"_idx": 0, "_timestamp": stamp(number), "val/acc": number / 10, "wild": "x"}],
            summary={"nan": "NaN"},
        )
    hub = open_hub(root, serving=True)
    token = hub.tokens.create("reader", Role.READ)
    with serving(hub) as url, httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as made:
        wait_until(lambda: made.get("/ui/runs").json()["reading"] is None)
        yield made
    hub.close()


def get(client: httpx.Client, path: str, **params: Any) -> dict[str, Any]:
    answer = client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    found: dict[str, Any] = answer.json()
    return found


def test_rows(client: httpx.Client) -> None:
    found = get(
        client,
        "/ui/runs",
        filter="val/acc > 0.05 and lr in 1e-3..1",
        sort="-val/acc",
        columns="val/acc,lr,nan,absent",
        start=1,
        count=2,
    )
    assert (found["every"], found["chosen"], found["running"], found["reading"]) == (5, 3, 0, None)
    assert [row["id"] for row in found["rows"]] == ["r2", "r1"]
    assert found["rows"][0] == {
        "id": "r2",
        "name": "vit 🚀 2",
        "status": "completed",
        "cause": None,
        "started_at": stamp(2),
        "duration_seconds": 60.0,
        "job_id": None,
        "tags": [],
        "group": None,
        "progress": None,
        "logged": True,
        "cells": [0.2, 0.01, "NaN", None],
    }
    assert found["columns"][0] == {"key": "val/acc", "room": "metrics", "lo": 0.1, "hi": 0.3, "kind": "number"}
    assert [column["room"] for column in found["columns"]] == ["metrics", "config", "summary", "config"]
    assert found["version"]


def test_groups_and_hidden_states(client: httpx.Client) -> None:
    found = get(client, "/ui/runs", group="optimizer", sort="-val/acc", columns="val/acc", hide="failed,cancelled")
    assert [(group["label"], group["value"], group["count"], group["start"]) for group in found["groups"]] == [
        ("adamw", "adamw", 3, 0),
        ("sgd", "sgd", 1, 3),
    ]
    assert found["groups"][0]["cells"][0] == {"mean": pytest.approx(0.2), "sd": pytest.approx(0.2), "n": 3}
    assert found["groups"][1]["cells"][0] == {"mean": pytest.approx(0.1), "sd": None, "n": 1}
    assert [row["id"] for row in found["rows"]] == ["r4", "r2", "r0", "r1"]


def test_proposed_columns_and_none(client: httpx.Client) -> None:
    assert [column["key"] for column in get(client, "/ui/runs")["columns"]] == ["val/acc", "lr", "optimizer"]
    assert get(client, "/ui/runs", columns="")["columns"] == []


def test_a_wrong_filter_says_where_as_javascript_counts(client: httpx.Client) -> None:
    answer = client.get("/ui/runs", params={"filter": "'🚀' and lr =>"})
    assert (answer.status_code, answer.json()["error"]) == (
        400,
        {"code": "usage", "message": "=> means nothing", "hint": "write >=", "at": [12, 14]},
    )
    answer = client.get("/api/v1/runs", params={"filter": "lr =>"})
    assert (answer.status_code, answer.json()["error"]["at"]) == (400, [3, 5])


def test_remarks(client: httpx.Client) -> None:
    assert get(client, "/ui/runs", filter="'🚀' and val/ac > 1")["remarks"] == [
        {"text": "no run has val/ac", "hint": "did you mean val/acc?", "at": [9, 15]}
    ]


def test_keys(client: httpx.Client) -> None:
    found = get(client, "/ui/keys")
    assert {"name", "status", "started", "tag"} <= set(found["fields"])
    assert [(key["key"], key["runs"]) for key in found["metrics"]] == [("val/acc", 5), ("wild", 5)]
    assert found["config"][1] == {"key": "optimizer", "runs": 5, "values": ["adamw", "sgd"], "lo": None, "hi": None}
    assert (found["config"][0]["lo"], found["config"][0]["hi"]) == (0.0001, 1.0)
    assert found["tags"] == ["sweep-7"]


def test_what_mattered(client: httpx.Client) -> None:
    found = get(client, "/ui/mattered", metric="val/acc", runs="r1,gone", hide="failed")
    assert found["axes"][-1]["key"] == "val/acc"
    assert [axis["key"] for axis in found["axes"]][:-1] == ["lr", "optimizer"]
    assert all(axis["values"][1] is None for axis in found["axes"])
    refused = client.get("/ui/mattered", params={"metric": "val/acc", "filter": "'🚀' = 1 and ("})
    assert (refused.status_code, refused.json()["error"]["at"]) == (400, [14, 14])


def test_completions(client: httpx.Client) -> None:
    found = get(client, "/ui/complete", text="'🚀' and val and x", at=12)
    assert (found["from"], found["to"]) == (9, 12)
    assert found["items"][0] == {"text": "val/acc", "kind": "metric", "detail": "0..0.4"}
    assert [item["text"] for item in get(client, "/ui/complete", text="optimizer = ")["items"]] == ["adamw", "sgd"]


@pytest.mark.parametrize("path", ["/ui/runs", "/ui/keys", "/ui/complete", "/ui/mattered?metric=x"])
def test_only_for_those_who_may_read(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"Authorization": ""}).status_code == 401


@pytest.mark.parametrize(
    "params",
    [
        {"count": 100_000},
        {"start": -1},
        {"count": "x"},
        {"filter": "x" * 9000},
        {"columns": ",".join(map(str, range(99)))},
    ],
)
def test_what_is_too_much_is_refused(client: httpx.Client, params: dict[str, Any]) -> None:
    assert client.get("/ui/runs", params=params).status_code in (400, 422)


def test_a_run_that_comes_is_there_at_the_next_look(client: httpx.Client, root: Path) -> None:
    before = get(client, "/ui/runs")
    write_run(root, "r9", started_at=stamp(9), config={"lr": 5})
    after = wait_until(lambda: (found := get(client, "/ui/runs", columns="lr"))["every"] == 6 and found)
    assert (after["rows"][0]["id"], after["rows"][0]["cells"]) == ("r9", [5])
    assert after["version"] != before["version"]
