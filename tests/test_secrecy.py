"""Secrecy at rest: no file that is written holds a plain secret, wrong keys change nothing, rotation loses nothing, old rows are sealed."""

from __future__ import annotations

import logging
import secrets
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine import Engine, KeyFault, NotAllowed, StoreError, open_engine
from crisis_engine.cli import main
from crisis_engine.core.model import Guardian, Person, Subject
from crisis_engine.doctor import examine
from crisis_engine.engine.secrecy import new_key_file
from crisis_engine.example import example_roster
from crisis_engine.notify import DeliveryFailed, Message
from crisis_engine.roster import RosterSet
from crisis_engine.store.key import blind_plain
from crisis_engine.store.master import MasterKey, read_keys, write_keys
from crisis_engine.store.migrate import script_folder
from crisis_engine.testing import SettableClock

from .story import copy_city

UNIT = "xinyang/shihe/no-3/g7/c2"
OFFICER = "p-51"
CANARIES = ("canary-name", "canary-contact", "canary-ref", "canary-facts", "canary-note", "canary-guardian", "canary-reporter",
            "canary-by-phone", "金丝雀")
CANARY_ROSTER = RosterSet(
    persons=(Person("p-900", "canary-name 金丝雀", "mailto:canary-contact@example.invalid"),),
    subjects=(Subject("", "canary-ref-1", UNIT, "金丝雀 canary-name"), Subject("", "canary-reporter", UNIT)),
    guardians=(Guardian("g-900", "canary-ref-1", "canary-guardian", "tel:canary-by-phone"),),
)


class BrokenChannel:
    """A channel whose reasons name the address, as some gateways' do."""

    name = "broken"

    def send(self, message: Message) -> None:
        raise DeliveryFailed(f"no route to {message.address} ({message.address.partition(':')[2]})")


@pytest.fixture
def path(city_template: Path, tmp_path: Path) -> Path:
    """Return the file of a copy of the example city."""
    copy_city(city_template, tmp_path / "city.db")
    return tmp_path / "city.db"


def opened(path: Path, **more: object) -> Engine:
    return open_engine(f"sqlite:///{path}", clock=SettableClock(), create=False, **more)  # type: ignore[arg-type]


def plant(engine: Engine) -> str:
    """Put a canary into every field that holds a secret; return the case's number."""
    engine.import_roster(CANARY_ROSTER)
    engine.report(unit=UNIT, subject="canary-ref-1", by="canary-reporter", facts="canary-facts", cues=["fresh_injury"], key="once")
    number = engine.queue(by="p-11")[0].number
    engine.act(number, "acknowledge", by="p-11")
    engine.act(number, "note", by="p-11", fields={"text": "canary-note"}, key="note-1")
    return number


def files_with(folder: Path, words: tuple[str, ...] = CANARIES) -> dict[str, list[str]]:
    """Return the files under a folder that hold one of the words, and which."""
    found = {file.name: [word for word in words if word.encode() in file.read_bytes()] for file in folder.rglob("*") if file.is_file()}
    return {name: words for name, words in found.items() if words}


# ---- at rest --------------------------------------------------------------------------------------------------------------------


