"""The worker: takes jobs from a hub, has each run under a supervisor of its own, and reports how it ended."""

from __future__ import annotations

from whirr.worker.loop import Options, Worker

__all__ = ["Options", "Worker"]
