"""A real daemon on a real SQLite file: it fires on time, drains, reloads, survives outages, steps aside, and is watched."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import monotonic, sleep

import pytest
import structlog

from crisis_engine import Engine, open_engine
from crisis_engine.cli import main
from crisis_engine.clock import wall_clock
from crisis_engine.store.daemon import Living
from crisis_engine.store.migrate import HEAD

from .daemon import LONG, RunningDaemon
from .story import CHILD, CLASS, PEER, copy_city

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")


@pytest.fixture(autouse=True)
def own_log() -> Iterator[None]:
    """Leave no log behind that writes to a stream of a test that is over."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def url(city_template: Path, tmp_path: Path) -> str:
    """Return the example city on a file of its own."""
    copy_city(city_template, tmp_path / "city.db")
    return f"sqlite:///{tmp_path / 'city.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """Give an engine beside the daemon's, by the real clock."""
    with open_engine(url) as engine:
        yield engine


def until(true: Callable[[], bool], seconds: float = LONG) -> float:
    """Wait until something is so; return how long it took."""
    began = monotonic()
    while not true():
        assert monotonic() - began < seconds, "it did not come"
        sleep(0.02)
    return monotonic() - began


def due_now(url: str, engine: Engine, late: timedelta = timedelta()) -> None:
    """Report something so long ago that its first clock is due at this moment."""
    first = timedelta(minutes=15)
    with open_engine(url, clock=lambda: wall_clock() - first - late) as past:
        past.report(unit=CLASS, by=PEER, subject=CHILD, facts="x")
    with engine.store.reading() as tx:
        assert tx.pulse().due_at is not None


def fired(path: str) -> int:
    """Return how many rungs the log of a database holds."""
    with closing(sqlite3.connect(path.removeprefix("sqlite:///"))) as db:
        return int(db.execute("SELECT count(*) FROM crisis_event WHERE kind = 'rung_fired'").fetchone()[0])


def stranger(engine: Engine, **changed: object) -> Living:
    """Put another daemon into the database that says it lives."""
    now = engine.now()
    one = Living("stranger", "elsewhere", 1, "9.9", HEAD, "f" * 16, now, now, now)
    one = replace(one, **changed)  # type: ignore[arg-type]  # each test names fields of Living
    with engine.store.writing() as tx:
        tx.put_daemon(one)
    return one


# ---- sweeping and telling -----------------------------------------------------------------------------------------------------


def test_a_rung_armed_by_another_process_fires_on_time_and_people_are_told(url: str, engine: Engine, tmp_path: Path) -> None:
    notices = tmp_path / "notices.jsonl"
    with RunningDaemon(url, "--to", str(notices)) as daemon:
        daemon.ready()
        due_now(url, engine)
        until(lambda: fired(url) >= 1)
        until(lambda: notices.exists() and "acknowledge" in notices.read_text(encoding="utf-8"))
        until(lambda: daemon.meter("crisis_rungs_fired_total") >= 1)
        until(lambda: daemon.meter("crisis_messages_sent_total") >= 1)
        assert daemon.end() == 0
    with engine.store.reading() as tx:
        assert tx.daemons() == [], "whoever ends in order says good-bye"


def test_nothing_that_a_child_or_a_person_is_stands_in_log_or_meters(url: str, engine: Engine, tmp_path: Path) -> None:
    with RunningDaemon(url, "--to", str(tmp_path / "n.jsonl"), CRISIS_LOG_LEVEL="debug") as daemon:
        daemon.ready()
        due_now(url, engine)
        until(lambda: daemon.meter("crisis_rungs_fired_total") >= 1)
        number = sqlite3.connect(url.removeprefix("sqlite:///")).execute("SELECT number FROM crisis_case").fetchone()[0]
        meters = daemon.get("/metrics")[1]
    assert number not in meters
    assert not [word for word in (CHILD, PEER, "p-11", "xinyang") if word in meters or word in daemon.log]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_it_and_it_ends_well(url: str, how: signal.Signals) -> None:
    with RunningDaemon(url) as daemon:
        daemon.ready()
        assert daemon.end(how) == 0
        assert "daemon.draining" in daemon.log
        assert "daemon.ended" in daemon.log


