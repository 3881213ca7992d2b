"""Attacks on the daemon: watchers and receivers that take their time, a redirect elsewhere, an outbox that takes an hour."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from crisis_engine.daemon import ping, server
from crisis_engine.daemon.meter import Meter
from crisis_engine.daemon.server import WatchServer
from crisis_engine.daemon.vitals import Vitals
from crisis_engine.daemon.worker import Workers
from crisis_engine.notify import Message, RecordingChannel

from .story import COUNSELOR, VICE_PRINCIPAL, City
from .test_daemon_round import MakeRounds, rounds  # noqa: F401 - a fixture
from .test_deliver import cleared, owe, with_channels


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[tuple[str, list[str]]]:
    """Give the URL of a server that answers so, and the paths that were asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            answer(self)

        def log_message(self, *_: object) -> None:
            pass

    found = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.daemon_threads = True
    threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{found.server_address[1]}", paths
    finally:
        found.shutdown()
        found.server_close()


# ---- the dead man's switch ------------------------------------------------------------------------------------------------------------


def test_a_ping_follows_no_redirect_to_another_host() -> None:
    def here(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()

    with answering(here) as (inside, asked):
        def elsewhere(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302)
            handler.send_header("location", f"{inside}/admin?stop=1")
            handler.end_headers()

        with answering(elsewhere) as (there, _):
            assert ping.fetch(f"{there}/s3cret") == "302"
        assert asked == []
        assert ping.fetch(f"{inside}/s3cret") == ""


@pytest.mark.parametrize("first", [b"", b"HTTP/1.0 200 OK\r\n\r\n"])
def test_a_switch_that_sends_a_byte_now_and_then_holds_no_daemon_up(monkeypatch: pytest.MonkeyPatch, first: bytes) -> None:
    monkeypatch.setattr(ping, "LONGEST", 0.3)
    let_go = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        def drip() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.send(first)
                while not let_go.wait(0.02):
                    try:
                        connection.send(b"H")
                    except OSError:
                        return

        thread = threading.Thread(target=drip)
        thread.start()
        asking = threading.Thread(target=ping.fetch, args=(f"http://127.0.0.1:{listening.getsockname()[1]}/",), daemon=True)
        asking.start()
        asking.join(5)
        held_up = asking.is_alive()
        let_go.set()
        thread.join()
    assert not held_up


# ---- watchers ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, int]]:
    monkeypatch.setattr(server, "LONGEST", 0.5)
    one = WatchServer("127.0.0.1", 0, Vitals(), Meter(), stuck_after=60, recent=60)
    host, _, port = one.address.rpartition(":")
    yield host, int(port)
    one.close()


def test_a_crowd_of_watchers_takes_neither_all_threads_nor_the_page_for_long(watch: tuple[str, int]) -> None:
    before = threading.active_count()
    with ExitStack() as crowd:
        for _ in range(80):
            crowd.enter_context(closing(socket.create_connection(watch, timeout=5))).sendall(b"GET /healthz HTTP/1.0\r\nX: ")
        assert threading.active_count() - before <= 2 * server.MOST + 1
        held = crowd.enter_context(closing(socket.create_connection(watch, timeout=20)))
        held.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        held.recv(10)   # answered or shut
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"http://{watch[0]}:{watch[1]}/healthz", timeout=5) as answer:
                    assert answer.read() == b"ok\n"
                    return
            except OSError:
                threading.Event().wait(0.05)
    pytest.fail("the page did not come back")


def test_a_watcher_that_hangs_up_leaves_no_traceback(watch: tuple[str, int], capfd: pytest.CaptureFixture[str]) -> None:
    for _ in range(5):
        one = socket.create_connection(watch)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        one.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        one.close()   # a reset
    with closing(socket.create_connection(watch)) as last:
        last.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert last.recv(20).startswith(b"HTTP")
    assert "Traceback" not in capfd.readouterr().err


def test_an_address_of_version_six_is_listened_at() -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        one = WatchServer("::1", 0, Vitals(), Meter(), stuck_after=60, recent=60)
    except OSError:
        with pytest.raises(OSError):  # noqa: PT011 - whatever the machine says
            socket.create_server(("::1", 0), family=socket.AF_INET6)
        return
    with urllib.request.urlopen(f"http://{one.address}/healthz", timeout=5) as answer:
        assert answer.status == 200
    one.close()


# ---- a full outbox -----------------------------------------------------------------------------------------------------------------------


def test_whoever_delivers_is_asked_after_each_message_and_stops_between_two(city: City) -> None:
    case = cleared(city)
    asked: list[int] = []
    channel = RecordingChannel(name="slow")

    def go_on() -> bool:
        asked.append(len(channel.sent))
        return len(asked) < 2

    with with_channels(city, channel) as engine:
        for person in (COUNSELOR, VICE_PRINCIPAL, "p-32"):
            owe(city, case, [person], key=person)
        assert engine.deliver(go_on=go_on).sent == 2
        assert asked[:2] == [1, 2]
        assert engine.deliver().sent == 1, "what was put back is due at once"


def test_a_daemon_whose_outbox_takes_long_comes_further_and_is_not_hung(city: City, rounds: MakeRounds) -> None:  # noqa: F811 - the fixture
    case = cleared(city)
    seen: list[float] = []

    class Slow(RecordingChannel):
        def send(self, message: Message) -> None:
            seen.append(day.vitals.running["deliver"])
            day.mono += 1
            super().send(message)

    day = rounds()
    for person in (COUNSELOR, VICE_PRINCIPAL):
        owe(city, case, [person], key=person)
    city.engine.use_channels((Slow(name="slow"),))
    day.turn()
    with day.vitals.at_work("deliver"):
        day.jobs.deliver()
    assert len(set(seen)) == len(seen) >= 2


def test_a_process_for_a_backlog_runs_no_program_that_lies_in_the_folder_of_the_daemon(
    city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "typer.py").write_text("open('owned', 'w').close()\n", encoding="ascii")
    monkeypatch.chdir(tmp_path)
    workers = Workers(2, {**os.environ, "CRISIS_DB": city.url})
    workers.help(large=True)
    try:
        for process in list(workers._running):  # noqa: SLF001 - nobody else knows when they ended
            process.wait(60)
            assert process.returncode == 0
    finally:
        workers.stop()
    assert not (tmp_path / "owned").exists()


def test_a_machine_that_can_start_no_further_process_sweeps_everything_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object, **_more: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    workers = Workers(4, {})
    workers.help(large=True)
    assert workers.share == (0, 1)
