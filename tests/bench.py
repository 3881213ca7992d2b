"""`make bench`: what the engine does in a second, with the raw limit of SQLite measured in the same run.

The city of the sweep is real in everything that a sweep touches: a million open cases with one armed clock each, in the units of
the generated city with its whole roster; a hundred thousand of them are due at one instant, in random order of their rows. A full
escalation writes the case with its clocks, one hash-chained event, the oversight clock that a raise starts and a notice, durably.

    python -m tests.bench [--cases 1000000] [--due 100000] [--lives 25000] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import crisis_engine as ce
from crisis_engine.almanac import published_calendar
from crisis_engine.core import events as ev
from crisis_engine.core.access import Actor, may_do
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import Duty, Risk, Tier
from crisis_engine.core.resolve import Found, Resolver, Roster
from crisis_engine.definitions import load_access
from crisis_engine.engine.gather import Sources
from crisis_engine.example import example_roster
from crisis_engine.example.city import generate_city
from crisis_engine.store import Change
from crisis_engine.testing import SettableClock

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
BATCH = 5_000


def progress(text: str) -> None:
    """Say what is going on when a person watches."""
    if sys.stderr.isatty():
        print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)


def build(path: Path, cases: int, due: int) -> None:
    """Fill a database with the city and its cases; every case has one armed `assessment` clock."""
    city = generate_city(seed=1)
    clock = SettableClock(NOW - timedelta(days=1))
    with ce.open_engine(f"sqlite:///{path}", clock=clock) as engine:
        engine.mark_sandbox()
        engine.import_roster(city)
        classes = [unit.id for unit in city.units if unit.kind == "class"]
        schools = {unit.id for unit in city.units if unit.kind == "school"}
        teachers = {duty.unit: duty.person for duty in city.duties if duty.role == "class_teacher"}
        counselors = {duty.unit: duty.person for duty in city.duties if duty.role == "counselor" and duty.rank == 1}
        store, sources = engine.store, Sources()
        with store.writing() as tx:
            procedure = sources.procedure_for(tx, "school_crisis_v1", "xinyang")
        chosen = random.Random(7)
        late = set(chosen.sample(range(cases), due))
        for start in range(0, cases, BATCH):
            changes = []
            for place in range(start, min(start + BATCH, cases)):
                unit = classes[place * 7919 % len(classes)]
                school = next(path for path in (unit.rsplit("/", 1)[0], unit.rsplit("/", 2)[0]) if path in schools)
                due_at = NOW if place in late else NOW + timedelta(days=2, seconds=place % 80_000)
                changes.append(_case(f"B{place:08}", unit, Found("counselor", school, Tier.SCHOOL, counselors.get(school)), teachers[unit],
                                     due_at, procedure.hash))
            with store.writing() as tx:
                tx.append(changes)
            progress(f"building the city: {start:,} of {cases:,} cases")
    with sqlite3.connect(path) as connection:
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    progress("")


def _case(number: str, unit: str, doer: Found, teacher: str, due_at: datetime, procedure: str) -> Change:
    at = due_at - timedelta(hours=24)
    events: list[ev.Event] = [
        ev.Opened(case=number, seq=1, at=at, by="reporter", workflow="school_crisis_v1", procedure=procedure, unit=unit, subject=None,
                  parent=None, stage="acknowledged", tier=Tier.CLASS, risk=Risk.YELLOW, move="report"),
        ev.AnswererChanged(case=number, seq=2, at=at, by="engine", role="class_teacher", unit=unit, holder=teacher),
        ev.ClockArmed(case=number, seq=3, at=at, by="engine", clock="assessment", n=1, sort="safety", role=doer.role, unit=doer.unit,
                      holder=doer.person, due_at=due_at, next_at=due_at, rung=2),
    ]
    return Change(before=None, after=fold(events), events=tuple(events), notices=(), two=True, sole=True)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that one call took."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median_of(work: Callable[[], object], runs: int) -> float:
    """Return the median seconds of several calls, after one that does not count."""
    work()
    return statistics.median(timed(work) for _run in range(runs))


def raw_limit(folder: Path, rows: int = 100_000) -> float:
    """Return rows a second that plain sqlite3 inserts durably in batches: the ceiling under every figure here."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE event (id INTEGER PRIMARY KEY, case_id INTEGER, seq INTEGER, header TEXT, hash BLOB)")
    header, digest = "x" * 400, b"h" * 32

    def insert() -> None:
        for start in range(0, rows, 500):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO event (case_id, seq, header, hash) VALUES (?, 1, ?, ?)",
                                   [(case, header, digest) for case in range(start, start + 500)])
            connection.execute("COMMIT")

    seconds = timed(insert)
    connection.close()
    return rows / seconds


