"""Forgetting: two people or nobody, nothing under hold, what is erased never comes back, and the chain stays whole."""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crisis_engine import (
    BadInput,
    CommandRejected,
    CrisisError,
    DefinitionError,
    Engine,
    NotAllowed,
    NotFound,
    ProofFailed,
    StoreError,
    open_engine,
)
from crisis_engine.cli import main
from crisis_engine.core.model import Duty, Subject
from crisis_engine.core.retention import KEPT
from crisis_engine.definitions import load_retention
from crisis_engine.example import example_roster
from crisis_engine.roster import RosterSet
from crisis_engine.store.read_log import ReadEntry
from crisis_engine.testing import SettableClock

from .story import (
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    PARENT,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
    copy_city,
)

ONE, OTHER, THIRD = "p-51", "p-3", "p-1"
WHY = "the term is over"
FACTS = "a secret that must go"
LATER = timedelta(days=3700)


@pytest.fixture
def closed(city: City) -> Story:
    """Return a case of stu-42 that was excluded, which closes it."""
    story = city.report(facts=FACTS)
    story.act(CLASS_TEACHER, "acknowledge").act(COUNSELOR, "start_assessment").assess("blue", ideation="no")
    story.agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="no danger was found")
    assert not story.case.open
    return story


def child_of(engine: Engine, ref: str = "stu-42") -> Subject:
    with engine.store.reading() as tx:
        child = tx.subject(ref)
    assert child is not None
    return child


def erase(engine: Engine, kind: str, ref: str | None = None) -> dict[str, Any]:
    return engine.confirm_erasure(engine.propose_erasure(kind, ref, because=WHY, by=ONE), by=OTHER)


def path_of(city: City) -> Path:
    return Path(city.url.removeprefix("sqlite:///"))


def keys(engine: Engine, kind: str, ref: str) -> int:
    with engine.store.reading() as tx:
        sql = "SELECT count(*) FROM crisis_data_key WHERE kind = ? AND ref = ?"
        return int(tx.connection.exec_driver_sql(sql, (kind, ref)).scalar() or 0)


# ---- terms ----------------------------------------------------------------------------------------------------------------------


def test_the_shipped_terms_say_where_they_come_from() -> None:
    terms = load_retention()
    assert tuple(terms.keeps) == KEPT
    assert all(keep.source and keep.mark in "VTBD" for keep in terms.keeps.values())


