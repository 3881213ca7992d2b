"""The daemon's rounds by a clock that a test sets: clocks that step, daemons that come and go, jobs that run once among all."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crisis_engine import BadInput, Engine, NotAllowed, open_engine
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import CrisisError, StoreError
from crisis_engine.daemon import clockwork
from crisis_engine.daemon.clockwork import Clockwork, last_round
from crisis_engine.daemon.job import DONE, KEYS, PRESENCES, SILENT, STALE, Jobs
from crisis_engine.daemon.meter import Meter
from crisis_engine.daemon.metronome import Metronome
from crisis_engine.daemon.process import HUNG, Daemon
from crisis_engine.daemon.rule import KEPT_SILENT
from crisis_engine.daemon.settings import Settings
from crisis_engine.daemon.status import status
from crisis_engine.daemon.vitals import Vitals
from crisis_engine.daemon.worker import Workers
from crisis_engine.store import Store
from crisis_engine.store.daemon import DEFINITIONS

from .story import CLASS_TEACHER, OPERATOR, City

QUARTER, HOUR, YEARS = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1_500)


class Rounds:
    """One daemon's rounds on a city whose clock the test moves, with a stopwatch that the test moves too."""

    def __init__(self, city: City, monkeypatch: pytest.MonkeyPatch, **chosen: object) -> None:
        self.city, self.mono = city, 1_000.0
        monkeypatch.setattr(time, "monotonic", lambda: self.mono)
        self.vitals, self.meter = Vitals(), Meter()
        self.works = Clockwork(city.engine, Settings(**chosen), self.vitals, self.meter, Workers(1))  # type: ignore[arg-type]  # each test names fields of Settings
        self.jobs = Jobs(self.works)

    def turn(self, passed: timedelta = timedelta(), step: timedelta = timedelta()) -> str:
        """Let time pass, and the wall clock step besides; make a round and return the state after it."""
        self.mono += passed.total_seconds()
        self.city.clock.advance(passed + step)
        self.works.turn()
        return self.vitals.state

    @property
    def fired(self) -> int:
        """How many rungs the log holds."""
        with self.city.engine.store.reading() as tx:
            return sum(1 for number in self.numbers for event in tx.events(number) if event.kind == "rung_fired")

    @property
    def numbers(self) -> list[str]:
        return [item.number for item in self.city.engine.queue(by=CLASS_TEACHER)]


MakeRounds = Callable[..., Rounds]


@pytest.fixture
def rounds(city: City, monkeypatch: pytest.MonkeyPatch) -> MakeRounds:
    def make(**chosen: object) -> Rounds:
        return Rounds(city, monkeypatch, **chosen)

    return make


def notices(city: City, what: str) -> int:
    with city.engine.store.reading() as tx:
        return sum(1 for one in tx.waiting_notices(city.clock(), 1_000) if one.notice.what == what)


# ---- the clock --------------------------------------------------------------------------------------------------------------------


def test_what_is_due_fires_and_the_next_round_comes_when_the_next_is_due(city: City, rounds: MakeRounds) -> None:
    city.report()
    day = rounds()
    assert day.turn() == "working"
    assert day.fired == 0
    day.turn(QUARTER)
    assert day.fired >= 1


def test_a_clock_set_back_by_an_hour_is_told_and_fires_nothing_twice(city: City, rounds: MakeRounds) -> None:
    city.report()
    day = rounds()
    day.turn()
    day.turn(QUARTER)
    before = day.fired
    assert day.turn(step=-HOUR) == "working"
    assert day.meter.steps.labels("back")._value.get() == 1  # noqa: SLF001 (what Prometheus shows, without parsing)
    assert notices(city, "clock_stepped") == 1
    for _ in range(4):
        day.turn(QUARTER)
    assert day.fired == before, "that hour was there before"
    day.turn(HOUR)
    assert day.fired > before


def test_a_clock_that_is_years_ahead_fires_nothing_until_it_is_right_again(city: City, rounds: MakeRounds) -> None:
    city.report()
    day = rounds()
    day.turn()
    assert day.turn(step=YEARS) == "clock"
    assert day.turn(QUARTER) == "clock"
    assert day.fired == 0
    assert day.meter.steps.labels("forward")._value.get() == 1, "one alarm, not one a round"  # noqa: SLF001 (as above)
    assert day.turn(step=-YEARS) == "working"
    assert day.fired >= 1


