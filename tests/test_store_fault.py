"""What the store says when the database is busy, read-only, full, damaged, missing or a host's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from crisis_engine.core.errors import Busy, StoreError
from crisis_engine.store import AlreadyOpen, Store
from tests.test_store import NOW, fired, got, grown, opening, put

HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database file with one case in it."""
    file = tmp_path / "crisis.db"
    store = Store.open(f"sqlite:///{file}")
    put(store, grown(None, opening("AAA-111")))
    store.close()
    return file


@pytest.fixture
def held(path: Path) -> Iterator[Path]:
    """The same database while another process holds its write lock."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        yield path
        other.communicate()


def test_while_another_process_writes_a_writer_is_told_to_try_again_and_a_reader_reads(held: Path) -> None:
    store = Store.open(f"sqlite:///{held}", wait=0.05)
    with pytest.raises(Busy, match="Another writer holds the database") as caught:
        put(store)
    assert caught.value.exit_code == 75
    assert got(store, "AAA-111").case.version == 3
    store.close()


def test_while_another_thread_writes_a_writer_is_told_to_try_again(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}", wait=0.05)
    caught: list[BaseException] = []

    def other() -> None:
        try:
            put(store)
        except Busy as error:
            caught.append(error)

    with store.writing():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(caught) == 1
    put(store, grown(got(store, "AAA-111"), [fired("AAA-111", 4)]))
    store.close()


def test_many_threads_write_one_case_and_no_event_is_lost(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}")

    def write() -> None:
        for _ in range(10):
            with store.writing() as tx:
                stored = tx.case("AAA-111")
                assert stored is not None
                rung = stored.case.version
                tx.append([grown(stored, [fired("AAA-111", rung + 1, rung=rung)])])

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.reading() as tx:
        assert tx.counts()["events"] == 43
        assert list(tx.verify()) == []
    store.close()


def test_a_database_that_may_only_be_read_can_be_read_and_says_so_when_written(path: Path) -> None:
    store = Store.open(f"sqlite:///file:{path}?mode=ro&uri=true", create=False)
    assert got(store, "AAA-111").case.version == 3
    with pytest.raises(StoreError, match="may only be read") as caught:
        put(store, grown(got(store, "AAA-111"), [fired("AAA-111", 4)]))
    assert caught.value.exit_code == 74
    store.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_file_without_the_right_to_write_says_so(path: Path) -> None:
    path.chmod(0o400)
    store = Store.open(f"sqlite:///{path}", create=False)
    with pytest.raises(StoreError, match="may only be read"), store.writing() as tx:
        tx.heartbeat("sweep", NOW)
    store.close()


@pytest.mark.parametrize("create", [True, False])
def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, create: bool) -> None:  # noqa: FBT001 (a parameter)
    file = tmp_path / "notes.txt"
    file.write_text("Not a database at all, only a letter that somebody wrote and would like to keep." * 40, encoding="utf-8")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="no database") as caught:
        Store.open(f"sqlite:///{file}", create=create)
    assert caught.value.exit_code == 74
    assert file.read_bytes() == before


def test_a_damaged_file_is_named_as_damaged(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        Store.open(f"sqlite:///{path}", create=False)


def test_a_missing_folder_and_a_missing_file_are_named_and_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="folder of the database does not exist"):
        Store.open(f"sqlite:///{tmp_path / 'nowhere' / 'crisis.db'}")
    with pytest.raises(StoreError, match="no database of that name"):
        Store.open(f"sqlite:///{tmp_path / 'crisis.db'}", create=False)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_the_place_of_the_file_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        Store.open(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize("url", ["crisis.db", "postgresql+asyncpg://host/crisis", "sqlite+aiosqlite:///crisis.db", "", "mysql://x/y"])
def test_another_kind_of_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(StoreError, match=r"sqlite:///crisis\.db"):
        Store.open(url)


def test_a_full_disk_keeps_what_was_acknowledged_and_nothing_else(tmp_path: Path) -> None:
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or subprocess.run(
        [mount, "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(tmp_path)], check=False, capture_output=True,
    ).returncode:
        pytest.skip("a small tmpfs cannot be mounted here")
    try:
        fill_the_disk(Store.open(f"sqlite:///{tmp_path / 'crisis.db'}"))
    finally:
        subprocess.run([umount, str(tmp_path)], check=True)


def test_a_database_that_may_not_grow_keeps_what_was_acknowledged(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'crisis.db'}")
    with store.reading() as tx:
        tx.connection.exec_driver_sql("PRAGMA max_page_count = 150")
    fill_the_disk(store)


def fill_the_disk(store: Store) -> None:
    """Write cases until no more fit; all acknowledged ones must be there and whole, the refused one not at all."""
    written = 0
    error: StoreError | None = None
    while error is None and written < 10_000:
        try:
            put(store, grown(None, opening(f"N-{written}", subject=str(written))))
            written += 1
        except StoreError as full:
            error = full
    assert error is not None
    assert error.exit_code == 74
    assert "disk is full" in error.message
    with store.reading() as tx:
        assert tx.counts()["cases"] == written > 0
        assert list(tx.verify()) == []
    store.close()


def test_no_error_tells_a_value_of_a_row(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}")
    with store.reading() as tx, pytest.raises(sa.exc.DBAPIError) as caught:
        tx.connection.execute(sa.text("SELECT :secret FROM nowhere"), {"secret": "伤痕"})
    assert "伤痕" not in str(caught.value)
    store.close()


# ---- a host's own transaction -------------------------------------------------------------------------------------


def host_of(path: Path) -> sa.Engine:
    """An engine as any host makes it, with sqlite3's own late BEGIN."""
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE pupil (name TEXT)")
    return engine