@pytest.mark.parametrize(("text", "says"), [
    ('[keep.case]\nfor = "1d"\nsource = "x"', "without source and mark"),
    ('[keep.case]\nfor = "3wd"\nsource = "x"\nmark = "D"', "wall clock"),
    ('[keep.case]\nfor = "1d"\nsource = "x"\nmark = "D"\nextra = 1', "not known"),
    ("", "keep"),
])
def test_a_term_without_source_or_in_another_unit_is_refused_with_its_key(text: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "retention_v9.toml"
    path.write_text(f'format = 1\nname = "retention"\nversion = 9\n{text}\n', encoding="utf-8")
    with pytest.raises(DefinitionError, match=says):
        load_retention(str(path))


def test_what_is_due_is_told_as_numbers_alone(city: City, closed: Story) -> None:
    assert city.engine.erasures_due(by=ONE)["cases"] == []
    child = child_of(city.engine)
    city.clock.advance(LATER)
    due = city.engine.erasures_due(by=ONE)
    assert due["cases"] == [closed.number]
    assert child.id not in due["subjects"], "as long as the case is kept, it is known whose it is"
    assert child_of(city.engine, "stu-41").id in due["subjects"]
    assert due["receipts"] == 1
    assert "stu-4" not in json.dumps(due)
    assert FACTS not in json.dumps(due)
    erase(city.engine, "case", closed.number)
    assert child.id in city.engine.erasures_due(by=ONE)["subjects"]


# ---- two people, no hold --------------------------------------------------------------------------------------------------------


def test_a_case_is_erased_by_two_people_and_its_chain_counts_and_history_stay(city: City, closed: Story) -> None:
    engine = city.engine
    with engine.store.reading() as tx:
        before, heads = tx.counts(), [record.hash for record in tx.records(closed.number)]
    assert FACTS in str(engine.history(closed.number, by=CLASS_TEACHER))

    done = erase(engine, "case", closed.number)

    assert (done["by"], done["second"]) == (ONE, OTHER)
    told = engine.history(closed.number, by=CLASS_TEACHER)
    assert FACTS not in str(told)
    assert told[-1] == {"seq": closed.case.version, "at": done["erased_at"], "by": ONE, "kind": "erased", "second": OTHER}
    with engine.store.reading() as tx:
        assert list(tx.verify()) == []
        assert [record.hash for record in tx.records(closed.number)] == heads
        assert tx.counts() == before | {"receipts": 0}
    assert keys(engine, "case", closed.number) == 0
    assert engine.case(closed.number, by=CLASS_TEACHER).final
    with pytest.raises(CommandRejected, match="erased already"):
        engine.propose_erasure("case", closed.number, because=WHY, by=ONE)


def test_an_erased_case_is_neither_reopened_nor_read_behind_broken_glass(city: City, closed: Story) -> None:
    """Its file would have to be begun anew, under a key that nobody erases any more: a new word opens a new case."""
    erase(city.engine, "case", closed.number)
    closed.refused(CommandRejected, COUNSELOR, "reopen", because="a new word")
    assert "erased" in str(closed.moves(COUNSELOR)["reopen"].why_not)
    with pytest.raises(CommandRejected, match="erased already"):
        city.engine.break_glass(closed.number, by=CLASS_TEACHER, because="I must know")
    assert keys(city.engine, "case", closed.number) == 0
    assert city.report(facts="a new word").number != closed.number


def test_who_read_an_erased_case_is_still_told_and_reasons_from_before_are_gone(city: City, closed: Story) -> None:
    engine = city.engine
    engine.case(closed.number, by=COUNSELOR, why="what was erased")
    erase(engine, "case", closed.number)
    city.clock.advance(timedelta(minutes=1))
    engine.case(closed.number, by=COUNSELOR, why="what came later")
    assert keys(engine, "case", closed.number) == 0
    for told in (engine.reads(closed.number, by=PRINCIPAL), engine.own_reads(by=COUNSELOR)):
        assert [str(one.why) for one in told if one.what == "case"] == ["what came later", ""]
    assert engine.export_subject("stu-42", by=PRINCIPAL)["cases"]


def test_whoever_answers_a_proposal_that_is_not_theirs_does_not_learn_which_case_it_is(city: City) -> None:
    """A proposal's number is small and can be guessed: what it is about must not be told by a refusal."""
    story = city.report(facts=FACTS, about_staff=["p-36"])
    story.act(CLASS_TEACHER, "acknowledge").act(COUNSELOR, "start_assessment").assess("blue", ideation="no")
    story.agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="no danger was found")
    proposal = city.engine.propose_erasure("case", story.number, because=WHY, by=ONE)
    for answer in (city.engine.confirm_erasure, city.engine.decline_erasure):
        for stranger in (PEER, CLASS_TEACHER, PARENT):
            with pytest.raises(NotAllowed) as refused:
                answer(proposal, by=stranger)
            assert story.number not in str(refused.value)
        with pytest.raises(NotFound) as concerned:
            answer(proposal, by="p-36")
        with pytest.raises(NotFound) as unknown:
            answer(99, by="p-36")
        assert str(concerned.value) == str(unknown.value)