def test_a_clock_that_was_set_back_by_months_may_be_set_right_again(rounds: MakeRounds) -> None:
    day = rounds()
    day.turn()
    assert day.turn(step=-timedelta(days=90)) == "working"
    assert day.turn(step=timedelta(days=90)) == "working"
    assert day.turn(step=timedelta(days=90)) == "clock"


def test_a_clock_that_is_not_believed_is_told_to_the_operators_once_a_day_by_the_time_that_was_measured(
    city: City, rounds: MakeRounds,
) -> None:
    city.report()
    first, second = rounds(), rounds()
    for one in (first, second):
        one.turn()
    right = city.clock()
    assert first.turn(step=YEARS) == second.turn() == "clock"
    assert (first.turn(), second.turn()) == ("clock", "clock")
    with city.engine.store.reading() as tx:
        told = [one.notice for one in tx.waiting_notices(right + HOUR, 1_000) if one.notice.what == "clock_parked"]
    assert [(one.people, one.urgent) for one in told] == [((OPERATOR,), True)], "once, though two daemons do not believe it"
    assert told[0].at - right < HOUR, "nothing of the false time is written"

    second.jobs.deliver()

    assert [message.to for message in city.channel.sent] == [OPERATOR]
    assert "时钟不可信" in city.channel.sent[0].body
    second.mono += 86_400
    second.turn()
    second.jobs.deliver()
    assert [message.to for message in city.channel.sent] == [OPERATOR] * 2, "it is told again on the next day"
    assert first.fired == 0


def test_a_clock_that_is_not_believed_is_told_once_there_is_a_case(city: City, rounds: MakeRounds) -> None:
    day = rounds()
    day.turn()
    assert day.turn(step=YEARS) == "clock"
    day.jobs.deliver()
    assert city.channel.sent == []
    city.clock.advance(-YEARS)
    city.report()
    city.clock.advance(YEARS)
    assert day.turn() == "clock"
    day.mono += 10
    day.jobs.deliver()
    assert [message.to for message in city.channel.sent] == [OPERATOR]


def test_who_said_that_a_clock_is_right_stands_on_record_for_good(city: City, rounds: MakeRounds) -> None:
    with pytest.raises(NotAllowed):
        city.engine.trust_clock(by=CLASS_TEACHER)
    with city.engine.store.reading() as tx:
        assert (tx.last_clock_word(), tx.pulse().trusted) == (None, None)
    said_at = city.engine.trust_clock(by=OPERATOR)
    with city.engine.store.reading() as tx:
        assert tx.last_clock_word() == (said_at, OPERATOR)
    assert status(city.engine).to_json()["clock_trusted"] == {"at": said_at.astimezone(CHINA).isoformat(), "by": OPERATOR}
    for change in ("DELETE FROM crisis_clock_word", 'UPDATE crisis_clock_word SET "by" = \'p-1\''):
        with pytest.raises(CrisisError, match="append-only"), city.engine.store.writing() as tx:
            tx._run(change)  # noqa: SLF001 (what no call of the store does)
    day = rounds(trust_clock=True, started_by="p-10")
    day.turn()
    day.works.beat()
    day.works.beat()
    with city.engine.store.reading() as tx:
        assert tx._rows('SELECT "by" FROM crisis_clock_word ORDER BY id') == [(OPERATOR,), ("p-10",)]  # noqa: SLF001 (as above)


def test_an_operators_word_lets_a_leap_count(city: City, rounds: MakeRounds) -> None:
    city.report()
    day = rounds()
    day.turn()
    day.turn(step=timedelta(days=3))
    assert day.vitals.state == "clock"
    city.engine.trust_clock()
    assert day.turn(timedelta(minutes=1)) == "working"
    assert day.fired >= 1
    assert day.turn(timedelta(minutes=1), step=timedelta(days=3)) == "clock", "one word is for one leap"


