"""The proof of a whole database: every flipped byte, cut log, deleted case and rewritten chain is named, past all triggers."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from crisis_engine.core.evolve import fold
from crisis_engine.engine import Engine
from crisis_engine.engine.audit import VerifyReport
from crisis_engine.store.case import CASE_COLUMNS, CLOCK_COLUMNS, clock_values, clocks_of, state_of, values_of
from crisis_engine.store.record import GENESIS, decode, hash_of
from crisis_engine.testing import open_test_engine

from .story import CLASS_TEACHER, COUNSELOR, OPERATOR, VICE_PRINCIPAL, City

FLIPS, CUTS = 1_000, 200

NO_CONTENT = {("crisis_event", "id")}
"""What a flip may change unseen: the row id of an event says only in which order rows were written, and no record rests on it."""


class Undone(Exception):
    """Ends a transaction whose harm is not to stay."""


class Town:
    """A database in memory with a few cases, sealed, its triggers gone: harm is done inside a transaction and undone."""

    def __init__(self, engine: Engine, raw: sqlite3.Connection) -> None:
        self.engine, self.raw = engine, raw
        self.numbers = dict(raw.execute("SELECT id, number FROM crisis_case").fetchall())

    @contextmanager
    def harmed(self) -> Iterator[sqlite3.Connection]:
        """Give the raw connection inside a transaction; all that is done there is undone."""
        try:
            with self.engine.store.writing():
                yield self.raw
                raise Undone  # noqa: TRY301 (an exception is what undoes a transaction)
        except Undone:
            pass

    def verify(self) -> VerifyReport:
        """Prove the database as it is at this moment, harm and all."""
        return self.engine.verify(by=OPERATOR)


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    """Give three cases that people worked on, the log sealed in four batches."""
    with open_test_engine() as (engine, clock, channel):
        city = City(engine, clock, channel, "sqlite://")
        city.at("09:00")
        city.report(facts="听到的话", cues=["suicide_words"])
        engine.seal()
        city.report(subject="stu-41", about_staff=[CLASS_TEACHER])
        over = city.report(subject="stu-43").reach("planning").meet()
        engine.seal(batch=60)
        over.agreed(COUNSELOR, VICE_PRINCIPAL, "lower_risk", risk="yellow", because="平稳")
        over.act(COUNSELOR, "reassess").assess("yellow").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="平稳")
        city.at("11:30")
        engine.seal()
        with engine.store.reading() as tx:
            raw: Any = tx.connection.connection.driver_connection
        for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            raw.execute(f"DROP TRIGGER {name}")
        raw.execute("PRAGMA ignore_check_constraints = ON")
        raw.execute("PRAGMA foreign_keys = OFF")
        yield Town(engine, raw)


def test_what_people_wrote_is_whole_and_counted(town: Town) -> None:
    report = town.verify()
    assert (report.ok, report.flaws, report.unsealed) == (True, [], 0)
    assert (report.cases, report.events) == (3, town.raw.execute("SELECT count(*) FROM crisis_event").fetchone()[0])
    assert report.leaves > report.checkpoints >= 3
    assert report.signatures == report.checkpoints


# ---- one byte ---------------------------------------------------------------------------------------------------------------


def stored(value: object) -> bytes:
    """The bytes of a value as SQLite keeps them."""
    if isinstance(value, int):
        return next(value.to_bytes(size, signed=True) for size in (1, 2, 3, 4, 6, 8) if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1)
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""


def columns_of(raw: sqlite3.Connection) -> list[tuple[str, str]]:
    """Every column of event and case rows that has content here: a number of two columns is empty in each of these rows."""
    found = [(table, row[1]) for table in ("crisis_event", "crisis_case") for row in raw.execute(f"PRAGMA table_info({table})")]
    full = [(table, name) for table, name in found if raw.execute(f'SELECT count("{name}") FROM {table}').fetchone()[0]]  # noqa: S608
    assert set(found) - set(full) == {("crisis_case", "parent"), ("crisis_case", "lead")}
    return [column for column in full if column not in NO_CONTENT]


def flip(raw: sqlite3.Connection, chance: random.Random, table: str, column: str) -> int:
    """Change one byte of one value of a column in some row, and return the row's case."""
    case_id = "case_id" if table == "crisis_event" else "id"
    rows = raw.execute(f'SELECT id, {case_id}, "{column}" FROM {table} WHERE length("{column}") > 0 ORDER BY id').fetchall()  # noqa: S608
    row_id, of, before = chance.choice(rows)
    data = bytearray(stored(before))
    data[chance.randrange(len(data))] ^= chance.randrange(1, 256)
    value: object = int.from_bytes(data, signed=True) if isinstance(before, int) else bytes(data)
    cast = "CAST(? AS TEXT)" if isinstance(before, str) else "?"
    raw.execute(f'UPDATE {table} SET "{column}" = {cast} WHERE id = ?', (value, row_id))  # noqa: S608 (names of this file)
    return int(of)