def test_a_child_is_erased_with_its_guardians_and_its_cases_keep_a_key_that_leads_nowhere(city: City, closed: Story) -> None:
    engine, child = city.engine, child_of(city.engine)
    guardians = [guardian.id for guardian in example_roster().guardians if guardian.subject == "stu-42"]
    assert guardians
    erase(engine, "subject", "stu-42")
    with engine.store.reading() as tx:
        assert [tx.subject("stu-42"), tx.subject_by_id(child.id), tx.guardian(guardians[0])] == [None] * 3
        assert list(tx.verify()) == []
    assert closed.case.subject == child.id
    assert engine.case(closed.number, by=CLASS_TEACHER).subject is None
    engine.import_roster(example_roster())
    assert child_of(engine).id != child.id, "who comes back begins anew"


def test_old_receipts_and_the_old_read_log_go_and_younger_ones_stay(city: City, closed: Story) -> None:
    engine = city.engine
    with engine.store.writing() as tx:
        tx.log_read(ReadEntry("p-11", "case.read", closed.number, city.clock()))
    city.clock.advance(LATER)
    with engine.store.writing() as tx:
        tx.log_read(ReadEntry("p-11", "case.read", closed.number, city.clock()))
    due = engine.erasures_due(by=ONE)
    assert due["receipts"] == 1
    assert due["reads"] > 1, "the acts of the case showed assessment and plan"
    erase(engine, "receipts")
    erase(engine, "reads")
    assert (engine.erasures_due(by=ONE)["receipts"], engine.erasures_due(by=ONE)["reads"]) == (0, 0)
    with engine.store.reading() as tx:
        assert len(tx.reads_of(closed.number, 9)) == 1


def _signed(kind: str, ref: str, by: str, second: str) -> str:
    columns = "kind, ref, because, proposed_by, proposed_at, confirmed_by, confirmed_at"
    return f"INSERT INTO crisis_erasure ({columns}) VALUES ('{kind}', '{ref}', x'', '{by}', 1, '{second}', 1)"  # noqa: S608 (our own)


def test_one_person_cannot_erase_neither_by_the_engine_nor_by_plain_sql(city: City, closed: Story) -> None:
    engine = city.engine
    proposal = engine.propose_erasure("case", closed.number, because=WHY, by=ONE)
    with pytest.raises(NotAllowed, match="no running duty"):
        engine.confirm_erasure(proposal, by=ONE)
    engine.import_roster(RosterSet(duties=(Duty("city_officer", "xinyang", ONE),)))   # who may do both still needs another person
    with pytest.raises(NotAllowed, match="does not confirm"):
        engine.confirm_erasure(proposal, by=ONE)
    with pytest.raises(NotAllowed):
        engine.confirm_erasure(proposal, by=CLASS_TEACHER)
    with pytest.raises(CommandRejected, match="proposed already"):
        engine.propose_erasure("case", closed.number, because=WHY, by=ONE)
    with sqlite3.connect(path_of(city), isolation_level=None) as db:
        for sql in (
            "UPDATE crisis_erasure SET confirmed_by = 'p-51', confirmed_at = 1",
            "UPDATE crisis_erasure SET confirmed_by = '', confirmed_at = 1",
            _signed("case", closed.number, "p-1", "p-1"),
            "DELETE FROM crisis_data_key WHERE kind = 'case'", "DELETE FROM crisis_data_key WHERE kind = 'staff'",
            "DELETE FROM crisis_subject", "DELETE FROM crisis_data_key",
        ):
            with pytest.raises(sqlite3.IntegrityError):
                db.execute(sql)
    db.close()
    assert keys(engine, "case", closed.number) == 1


