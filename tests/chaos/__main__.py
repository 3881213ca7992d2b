"""Plays seeds of the simulation one after another: `python -m tests.chaos --seeds 0-500`, or until a time is up: `--minutes 60`."""

from __future__ import annotations

import argparse
import sys
import time
from itertools import count
from random import SystemRandom

from tests.chaos.city import Flawed, Simulation
from tests.chaos.people import Figures

EVERY = 100
"""Seeds between two lines of progress, where nobody watches."""


def main() -> int:
    """Play what was asked for; print figures, and each seed that broke a promise; 1 when any did."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", default="", metavar="A-B", help="these seeds, or one; without it new ones, drawn by chance")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after so long")
    parser.add_argument("--steps", type=int, default=300, help="steps with faults in each seed (default 300)")
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    start = int(first) if first else SystemRandom().randrange(2**32)
    seeds = range(start, int(last or first) + 1) if first else count(start)
    began, figures, flawed, played = time.monotonic(), Figures(), [], 0
    for seed in seeds:
        if asked.minutes and time.monotonic() - began > asked.minutes * 60:
            break
        try:
            figures.add(Simulation(seed, steps=asked.steps).run())
        except Flawed as flaw:
            flawed.append(seed)
            print(f"FLAW {flaw}", flush=True)
        played += 1
        if sys.stderr.isatty():
            print(f"\r{played} seeds, {figures.steps} steps, {len(flawed)} flawed ", end="", file=sys.stderr, flush=True)
        elif played % EVERY == 0:   # a log says how far it came, and from which seed it may go on
            print(f"{played} seeds, the last {seed}, {figures.steps} steps, {figures.rungs} rungs, {len(flawed)} flawed", flush=True)
    seconds = time.monotonic() - began
    print(f"{played} seeds from {start}, {figures.steps} steps ({figures.steps / seconds:.0f}/s), {sum(figures.faults.values())} faults of "
          f"{len(figures.faults)} kinds, {sum(figures.calls.values())} commands ({figures.calls['unknown']} of unknown outcome), "
          f"{figures.rungs} rungs, {figures.messages} messages, {seconds:.0f} s: {len(flawed)} flawed")
    return 1 if flawed else 0


if __name__ == "__main__":
    sys.exit(main())