def test_after_a_year_without_a_daemon_the_clock_is_not_believed_but_by_a_flag(city: City, rounds: MakeRounds) -> None:
    city.report()
    day = rounds()
    day.turn()
    day.works.beat()
    city.skip(days=400)
    assert rounds().turn() == "clock"
    city.skip(days=-400)
    city.skip(days=20)
    assert rounds().turn() == "working"
    city.skip(days=400)
    assert rounds(trust_clock=True).turn() == "working"


def test_a_clock_that_no_clock_can_show_stops_the_sweep(rounds: MakeRounds) -> None:
    day = rounds()
    day.turn()
    assert day.turn(step=timedelta(days=365 * 150)) == "clock"


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 3_600), st.integers(-20_000_000, 400_000_000)), max_size=4))
def test_no_step_of_the_clock_ever_fires_what_a_day_more_would_not(
    city_template: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int]],
) -> None:
    from crisis_engine.testing import open_test_engine

    from .story import copy_city

    path = tmp_path_factory.mktemp("steps") / "city.db"
    copy_city(city_template, path)
    url = f"sqlite:///{path}"
    with pytest.MonkeyPatch.context() as patch, open_test_engine(url=url) as (engine, clock, channel):
        city = City(engine, clock, channel, url)
        city.report()
        day = Rounds(city, patch)
        day.turn()
        true = furthest = clock()
        for passed, step in steps:
            span = timedelta(seconds=passed)
            true += span
            furthest += span
            day.turn(span, timedelta(seconds=step) - (clock() - true))
            if day.vitals.state == "working":
                assert clock() <= furthest + timedelta(days=1)
                furthest = max(furthest, clock())
            with engine.store.reading() as tx:
                assert all(event.at <= furthest for number in day.numbers for event in tx.events(number))


# ---- several ------------------------------------------------------------------------------------------------------------------------


def test_the_second_takes_over_what_the_first_left_for_a_second(city: City, rounds: MakeRounds) -> None:
    city.report()
    first, second = rounds(), rounds()
    for one in (first, second):
        one.turn()
    city.clock.advance(timedelta(milliseconds=1))   # who began first is no matter of chance
    first.works.beat()
    second.works.me = replace(second.works.me, started_at=city.clock())
    second.works.beat()
    first.works.beat()
    assert (first.vitals.place, second.vitals.place) == ((0, 2), (1, 2))
    second.turn(QUARTER - timedelta(seconds=30))
    before = second.fired   # a reminder
    second.turn(timedelta(seconds=30))
    assert second.fired == before
    second.turn(timedelta(seconds=1))
    assert second.fired > before


def test_of_two_daemons_one_does_each_periodic_job(city: City, rounds: MakeRounds) -> None:
    city.report()
    first, second = rounds(), rounds()
    for one in (first, second):
        one.turn()
        one.jobs.periodic()
    jobs = ("seal", "housekeeping", "digest.daily", "supervise")
    done = [one.meter.jobs.labels(job, "done")._value.get() for one in (first, second) for job in jobs]  # noqa: SLF001 (as above)
    assert done == [1, 1, 1, 1, 0, 0, 0, 0]
    with city.engine.store.reading() as tx:
        assert len(tx.cases_about("xinyang/luoshan/village-1", "supervision_v1")) == 1, "where nobody is counselor"


def test_a_daemon_that_dies_again_and_again_leaves_a_few_rows(city: City, rounds: MakeRounds) -> None:
    works = rounds().works
    for place in range(KEPT_SILENT + 30):
        works.me = replace(works.me, id=f"{place:012x}")   # as a new one would be called
        works.beat()
        city.clock.advance(timedelta(seconds=21))
    with city.engine.store.reading() as tx:
        known = tx.daemons()
    assert len(known) <= KEPT_SILENT + 2
    assert max(one.beat_at for one in known) == city.clock() - timedelta(seconds=21), "the latest are kept"


def test_a_job_that_failed_is_tried_again_later_and_said_once(rounds: MakeRounds, monkeypatch: pytest.MonkeyPatch) -> None:
    day = rounds()
    day.turn()

    def broken(_engine: Engine, **_: object) -> None:
        raise StoreError("The sealer's key is not where it was: nothing can be signed.")

    with monkeypatch.context() as patch:
        patch.setattr(Engine, "seal", broken)
        day.jobs.periodic()
        day.jobs.periodic()
    assert day.meter.jobs.labels("seal", "failed")._value.get() == 1, "not again at once"  # noqa: SLF001 (as above)
    day.turn(STALE + timedelta(minutes=1))
    day.jobs.periodic()
    assert day.meter.jobs.labels("seal", "done")._value.get() == 1  # noqa: SLF001 (as above)


