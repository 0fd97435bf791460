"""Other dashboards beside ours, each in an environment of its own: what they are given to show, how they are started.

Both are given files as they write them themselves. Most of the lines are appended here rather than through their own
`log`, which would take minutes.
"""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.measure import clean_environment
from benchmarks.queues import until

ENVIRONMENTS = Path(__file__).parents[1] / ".venv" / "peers"
Curve = Sequence[float]
BEGAN = 1_760_000_000
CHUNK = 1000
SWANLAB_RUN = """
import sys, swanlab
for name in sys.argv[3:]:
    run = swanlab.init(project="benchmark", experiment_name=name, mode="local", logdir=sys.argv[1])
    run.log({key: 1.0 for key in sys.argv[2].split(",")}, step=0)
    run.finish()
"""


class Peer(NamedTuple):
    """A dashboard that pip installs.

    Attributes:
        requirement: what pip is told.
        write: writes runs, by name a curve for each metric, into a folder.
        command: serves a folder at a port.
        page: the path of the page with its charts.
        data: beginnings of the paths of answers that are data.
        act: what somebody does on that page, so that all curves are drawn.
    """

    name: str
    requirement: str
    write: Callable[[Path, Path, dict[str, dict[str, Curve]]], None]
    command: Callable[[Path, Path, int], list[str]]
    page: str
    data: tuple[str, ...]
    act: Callable[[Any], None] | None = None

    @property
    def home(self) -> Path:
        """Its environment."""
        return ENVIRONMENTS / self.name

    def is_there(self) -> bool:
        """Whether it is installed, in this version."""
        told = self.home / "installed"
        return told.exists() and told.read_text() == self.requirement

    def install(self) -> None:
        """Install it where it is missing.

        Raises:
            CalledProcessError: pip cannot.
        """
        if self.is_there():
            return
        self.home.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [sys.executable, "-m", "venv", "--clear", "--without-pip", self.home], check=True, capture_output=True
        )
        python = self.home / "bin" / "python"
        command = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", self.requirement]
        subprocess.run(command, check=True, capture_output=True)
        (self.home / "installed").write_text(self.requirement)

    @contextmanager
    def serving(self, folder: Path) -> Iterator[tuple[str, int]]:
        """Its address, and the id of its process, while it shows a folder."""
        port = _free_port()
        command = self.command(self.home / "bin", folder, port)
        with (folder.parent / f"{self.name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=clean_environment(), stdout=log, stderr=log)
        try:
            until(lambda: _listens(port) or process.poll() is not None)
            yield f"http://127.0.0.1:{port}{self.page}", process.pid
        finally:
            process.terminate()
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _write_tensorboard(_: Path, folder: Path, runs: dict[str, dict[str, Curve]]) -> None:
    """Event files: one record a value, with the sums of TFRecord over the lengths."""
    for number, (name, curves) in enumerate(runs.items()):
        (folder / name).mkdir(parents=True)
        with (folder / name / f"events.out.tfevents.{BEGAN + number}.here").open("wb") as file:
            file.write(_record(struct.pack("<Bd", 0x09, BEGAN) + b"\x1a\x0dbrain.Event:2"))
            heads = {key: b"\x0a" + bytes([len(key)]) + key.encode() + b"\x15" for key in curves}
            steps = range(len(next(iter(curves.values()))))
            for step, values in zip(steps, zip(*curves.values(), strict=True), strict=True):
                when = struct.pack("<Bd", 0x09, BEGAN + step) + b"\x10" + _varint(step)
                for head, value in zip(heads.values(), values, strict=True):
                    inner = head + struct.pack("<f", value)
                    summary = b"\x0a" + bytes([len(inner)]) + inner
                    file.write(_record(when + b"\x2a" + bytes([len(summary)]) + summary))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _choose_all(page: Any) -> None:
    """TensorBoard shows none of more than 40 runs unless somebody chooses them."""
    box = page.locator("runs-data-table mat-checkbox input, runs-table mat-checkbox input").first
    box.wait_for(timeout=80_000)
    if not box.is_checked():
        box.check()


_sums: dict[int, bytes] = {}


def _record(data: bytes) -> bytes:
    """As TensorBoard reads it: its server looks at the sum of the length, not at that of the data."""
    size = len(data)
    if size not in _sums:
        head = struct.pack("<Q", size)
        _sums[size] = head + struct.pack("<I", _masked_crc32c(head))
    return _sums[size] + data + b"\0\0\0\0"


def _masked_crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _write_swanlab(programs: Path, folder: Path, runs: dict[str, dict[str, Curve]]) -> None:
    """Runs as it makes them, with one record each, and then the rest of their lines."""
    keys = list(next(iter(runs.values())))
    command = [str(programs / "python"), "-c", SWANLAB_RUN, str(folder), ",".join(keys), *runs]
    subprocess.run(command, check=True, capture_output=True, env=clean_environment())
    made = sorted(path for path in folder.glob("run-*") if path.is_dir())
    for place, curves in zip(made, runs.values(), strict=True):
        for number, curve in enumerate(curves.values(), 1):
            _fill_swanlab(place / "logs" / str(number), curve)


def _fill_swanlab(folder: Path, curve: Curve) -> None:
    form = '{"index": %d, "data": %.6f, "create_time": "2026-11-28T15:16:54.703840+00:00"}\n'
    for start in range(0, len(curve), CHUNK):
        lines = [form % (start + place, value) for place, value in enumerate(curve[start : start + CHUNK])]
        (folder / f"{start + CHUNK}.log").write_text("".join(lines))
    low, high = min(curve), max(curve)
    summary = {"max": high, "max_step": 0, "min": low, "min_step": len(curve) - 1, "num": len(curve)}
    (folder / "_summary.json").write_text(str(summary).replace("'", '"'))


PEERS = (
    Peer(
        "tensorboard",
        "tensorboard==2.21.0",
        _write_tensorboard,
        lambda programs, folder, port: [
            str(programs / "tensorboard"),
            *("--logdir", str(folder), "--port", str(port)),
        ],
        "/",
        ("/data/plugin/", "/data/runs", "/experiment/"),
        _choose_all,
    ),
    Peer(
        "swanlab",
        "swanlab[dashboard]==0.10.3",
        _write_swanlab,
        lambda programs, folder, port: [str(programs / "swanlab"), "watch", str(folder), "-p", str(port)],
        "/charts",
        ("/api/",),
    ),
)
