"""The reaper among workers that come and go."""

from __future__ import annotations

import os
from pathlib import Path

from whirr.connect import open_hub
from whirr.locks import Held, worker_lock
from whirr.worker.reaper import reap


def test_locks_of_unknown_workers_go_unless_they_are_held_new_or_gone_already(tmp_path: Path) -> None:
    hub = open_hub(tmp_path / ".whirr")
    dead, living, new, going = (worker_lock(hub.queue, name) for name in ("dead", "living", "new", "going"))
    for path in (dead, new):
        Held(path).release()
    held = Held(living)
    for path in (dead, living):
        os.utime(path, (0, 0))
    going.symlink_to("nowhere")  # listed, but gone when it is looked at, like that of a worker that ends at this moment
    try:
        assert reap(hub, hub.queue) == 0
        assert sorted(path.name for path in dead.parent.iterdir()) == ["going.lock", "living.lock", "new.lock"]
    finally:
        held.release()
        hub.close()
