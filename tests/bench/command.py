"""What persons wait for: a report, a move, the console; and how often a second the one function of rights decides."""

from __future__ import annotations

import itertools
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import crisis_engine as ce
from crisis_engine.almanac import published_calendar
from crisis_engine.core import events as ev
from crisis_engine.core.access import Actor, may_do
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import Duty, Risk, Tier
from crisis_engine.core.resolve import Resolver, Roster
from crisis_engine.definitions import load_access
from crisis_engine.example import example_roster
from crisis_engine.example.city import generate_city
from crisis_engine.testing import SettableClock

from .figure import Figure, median_of, percentile, shown, timed
from .life import build_lives
from .raw import durable_limit
from .run import Run, crisis, environment

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
MOVES: tuple[tuple[str, dict[str, str]], ...] = (
    ("note", {"text": "seen at noon"}), ("acknowledge", {}), ("note", {"text": "seen after class"}))


def bench_act(run: Run, reports: int = 500) -> Iterator[Figure]:
    """Report, then act: each command durable and alone in its transaction."""
    for database in run.databases:
        base = "crisis_bench_act"
        database.make(base)
        try:
            with ce.open_engine(database.url(base), clock=SettableClock(NOW)) as engine:
                engine.import_roster(generate_city(seed=1, schools=run.schools or 20, pupils=1_000))
                reported, spent = _commands(engine, reports)
        finally:
            database.drop(base)
        raw = durable_limit(database, 4 * reports)
        yield Figure(f"report.{database.name}", f"engine.report {database.name}", reports / reported, "/s",
                     {"raw limit": f"{shown(raw)} durable transactions/s"})
        yield Figure(f"act.{database.name}", f"engine.act {database.name}", len(spent) / sum(spent), "/s",
                     {"p50": f"{shown(percentile(spent, 0.5) * 1000)} ms", "p99": f"{shown(percentile(spent, 0.99) * 1000)} ms",
                      "raw limit": f"{shown(raw)} durable transactions/s", "ratio": shown(len(spent) / sum(spent) / raw)}, {"raw": raw})


def _commands(engine: ce.Engine, reports: int) -> tuple[float, list[float]]:
    """Return the seconds of all reports, and of each move."""
    teachers = [duty for duty in engine.roster(subjects=False)["duties"] if duty["role"] == "class_teacher"]

    def report_all() -> None:
        for place in range(reports):
            teacher = teachers[place % len(teachers)]
            engine.report(unit=teacher["unit"], by=teacher["person"], facts="withdrawn for days", cues=["withdrawn"])

    reported = timed(report_all)
    waiting = [(item.number, teacher["person"]) for teacher in teachers for item in engine.queue(by=teacher["person"])]
    spent: list[float] = []
    for move, fields in MOVES:
        for number, by in waiting:
            begin = time.perf_counter()
            engine.act(number, move, by=by, fields=fields)
            spent.append(time.perf_counter() - begin)
    return reported, spent


def bench_console(run: Run, rounds: int = 11) -> Iterator[Figure]:
    """Whole processes, as a person at a terminal waits for them."""

    def running(command: list[str]) -> Callable[[], object]:
        return lambda: subprocess.run(command, check=True, capture_output=True, env=environment())

    yield Figure("help", "crisis --help", median_of(running(crisis("--help")), rounds) * 1000, "ms")
    for database in run.databases:
        city = run.city(database)
        with database.session(city) as session:
            officer = session.rows("SELECT person FROM crisis_duty WHERE role = 'counselor' ORDER BY id LIMIT 1")[0][0]
        command = crisis("queue", "--db", database.url(city), "--as", officer, "--json")
        yield Figure(f"queue.{database.name}", f"crisis queue {database.name}, one of {run.cases:,} cases' officers",
                     median_of(running(command), rounds) * 1000, "ms", facts={"cases": run.cases})


def bench_access(run: Run, decisions: int = 400_000) -> Iterator[Figure]:
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

    seconds = median_of(decide, run.rounds)
    yield Figure("access", "access decisions", decisions / seconds, "/s", {"of": f"{len(actors)} people, {len(cases)} cases",
                                                                          "allowed": f"{decide():,}"})


def bench_audit(run: Run) -> Iterator[Figure]:
    """Seal a log that nobody has sealed yet, then prove all of it, by one process and by two."""
    path = run.folder / "lives.db"
    events = build_lives(path, run.lives, NOW)
    with ce.open_engine(f"sqlite:///{path}", clock=SettableClock(NOW)) as engine:
        operator = next(duty["person"] for duty in engine.roster(subjects=False)["duties"] if duty["role"] == "operator")
        seconds = timed(engine.seal)
        yield Figure("seal.sqlite", "audit seal sqlite", events / seconds, "events/s",
                     {"into": f"{engine.checkpoint(by=operator).checkpoint.size:,} leaves"})
        for count in (1, 2):
            begin = time.perf_counter()
            report = engine.verify(by=operator, processes=count)
            seconds = time.perf_counter() - begin
            if not report.ok or report.events != events:
                raise SystemExit(f"verify saw {report.events} events of {events}: {report.flaws[:1]}")
            many = f"{count} {'processes' if count > 1 else 'process'}"
            yield Figure(f"verify.sqlite.{count}", f"audit verify sqlite, {many}", events / seconds, "events/s")
    path.unlink()
