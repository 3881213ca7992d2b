"""Moving every open case to another policy and back, while a real daemon fires what becomes due; nothing lost, nothing later."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import crisis_engine as ce
from crisis_engine.core.case import Case
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import Duty, Person
from crisis_engine.doctor import examine
from crisis_engine.engine import Engine
from crisis_engine.roster import RosterSet

from .city import build
from .daemon import Watch, watched
from .database import Database
from .figure import Figure, per_second, shown
from .run import Run
from .screen import progress

MIGRATED = "crisis_bench_migrated"
SECOND = "p-bench-operator"
NEARER = "1430m"          # of a day: every clock of the city comes ten minutes nearer
SAMPLE = 500              # cases whose log is folded beside their row, after each way
PATIENCE = 90.0           # seconds for the daemon to come to what is due
READY = timedelta(seconds=10)
_READ = 2_500

POLICY = """format  = 1
name    = "bench"
version = 1
extends = "{base}"
label   = {{ zh = "基准", en = "benchmark" }}
source  = "the benchmark"
mark    = "D"

[clock.assessment]
within = {{ yellow = "{span}" }}
source = "the benchmark"
mark   = "D"
"""


def bench_migrate(run: Run) -> Iterator[Figure]:
    """Move the cases there and back on each database; what was lost, came later or was not fired stops the run with a sentence."""
    for database in run.databases:
        began = datetime.now(UTC).replace(microsecond=0) + READY
        build(database, MIGRATED, began, run.moved, 0, schools=run.schools, times=_times(began, run))
        try:
            with watched(run, database.url(MIGRATED), 1) as watch, ce.open_engine(database.url(MIGRATED)) as engine:
                yield from _there_and_back(run, database, engine, watch)
        finally:
            database.drop(MIGRATED)


def _times(began: datetime, run: Run) -> Iterator[datetime]:
    """Yield when each case is due: a steady number each second from the beginning on, for five minutes at most; the rest within a day."""
    busy = min(run.moved // 4, 300 * run.rate)
    for place in range(run.moved):
        yield began + (timedelta(seconds=place / run.rate) if place < busy else timedelta(minutes=30, seconds=place % 80_000))


def _there_and_back(run: Run, database: Database, engine: Engine, watch: Watch) -> Iterator[Figure]:
    first, policy = _second_operator(engine), _policy_of(database)
    path = run.folder / "bench_v1.toml"
    path.write_text(POLICY.format(base=policy, span=NEARER), encoding="utf-8")
    before = {case.number: _plan(case) for case in _cases(engine)}
    rehearsed = engine.rehearse_migration(policy, str(path), by=first)
    if (rehearsed.cases, rehearsed.nearer, rehearsed.stuck) != (run.moved, run.moved, []):
        sys.exit(f"the rehearsal moves {rehearsed.cases} of {run.moved} cases, {rehearsed.nearer} nearer: {rehearsed.stuck[:3]}")
    number = engine.propose_migration(policy, str(path), by=first)
    there = _timed(database, watch, "moving", lambda: engine.apply_migration(number, by=SECOND))
    _check(run, database, engine, 1)
    moved = {case.number: _plan(case) for case in _cases(engine)}
    late = [name for name, plan in moved.items() if plan.due_at > before[name].due_at]
    if late or {plan.procedure for plan in moved.values()} & {plan.procedure for plan in before.values()}:
        sys.exit(f"{len(late)} cases are due later than before, or some follow the old policy still")
    back_number = engine.propose_revert(number, by=first)
    back = _timed(database, watch, "moving back", lambda: engine.apply_migration(back_number, by=SECOND))
    _check(run, database, engine, 2)
    fired = _wait_for_daemon(database, watch)
    other = [case.number for case in _cases(engine) if case.number not in fired and _plan(case) != before[case.number]]
    if other:
        sys.exit(f"{len(other)} cases that nothing touched are not as they were before: {other[:3]}")
    title = f"{run.moved} open cases on {database.name} moved to another policy while a daemon runs"
    rungs = f"{there.rungs + back.rungs:,}"
    yield Figure(f"migrate.{database.name}", title, run.moved / there.seconds, "/s",
                 {"in": f"{shown(there.seconds)} s", "reverted": per_second(run.moved / back.seconds), "rungs of the daemon meanwhile": rungs},
                 {"seconds": there.seconds, "back": back.seconds, "rungs": there.rungs + back.rungs, "cases": run.moved})


@dataclass(frozen=True)
class _Way:
    """One way of a migration: how long it took, how many rungs the daemon fired meanwhile."""

    seconds: float
    rungs: int


@dataclass(frozen=True)
class _Plan:
    """What of a case a revert has to give back."""

    procedure: str
    due_at: datetime
    next_at: datetime | None
    rungs: tuple[int, ...]


def _plan(case: Case) -> _Plan:
    return _Plan(case.procedure, min(clock.due_at for clock in case.clocks), case.next_at, tuple(clock.rung for clock in case.clocks))


def _second_operator(engine: Engine) -> str:
    """Return the city's operator, after a second one was named beside him."""
    duty = next(duty for duty in engine.roster(subjects=False)["duties"] if duty["role"] == "operator")
    engine.import_roster(RosterSet(persons=(Person(SECOND, SECOND),), duties=(Duty("operator", duty["unit"], SECOND),)))
    return str(duty["person"])


