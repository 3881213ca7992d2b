"""Daemons on a real PostgreSQL server: called by it, several at once, through its restart, and by its clock."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import psycopg
import pytest

from crisis_engine import Engine, open_engine
from crisis_engine.clock import wall_clock
from crisis_engine.daemon.clockwork import Clockwork
from crisis_engine.daemon.listener import Listener
from crisis_engine.daemon.meter import Meter
from crisis_engine.daemon.settings import Settings
from crisis_engine.daemon.vitals import Vitals
from crisis_engine.daemon.worker import Workers
from crisis_engine.engine.gather import Sources
from crisis_engine.store import Store

from .daemon import RunningDaemon
from .postgres import Server
from .story import CLASS, CLASS_TEACHER, PEER
from .test_daemon import due_now, until

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    """Give an engine beside the daemon's, by the real clock."""
    with open_engine(postgres_url) as engine:
        yield engine


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Return the environment in which a daemon finds the keys of the test's database."""
    return {"CRISIS_HOME": str(tmp_path)}


def rungs(engine: Engine) -> int:
    """Return how many rungs the log holds."""
    with engine.store.reading() as tx:
        return sum(1 for number in [tx.nearest_case()] if number is not None for stored in tx.cases([number])
                   for event in tx.events(stored.case.number) if event.kind == "rung_fired")


def test_the_database_calls_when_a_nearer_deadline_is_armed(postgres_url: str, engine: Engine) -> None:
    assert isinstance(engine.store, Store)
    heard = Event()
    vitals = Vitals()
    listener = Listener(engine.store, vitals, heard.set)
    listener.start()
    try:
        until(lambda: vitals.hears)
        heard.clear()
        due_now(postgres_url, engine)
        assert heard.wait(10)
    finally:
        listener.stop()
        until(lambda: not vitals.hears)


def test_a_daemon_fires_and_seals_there(postgres_url: str, engine: Engine, home: dict[str, str]) -> None:
    with RunningDaemon(postgres_url, **home) as daemon:
        daemon.ready()
        due_now(postgres_url, engine)
        until(lambda: rungs(engine) >= 1)
        assert daemon.end() == 0
        assert "broke" not in daemon.log
        assert "put_off" not in daemon.log
        assert "of-the-tests" not in daemon.log, "the password is no word for a log"
    with engine.store.reading() as tx:
        assert tx.daemons() == []


def test_when_one_of_two_is_killed_the_other_fires_within_five_seconds_there_too(
    postgres_url: str, engine: Engine, home: dict[str, str],
) -> None:
    with RunningDaemon(postgres_url, **home) as first, RunningDaemon(postgres_url, **home) as second:
        first.ready()
        second.ready()
        first.process.send_signal(signal.SIGSTOP)   # it holds its connections, and the database does not know
        try:
            due_now(postgres_url, engine)
            assert until(lambda: rungs(engine) >= 1) < 5
        finally:
            first.process.send_signal(signal.SIGCONT)
        until(lambda: second.meter("crisis_rungs_fired_total") >= 1)


def test_a_server_that_restarts_is_waited_out_and_what_fell_due_fires(city_template: Path, tmp_path: Path) -> None:
    server = Server()
    try:
        _through_a_restart(server, tmp_path)
    finally:
        server.remove()
    del city_template


def _through_a_restart(server: Server, tmp_path: Path) -> None:
    from crisis_engine.testing import open_test_engine

    url = server.url(server.create())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CRISIS_HOME", str(tmp_path))
        with open_test_engine(url=url):
            pass
        with RunningDaemon(url, CRISIS_HOME=str(tmp_path)) as daemon:
            daemon.ready()
            server.stop(signal.SIGQUIT)
            daemon.heard("daemon.database_lost")
            assert daemon.get("/readyz") == (503, "database\n")
            server.start()
            daemon.heard("daemon.database_back")
            assert daemon.log.count("daemon.database_lost") == 1
            with open_engine(url) as engine:
                due_now(url, engine)
                until(lambda: rungs(engine) >= 1)
            assert daemon.end() == 0


