"""What the store promises where many write at once: real threads and processes on a real PostgreSQL server."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from crisis_engine import Engine, open_engine
from crisis_engine.core.errors import Busy, CommandRejected, CrisisError, StaleVersion
from crisis_engine.core.model import Absence
from crisis_engine.example import EXAMPLE_NOW
from crisis_engine.store import Store

from .story import CHILD, CLASS, CLASS_TEACHER, COUNSELOR, OPERATOR, PEER

LATER = EXAMPLE_NOW + timedelta(minutes=40)


@pytest.fixture
def url(postgres_url: str) -> str:
    """A fresh example city on the server."""
    return postgres_url


@contextmanager
def engine_at(url: str, now: object = EXAMPLE_NOW) -> Iterator[Engine]:
    """An engine whose clock stands still."""
    with open_engine(url, clock=lambda: now, create=False) as engine:  # type: ignore[arg-type,return-value]  # an instant
        yield engine


def at_once(*calls: Callable[[], object]) -> list[object]:
    """Run the calls at one moment, each in a thread of its own; return what each gave or raised."""
    start = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> object:
        start.wait()
        try:
            return call()
        except CrisisError as error:
            return error

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(run, calls))


def report(engine: Engine, by: str = PEER, **more: object) -> str:
    """A word about the child; return the receipt."""
    form = {"unit": CLASS, "subject": CHILD, "facts": "听到的话", **more}
    return engine.report(by=by, **form).token  # type: ignore[arg-type]  # fields of the form


def number_of(engine: Engine) -> str:
    """The number of the only case."""
    with engine.store.reading() as tx:
        (stored,) = tx.cases(range(1, 1000))
    return stored.case.number


def test_two_words_about_one_child_at_once_go_into_one_case(url: str) -> None:
    with engine_at(url) as engine:
        for round_ in range(5):
            child = f"stu-{41 + round_ % 2}"
            found = at_once(*(lambda who=who, child=child: report(engine, who, subject=child) for who in (PEER, "p-72", PEER, "p-72")))
            assert [one for one in found if isinstance(one, CrisisError)] == []
        with engine.store.reading() as tx:
            assert tx.counts()["cases"] == 2
            assert tx.counts()["receipts"] == 20
            assert list(tx.verify()) == []


def test_one_command_under_one_key_at_once_is_done_once(url: str) -> None:
    with engine_at(url) as engine:
        tokens = at_once(*(lambda: report(engine, key="form-1") for _ in range(4)))
        assert len(set(map(str, tokens))) == 1
        with engine.store.reading() as tx:
            assert tx.counts()["receipts"] == 1


def test_of_two_who_act_on_one_version_at_once_the_second_is_told(url: str) -> None:
    with engine_at(url) as engine:
        report(engine)
        number = number_of(engine)
        version = engine.case(number, by=CLASS_TEACHER).version
        found = at_once(*(lambda: engine.act(number, "acknowledge", by=CLASS_TEACHER, version=version) for _ in range(3)))
        assert sum(isinstance(one, (StaleVersion, CommandRejected)) for one in found) == 2
        with engine.store.reading() as tx:
            assert list(tx.verify()) == []


def test_many_act_while_two_sweep_and_the_roster_changes_and_nothing_is_lost(url: str) -> None:
    with engine_at(url) as setup:
        for place in range(30):
            report(setup, subject=None, facts=f"第{place}句话")
        with setup.store.reading() as tx:
            numbers = [stored.case.number for stored in tx.cases(range(1, 1000))]

    def act() -> None:
        with engine_at(url, LATER) as engine:
            for number in numbers[::3]:
                engine.act(number, "acknowledge", by=CLASS_TEACHER)

    def sweep() -> int:
        with engine_at(url, LATER) as engine:
            return engine.sweep().rungs

    def leave() -> None:
        with engine_at(url, LATER) as engine, engine.store.writing(alone=True) as tx:
            tx.add_absence(Absence(COUNSELOR, LATER, LATER + timedelta(days=1)))

    found = at_once(act, sweep, sweep, leave)
    assert [one for one in found if isinstance(one, CrisisError)] == []
    with engine_at(url, LATER) as engine:
        assert engine.sweep().failed == 0
        with engine.store.reading() as tx:
            assert list(tx.verify()) == []
            assert not tx.due(LATER, 10)
            assert not [one for one in tx.cases(range(1, 1000)) if COUNSELOR in {clock.holder for clock in one.case.clocks}]


_SWEEPER = (
    "import sys; from datetime import datetime; from crisis_engine import open_engine\n"
    "now = datetime.fromisoformat(sys.argv[2])\n"
    "with open_engine(sys.argv[1], clock=lambda: now, create=False) as engine:\n"
    "    sys.stdin.readline(); report = engine.sweep(); print(report.cases, report.rungs, report.failed)\n"
)


def test_two_processes_share_a_backlog_without_a_share_and_fire_each_rung_once(url: str) -> None:
    with engine_at(url) as engine:
        for place in range(120):
            report(engine, subject=None, facts=f"第{place}句话")
    command = [sys.executable, "-c", _SWEEPER, url, LATER.isoformat()]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ), text=True) for _ in range(2)]
    answers = [process.communicate("go\n", timeout=120)[0] for process in both]
    counts = [tuple(map(int, answer.split())) for answer in answers]
    assert all(failed == 0 for _, _, failed in counts)
    with engine_at(url, LATER) as engine, engine.store.reading() as tx:
        assert not tx.due(LATER, 10)
        fired = tx._value("SELECT count(*) FROM crisis_event WHERE kind = 'rung_fired'")  # noqa: SLF001 - counted past everything
        distinct = tx._value("SELECT count(*) FROM (SELECT DISTINCT case_id, deadline, rung, times FROM crisis_event"  # noqa: SLF001
                             " WHERE kind = 'rung_fired') AS each_once")
        assert fired == distinct == sum(rungs for _, rungs, _ in counts)
        assert list(tx.verify()) == []


def test_a_sweep_passes_a_case_over_that_somebody_has_in_hand_and_comes_back_for_it(url: str) -> None:
    with engine_at(url) as engine:
        report(engine)
        report(engine, subject="stu-41")
    with engine_at(url, LATER) as engine:
        with engine.store.writing() as tx:
            held = tx.claim([1, 2], LATER)[:1]
            other = Store.open(url, create=False)
            with other.writing() as second:
                assert second.claim([1, 2], LATER) == []   # both rows are locked
            other.close()
            assert held
        assert engine.sweep().cases == 2


def test_an_ordinary_command_waits_for_a_rare_one_and_says_busy_when_it_lasts(url: str) -> None:
    rare, common = Store.open(url, create=False), Store.open(url, create=False, wait=0.1)
    with rare.writing(alone=True), pytest.raises(Busy, match="Another writer"), common.writing():
        pass
    with rare.writing() as one, common.writing() as other:   # two ordinary ones do not wait for each other
        one.set_meta("a", "1")
        other.set_meta("b", "2")
    rare.close()
    common.close()


def test_who_sleeps_is_woken_by_a_nearer_deadline_and_by_no_other(url: str) -> None:
    with engine_at(url) as engine:
        assert isinstance(engine.store, Store)
        ear = engine.store.listen()
        assert ear is not None
        report(engine)
        assert ear.wait(5)
        with engine_at(url, EXAMPLE_NOW + timedelta(minutes=1)) as later:
            report(later, subject="stu-41")   # its first clock is due after the other's
        assert not ear.wait(0.2)
        ear.close()


def test_a_pool_survives_a_server_that_threw_its_connections_out(url: str) -> None:
    with engine_at(url) as engine:
        report(engine)
        with psycopg.connect(url, autocommit=True) as driver:
            driver.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                           " AND pid <> pg_backend_pid()")
        assert engine.queue(by=CLASS_TEACHER)
        report(engine)


def test_the_sealed_log_has_every_event_though_many_wrote_at_once(url: str) -> None:
    with engine_at(url) as engine:
        def some() -> None:
            for place in range(10):
                report(engine, subject=None, facts=f"第{place}句话")

        at_once(some, some, some, engine.seal, engine.seal)
        engine.seal()
        with engine.store.reading() as tx:
            assert tx.ungrown(10) == []


def test_the_doctor_finds_the_whole_database_sound(url: str) -> None:
    from crisis_engine.doctor import examine

    with engine_at(url) as engine:
        report(engine)
    with engine_at(url, LATER) as engine:
        engine.sweep()
        broken = {finding.name for finding in examine(engine) if not finding.ok}
        assert broken - {"undelivered"} == {"settings"}   # the tests' server trusts the disk for speed: the doctor sees it
        assert engine.roster(by=OPERATOR)["units"]