def test_housekeeping_deletes_what_is_old_and_nothing_else(city: City, rounds: MakeRounds) -> None:
    engine = city.engine
    engine.report(unit="xinyang/shihe/no-3/g7/c2", by="p-71", subject="stu-42", facts="x", key="form-1")
    engine.add_absence(person=CLASS_TEACHER, begins_at=city.clock(), ends_at=city.clock() + HOUR, by=OPERATOR)
    day = rounds()
    day.turn()
    day.works.beat()
    before = _counts(engine)
    city.skip(days=6)
    day.jobs._clear_away(city.clock())  # noqa: SLF001 (the job alone, without its period)
    assert _counts(engine) == before
    city.skip(days=(max(KEYS, PRESENCES, DONE, SILENT) - timedelta(days=6)).days + 1)
    day.jobs._clear_away(city.clock())  # noqa: SLF001 (as above)
    after = _counts(engine)
    gone = {table for table in before if after[table] < before[table]}
    assert gone == {"crisis_command_key", "crisis_absence", "crisis_daemon"}
    with engine.store.reading() as tx:
        assert not tx.job_open(DEFINITIONS, day.works.definitions, city.clock() - YEARS), "when definitions were first seen is kept"


def _counts(engine: Engine) -> dict[str, int]:
    from crisis_engine.store.schema import metadata

    with engine.store.reading() as tx:
        return {name: tx.connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar() or 0 for name in metadata.tables}  # noqa: S608 (our tables)


def test_a_daemon_that_does_not_believe_its_clock_neither_sends_nor_seals(city: City, rounds: MakeRounds) -> None:
    city.report()
    day = rounds()
    day.turn()
    day.turn(step=YEARS)
    day.jobs.deliver()
    day.jobs.periodic()
    assert [message.to for message in city.channel.sent] == [OPERATOR], "the word that its clock is not believed, and nothing else"
    with city.engine.store.reading() as tx:
        assert tx.sealed() is None
        assert last_round(tx) is not None
        assert last_round(tx) < city.clock() - HOUR, "what is written as the last round is never the false time"  # type: ignore[operator]  # asked above


class OfTheOther(Workers):
    """The first rows are the other process's share: a city of two cases has no others."""

    def help(self, *, large: bool) -> None:
        super().help(large=large)
        if self.share == (0, 2):
            self.share = (1, 2)


