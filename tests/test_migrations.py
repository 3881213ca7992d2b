"""The schema: what a migration makes is what the tables say, older is brought up to date, newer is refused."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from crisis_engine.core.errors import StoreError
from crisis_engine.store import Store
from crisis_engine.store.migrate import HEAD, REVISIONS, VERSION_TABLE, script_folder
from crisis_engine.store.schema import metadata


def schema_of(engine: sa.Engine) -> dict[str, list[str]]:
    """Every table and index as a sorted list of its parts, so that their order does not count; triggers and versions left out."""
    with engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL").all()
    return {name: sorted(re.split(r",\s*\n\s*|\(\n\s*|\n\)", sql.strip())) for name, sql in rows if name != VERSION_TABLE}


def migrated(path: Path) -> sa.Engine:
    """A database that the store has just made."""
    Store.open(f"sqlite:///{path}").close()
    return sa.create_engine(f"sqlite:///{path}")


def test_a_migrated_database_is_exactly_what_the_tables_say(tmp_path: Path) -> None:
    by_migration, by_tables = migrated(tmp_path / "a.db"), sa.create_engine("sqlite://")
    metadata.create_all(by_tables)
    assert schema_of(by_migration) == schema_of(by_tables)
    by_migration.dispose()
    by_tables.dispose()


def test_every_table_is_ours_by_name_and_none_is_in_a_hosts_metadata() -> None:
    from sqlmodel import SQLModel

    assert all(name.startswith("crisis_") for name in metadata.tables)
    assert not SQLModel.metadata.tables.keys() & metadata.tables.keys()


def test_the_known_revisions_are_those_on_the_disk_in_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(script_folder()))
    config.set_main_option("path_separator", "os")
    scripts = ScriptDirectory.from_config(config)
    assert tuple(script.revision for script in scripts.walk_revisions())[::-1] == REVISIONS
    assert scripts.get_heads() == [HEAD]


def test_a_new_database_is_at_the_newest_schema_and_a_second_opening_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "crisis.db"
    engine = migrated(path)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").all() == [(HEAD,)]  # noqa: S608 (a constant)
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    before = path.read_bytes()
    Store.open(f"sqlite:///{path}").close()
    Store.open(f"sqlite:///{path}", create=False).close()
    assert path.read_bytes() == before
    engine.dispose()


def test_our_tables_move_into_a_hosts_database_and_leave_its_own_alone(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    host = sa.create_engine(f"sqlite:///{path}")
    with host.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE alembic_version (version_num TEXT)")
        connection.exec_driver_sql("INSERT INTO alembic_version VALUES ('hosts-own')")
    Store.open(f"sqlite:///{path}").close()
    with host.connect() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").all() == [("hosts-own",)]
        names = set(sa.inspect(connection).get_table_names())
    assert names == {"alembic_version", VERSION_TABLE, *metadata.tables}
    host.dispose()


def test_a_database_without_our_tables_is_refused_when_none_may_be_made(tmp_path: Path) -> None:
    path = tmp_path / "host.db"
    path.touch()
    with pytest.raises(StoreError, match="crisis init"):
        Store.open(f"sqlite:///{path}", create=False)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("create", [True, False])
def test_a_newer_database_is_refused_with_both_versions(tmp_path: Path, create: bool) -> None:  # noqa: FBT001 (a parameter)
    path = tmp_path / "crisis.db"
    engine = migrated(path)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9876'")  # noqa: S608 (a constant)
    engine.dispose()
    before = path.read_bytes()
    with pytest.raises(StoreError, match=f"9876.*{HEAD}") as caught:
        Store.open(f"sqlite:///{path}", create=create)
    assert caught.value.exit_code == 74
    assert path.read_bytes() == before


def test_an_older_database_is_brought_up_to_date_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "crisis.db"
    migrated(path).dispose()
    monkeypatch.setattr("crisis_engine.store.migrate.REVISIONS", (*REVISIONS, "9999"))
    monkeypatch.setattr("crisis_engine.store.migrate.HEAD", "9999")
    with pytest.raises(StoreError, match=f"schema {HEAD}, this version works on 9999"):
        Store.open(f"sqlite:///{path}", create=False)
    with pytest.raises(Exception, match="9999"):  # Alembic is asked for it; there is no such file
        Store.open(f"sqlite:///{path}")


def test_of_several_programs_that_open_a_new_database_at_once_one_makes_it_and_all_go_on(tmp_path: Path) -> None:
    source = "import sys; from crisis_engine.store import Store; sys.stdin.read(1); Store.open(sys.argv[1]).close()"
    url = f"sqlite:///{tmp_path / 'crisis.db'}"
    programs = [subprocess.Popen([sys.executable, "-c", source, url], stdin=subprocess.PIPE) for _ in range(3)]
    for program in programs:
        assert program.stdin is not None
        program.stdin.write(b"x")
        program.stdin.close()
    for program in programs:
        program.wait()
    assert [program.returncode for program in programs] == [0, 0, 0]


def test_a_migration_that_breaks_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "crisis.db"

    def broken(connection: sa.Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE crisis_half (a)")
        raise KeyboardInterrupt

    monkeypatch.setattr("crisis_engine.store.migrate._upgrade", broken)
    with pytest.raises(KeyboardInterrupt):
        Store.open(f"sqlite:///{path}")
    engine = sa.create_engine(f"sqlite:///{path}")
    assert sa.inspect(engine).get_table_names() == []
    engine.dispose()


def test_opening_and_reading_imports_neither_sqlmodel_nor_alembic(tmp_path: Path) -> None:
    path = tmp_path / "crisis.db"
    migrated(path).dispose()
    source = (
        "import sys; import crisis_engine.store; assert 'sqlalchemy' not in sys.modules\n"
        "from crisis_engine.store import Store; store = Store.open(sys.argv[1], create=False)\n"
        "with store.reading() as tx: tx.counts(), tx.next_at(), tx.case('AAA-111'), tx.calendar()\n"
        "print(sorted({'sqlmodel', 'alembic', 'pydantic', 'sqlalchemy.orm'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source, f"sqlite:///{path}"], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