def test_every_flipped_byte_of_an_event_or_case_row_is_named_with_its_case(town: Town) -> None:
    chance = random.Random(20260302)
    columns = columns_of(town.raw)
    done = 0
    while done < FLIPS:
        table, column = columns[done % len(columns)]
        with town.harmed() as raw:
            try:
                case_id = flip(raw, chance, table, column)
            except sqlite3.IntegrityError:   # the database itself refuses two rows of one place
                continue
            report = town.verify()
            assert town.numbers[case_id] in {flaw.number for flaw in report.flaws}, f"{table}.{column}: {report.flaws}"
            done += 1
    assert town.verify().ok


def test_a_data_key_that_went_without_an_erasure_is_named(town: Town) -> None:
    with town.harmed() as raw:
        raw.execute("DELETE FROM crisis_data_key WHERE kind = 'case'")
        assert any("key of its secret is gone" in flaw.what for flaw in town.verify().flaws)


def test_a_row_id_of_an_event_is_no_content(town: Town) -> None:
    with town.harmed() as raw:
        raw.execute("UPDATE crisis_event SET id = id + 1000000 WHERE id = 5")
        assert town.verify().ok


# ---- cut, deleted, written anew -----------------------------------------------------------------------------------------------


def cut(raw: sqlite3.Connection, number: str, keep: int) -> None:
    """Cut the end of a log off, and make row and clocks what the rest comes to, as somebody would who knows the schema."""
    case_id, two, sole = raw.execute("SELECT id, two, sole FROM crisis_case WHERE number = ?", (number,)).fetchone()
    raw.execute("DELETE FROM crisis_event WHERE case_id = ? AND seq > ?", (case_id, keep))
    rewind(raw, case_id, bool(two), bool(sole))


def rewind(raw: sqlite3.Connection, case_id: int, two: bool, sole: bool) -> None:  # noqa: FBT001 (columns)
    log = raw.execute("SELECT header, hash FROM crisis_event WHERE case_id = ? ORDER BY seq", (case_id,)).fetchall()
    case = fold([decode(header, None) for header, _ in log])
    columns = CASE_COLUMNS.removeprefix("id, ").split(", ")
    values = values_of(case, log[-1][1], state_of(case), clocks_of(case), two=two, sole=sole)
    raw.execute(f"UPDATE crisis_case SET {', '.join(f'{column} = ?' for column in columns)} WHERE id = ?", (*values, case_id))  # noqa: S608
    raw.execute("DELETE FROM crisis_deadline WHERE case_id = ?", (case_id,))
    for clock in case.clocks:
        marks = ", ".join("?" * (len(CLOCK_COLUMNS.split(", ")) + 1))
        raw.execute(f"INSERT INTO crisis_deadline ({CLOCK_COLUMNS}, status) VALUES ({marks})", (*clock_values(case_id, clock), "armed"))  # noqa: S608


def delete_record(raw: sqlite3.Connection, number: str, keep: int) -> None:
    raw.execute("DELETE FROM crisis_event WHERE seq = ? AND case_id = (SELECT id FROM crisis_case WHERE number = ?)", (keep, number))


def delete_row(raw: sqlite3.Connection, number: str, _keep: int) -> None:
    raw.execute("DELETE FROM crisis_case WHERE number = ?", (number,))


def delete_case(raw: sqlite3.Connection, number: str, _keep: int) -> None:
    for table in ("crisis_event", "crisis_deadline", "crisis_notice", "crisis_receipt", "crisis_recusal"):
        raw.execute(f"DELETE FROM {table} WHERE case_id = (SELECT id FROM crisis_case WHERE number = ?)", (number,))  # noqa: S608
    delete_row(raw, number, 0)


def write_anew(raw: sqlite3.Connection, number: str, keep: int) -> None:
    """Change what one record says and chain all that follow to it: every hash fits again, and so does the row."""
    case_id, two, sole = raw.execute("SELECT id, two, sole FROM crisis_case WHERE number = ?", (number,)).fetchone()
    head = GENESIS
    log = raw.execute("SELECT id, seq, header, prev FROM crisis_event WHERE case_id = ? ORDER BY seq", (case_id,)).fetchall()
    for row_id, seq, stored_header, prev in log:
        header = stored_header.replace(prev.hex(), head.hex())
        by = "" if seq != keep else "p-99"
        if by:
            event = decode(header, None)
            header = header.replace(f'"by":"{event.by}"', f'"by":"{by}"')
            raw.execute('UPDATE crisis_event SET "by" = ? WHERE id = ?', (by, row_id))
        digest = hash_of(head, header)
        raw.execute("UPDATE crisis_event SET header = ?, prev = ?, hash = ? WHERE id = ?", (header, head, digest, row_id))
        head = digest
    rewind(raw, case_id, bool(two), bool(sole))


HARMS: list[Callable[[sqlite3.Connection, str, int], None]] = [cut, delete_record, delete_row, delete_case, write_anew]