def installed() -> dict[str, str]:
    """Return the environment of a process that finds its bytecode, as an installation does."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def sweepers(path: Path, count: int) -> tuple[float, int]:
    """Let so many whole `crisis sweep` processes share what is due; return the seconds until the last is done, and cases raised."""
    environment = {**installed(), "CRISIS_NOW": (NOW + timedelta(seconds=1)).isoformat()}
    command = [sys.executable, "-m", "crisis_engine", "sweep", "--json", "--db", f"sqlite:///{path}", "--share"]
    begin = time.perf_counter()
    running = [
        subprocess.Popen([*command, f"{place + 1}/{count}"], env=environment, stdout=subprocess.PIPE, text=True)
        for place in range(count)
    ]
    reports = [json.loads(process.communicate()[0]) for process in running]
    return time.perf_counter() - begin, sum(report["raised"] for report in reports)


def bench_sweep(path: Path, scratch: Path, due: int, raw: float) -> Iterator[str]:
    """Drain all that is due at one instant, by two sweepers and by one, then ask again when nothing is."""
    for count in (2, 1):
        copy = scratch / f"sweep{count}.db"
        shutil.copy(path, copy)
        os.sync()   # the copy's pages must not be written back while the sweep waits for its own
        seconds, raised = sweepers(copy, count)
        if raised != due:
            raise SystemExit(f"the sweep raised {raised} cases of {due}")
        rate = due / seconds
        yield (f"sweep sqlite {due} due, {count} {'sweepers' if count > 1 else 'sweeper'}: {rate:,.0f} /s, raw limit {raw:,.0f} /s, "
               f"ratio {rate / raw:.2f}")
        if count > 1:
            copy.unlink()
    with ce.open_engine(f"sqlite:///{copy}", clock=SettableClock(NOW + timedelta(seconds=1))) as engine:
        idle = median_of(engine.sweep, 200)
        yield f"idle sweep sqlite: {idle * 1000:.3f} ms"


def build_lives(path: Path, cases: int, meetings: int = 12) -> int:
    """Fill a database with cases that people worked on for some weeks, 3 events and 3 for each meeting, notes and all."""
    with ce.open_engine(f"sqlite:///{path}", clock=SettableClock(NOW)) as engine:
        engine.import_roster(generate_city(seed=1, schools=20, pupils=1_000))
        classes = [unit["id"] for unit in engine.roster(subjects=False)["units"] if unit["kind"] == "class"]
        sources = Sources()
        with engine.store.writing() as tx:
            procedure = sources.procedure_for(tx, "school_crisis_v1", "xinyang")
        for start in range(0, cases, 500):
            changes = []
            for place in range(start, min(start + 500, cases)):
                unit = classes[place % len(classes)]
                counselor = Found("counselor", unit.rsplit("/", 2)[0], Tier.SCHOOL, "p-31")
                first = _case(f"L{place:08}", unit, counselor, "p-11", NOW, procedure.hash)
                events = [*first.events, *_meetings(first, meetings)]
                changes.append(Change(before=None, after=fold(events), events=tuple(events), notices=(), two=True, sole=True))
            with engine.store.writing() as tx:
                tx.append(changes)
            progress(f"building lives: {start:,} of {cases:,} cases")
    progress("")
    return cases * (3 + 3 * meetings)


def _meetings(first: Change, count: int) -> Iterator[ev.Event]:
    """What the counselor did: each time a note, the clock met, and the next one armed."""
    number, armed = first.after.number, first.events[2]
    assert isinstance(armed, ev.ClockArmed)
    for place in range(count):
        at, seq = NOW - timedelta(hours=20) + timedelta(minutes=place), 4 + 3 * place
        yield ev.Moved(case=number, seq=seq, at=at, by="p-31", move="note", origin="acknowledged", to="acknowledged",
                       secret={"text": f"Met at noon for the {place}th time; she ate with her friends and slept better than last week."})
        yield ev.ClockMet(case=number, seq=seq + 1, at=at, by="p-31", clock=armed.clock, n=place + 1, late=False)
        yield replace(armed, seq=seq + 2, at=at, n=place + 2)


def bench_audit(folder: Path, cases: int) -> Iterator[str]:
    """Seal a log that nobody has sealed yet, then prove all of it, by one process and by two."""
    path = folder / "lives.db"
    events = build_lives(path, cases)
    with ce.open_engine(f"sqlite:///{path}", clock=SettableClock(NOW)) as engine:
        operator = next(duty["person"] for duty in engine.roster(subjects=False)["duties"] if duty["role"] == "operator")
        seconds = timed(engine.seal)
        yield f"audit seal sqlite: {events / seconds:,.0f} events/s into {engine.checkpoint(by=operator).checkpoint.size:,} leaves"
        for count in (1, 2):
            begin = time.perf_counter()
            report = engine.verify(by=operator, processes=count)
            seconds = time.perf_counter() - begin
            if not report.ok or report.events != events:
                raise SystemExit(f"verify saw {report.events} events of {events}: {report.flaws[:1]}")
            yield f"audit verify sqlite, {count} {'processes' if count > 1 else 'process'}: {events / seconds:,.0f} events/s"


def bench_act(path: Path, raw: float) -> Iterator[str]:
    """Report, then act: each command durable and alone in its transaction."""
    clock = SettableClock(datetime(2026, 3, 2, 1, 0, tzinfo=UTC))
    with ce.open_engine(f"sqlite:///{path}", clock=clock) as engine:
        engine.import_roster(generate_city(seed=1, schools=20, pupils=1_000))
        roster = engine.roster(subjects=False)
        teachers = [duty for duty in roster["duties"] if duty["role"] == "class_teacher"]

        def report_all() -> None:
            for place in range(500):
                teacher = teachers[place % len(teachers)]
                engine.report(unit=teacher["unit"], by=teacher["person"], facts="withdrawn for days", cues=["withdrawn"])

        seconds = timed(report_all)
        yield f"engine.report sqlite: {500 / seconds:,.0f} /s"
        waiting = [(item.number, teacher["person"]) for teacher in teachers for item in engine.queue(by=teacher["person"])]
        spent: list[float] = []
        for move, fields in (("note", {"text": "seen at noon"}), ("acknowledge", {}), ("note", {"text": "seen after class"})):
            for number, by in waiting:
                begin = time.perf_counter()
                engine.act(number, move, by=by, fields=fields)
                spent.append(time.perf_counter() - begin)
        spent.sort()
        rate = len(spent) / sum(spent)
        yield (f"engine.act sqlite: {rate:,.0f} /s, p50 {spent[len(spent) // 2] * 1000:.2f} ms, "
               f"p99 {spent[int(len(spent) * 0.99)] * 1000:.2f} ms, raw limit {raw:,.0f} rows/s")


def bench_console(path: Path) -> Iterator[str]:
    """Whole processes, as a person at a terminal waits for them."""
    command = [sys.executable, "-m", "crisis_engine"]
    queue = [*command, "queue", "--db", f"sqlite:///{path}", "--as", "p-3", "--json"]

    def run(arguments: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(arguments, check=True, capture_output=True, env=installed())

    yield f"crisis --help: {median_of(run([*command, '--help']), 11) * 1000:.0f} ms"
    officer = _officer(path)
    queue[queue.index("p-3")] = officer
    yield f"crisis queue, one of {_count(path):,} cases' officers: {median_of(run(queue), 11) * 1000:.0f} ms"


def bench_access(decisions: int = 400_000) -> Iterator[str]:
    """Decide who may read which case: every person of the example city about cases at every tier, the verdicts counted."""
    known, access = example_roster(), load_access()
    held: dict[str, list[Duty]] = {}
    for duty in known.duties:
        held.setdefault(duty.person, []).append(duty)
    resolver = Resolver(Roster({unit.id: unit for unit in known.units}, {}, {}), access, published_calendar(), NOW)
    actors = [Actor(person, tuple(duties)) for person, duties in held.items()]
    homes = [unit.id for unit in known.units if unit.kind == "class"]
    cases = [
        fold([ev.Opened(case=f"A{place}", seq=1, at=NOW, by="reporter", workflow="school_crisis_v1", procedure="", unit=home, subject=None,
                        parent=None, stage="assessing", tier=tier, risk=Risk.YELLOW, move="report")])
        for place, (home, tier) in enumerate(itertools.product(homes, Tier))
    ]
    pairs = list(itertools.islice(itertools.cycle(itertools.product(actors, cases)), decisions))

    def decide() -> int:
        return sum(may_do(access, "case.read", actor, resolver, case=case).allowed for actor, case in pairs)

    seconds = median_of(decide, 5)
    yield f"access decisions: {decisions / seconds:,.0f} /s, {len(actors)} people, {len(cases)} cases, {decide():,} allowed"


def _officer(path: Path) -> str:
    with sqlite3.connect(path) as connection:
        return str(connection.execute("SELECT person FROM crisis_duty WHERE role = 'counselor' ORDER BY id LIMIT 1").fetchone()[0])


def _count(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("SELECT count(*) FROM crisis_case").fetchone()[0])


def main() -> None:
    """Run all benchmarks and print one line a figure."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--cases", type=int, default=1_000_000)
    arguments.add_argument("--due", type=int, default=100_000)
    arguments.add_argument("--lives", type=int, default=25_000, help="cases of 39 events each that are sealed and proven")
    arguments.add_argument("--keep", type=Path, help="keep the database in this folder and use the one that is there")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        city = (given.keep or folder) / "city.db"
        if not city.exists():
            build(city, given.cases, given.due)
        raw = statistics.median(raw_limit(Path(tempfile.mkdtemp(dir=folder))) for _run in range(3))
        for line in itertools.chain(
            bench_access(), bench_act(folder / "act.db", raw), bench_audit(folder, given.lives), bench_console(city),
            bench_sweep(city, folder, given.due, raw),
        ):
            print(line, flush=True)


if __name__ == "__main__":
    main()