def test_once_does_everything_once(url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    due_now(url, engine)
    monkeypatch.setenv("CRISIS_DB", url)
    assert main(["daemon", "--once", "--listen", "none", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["state"] == "working"
    assert fired(url) >= 1
    with engine.store.reading() as tx:
        assert tx.sealed() is not None


# ---- reloading ------------------------------------------------------------------------------------------------------------------


def test_a_hangup_reads_definitions_again_and_a_bad_file_changes_nothing(url: str, tmp_path: Path) -> None:
    policy = tmp_path / "own_v1.toml"
    shutil.copy(Path(__file__).parent.parent / "examples" / "own_policy" / "no_3_v1.toml", policy)
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
        db.execute("UPDATE crisis_unit SET policy = ? WHERE id = 'xinyang/shihe/no-3'", [str(policy)])
    with RunningDaemon(url) as daemon:
        daemon.ready()
        policy.write_text(policy.read_text(encoding="utf-8") + "\n# mended\n", encoding="utf-8")
        before = daemon.heard(r"daemon\.started .*definitions=(\w+)")
        daemon.tell(signal.SIGHUP)
        assert daemon.heard(r"daemon\.reloaded definitions=(\w+)") != before
        policy.write_text("this is not TOML", encoding="utf-8")
        daemon.tell(signal.SIGHUP)
        assert "own_v1.toml" in daemon.heard(r"daemon\.reload_refused.*")
        assert daemon.get("/readyz") == (200, "ok\n")
        assert daemon.end() == 0


# ---- several ------------------------------------------------------------------------------------------------------------------------


def test_when_one_of_two_is_killed_the_other_fires_within_five_seconds(url: str, engine: Engine) -> None:
    with RunningDaemon(url) as first, RunningDaemon(url) as second:
        first.ready()
        second.ready()
        first.process.kill()
        due_now(url, engine)
        assert until(lambda: fired(url) >= 1) < 5
        until(lambda: second.meter("crisis_rungs_fired_total") >= 1)


def test_two_on_one_file_fire_each_rung_once(url: str, engine: Engine) -> None:
    with RunningDaemon(url) as first, RunningDaemon(url) as second:
        first.ready()
        second.ready()
        for _ in range(5):
            due_now(url, engine)
        until(lambda: fired(url) >= 1)
        sleep(1.5)   # long enough for the second to look at what the first did
        assert first.meter("crisis_rungs_fired_total") + second.meter("crisis_rungs_fired_total") == fired(url)
        assert first.end() == 0
        assert second.end() == 0
        assert "broke" not in first.log + second.log
        assert "round_failed" not in first.log + second.log


def test_it_steps_aside_for_newer_definitions_and_comes_back_when_those_are_gone(url: str, engine: Engine) -> None:
    with RunningDaemon(url) as daemon:
        daemon.ready()
        stranger(engine, definitions_at=engine.now() + timedelta(minutes=1))
        daemon.heard("daemon.not_sweeping because=definitions")
        assert daemon.get("/readyz") == (503, "definitions\n")
        with engine.store.writing() as tx:
            tx.forget_daemon("stranger")
        daemon.heard("daemon.sweeping_again")
        until(lambda: daemon.get("/readyz")[0] == 200)


def test_it_leaves_for_a_newer_schema_where_it_was_told_to(url: str, engine: Engine) -> None:
    stranger(engine, revision="9999")
    with RunningDaemon(url, "--exit-when-aside") as daemon:
        assert daemon.process.wait(LONG) == 6


def test_a_schema_that_was_migrated_under_it_stops_it_from_sweeping(url: str) -> None:
    with RunningDaemon(url) as daemon:
        daemon.ready()
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as db, db:
            db.execute("UPDATE crisis_alembic_version SET version_num = '9999'")
        daemon.heard("daemon.not_sweeping because=schema")
        assert daemon.end() == 0


# ---- outages ------------------------------------------------------------------------------------------------------------------------


def test_a_database_that_goes_away_is_told_once_waited_out_and_what_fell_due_fires(url: str, engine: Engine) -> None:
    path = Path(url.removeprefix("sqlite:///"))
    with RunningDaemon(url) as daemon:
        daemon.ready()
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("ALTER TABLE crisis_case RENAME TO crisis_gone")
            daemon.heard("daemon.database_lost")
            assert daemon.get("/readyz") == (503, "database\n")
            sleep(1.5)
            db.execute("ALTER TABLE crisis_gone RENAME TO crisis_case")
        daemon.heard("daemon.database_back")
        due_now(url, engine)
        until(lambda: fired(url) >= 1)
        assert daemon.log.count("daemon.database_lost") == 1
        assert daemon.meter("crisis_database_outages_total") == 1


def test_without_a_database_it_says_so_and_does_not_begin(tmp_path: Path) -> None:
    with RunningDaemon(f"sqlite:///{tmp_path / 'none.db'}") as daemon:
        assert daemon.process.wait(LONG) == 74


def test_a_round_that_hangs_ends_the_process_with_seventy(url: str) -> None:
    with RunningDaemon(url, "--stuck-after", "1") as daemon:
        daemon.ready()
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")   # the beat waits for this writer longer than it may
            assert daemon.process.wait(LONG) == 70
        assert "daemon.hung" in daemon.log


# ---- being watched ------------------------------------------------------------------------------------------------------------------


def test_health_readiness_and_meters_are_served(url: str) -> None:
    with RunningDaemon(url) as daemon:
        daemon.ready()
        assert daemon.get("/healthz") == (200, "ok\n")
        assert daemon.get("/readyz") == (200, "ok\n")
        assert "crisis_rung_lateness_seconds_bucket" in daemon.get("/metrics")[1]
        assert daemon.get("/elsewhere")[0] == 404


def test_a_second_daemon_goes_without_a_page_and_a_port_that_was_asked_for_must_be_free(url: str) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with RunningDaemon(url, "--listen", f"127.0.0.1:{port}") as daemon:
            assert daemon.process.wait(LONG) == 2


@contextmanager
def receiver(code: int = 200) -> Iterator[tuple[str, list[str]]]:
    """Give an URL of a dead-man's switch, and the paths that were fetched there."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(code)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", paths
    finally:
        server.shutdown()
        server.server_close()


def test_the_dead_man_is_pinged_after_a_round_and_the_secret_url_stands_in_no_log(url: str) -> None:
    with receiver() as (there, paths), RunningDaemon(url, "--ping-every", "1", CRISIS_PING_URL=f"{there}/s3cret") as daemon:
        until(lambda: len(paths) >= 2)
        assert daemon.end() == 0
        assert paths[0] == "/s3cret"
        assert "s3cret" not in daemon.log


def test_a_ping_that_fails_is_logged_and_changes_nothing(url: str) -> None:
    with receiver(500) as (there, _), RunningDaemon(url, "--ping-every", "1", "--ping", f"{there}/s3cret") as daemon:
        daemon.heard("daemon.ping_failed reason=500")
        assert daemon.get("/readyz")[0] == 200
        assert "s3cret" not in daemon.log


def test_systemd_hears_that_it_is_ready_lives_and_stops(url: str, tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as inbox:
        inbox.bind(str(tmp_path / "notify"))
        inbox.settimeout(LONG)
        with RunningDaemon(url, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="1000000") as daemon:
            assert inbox.recv(1000).startswith(b"READY=1")
            assert inbox.recv(1000).startswith(b"WATCHDOG=1")
            assert daemon.end() == 0
            said = b""
            while not said.startswith(b"STOPPING=1"):
                said = inbox.recv(1000)


def test_the_status_shows_who_lives_who_is_silent_and_what_is_late(
    url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CRISIS_DB", url)
    monkeypatch.setenv("CRISIS_LANG", "en")
    assert main(["daemon", "status"]) == 6
    assert "No daemon works" in capsys.readouterr().out
    stranger(engine)
    assert main(["daemon", "status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["host"], one["alive"], one["state"]) for one in found["daemons"]] == [("elsewhere", True, "working")]
    stranger(engine, beat_at=datetime(2026, 1, 1, tzinfo=UTC))
    assert main(["daemon", "status"]) == 6
    assert "silent since 2026-01-01" in capsys.readouterr().out
    stranger(engine)
    due_now(url, engine, late=timedelta(minutes=5))
    assert main(["daemon", "status"]) == 6
    assert "due and unfired" in capsys.readouterr().out
    assert main(["daemon", "status", "--late-after", "900"]) == 0


@pytest.mark.parametrize("wrong", [
    ["--ping", "ftp://x"], ["--listen", "nowhere"], ["--workers", "0"],
])
def test_what_cannot_be_meant_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch, wrong: list[str]) -> None:
    monkeypatch.setenv("CRISIS_DB", url)
    assert main(["daemon", *wrong]) == 2


@pytest.mark.parametrize(("name", "value"), [("CRISIS_WORKERS", "many"), ("CRISIS_STUCK_AFTER", "nan"), ("CRISIS_NOW", "2026-03-02T08:00")])
def test_a_variable_that_cannot_be_meant_is_refused_at_once(url: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv("CRISIS_DB", url)
    monkeypatch.setenv(name, value)
    assert main(["daemon", "--listen", "none"]) == 2