@pytest.mark.parametrize("host_writes_first", [True, False])
def test_what_joins_a_hosts_transaction_is_kept_or_undone_by_the_host_alone(path: Path, host_writes_first: bool) -> None:  # noqa: FBT001 (a parameter)
    store, host = Store.open(f"sqlite:///{path}"), host_of(path)
    with host.connect() as connection:
        if host_writes_first:
            connection.exec_driver_sql("INSERT INTO pupil VALUES ('nobody')")
        else:
            connection.begin()
        store.joining(connection).append([grown(None, opening("BBB-222", subject="s-2"))])
        connection.rollback()
        assert store.joining(connection).case("BBB-222") is None
        assert connection.exec_driver_sql("SELECT count(*) FROM pupil").scalar() == 0
        store.joining(connection).append([grown(None, opening("BBB-222", subject="s-2"))])
        with store.reading() as tx:
            assert tx.case("BBB-222") is None
        connection.commit()
    assert got(store, "BBB-222").case.version == 3
    host.dispose()
    store.close()


def test_a_refusal_inside_a_hosts_transaction_leaves_the_hosts_own_writes(path: Path) -> None:
    store, host = Store.open(f"sqlite:///{path}"), host_of(path)
    with host.begin() as connection:
        connection.exec_driver_sql("INSERT INTO pupil VALUES ('nobody')")
        with pytest.raises(AlreadyOpen):
            store.joining(connection).append([grown(None, opening("BBB-222", subject="s-2")), grown(None, opening("CCC-333"))])
    with host.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pupil").scalar() == 1
    with store.reading() as tx:
        assert tx.counts()["cases"] == 1
    host.dispose()
    store.close()


def test_a_connection_without_a_transaction_is_refused(path: Path) -> None:
    store, host = Store.open(f"sqlite:///{path}"), sa.create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    with host.connect() as connection, pytest.raises(StoreError, match="Begin a transaction on it first"):
        store.joining(connection).append([grown(None, opening("BBB-222", subject="s-2"))])
    with store.reading() as tx:
        assert tx.counts()["cases"] == 1
    host.dispose()
    store.close()


def test_every_connection_is_durable_and_keeps_its_references(path: Path) -> None:
    store = Store.open(f"sqlite:///{path}")
    for transaction in (store.reading, store.writing):
        with transaction() as tx:
            asked = ("synchronous", "foreign_keys", "recursive_triggers", "journal_mode")
            assert [tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in asked] == [2, 1, 1, "wal"]
    store.close()
