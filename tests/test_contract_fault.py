"""What a console says when a server is away, full, closed, foreign or half there: a sentence, a way out, an exit code, no password."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import psycopg
import pytest

from crisis_engine.cli import main
from crisis_engine.core.errors import BadInput, Busy, KeyFault, StoreError
from crisis_engine.store import Store
from crisis_engine.store.dialect import masked

from .postgres import Server
from .story import CHILD, CLASS, CLASS_TEACHER, PEER

SECRET = "of-the-tests"  # noqa: S105 - see tests/postgres.py


def console(capsys: pytest.CaptureFixture[str], url: str, *args: str) -> tuple[int, str, str]:
    """Run a command; return exit code, output and errors, in which no password may stand."""
    code = main([*args, "--db", url, "--lang", "en"])
    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert "Traceback" not in err
    return code, out, err


def test_a_case_lives_on_a_server_by_the_console_alone(
    postgres_empty: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CRISIS_NOW", "2026-03-02T08:00+08:00")
    code, out, err = console(capsys, postgres_empty, "init", "--sandbox", "--example", "xinyang")
    assert (code, err) == (0, "")
    assert "***" in out
    code, _, _ = console(capsys, postgres_empty, "report", "--unit", CLASS, "--subject", CHILD, "--as", PEER, "--facts", "x")
    assert code == 0
    code, out, _ = console(capsys, postgres_empty, "queue", "--as", CLASS_TEACHER, "--json")
    number = json.loads(out)[0]["number"] if isinstance(json.loads(out), list) else json.loads(out)["queue"][0]["number"]
    monkeypatch.setenv("CRISIS_NOW", "2026-03-02T09:00+08:00")
    assert console(capsys, postgres_empty, "sweep")[0] == 0
    assert console(capsys, postgres_empty, "act", number, "acknowledge", "--as", CLASS_TEACHER)[0] == 0
    assert console(capsys, postgres_empty, "audit", "seal")[0] == 0
    code, out, _ = console(capsys, postgres_empty, "history", number, "--as", CLASS_TEACHER)
    assert code == 0


@pytest.mark.parametrize(("change", "code", "words"), [
    (lambda url: url.replace(SECRET, "guessed"), 74, "does not know this user"),
    (lambda url: url.rpartition("/")[0] + "/nowhere", 74, "no database of that name"),
    (lambda url: url.replace("crisis:", "nobody:"), 74, "does not know this user"),
    (lambda url: url, 74, "holds no cases of ours"),
])
def test_a_server_that_refuses_is_told_with_a_way_out(
    postgres_empty: str, capsys: pytest.CaptureFixture[str], change: object, code: int, words: str,
) -> None:
    found, _, err = console(capsys, change(postgres_empty), "queue", "--as", CLASS_TEACHER)  # type: ignore[operator]
    assert (found, words in err) == (code, True), err
    assert "Way out" in err


def test_a_server_that_is_not_there_cannot_be_reached(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found, _, err = console(capsys, f"postgresql://crisis:{SECRET}@127.0.0.1:{port}/crisis", "queue", "--as", CLASS_TEACHER)
    assert (found, "cannot be reached" in err) == (74, True), err


def test_a_server_that_takes_the_call_and_never_speaks_is_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"postgresql://crisis:{SECRET}@127.0.0.1:{mute.getsockname()[1]}/crisis?connect_timeout=2"
        found, _, err = console(capsys, url, "queue", "--as", CLASS_TEACHER)
    assert (found, "cannot be reached" in err) == (74, True), err


def test_without_a_place_for_the_master_key_nothing_is_begun(postgres_empty: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRISIS_HOME")
    with pytest.raises(KeyFault, match="master key of this database lies") as refused:
        Store.open(postgres_empty)
    assert "CRISIS_HOME" in refused.value.way_out
    Store.open(postgres_empty, master_key=bytes(range(32))).close()   # a host that brings the key needs no folder


def test_the_files_of_a_servers_database_lie_in_their_folder(postgres_empty: str, tmp_path: Path) -> None:
    Store.open(postgres_empty).close()
    name = postgres_empty.rpartition("/")[2]
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.key"}
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = Store.open(postgres_empty, create=False, home=other)
    with pytest.raises(KeyFault, match="missing"), elsewhere.reading() as tx:
        tx.master()
    elsewhere.close()


def test_a_text_that_no_database_holds_is_refused_as_input(postgres_url: str) -> None:
    store = Store.open(postgres_url, create=False)
    for text, words in (("a\x00b", "no text may hold"), ("\ud800", "half a character")):
        with pytest.raises(BadInput, match=words), store.writing() as tx:
            tx.set_meta("note", text)
        for many in (2, 200):   # in a set, and by COPY
            rows = [(f"n{place}", text) for place in range(many)]
            with pytest.raises(BadInput, match=words), store.writing() as tx:
                tx._bulk("INSERT INTO crisis_meta (name, value) VALUES (?, ?)", rows)  # noqa: SLF001 - as every bulk write does
    with store.reading() as tx:
        assert tx.meta("note") is None
    store.close()


def test_a_server_set_to_read_only_keeps_its_readers(postgres_server: Server, postgres_url: str) -> None:
    postgres_server.admin(f"ALTER DATABASE {postgres_url.rpartition('/')[2]} SET default_transaction_read_only = on")
    store = Store.open(postgres_url, create=False)
    with store.reading() as tx:
        assert tx.counts()["cases"] == 0
        with pytest.raises(StoreError, match="may only be read"):
            tx.set_meta("a", "b")
    store.close()


def test_what_would_be_a_deadlock_is_ended_by_the_server_and_one_of_the_two_goes_on(postgres_url: str) -> None:
    one, other = Store.open(postgres_url, create=False), Store.open(postgres_url, create=False)
    begun = threading.Barrier(2)
    found: list[object] = []

    def cross(store: Store, first: str, second: str) -> None:
        try:
            with store.writing() as tx:
                tx.hold_name("kin", first)
                begun.wait()
                tx.hold_name("kin", second)
            found.append("done")
        except Busy as error:
            found.append(error.message)

    threads = [threading.Thread(target=cross, args=args) for args in ((one, "a", "b"), (other, "b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, found)) == ["Another command changed the same thing at this moment.", "done"]
    one.close()
    other.close()


def test_a_newer_schema_is_refused(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as driver:
        driver.execute("UPDATE crisis_alembic_version SET version_num = '9999'")
    for create in (True, False):
        with pytest.raises(StoreError, match="newer than"):
            Store.open(postgres_url, create=create)


def test_two_who_open_a_new_database_at_once_both_find_it_ready(postgres_empty: str) -> None:
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(Store.open(postgres_empty))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(stores) == 2
    for store in stores:
        with store.reading() as tx:
            assert tx.opens()
        store.close()


def test_every_text_of_ours_compares_by_its_bytes(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as driver:
        others = driver.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_name LIKE 'crisis\\_%' AND collation_name IS NULL"
            " AND data_type IN ('text', 'character varying') AND table_name <> 'crisis_alembic_version'").fetchall()
    assert others == []


@pytest.mark.parametrize(("url", "shown"), [
    ("postgresql://me:secret@host:5432/crisis", "postgresql://me:***@host:5432/crisis"),
    ("postgresql://host/crisis?user=me&password=secret", "postgresql://host/crisis?password=%2A%2A%2A&user=me"),
    ("sqlite:///crisis.db", "sqlite:///crisis.db"),
])
def test_a_password_is_masked_wherever_it_stands(url: str, shown: str) -> None:
    assert masked(url) == shown