def _policy_of(database: Database) -> str:
    with database.session(MIGRATED) as session:
        (name,) = session.rows("SELECT name FROM crisis_definition WHERE kind = 'procedure'")[0]
    return str(name).partition("+")[2]


def _timed(database: Database, watch: Watch, what: str, work: Callable[[], Any]) -> _Way:
    """Do it, and see that the daemon lives through it and fires what is due."""
    rungs = _rungs(database)
    progress(f"{what} on {database.name}")
    begin = time.perf_counter()
    report = work()
    seconds = time.perf_counter() - begin
    watch.look()
    if report.stuck:
        sys.exit(f"{what} left {len(report.stuck)} cases where they were: {report.stuck[:3]}")
    progress("")
    return _Way(seconds, _rungs(database) - rungs)


def _check(run: Run, database: Database, engine: Engine, ways: int) -> None:
    """Stop unless each case is there, has one record for each way, folds to its row and satisfies the doctor."""
    with database.session(MIGRATED) as session:
        (count,) = session.rows("SELECT count(*) FROM crisis_case WHERE final IS NULL")[0]
        records = session.rows("SELECT many, count(*) FROM (SELECT case_id, count(*) AS many FROM crisis_event"
                               " WHERE kind = 'migrated' GROUP BY case_id) AS each_case GROUP BY many")
        numbers = [row[0] for row in session.rows("SELECT number FROM crisis_case ORDER BY id")]
    if count != run.moved or [tuple(row) for row in records] != [(ways, run.moved)]:
        sys.exit(f"{count} of {run.moved} cases are there; records of the migration a case, and how many have so many: {records}")
    with engine.store.reading() as tx:
        for number in random.Random(7).sample(numbers, min(SAMPLE, len(numbers))):
            stored = tx.case(number)
            if stored is None or fold(tx.events(number)) != stored.case:
                sys.exit(f"the log of {number} does not fold to its row")
    passed_over = {"settings", "backup"}   # of the server that is measured, not of the cases
    broken = [f"{finding.name}: {finding.text_en}" for finding in examine(engine, quick=True) if not finding.ok and finding.name not in passed_over]
    if broken:
        sys.exit(f"the doctor finds {broken}")


def _cases(engine: Engine) -> Iterator[Case]:
    with engine.store.reading() as tx:
        procedures = {name for (name,) in tx.connection.exec_driver_sql("SELECT DISTINCT procedure FROM crisis_case WHERE final IS NULL")}
        for procedure in sorted(procedures):
            last = 0
            while ids := tx.pinned_ids(procedure, last, _READ):
                yield from (stored.case for stored in tx.cases(ids))
                last = ids[-1]


def _rungs(database: Database) -> int:
    with database.session(MIGRATED) as session:
        return int(session.rows("SELECT count(*) FROM crisis_event WHERE kind = 'rung_fired'")[0][0])


def _wait_for_daemon(database: Database, watch: Watch) -> set[str]:
    """Return the cases that the daemon touched, once nothing is due at this moment any more."""
    now, begin = int(datetime.now(UTC).timestamp() * 1_000_000), time.perf_counter()
    with database.session(MIGRATED) as session:
        while session.rows(f"SELECT 1 FROM crisis_case WHERE final IS NULL AND next_at <= {now} LIMIT 1"):  # noqa: S608 - a number
            watch.look()
            if time.perf_counter() - begin > PATIENCE:
                sys.exit(f"what was due was not fired within {PATIENCE:.0f} s")
            time.sleep(0.05)
        return {row[0] for row in session.rows("SELECT DISTINCT number FROM crisis_event JOIN crisis_case ON crisis_case.id = case_id"
                                               " WHERE kind = 'rung_fired'")}

