"""Which GPUs are meant, and how a job is told its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from whirr.errors import UsageError
from whirr.gpuset import Gpu, chosen, variables

TWO = [Gpu(0, "GPU-a", "A100", 81920), Gpu(1, "GPU-b", "A100", 81920)]
SPLIT = [Gpu(2, f"MIG-{letter}", "A100 1g.10gb", 9856, mig=True) for letter in "xy"]


@pytest.mark.parametrize(
    ("text", "uuids"),
    [
        ("all", ["GPU-a", "GPU-b", "MIG-x", "MIG-y"]),
        ("", []),
        ("none", []),
        (" , ", []),
        ("1", ["GPU-b"]),
        (" 1 , 0 ", ["GPU-b", "GPU-a"]),
        ("GPU-a,1", ["GPU-a", "GPU-b"]),
        ("2", ["MIG-x", "MIG-y"]),
        ("MIG-y", ["MIG-y"]),
    ],
)
def test_gpus_are_chosen_by_number_or_uuid(text: str, uuids: list[str]) -> None:
    assert [gpu.uuid for gpu in chosen(text, TWO + SPLIT)] == uuids


@pytest.mark.parametrize("text", ["3", "-1", "GPU-c", "0,all", "0 1"])
def test_a_gpu_that_is_not_there_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="there is no GPU") as caught:
        chosen(text, TWO)
    assert "0 (A100), 1 (A100)" in str(caught.value.hint)


def test_where_there_is_none_that_is_said() -> None:
    assert chosen("all", []) == []
    with pytest.raises(UsageError) as caught:
        chosen("0", [])
    assert str(caught.value.hint).endswith("none")


@pytest.mark.parametrize("text", ["0,0", "1,GPU-b", "2,MIG-x"])
def test_a_gpu_named_twice_is_told(text: str) -> None:
    with pytest.raises(UsageError, match="twice"):
        chosen(text, TWO + SPLIT)


@pytest.mark.parametrize(
    ("gpus", "visible"),
    [
        ([], ""),
        (TWO, "0,1"),
        (TWO[::-1], "1,0"),
        (SPLIT[:1], "MIG-x"),
        ([TWO[0], SPLIT[1]], "GPU-a,MIG-y"),
        ([replace(TWO[0], index=11)], "11"),
    ],
)
def test_a_job_is_told_its_gpus_and_only_those(gpus: list[Gpu], visible: str) -> None:
    assert variables(gpus) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": visible}
