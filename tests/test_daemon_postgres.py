"""Daemons on a real PostgreSQL server: called by it, several at once, through its restart, and by its clock."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from crisis_engine import Engine, open_engine
from crisis_engine.clock import wall_clock
from crisis_engine.daemon.clockwork import Clockwork
from crisis_engine.daemon.listener import Listener
from crisis_engine.daemon.meter import Meter
from crisis_engine.daemon.settings import Settings
from crisis_engine.daemon.vitals import Vitals
from crisis_engine.daemon.worker import Workers
from crisis_engine.store import Store

from .daemon import RunningDaemon
from .postgres import Server
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