def hanging(rounds: MakeRounds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Rounds:
    """Return a daemon with one further process for a large backlog, and that process hangs; one case is large enough."""
    program = tmp_path / "hangs"
    program.write_text("#!/bin/sh\nexec sleep 600\n", encoding="ascii")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr(clockwork, "BACKLOG", 1)
    day = rounds()
    day.works.workers = OfTheOther(2)
    return day


def test_a_further_process_that_hangs_keeps_no_case_to_itself(
    city: City, rounds: MakeRounds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
) -> None:
    city.report()
    day = hanging(rounds, monkeypatch, tmp_path)
    try:
        for _ in range(3):
            day.turn(QUARTER / 3 + timedelta(seconds=1))
        day.turn(timedelta(seconds=1))
        hung = list(day.works.workers._running)  # noqa: SLF001 (the processes themselves)
        assert [one.poll() for one in hung] == [None]
        with city.engine.store.reading() as tx:
            assert tx.due_count(city.clock(), 10) == 0
        day.mono += 601
        assert not day.works.workers.busy
        assert hung[0].wait(10) == -signal.SIGKILL   # it may hold a lock
    finally:
        day.works.workers.stop()


def test_it_refuses_a_hosts_transaction(city: City) -> None:
    with city.engine.store.reading() as tx, city.engine.join(tx.connection) as joined, pytest.raises(BadInput):
        Clockwork(joined, Settings(), Vitals(), Meter(), Workers(1))


# ---- what hangs ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def daemon(city: City) -> Iterator[Daemon]:
    """Give a daemon in this process, by the real clock."""
    with open_engine(city.url) as engine:
        found = Daemon(engine, Settings(listen="none", stuck_after=1.0, trust_clock=True), {})
        try:
            yield found
        finally:
            found.metronome.stop()
            found.close()


def test_a_scheduler_thread_that_ends_is_seen_though_it_says_that_it_runs(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon._add_jobs()  # noqa: SLF001 (what `run` does, without its signals)
    scheduler = daemon.metronome._scheduler  # noqa: SLF001 (the thread is broken from inside)
    monkeypatch.setattr(scheduler, "_process_jobs", lambda: 1 / 0)
    monkeypatch.setattr("threading.excepthook", lambda _args: None)
    daemon.metronome.start()
    assert daemon._watch() == HUNG  # noqa: SLF001 (as above)
    assert scheduler.running


def test_a_job_that_hangs_is_seen(daemon: Daemon) -> None:
    daemon.metronome.start()
    with daemon.vitals.at_work("sweep"):
        daemon.vitals.running["sweep"] -= 2
        assert daemon._watch() == HUNG  # noqa: SLF001 (as above)


def test_a_round_with_a_bug_is_logged_and_the_next_one_comes(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(daemon.works, "turn", lambda: 1 / 0)
    daemon._round()  # noqa: SLF001 (one round alone)
    assert daemon.vitals.success_at is None
    assert daemon.vitals.running == {}


def test_a_reload_with_a_bug_is_logged_and_the_daemon_goes_on(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(Engine, "reload", lambda _engine: 1 // 0)
    daemon._reloaded()  # noqa: SLF001 (what a hangup calls)
    assert "daemon.reload_refused error=ZeroDivisionError" in caplog.text


def test_the_metronome_calls_again_after_the_wall_clock_stepped_back(monkeypatch: pytest.MonkeyPatch) -> None:
    from threading import Event

    heard = Event()
    metronome = Metronome()
    metronome.add("job", heard.set, 3_600.0)
    metronome.start()
    assert heard.wait(30)
    heard.clear()
    metronome.nudge()
    assert heard.wait(30)
    metronome.stop()
    del monkeypatch


def test_a_call_of_the_database_during_a_round_brings_another_at_once(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[tuple[str, float]] = []
    monkeypatch.setattr(daemon.metronome, "wake", lambda name, seconds=0.0: woken.append((name, seconds)))

    def turn() -> float:
        daemon._called()  # noqa: SLF001 (what the listener calls)
        return 1.0

    monkeypatch.setattr(daemon.works, "turn", turn)
    daemon._round()  # noqa: SLF001 (one round alone)
    assert woken[-1] == ("sweep", 0.0)


def test_an_outage_waits_longer_each_time(city: City, rounds: MakeRounds, monkeypatch: pytest.MonkeyPatch) -> None:
    day = rounds()
    day.turn()

    def away(_store: Store) -> None:
        raise StoreError("The database does not answer.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "reading", away)
        waits = [day.works.turn() for _ in range(8)]
    assert waits[0] < 1 < waits[3] < waits[-1] <= 15
    assert day.vitals.unready(60) == "database"
    city.clock.advance(timedelta(seconds=1))
    day.works.turn()
    assert day.vitals.unready(60) == ""


def test_now_is_the_engines_clock(city: City, rounds: MakeRounds) -> None:
    day = rounds()
    day.turn()
    found: datetime | None = day.vitals.success_at
    assert found == city.clock()


def test_a_sweep_that_ends_after_a_later_one_is_no_clock_that_ran_back(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = city.clock()
    with city.engine.store.writing() as tx:
        tx.heartbeat("sweep", begun + timedelta(seconds=30))   # the other one began then
    told: list[str] = []
    monkeypatch.setattr("crisis_engine.engine.desk.log", lambda event, **_: told.append(event))
    instants = iter([begun])
    monkeypatch.setattr(city.engine, "now", lambda: next(instants, begun + timedelta(minutes=1)))
    city.engine.sweep()
    assert told == []
    monkeypatch.setattr(city.engine, "now", lambda: begun)
    city.engine.sweep()
    assert told == ["sweep.clock_ran_back"]