def test_no_file_that_is_ever_written_holds_a_plain_secret(path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with opened(path, channels=(BrokenChannel(),)) as engine:
        number = plant(engine)
        with engine.store.writing() as tx:   # whoever is told has a contact that a channel's reason would tell
            tx.import_roster(RosterSet(persons=(Person("p-11", "canary-name", "mailto:canary-contact"),)))
        assert engine.deliver().failed
        assert files_with(tmp_path) == {}, "while the log is still in the WAL"
        assert (tmp_path / "city.db-wal").stat().st_size
        with sqlite3.connect(path) as source, sqlite3.connect(tmp_path / "backup.db") as backup:
            source.backup(backup)
        source.close()
        backup.close()
        engine.sweep()
        engine.rotate_key(by=OFFICER)
        assert number
    assert files_with(tmp_path) == {}
    assert caplog.text
    assert not any(word in caplog.text for word in CANARIES)


def test_the_engine_reads_all_of_it_back(path: Path) -> None:
    with opened(path) as engine:
        number = plant(engine)
    with opened(path) as engine:
        told = str(engine.history(number, by="p-11"))
        assert "canary-facts" in told
        assert engine.case(number, by="p-11").subject == "canary-ref-1"
        with engine.store.reading() as tx:
            assert tx.person("p-900") == CANARY_ROSTER.persons[0]
            assert tx.guardian("g-900") == tx.guardians_of("canary-ref-1")[0] == CANARY_ROSTER.guardians[0]
            token = tx.connection.exec_driver_sql("SELECT token FROM crisis_receipt").scalar()
            receipt = tx.receipt(str(token))
            assert receipt is not None
            assert receipt.reporter == "canary-reporter"
            assert list(tx.verify()) == []


def test_the_sweep_and_a_doctor_on_a_copy_need_no_key(path: Path) -> None:
    with opened(path) as engine:
        plant(engine)
    key = path.with_name("city.db.key")
    for there, days in ((True, 1), (False, 2)):
        if not there:
            key.unlink()
        with open_engine(f"sqlite:///{path}", clock=SettableClock(SettableClock()() + timedelta(days=days))) as engine:
            assert engine.sweep().rungs
            with engine.store.reading() as tx:
                assert list(tx.verify()) == []
            chain = next(finding for finding in examine(engine) if finding.name == "chain")
            assert chain.ok
            assert ("without a key" in chain.text_en) is not there


def test_a_secret_that_was_moved_to_another_event_does_not_open_and_verify_names_it(path: Path) -> None:
    with opened(path) as engine:
        number = plant(engine)
    with sqlite3.connect(path) as db:
        db.execute("UPDATE crisis_event SET secret = (SELECT secret FROM crisis_event WHERE seq = 1) WHERE secret IS NOT NULL AND seq > 1")
    db.close()
    with opened(path) as engine:
        with engine.store.reading() as tx:
            assert any("secret and commitment do not fit" in flaw for flaw in tx.verify(number))
        with pytest.raises(StoreError, match="changed or moved"):
            engine.history(number, by="p-11")


def test_a_name_that_was_moved_to_another_child_does_not_open(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE crisis_subject SET name = (SELECT name FROM crisis_subject ORDER BY id LIMIT 1)")
    db.close()
    with opened(path) as engine, engine.store.reading() as tx, pytest.raises(StoreError, match="changed or moved"):
        list(tx.subjects_under())


def test_an_index_that_was_moved_to_another_child_is_said(path: Path) -> None:
    with opened(path) as engine, engine.store.writing() as tx:
        one, other = tx.subject("stu-41"), tx.subject("stu-42")
        assert one is not None
        assert other is not None
        swap = "UPDATE crisis_subject SET ref_index = ? WHERE id = ?"
        tx.connection.exec_driver_sql(swap, ("x", one.id))
        tx.connection.exec_driver_sql(swap, (tx.blind("ref", "stu-41"), other.id))
    with opened(path) as engine, engine.store.reading() as tx, pytest.raises(StoreError, match="another child"):
        tx.subject("stu-41")


# ---- keys that are wrong ----------------------------------------------------------------------------------------------------------


def test_a_wrong_or_missing_key_is_said_and_nothing_is_changed(path: Path) -> None:
    with opened(path) as engine:
        plant(engine)
    before = sqlite_dump(path)
    key = path.with_name("city.db.key")
    kept = key.read_bytes()
    for break_it, says in (
        (lambda: write_keys(key, [secrets.token_bytes(32)]), "not the key of this database"),
        (lambda: key.write_bytes(kept[:20]), "no whole key"),
        (lambda: key.chmod(0o604), "read by others"),
        (key.unlink, "is missing"),
    ):
        key.write_bytes(kept)
        key.chmod(0o600)
        break_it()
        with opened(path) as engine, pytest.raises(KeyFault, match=says):
            engine.report(unit=UNIT, subject="stu-42", by="p-71", facts="x")
        with opened(path) as engine, pytest.raises(KeyFault):
            engine.key_status(by=OFFICER)
    assert sqlite_dump(path) == before


def test_a_wrong_key_is_known_by_the_check_value_before_anything_is_wrapped_under_it(path: Path) -> None:
    with opened(path, master_key=secrets.token_bytes(32)) as engine, engine.store.reading() as tx, \
            pytest.raises(KeyFault, match="not the key of this database"):
        tx.master()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE crisis_meta SET value = 'x' WHERE name = 'master_key_check'")
    db.close()
    with opened(path) as engine, engine.store.reading() as tx, pytest.raises(KeyFault, match="not the key of this database"):
        tx.master()


def test_a_data_key_that_was_changed_is_said(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE crisis_data_key SET wrapped = zeroblob(40) WHERE kind = 'staff'")
    db.close()
    with opened(path) as engine, engine.store.reading() as tx, pytest.raises(StoreError, match="key in the database was changed"):
        tx.persons()


def test_a_new_database_takes_the_key_that_is_given_and_makes_no_file(tmp_path: Path) -> None:
    key = secrets.token_bytes(32)
    url = f"sqlite:///{tmp_path / 'crisis.db'}"
    with open_engine(url, master_key=lambda: key) as engine:
        engine.import_roster(example_roster())
    assert not (tmp_path / "crisis.db.key").exists()
    with open_engine(url, master_key=[secrets.token_bytes(32), key]) as engine, engine.store.reading() as tx:
        assert tx.person("p-11")


# ---- blind indexes ------------------------------------------------------------------------------------------------------------------


def test_a_child_is_found_by_exactly_its_ref_and_people_by_exactly_their_name(path: Path) -> None:
    children = tuple(Subject("", f"s-{place}", UNIT, f"示例学生{place % 50}") for place in range(200))
    with opened(path) as engine:
        engine.import_roster(RosterSet(subjects=children, persons=(Person("p-901", "示例 同名"), Person("p-902", "示例 同名"))))
        with engine.store.reading() as tx:
            for child in children:
                found = tx.subject(child.ref)
                assert found is not None
                assert (found.ref, found.name) == (child.ref, child.name)
            assert tx.subject("s-2000") is tx.subject("S-1") is tx.subject("s-1 ") is None
            assert {child.ref for child in tx.subjects_named("示例学生7")} == {"s-7", "s-57", "s-107", "s-157"}
            assert [person.id for person in tx.persons_named("示例 同名")] == ["p-901", "p-902"]
            assert tx.subjects_named("") == tx.subjects_named("nobody") == []


def test_two_databases_index_the_same_ref_differently(tmp_path: Path) -> None:
    found = set()
    for name in ("a", "b"):
        with open_engine(f"sqlite:///{tmp_path / name}.db") as engine, engine.store.reading() as tx:
            found.add(tx.blind("ref", "stu-42"))
            assert tx.blind("ref", "stu-42") != tx.blind("command", "stu-42")
    assert len(found) == 2


def test_an_import_keeps_a_child_its_key_and_its_random_id(path: Path) -> None:
    with opened(path) as engine:
        with engine.store.reading() as tx:
            before, keys = tx.subject("stu-42"), tx.keys_by_kind()
        engine.import_roster(example_roster())
        with engine.store.reading() as tx:
            assert (tx.subject("stu-42"), tx.keys_by_kind()) == (before, keys)


# ---- a new master key -----------------------------------------------------------------------------------------------------------------


def test_a_rotation_wraps_every_key_anew_while_another_engine_works_and_puts_the_old_key_aside(path: Path) -> None:
    key = path.with_name("city.db.key")
    old = read_keys(key)
    with opened(path) as engine, opened(path) as daemon:
        number = plant(engine)
        assert "canary-facts" in str(daemon.history(number, by="p-11"))
        report = engine.rotate_key(by=OFFICER, batch=7)
        daemon.act(number, "note", by="p-11", fields={"text": "after the rotation"})     # it finds the new key by itself
        assert "canary-facts" in str(daemon.history(number, by="p-11"))
        daemon.report(unit=UNIT, subject="stu-41", by="p-71", facts="a new case")
        status = engine.key_status(by=OFFICER)
    assert status["by_master"].keys() == {report["master"]} != {report["retired"][0]}
    assert not status["rotating"]
    assert [(entry["what"], entry["by"]) for entry in status["log"]] == [(what, OFFICER) for what in ("retiring", "begun", "finished")]
    assert read_keys(key) != old == read_keys(path.with_name("city.db.key.retired"))


def test_a_rotation_to_a_key_that_is_given_never_goes_back_to_an_old_one(path: Path) -> None:
    old, new = read_keys(path.with_name("city.db.key"))[0], secrets.token_bytes(32)
    with opened(path, master_key=[old]) as engine, pytest.raises(KeyFault, match="No new master key"):
        engine.rotate_key(by=OFFICER)
    with opened(path, master_key=[new, old]) as engine:
        assert engine.rotate_key(by=OFFICER)["keys"]
        with pytest.raises(KeyFault, match="No new master key"):
            engine.rotate_key(by=OFFICER)
    with opened(path, master_key=new) as engine, engine.store.reading() as tx:
        assert tx.person("p-11")
    with opened(path, master_key=old) as engine, engine.store.reading() as tx, pytest.raises(KeyFault, match="rotated away"):
        tx.person("p-11")


def test_one_broken_data_key_does_not_keep_the_others_under_the_old_master_key(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE crisis_data_key SET wrapped = zeroblob(40) WHERE kind = 'subject'"
                   " AND ref = (SELECT min(id) FROM crisis_subject)")
    db.close()
    with opened(path) as engine:
        report = engine.rotate_key(by=OFFICER)
        assert (report["broken"], report["retired"]) == (1, [])
        status = engine.key_status(by=OFFICER)
        assert sorted(status["by_master"].values()) == [1, report["keys"]]
        assert status["log"][-1]["what"] == "unfinished"
    assert len(read_keys(path.with_name("city.db.key"))) == 2, "the old key stays as long as a data key needs it"


def test_the_first_command_says_in_both_languages_that_the_key_is_kept_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CRISIS_NOW", raising=False)
    for lang, said in (("zh", "与数据库及其备份分开保管"), ("en", "apart from the database and its backups")):
        assert main(["init", "--db", str(tmp_path / f"{lang}.db"), "--lang", lang]) == 0
        assert said in capsys.readouterr().out
        assert (tmp_path / f"{lang}.db.key").exists()


def test_a_rotation_that_is_not_finished_says_that_it_needs_the_old_key_too(path: Path) -> None:
    new = secrets.token_bytes(32)
    with opened(path, master_key=[new, *read_keys(path.with_name("city.db.key"))]) as engine, engine.store.writing() as tx:
        tx.begin_rotation(MasterKey.of(new), OFFICER, engine.now())
    with opened(path, master_key=new) as engine, engine.store.reading() as tx, pytest.raises(KeyFault, match="not among those given"):
        tx.person("p-11")


class Cut(BaseException):
    """The power goes."""


@settings(max_examples=20, deadline=None)
@given(cuts=st.lists(st.integers(0, 12), min_size=1, max_size=3), batch=st.integers(5, 40))
def test_a_rotation_that_is_broken_off_at_any_step_loses_nothing_and_is_finished_later(
    cuts: list[int], batch: int, city_template: Path, tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("rotation") / "city.db"
    copy_city(city_template, path)
    for cut in cuts:
        with opened(path) as engine, pytest.MonkeyPatch.context() as patch:
            steps = iter(range(100))
            writing = engine.store.writing

            def counted(*, wipe: bool = False, alone: bool = False, steps: Iterator[int] = steps, cut: int = cut,
                        writing: object = writing) -> object:
                if next(steps) == cut:
                    raise Cut
                return writing(wipe=wipe, alone=alone)  # type: ignore[operator]

            patch.setattr(engine.store, "writing", counted)
            with suppress(Cut):
                engine.rotate_key(by=OFFICER, batch=batch)
        with opened(path) as engine:
            readable(engine)
    with opened(path) as engine:
        engine.rotate_key(by=OFFICER, batch=batch)
        readable(engine)
        assert len(engine.key_status(by=OFFICER)["by_master"]) == 1
    assert len(read_keys(path.with_name("city.db.key"))) == 1
    shutil.rmtree(path.parent)


def readable(engine: Engine) -> None:
    """Assert that everything in the roster opens."""
    with engine.store.reading() as tx:
        assert len(tx.persons()) == len(example_roster().persons)
        assert all(child.ref for child in tx.subjects_under())
        assert all(tx.guardian(guardian.id) == guardian for guardian in example_roster().guardians)


def test_nobody_but_those_who_keep_the_keys_may_touch_them(path: Path) -> None:
    with opened(path) as engine:
        for call in (engine.key_status, engine.rotate_key, engine.seal_plain):
            with pytest.raises(NotAllowed):
                call(by="p-11")


def test_a_new_key_file_is_never_written_over_another(tmp_path: Path) -> None:
    path = tmp_path / "new.key"
    assert len(new_key_file(path)) == 16
    with pytest.raises(KeyFault, match="already"):
        new_key_file(path)


# ---- a database from before there were keys ---------------------------------------------------------------------------------------------


def sqlite_dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as db:
        dump = [line for line in db.iterdump() if "crisis_heartbeat" not in line]
    db.close()
    return dump


def as_it_was(engine: Engine, path: Path) -> None:
    """Write all that an engine holds as the first schema held it: everything in plain."""
    made = sa.create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(script_folder()))
    config.set_main_option("path_separator", "os")
    with made.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        with engine.store.reading() as tx:
            columns = {table: [row[1] for row in connection.exec_driver_sql(f"PRAGMA table_info({table})")]
                       for (table,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").all()
                       if table.startswith("crisis_") and table != "crisis_alembic_version"}
            plain: dict[str, list[tuple[object, ...]]] = {
                "crisis_person": [(person.id, person.name, person.contact) for person in tx.persons()],
                "crisis_subject": [(child.id, child.ref, child.unit, child.name) for child in tx.subjects_under()],
                "crisis_guardian": [(guardian.id, guardian.subject, guardian.name, guardian.contact) for child in tx.subjects_under()
                                    for guardian in tx.guardians_of(child.ref)],
            }
            for table, names in columns.items():
                listed = ", ".join(f'"{name}"' for name in names)
                rows = plain.get(table)
                if rows is None:
                    rows = [tuple(row) for row in tx.connection.exec_driver_sql(f"SELECT {listed} FROM {table} ORDER BY rowid").all()]  # noqa: S608
                if table == "crisis_receipt":
                    rows = [(*row[:3], tx.receipt(str(row[0])).reporter) for row in rows]  # type: ignore[union-attr]
                if table == "crisis_event":
                    opened_secrets = {(record.number, record.seq): tx.open_record(record).secret
                                      for (number,) in tx.connection.exec_driver_sql("SELECT number FROM crisis_case").all()
                                      for record in tx.records(number)}
                    cases = tx.connection.exec_driver_sql("SELECT id, number FROM crisis_case").all()
                    number_of: dict[object, str] = {row[0]: row[1] for row in cases}
                    where = names.index("secret")
                    rows = [(*row[:where], opened_secrets[number_of[row[1]], int(str(row[2]))], *row[where + 1:]) for row in rows]
                if table == "crisis_meta":
                    rows = [row for row in rows if not str(row[0]).startswith("master_key")]
                if rows:
                    marks = ", ".join("?" * len(names))
                    connection.exec_driver_sql(f"INSERT INTO {table} ({listed}) VALUES ({marks})", rows)  # noqa: S608
    made.dispose()


@pytest.fixture
def old(path: Path, tmp_path: Path) -> tuple[Path, str]:
    """Return a database of the first schema that holds canaries in plain, and the number of its case."""
    (tmp_path / "old").mkdir()
    with opened(path) as engine:
        number = plant(engine)
        as_it_was(engine, tmp_path / "old" / "old.db")
    return tmp_path / "old" / "old.db", number


def test_an_old_database_is_read_as_it_is_and_sealed_by_one_command(old: tuple[Path, str]) -> None:
    path, number = old
    assert set(files_with(path.parent)["old.db"]) == set(CANARIES)
    with open_engine(f"sqlite:///{path}", clock=SettableClock()) as engine:
        assert "canary-facts" in str(engine.history(number, by="p-11"))
        readable_old = engine.case(number, by="p-11")
        assert readable_old.subject == "canary-ref-1"
        with engine.store.reading() as tx:
            child, persons, guardians = tx.subject("canary-ref-1"), tx.persons(), tx.guardians_of("canary-ref-1")
            plain = tx.unsealed()
        assert plain["subjects"] == len(example_roster().subjects) + 2
        assert plain["events"] > 1
        assert plain["receipts"] == 1

        engine.seal_plain(by=OFFICER, batch=9)

        assert set(engine.key_status(by=OFFICER)["unsealed"].values()) == {0}
        with engine.store.reading() as tx:
            assert (tx.subject("canary-ref-1"), tx.persons(), tx.guardians_of("canary-ref-1")) == (child, persons, guardians)
            assert list(tx.verify()) == []
        assert engine.case(number, by="p-11") == readable_old
        assert "canary-facts" in str(engine.history(number, by="p-11"))
    assert files_with(path.parent) == {}


def test_an_import_into_an_old_database_seals_its_roster_and_keeps_its_children(old: tuple[Path, str]) -> None:
    path, number = old
    with open_engine(f"sqlite:///{path}", clock=SettableClock()) as engine:
        with engine.store.reading() as tx:
            before = tx.subject("stu-42")
        engine.import_roster(example_roster())
        with engine.store.reading() as tx:
            assert tx.subject("stu-42") == before
            assert tx.subject("canary-ref-1") is not None
            assert {kind: count for kind, count in tx.unsealed().items() if count} == {"receipts": 1, "events": tx.unsealed()["events"]}
        engine.act(number, "note", by="p-11", fields={"text": "sealed beside plain ones"})
        assert "canary-facts" in str(engine.history(number, by="p-11"))


def test_a_guardian_without_a_child_in_an_old_database_is_sealed_too(old: tuple[Path, str]) -> None:
    path, _ = old
    with sqlite3.connect(path) as db:
        db.execute("INSERT INTO crisis_guardian VALUES ('g-1', 'nobody', 'canary-guardian', '')")
    db.close()
    with open_engine(f"sqlite:///{path}", clock=SettableClock()) as engine:
        engine.seal_plain(by=OFFICER)
        with engine.store.reading() as tx:
            assert tx.guardian("g-1") == Guardian("g-1", "", "canary-guardian", "")
            assert not tx.connection.exec_driver_sql("SELECT 1 FROM crisis_guardian WHERE subject = ?", (blind_plain("nobody"),)).all()
    assert files_with(path.parent) == {}