def test_two_seconds_from_the_databases_clock_nobody_sweeps(postgres_url: str) -> None:
    off = timedelta()
    with open_engine(postgres_url, clock=lambda: wall_clock() + off) as engine:
        vitals = Vitals()
        works = Clockwork(engine, Settings(), vitals, Meter(), Workers(1))
        works.turn()
        assert vitals.state == "working"
        off = timedelta(seconds=3)
        works.turn()
        assert vitals.state == "apart"
        off = timedelta()
        works.turn()
        assert vitals.state == "working"


def test_a_leap_that_the_database_confirms_is_believed_and_one_that_it_does_not_is_not(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    off = timedelta()
    with open_engine(postgres_url, clock=lambda: wall_clock() + off) as engine:
        vitals = Vitals()
        works = Clockwork(engine, Settings(), vitals, Meter(), Workers(1))
        works.turn()
        off = timedelta(days=400)
        works.turn()
        assert vitals.state == "clock"
        monkeypatch.setattr(Store, "database_now", lambda _store: wall_clock() + off)
        works.turn()
        assert vitals.state == "working"


def test_a_case_that_somebody_keeps_locked_stops_neither_the_other_rungs_nor_the_notices(postgres_url: str) -> None:
    store = Store.open(postgres_url, create=False, wait=0.3)
    clock = wall_clock() - timedelta(minutes=20)
    engine = Engine(store, Sources(), lambda: clock, (), lang="zh", link="")
    for child in ("stu-41", "stu-42"):
        engine.report(unit=CLASS, by=PEER, subject=child, facts="x")
    clock = wall_clock()
    vitals = Vitals()
    works = Clockwork(engine, Settings(), vitals, Meter(), Workers(1))
    with psycopg.connect(postgres_url) as elsewhere:
        elsewhere.execute("SELECT id FROM crisis_case WHERE id = 1 FOR UPDATE")
        clock = wall_clock()   # not far from the server's: reading the definitions took a while
        works.turn()
        with store.reading() as tx:
            assert tx.due(clock, 10) == [1]
        assert (vitals.lost, vitals.state) == (0.0, "working"), "the database is not away"
        assert engine.sweep().failed == 0, "for a minute nobody waits for it"
        clock += timedelta(minutes=2)
        assert engine.sweep().failed == 1, "and then somebody is told"
    clock += timedelta(minutes=5)
    assert engine.sweep().failed == 0
    with store.reading() as tx:
        assert tx.due(clock, 10) == []
    store.close()


def test_a_locked_case_of_somebody_who_left_is_handed_over_later_and_others_fire_meanwhile(postgres_url: str) -> None:
    store = Store.open(postgres_url, create=False, wait=0.3)
    now = [wall_clock()]
    engine = Engine(store, Sources(), lambda: now[0], (), lang="zh", link="")
    for child in ("stu-41", "stu-42"):
        engine.report(unit=CLASS, by=PEER, subject=child, facts="x")
    engine.add_absence(person=CLASS_TEACHER, begins_at=now[0] + timedelta(minutes=5), ends_at=now[0] + timedelta(days=1), by=CLASS_TEACHER)
    now[0] += timedelta(minutes=20)
    with psycopg.connect(postgres_url) as elsewhere:
        elsewhere.execute("SELECT id FROM crisis_case WHERE id = 1 FOR NO KEY UPDATE")
        assert engine.sweep().cases == 1
        with store.reading() as tx:
            assert tx.due(now[0], 10) == [1]
            assert tx.ended_presences(now[0], 10)
    now[0] += timedelta(minutes=2)
    engine.sweep()
    with store.reading() as tx:
        assert tx.due(now[0], 10) == []
        assert tx.ended_presences(now[0], 10) == []
        assert CLASS_TEACHER not in {clock.holder for stored in tx.cases([1, 2]) for clock in stored.case.clocks}
    store.close()