def test_nothing_is_erased_under_hold_neither_by_the_engine_nor_by_plain_sql(city: City, closed: Story) -> None:
    engine, child = city.engine, child_of(city.engine)
    for kind, ref in (("case", closed.number), ("subject", "stu-42")):
        proposals = [engine.propose_erasure("case", closed.number, because=WHY, by=ONE),
                     engine.propose_erasure("subject", "stu-42", because=WHY, by=ONE)]
        engine.place_hold(kind, ref, because="a court asks", by=ONE)
        for proposal in proposals:
            with pytest.raises(CommandRejected, match="legal hold"):
                engine.confirm_erasure(proposal, by=OTHER)
        with engine.store.writing() as tx, pytest.raises(ProofFailed, match="legal hold"):
            tx.erase(proposals[0], OTHER, city.clock())
        with sqlite3.connect(path_of(city), isolation_level=None) as db:
            for sql in (
                "UPDATE crisis_erasure SET confirmed_by = 'p-3', confirmed_at = 1",
                _signed("subject", child.id, "p-1", "p-2"),
                "DELETE FROM crisis_hold", "DELETE FROM crisis_receipt",
            ):
                with pytest.raises(sqlite3.IntegrityError):
                    db.execute(sql)
        db.close()
        city.clock.advance(LATER)
        due = engine.erasures_due(by=ONE)
        assert closed.number not in due["cases"]
        assert child.id not in due["subjects"]
        assert due["receipts"] == 0
        assert [(hold["kind"], hold["because"]) for hold in due["held"]] == [(kind, "a court asks")]
        with pytest.raises(CommandRejected, match="already"):
            engine.place_hold(kind, ref, because="again", by=OTHER)
        engine.lift_hold(kind, ref, by=OTHER)
        with pytest.raises(NotFound):
            engine.lift_hold(kind, ref, by=OTHER)
        for proposal in proposals:
            engine.decline_erasure(proposal, by=OTHER)
    erase(engine, "case", closed.number)


def test_what_is_open_or_moved_since_is_not_erased(city: City) -> None:
    story = city.report(facts=FACTS)
    for kind, ref in (("case", story.number), ("subject", "stu-42")):
        with pytest.raises(CommandRejected, match="open"):
            city.engine.propose_erasure(kind, ref, because=WHY, by=ONE)
    proposal = city.engine.propose_erasure("subject", "stu-41", because=WHY, by=ONE)
    city.report(subject="stu-41")
    with pytest.raises(CommandRejected, match="open case"):
        city.engine.confirm_erasure(proposal, by=OTHER)


def test_bad_input_is_said(city: City, closed: Story) -> None:
    engine = city.engine
    for call, error in (
        (lambda: engine.propose_erasure("case", closed.number, because=" ", by=ONE), BadInput),
        (lambda: engine.propose_erasure("person", "p-11", because=WHY, by=ONE), BadInput),
        (lambda: engine.propose_erasure("subject", "nobody", because=WHY, by=ONE), NotFound),
        (lambda: engine.propose_erasure("case", "AAA-AAA-AAA", because=WHY, by=ONE), NotFound),
        (lambda: engine.propose_erasure("case", closed.number, because=WHY, by=CLASS_TEACHER), NotAllowed),
        (lambda: engine.confirm_erasure(99, by=OTHER), NotFound),
        (lambda: engine.place_hold("case", closed.number, because="", by=ONE), BadInput),
        (lambda: engine.export_subject("stu-42", by=CLASS_TEACHER), NotAllowed),
    ):
        with pytest.raises(error):
            call()


