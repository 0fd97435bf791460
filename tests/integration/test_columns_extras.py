"""read_columns without its optional packages."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from whirr.encode import Encoder


def test_without_numpy_the_extra_is_named() -> None:
    script = (
        "import sys; sys.modules['numpy'] = None\n"
        "import whirr\n"
        "try: whirr.read_columns\n"
        "except whirr.WhirrError as error: print(error.code, error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "missing-extra in whirr's source tree: pip install '.[columns]'\n"


def test_without_duckdb_the_exact_road_is_taken(tmp_path: Path) -> None:
    path, encoder = tmp_path / "metrics.jsonl", Encoder()
    moment = datetime.now(UTC)
    path.write_bytes(b"".join(encoder.encode(n, moment, {"loss": n}, n) for n in range(20000)))
    script = (
        "import sys; sys.modules['duckdb'] = None\nimport whirr\nprint(whirr.read_columns(sys.argv[1])['loss'].sum())"
    )
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, check=True)
    assert path.stat().st_size > 2**20
    assert float(done.stdout) == sum(range(20000))
