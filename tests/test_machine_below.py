"""The machine below a database: who keeps its write lock, whose clock is fast; told by doctor, status and the daemon's watch server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from crisis_engine import Engine, open_engine
from crisis_engine.clock import wall_clock
from crisis_engine.daemon.clockwork import Clockwork
from crisis_engine.daemon.job import Jobs
from crisis_engine.daemon.meter import Meter
from crisis_engine.daemon.server import WatchServer
from crisis_engine.daemon.settings import Settings
from crisis_engine.daemon.status import status
from crisis_engine.daemon.vitals import KEPT_LONG, Vitals
from crisis_engine.daemon.worker import Workers
from crisis_engine.doctor import Finding, examine
from crisis_engine.example import example_roster
from crisis_engine.store import lock
from crisis_engine.store.lock import Holder, holder_of, keeper_of

from .story import City

KEEPS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("has it", flush=True)
sys.stdin.read()
"""

needs_proc = pytest.mark.skipif(not Path("/proc/locks").exists(), reason="only Linux says who holds a lock")


@contextmanager
def keeping(path: Path, *, stopped: bool = False) -> Iterator[int]:
    """Let a process take the write lock and keep it; give its number."""
    with subprocess.Popen([sys.executable, "-c", KEEPS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"has it\n"
        try:
            if stopped:
                process.send_signal(signal.SIGSTOP)
                os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            yield process.pid
        finally:
            process.kill()


def found(engine: Engine, name: str) -> Finding:
    return next(finding for finding in examine(engine) if finding.name == name)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the lock as often, but not for a second."""
    monkeypatch.setattr(lock, "BETWEEN", 0.001)


@needs_proc
@pytest.mark.usefixtures("quick")
def test_whoever_keeps_the_write_lock_is_named_by_the_doctor_and_the_status(city: City) -> None:
    if not city.url.startswith("sqlite"):
        pytest.skip("a server ends such a session itself")
    path = Path(city.url.removeprefix("sqlite:///"))
    city.report()
    assert keeper_of(path) is None
    assert found(city.engine, "lock").ok
    with keeping(path, stopped=True) as pid:
        holder = holder_of(path)
        assert holder is not None
        assert (holder.pid, holder.stopped) == (pid, True)
        finding = found(city.engine, "lock")
        assert (finding.ok, finding.promise) == (False, 2)
        assert f"Process {pid} keeps the write lock" in finding.text_en
        assert str(pid) in finding.text_zh
        seen = status(city.engine)
        assert (seen.ok, seen.keeper) == (False, holder)
        assert seen.to_json()["lock"]["pid"] == pid
    assert found(city.engine, "lock").ok
    assert status(city.engine).to_json()["lock"] is None


@needs_proc
@pytest.mark.usefixtures("quick")
def test_whoever_writes_in_between_keeps_nothing(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    if not city.url.startswith("sqlite"):
        pytest.skip("a server ends such a session itself")
    path = Path(city.url.removeprefix("sqlite:///"))
    city.report()
    with keeping(path) as pid:
        assert keeper_of(path) is not None
        seconds = iter(range(100))
        monkeypatch.setattr(lock, "holder_of", lambda _path: Holder(pid, stopped=False, wrote_at=wall_clock() + timedelta(next(seconds))))
        assert keeper_of(path) is None


def test_a_system_that_does_not_say_who_holds_a_lock_names_nobody(tmp_path: Path) -> None:
    assert holder_of(tmp_path / "nothing.db") is None
    for end in ("-shm", "-wal"):
        (tmp_path / f"city.db{end}").write_bytes(b"")
    assert holder_of(tmp_path / "city.db", tmp_path) is None
    inode = (tmp_path / "city.db-shm").stat().st_ino
    other = f"1: POSIX  ADVISORY  WRITE 71 08:01:{inode + 1} 120 120\n2: FLOCK  ADVISORY  WRITE 72 08:01:{inode} 0 EOF\n"
    waits = f"3: POSIX  ADVISORY  WRITE 73 08:01:{inode} 121 121\n3: -> POSIX  ADVISORY  WRITE 74 08:01:{inode} 120 120\n"
    (tmp_path / "locks").write_text(other + waits, encoding="ascii")
    assert holder_of(tmp_path / "city.db", tmp_path) is None
    (tmp_path / "locks").write_text(f"{other}{waits}4: POSIX  ADVISORY  WRITE 75 08:01:{inode} 120 120\n", encoding="ascii")
    holder = holder_of(tmp_path / "city.db", tmp_path)
    assert holder is not None
    assert (holder.pid, holder.stopped) == (75, False)


@needs_proc
def test_a_daemon_that_sees_the_lock_kept_says_so_on_its_page_and_in_its_meters(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    if not city.url.startswith("sqlite"):
        pytest.skip("a server ends such a session itself")
    mono = [1_000.0]
    monkeypatch.setattr(time, "monotonic", lambda: mono[0])
    city.report()
    vitals, meter = Vitals(), Meter()
    works = Clockwork(city.engine, Settings(), vitals, meter, Workers(1))
    jobs = Jobs(works)
    works.turn()
    assert vitals.unready(60) == ""
    with keeping(Path(city.url.removeprefix("sqlite:///")), stopped=True) as pid:
        jobs.measure()
        assert vitals.unready(60) == "", "a moment is no fault"
        mono[0] += KEPT_LONG
        jobs.measure()
        assert vitals.unready(60) == f"database: process {pid}, which is stopped, has kept the write lock for 10 s"
        assert meter.kept._value.get() == KEPT_LONG  # noqa: SLF001 (what Prometheus shows, without parsing)
    jobs.measure()
    assert vitals.unready(60) == ""


def test_a_record_that_is_ahead_of_the_clock_is_named_by_the_doctor_and_the_daemon(tmp_path: Path) -> None:
    now = wall_clock()
    url = f"sqlite:///{tmp_path / 'city.db'}"
    with open_engine(url, clock=lambda: now + timedelta(minutes=3)) as fast:
        fast.import_roster(example_roster())
        fast.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by="p-71", facts="x")
        assert found(fast, "behind").ok
    with open_engine(url, clock=lambda: now) as slow:
        finding = found(slow, "behind")
        assert not finding.ok
        assert "180 s ahead of this machine's clock" in finding.text_en
        vitals = Vitals()
        works = Clockwork(slow, Settings(), vitals, Meter(), Workers(1))
        works.turn()
        Jobs(works).measure()
        assert vitals.remark() == "the newest record is 180 s ahead of this machine's clock"
        assert vitals.unready(60) == "", "its own rounds are sound"
        assert works.meter.ahead._value.get() == 180  # noqa: SLF001 (as above)


def test_the_page_of_a_ready_daemon_has_a_second_line_where_somebody_should_look() -> None:
    from http.client import HTTPConnection

    vitals = Vitals(ahead=180.0)
    vitals.succeeded = time.monotonic()
    server = WatchServer("127.0.0.1", 0, vitals, Meter(), stuck_after=60, recent=60)
    try:
        connection = HTTPConnection(server.address, timeout=30)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        assert (answer.status, answer.read()) == (200, b"ok\nthe newest record is 180 s ahead of this machine's clock\n")
        connection.close()
    finally:
        server.close()


def test_the_doctor_compares_a_machines_clock_with_that_of_the_databases_server(postgres_empty: str) -> None:
    with open_engine(postgres_empty, clock=wall_clock) as right:
        assert found(right, "apart").ok
    with open_engine(postgres_empty, clock=lambda: wall_clock() - timedelta(minutes=4)) as slow:
        finding = found(slow, "apart")
        assert not finding.ok
        assert finding.text_en.startswith("This machine's clock is -240 s away")
        slow.mark_sandbox()
        assert found(slow, "apart").ok, "there somebody sets it"