STEPS = st.lists(st.tuples(
    st.sampled_from(("propose", "confirm", "decline", "hold", "lift")), st.sampled_from((ONE, OTHER, THIRD)),
    st.sampled_from(("case", "subject")),
), min_size=4, max_size=14)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_no_sequence_of_calls_erases_with_one_person_or_under_hold(
    steps: list[tuple[str, str, str]], city_template: Path, tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("forget") / "city.db"
    copy_city(city_template, path)
    with open_engine(f"sqlite:///{path}", clock=SettableClock()) as engine:
        city = City(engine, SettableClock(), None, f"sqlite:///{path}")  # type: ignore[arg-type]
        story = city.report(facts=FACTS)
        story.act(CLASS_TEACHER, "acknowledge").act(COUNSELOR, "start_assessment").assess("blue", ideation="no")
        story.agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="no danger was found")
        refs = {"case": story.number, "subject": child_of(engine).id}
        proposed: dict[str, tuple[int, str]] = {}
        holds: set[str] = set()
        there = {"case": 1, "subject": 1}
        for what, by, kind in steps:
            was_held = bool(holds)     # a hold on the child keeps the case, a hold on the case keeps the child
            proposal = proposed.get(kind)
            try:
                if what == "propose":
                    proposed[kind] = engine.propose_erasure(kind, refs[kind], because=WHY, by=by), by
                elif what == "confirm" and proposal is not None:
                    engine.confirm_erasure(proposal[0], by=by)
                    del proposed[kind]
                elif what == "decline" and proposal is not None:
                    engine.decline_erasure(proposal[0], by=by)
                    del proposed[kind]
                elif what == "hold":
                    engine.place_hold(kind, refs[kind], because=WHY, by=by)
                    holds.add(kind)
                elif what == "lift":
                    engine.lift_hold(kind, refs[kind], by=by)
                    holds.discard(kind)
            except CrisisError:
                assert (keys(engine, "case", refs["case"]), keys(engine, "subject", refs["subject"])) == tuple(there.values())
                continue
            now = {name: keys(engine, name, refs[name]) for name in there}
            for name, before in there.items():
                if now[name] < before:
                    assert what == "confirm"
                    assert not was_held
                    assert proposal is not None
                    assert proposal[1] != by
            there = now
        with engine.store.reading() as tx:
            assert list(tx.verify()) == []
    shutil.rmtree(path.parent)


# ---- the ledger -----------------------------------------------------------------------------------------------------------------


def backup(city: City, to: Path) -> None:
    with sqlite3.connect(path_of(city)) as source, sqlite3.connect(to) as copy:
        source.backup(copy)
    source.close()
    copy.close()


def restore(city: City, copy: Path) -> None:
    city.engine.close()
    for end in ("-wal", "-shm"):
        Path(f"{path_of(city)}{end}").unlink(missing_ok=True)
    shutil.copy(copy, path_of(city))


@pytest.mark.parametrize("create", [True, False])
def test_a_restored_backup_forgets_again_before_anything_is_read(
    city: City, closed: Story, tmp_path: Path, create: bool,  # noqa: FBT001 (a parameter)
) -> None:
    child = child_of(city.engine)
    city.engine.place_hold("subject", "stu-41", because="before the backup", by=ONE)
    backup(city, tmp_path / "backup.db")
    erase(city.engine, "case", closed.number)
    erase(city.engine, "subject", "stu-42")
    city.engine.lift_hold("subject", "stu-41", by=OTHER)
    other = child_of(city.engine, "stu-41").id
    city.engine.propose_erasure("subject", "stu-31", because=WHY, by=ONE)
    city.engine.place_hold("subject", "stu-31", because="after the backup", by=ONE)
    restore(city, tmp_path / "backup.db")

    with open_engine(city.url, clock=city.clock, create=create) as engine:
        assert FACTS not in str(engine.history(closed.number, by=CLASS_TEACHER))
        assert keys(engine, "case", closed.number) == keys(engine, "subject", child.id) == 0
        with engine.store.reading() as tx:
            assert tx.subject_by_id(child.id) is None
            assert list(tx.verify()) == []
            erased = tx.erased("case", closed.number)
            assert erased is not None
            assert (erased.proposed_by, erased.confirmed_by) == (ONE, OTHER)
            assert [hold.ref for hold in tx.holds()] == [child_of(engine, "stu-31").id], "holds outlive a restored backup as well"
        assert engine.replay_shreds() == {"lines": 5, "replayed": 0}
        erase(engine, "subject", "stu-41")
        assert keys(engine, "subject", other) == 0
    assert FACTS.encode() not in path_of(city).read_bytes()


def test_an_erasure_is_in_the_ledger_before_it_is_in_the_database(city: City, closed: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = city.engine
    proposal = engine.propose_erasure("case", closed.number, because=WHY, by=ONE)
    with engine.store.writing() as tx:
        cls = type(tx)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cls, "_set_head", power_cut)
        with pytest.raises(KeyboardInterrupt):
            engine.confirm_erasure(proposal, by=OTHER)
    assert keys(engine, "case", closed.number) == 1
    engine.close()
    with open_engine(city.url, clock=city.clock) as again:
        assert keys(again, "case", closed.number) == 0