def test_every_cut_log_deleted_case_and_rewritten_chain_is_named(town: Town) -> None:
    chance = random.Random(20260303)
    last = dict(town.raw.execute("SELECT number, version FROM crisis_case").fetchall())
    for turn in range(CUTS):
        number = chance.choice(sorted(last))
        with town.harmed() as raw:
            HARMS[turn % len(HARMS)](raw, number, chance.randrange(1, last[number]))
            report = town.verify()
            assert not report.ok, (turn, number)
            assert number in {flaw.number for flaw in report.flaws}, (turn, report.flaws)
    assert town.verify().ok


def test_a_skilled_cut_is_seen_by_the_merkle_log_alone(town: Town) -> None:
    number, version = town.raw.execute("SELECT number, version FROM crisis_case ORDER BY id LIMIT 1").fetchone()
    with town.harmed() as raw:
        cut(raw, number, version - 2)
        assert {str(flaw) for flaw in town.verify().flaws} == {f"case {number}, record {version}: was sealed, and its log is shorter now"}
    with town.harmed() as raw:
        write_anew(raw, number, 3)
        assert all("written anew" in flaw.what for flaw in town.verify().flaws)


@pytest.mark.parametrize(("harm", "what"), [
    ("DELETE FROM crisis_leaf WHERE place = 2", "leaf 2 is missing"),
    ("DELETE FROM crisis_leaf WHERE place = (SELECT max(place) FROM crisis_leaf)", "more leaves than there are"),
    ("UPDATE crisis_leaf SET head = zeroblob(32) WHERE place = 1", "written anew"),
    ("UPDATE crisis_leaf SET seq = 2 WHERE place = 1", "written anew"),
    ("UPDATE crisis_leaf SET number = 'ABC' WHERE place = 1", "the case is gone"),
    ("UPDATE crisis_tile SET hashes = zeroblob(32) || substr(hashes, 33) WHERE level = 0", "tile 0/0 does not hold"),
    ("UPDATE crisis_tile SET hashes = substr(hashes, 33) WHERE level = 0", "tile 0/0 does not hold"),
    ("DELETE FROM crisis_tile", "tile 0/0 does not hold"),
    ("INSERT INTO crisis_tile VALUES (1, 0, zeroblob(32))", "tile 1/0 belongs to no tree"),
    ("UPDATE crisis_checkpoint SET note = replace(note, 'crisis-engine', 'crisis-engyne')", "no known key made"),
    ("UPDATE crisis_checkpoint SET note = substr(note, 1, 40)", "cannot be read"),
    ("UPDATE crisis_checkpoint SET size = size + 100", "cannot be read"),
    ("UPDATE crisis_checkpoint SET note = x'ff'", "cannot be read"),
    ("DELETE FROM crisis_verifier", "no known key made"),
    ("UPDATE crisis_verifier SET duty = 'cosigner'", "was not signed by the sealer"),
    ("UPDATE crisis_verifier SET key = replace(key, 'crisis', 'krisis')", "cannot be read"),
    ("UPDATE crisis_definition SET body = body || ' '", "procedure is not in the database"),
    ("DELETE FROM crisis_definition", "procedure is not in the database"),
])
def test_a_changed_leaf_tile_checkpoint_key_or_procedure_is_named(town: Town, harm: str, what: str) -> None:
    with town.harmed() as raw:
        raw.execute(harm)
        assert any(what in flaw.what for flaw in town.verify().flaws), town.verify().flaws


def test_what_a_checkpoint_kept_elsewhere_knows_better_is_named(town: Town) -> None:
    with town.engine.store.reading() as tx:
        first, newest = next(tx.all_sealed()), tx.sealed()
    assert newest is not None
    verify = town.engine.verify
    for kept in (first.note, newest.note, newest.checkpoint.text):
        assert verify(by=OPERATOR, kept=kept).ok
    changed = newest.note.replace(newest.checkpoint.text.splitlines()[2], first.checkpoint.text.splitlines()[2])
    longer = newest.checkpoint.text.replace(f"\n{newest.checkpoint.size}\n", "\n99999\n")
    for kept, what in ((changed, "does not begin with"), (longer, "its end was cut off"),
                       (newest.note.replace("crisis-engine/", "crisis-engine/X"), "of another log")):
        assert [what in flaw.what for flaw in verify(by=OPERATOR, kept=kept).flaws] == [True]
    with town.harmed() as raw:   # the whole log, the tree and the keys replaced by those of an hour ago
        for table in ("crisis_leaf WHERE place >= 1", "crisis_checkpoint WHERE size > 1"):
            raw.execute(f"DELETE FROM {table}")  # noqa: S608 (names of this file)
        raw.execute("UPDATE crisis_tile SET hashes = substr(hashes, 1, 32)")
        assert verify(by=OPERATOR).ok
        assert ["its end was cut off" in flaw.what for flaw in verify(by=OPERATOR, kept=newest.note).flaws] == [True]
