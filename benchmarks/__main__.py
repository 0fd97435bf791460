"""``python -m benchmarks``: measure, print one row a goal, exit with 1 when a goal is missed."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor

from benchmarks.measure import EFFORTS, HEADING, rows_of

TRACKING = ("log", "imports", "init", "whole", "read", "listing", "memory", "loop", "sampler", "peer")
QUEUE = ("start", "throughput", "claim", "submit", "snapshot", "queue_peer")
SERVER = ("server_start", "server_submit", "server_idle", "ship", "server_list")
DASHBOARD = ("dashboard",)
PARTS = TRACKING + QUEUE + SERVER + DASHBOARD


def main(arguments: list[str] | None = None) -> int:
    """Measure the parts asked for; 1 when a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="The speed goals, measured.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)} (default: all)")
    parser.add_argument("--effort", choices=EFFORTS, default="full")
    parser.add_argument("--quick", dest="effort", action="store_const", const="quick")
    options = parser.parse_args(arguments)
    if unknown := set(options.parts).difference(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; the parts are {', '.join(PARTS)}")
    busy, cores = os.getloadavg()[0], os.cpu_count()
    print(f"{cores} cores, load {busy:.1f}: figures in ms mean something on an idle machine only")
    print(HEADING)
    missed = 0
    for part in options.parts or PARTS:
        # A process of its own: no part inherits the memory, threads or imports of another.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
            for row in alone.submit(rows_of, part, EFFORTS[options.effort]).result():
                print(row, flush=True)
                missed += not row.met
    print(f"{missed} goal(s) missed" if missed else "every goal is met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