def test_a_ledger_that_cannot_be_written_or_is_broken_erases_nothing(city: City, closed: Story) -> None:
    engine = city.engine
    ledger = Path(f"{path_of(city)}.shreds")
    proposal = engine.propose_erasure("case", closed.number, because=WHY, by=ONE)
    ledger.mkdir()
    with pytest.raises(StoreError, match="ledger cannot be"):
        engine.confirm_erasure(proposal, by=OTHER)
    ledger.rmdir()
    engine.place_hold("subject", "stu-41", because="x", by=ONE)
    engine.place_hold("subject", "stu-31", because="x", by=ONE)
    lines = ledger.read_bytes().split(b"\n")
    ledger.write_bytes(b"\n".join([lines[0].replace(b"p-51", b"p-52"), *lines[1:]]))
    with pytest.raises(StoreError, match="broken at line 2"):
        engine.confirm_erasure(proposal, by=OTHER)
    with pytest.raises(ProofFailed, match="line 2"):
        engine.replay_shreds()
    assert keys(engine, "case", closed.number) == 1
    ledger.write_bytes(b"\n".join(lines)[:-9])           # the machine stopped in the middle of the last line
    assert engine.replay_shreds()["lines"] == 1
    engine.confirm_erasure(proposal, by=OTHER)
    assert [json.loads(line)["what"] for line in ledger.read_text(encoding="utf-8").splitlines()] == ["held", "erased"]


def test_a_database_in_memory_forgets_without_a_ledger() -> None:
    with open_engine("sqlite://", clock=SettableClock()) as engine:
        engine.import_roster(example_roster())
        child = child_of(engine)
        erase(engine, "subject", "stu-42")
        assert keys(engine, "subject", child.id) == 0
        assert engine.replay_shreds() == {"lines": 0, "replayed": 0}


def test_a_host_cannot_erase_inside_a_transaction_that_it_may_undo(city: City, closed: Story) -> None:
    import sqlalchemy as sa

    proposal = city.engine.propose_erasure("case", closed.number, because=WHY, by=ONE)
    host = sa.create_engine(city.url)
    with host.begin() as connection, city.engine.join(connection) as joined, pytest.raises(BadInput, match="host's transaction"):
        joined.confirm_erasure(proposal, by=OTHER)
    host.dispose()


def test_a_hold_that_a_host_rolled_back_would_stand_in_the_ledger_so_it_is_refused_there(city: City, closed: Story) -> None:
    import sqlalchemy as sa

    city.engine.place_hold("case", closed.number, because="a court asks", by=OTHER)
    host = sa.create_engine(city.url)
    with host.connect() as connection, city.engine.join(connection) as joined:
        for call in (
            lambda: joined.lift_hold("case", closed.number, by=OTHER),
            lambda: joined.place_hold("subject", "stu-42", because="a court asks", by=OTHER), lambda: joined.rotate_key(by=ONE),
        ):
            with pytest.raises(BadInput, match="host's transaction"):
                call()
    host.dispose()
    with open_engine(city.url, clock=city.clock) as again, pytest.raises(CommandRejected, match="hold"):
        again.propose_erasure("case", closed.number, because=WHY, by=ONE)


def test_nothing_of_what_was_erased_stays_in_the_files(city: City, closed: Story) -> None:
    with sqlite3.connect(path_of(city)) as db:
        wrapped = [bytes(row[0]) for row in db.execute("SELECT wrapped FROM crisis_data_key WHERE kind = 'case'")]
        envelopes = [bytes(row[0]) for row in db.execute("SELECT secret FROM crisis_event WHERE secret IS NOT NULL")]
    db.close()
    erase(city.engine, "case", closed.number)
    for file, part in itertools.product(path_of(city).parent.iterdir(), [*wrapped, *envelopes]):
        assert part not in file.read_bytes(), file.name


# ---- the right of access --------------------------------------------------------------------------------------------------------


def test_an_export_holds_what_is_kept_on_one_child_and_nothing_of_others(city: City, closed: Story, tmp_path: Path,
                                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    other = city.report(subject="stu-41", facts="what another child did")
    city.engine.import_roster(RosterSet(subjects=(Subject("", "stu-42", "xinyang/shihe/no-3/g7/c2", "示例甲"),)))
    with city.engine.store.writing() as tx:
        tx.log_read(ReadEntry("p-101", "case.read", closed.number, city.clock()))
    found = city.engine.export_subject("stu-42", by=LAW_VICE_PRINCIPAL)
    assert found["subject"] == {"id": "stu-42", "name": "示例甲", "unit": "xinyang/shihe/no-3/g7/c2"}
    assert [case["number"] for case in found["cases"]] == [closed.number]
    assert FACTS in json.dumps(found)
    assert found["guardians"]
    assert found["cases"][0]["reads"][0]["who"] == "p-101"
    assert [entry.what for entry in city.engine.own_reads(by=LAW_VICE_PRINCIPAL)] == ["subject.export"]
    for hidden in ("what another child did", "stu-41", other.number, "p-71"):
        assert hidden not in json.dumps(found, ensure_ascii=False), hidden

    city.engine.close()
    monkeypatch.setenv("CRISIS_NOW", city.clock().isoformat())
    out = tmp_path / "child.zip"
    assert main(["forget", "export", "stu-42", "--out", str(out), "--as", LAW_VICE_PRINCIPAL, "--db", city.url]) == 0
    assert out.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(out) as archive:
        assert sorted(archive.namelist()) == ["data.json", "en.txt", "zh.txt"]
        for name in archive.namelist():
            text = archive.read(name).decode()
            assert FACTS in text
            assert "p-71" not in text
    assert main(["forget", "export", "stu-42", "--out", str(out), "--as", LAW_VICE_PRINCIPAL, "--db", city.url]) == 2


def test_an_export_says_what_was_erased(city: City, closed: Story) -> None:
    done = erase(city.engine, "case", closed.number)
    found = city.engine.export_subject("stu-42", by=LAW_VICE_PRINCIPAL)
    assert found["cases"][0]["erased_at"] == done["erased_at"]
    assert FACTS not in json.dumps(found)


def test_an_export_shows_no_more_than_its_maker_may_read(city: City) -> None:
    """The right of access is no way round the tiers, nor to a case of which the county was not told."""
    case = city.report(facts=FACTS).reach("intervening", "red").act(COUNSELOR, "note", text="咨询内容一二三")
    untold = city.report(subject="stu-41", facts="too early for the county")
    shown = {}
    for by in (LAW_VICE_PRINCIPAL, PRINCIPAL, COUNTY_OFFICER, CITY_OFFICER):
        found = city.engine.export_subject("stu-42", by=by)
        shown[by] = [("咨询内容" in json.dumps(one, ensure_ascii=False), one["left_out"] > 1)    # one: to what the case is linked
                     for one in found["cases"] if one["number"] == case.number]
    assert shown == {LAW_VICE_PRINCIPAL: [(True, False)], PRINCIPAL: [(False, True)], COUNTY_OFFICER: [(False, True)], CITY_OFFICER: []}
    assert city.engine.export_subject("stu-41", by=COUNTY_OFFICER)["cases"] == []
    assert [one["number"] for one in city.engine.export_subject("stu-41", by=PRINCIPAL)["cases"]] == [untold.number]
    with pytest.raises(NotAllowed):
        city.engine.export_subject("stu-42", by=ONE)
    assert [(one.what, one.number) for one in city.engine.own_reads(by=COUNTY_OFFICER)] == [
        ("subject.export", None), ("subject.export", case.number)]
