"""The doctor on a live database: silent where every promise holds, and for each promise broken by hand it names the case."""

from __future__ import annotations

# ruff: noqa: S608 - the statements that do harm are written here
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from crisis_engine import doctor
from crisis_engine.doctor import Finding, examine
from crisis_engine.engine import open_engine
from crisis_engine.testing import open_test_engine

from .story import CLASS_TEACHER, COUNSELOR, COUNTY_EXPERT, VICE_PRINCIPAL, City, Story, copy_city

FACTS = "她写下的话谁也不该在这里看见"
UNTIE = ("PRAGMA foreign_keys = OFF", "PRAGMA ignore_check_constraints = ON")
LOOSEN = "DROP TRIGGER crisis_event_kept"


@pytest.fixture
def lives(city: City) -> dict[str, Story]:
    """Three cases: one that nobody took, one that concerns the class teacher, one lowered by two and then excluded by two."""
    city.at("09:00")
    alone = city.report(facts=FACTS, cues=["suicide_words"])
    recused = city.report(subject="stu-41", about_staff=[CLASS_TEACHER], facts=FACTS)
    over = city.report(subject="stu-43", facts=FACTS).reach("planning").meet()
    over.agreed(COUNSELOR, VICE_PRINCIPAL, "lower_risk", risk="yellow", because=FACTS)
    over.act(COUNSELOR, "reassess").assess("yellow").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because=FACTS)
    city.at("11:30").messages()
    return {"alone": alone, "recused": recused, "over": over}


def found(city: City, *, quick: bool = False) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine(city.engine, quick=quick)}


def broken(city: City) -> dict[str, Finding]:
    return {name: finding for name, finding in found(city).items() if not finding.ok}


def harm(city: City, *statements: str) -> None:
    """Change the file past the library, as a careless hand would."""
    with sqlite3.connect(city.url.removeprefix("sqlite:///"), isolation_level=None) as connection:
        for statement in (*UNTIE, *statements):
            connection.execute(statement)
    connection.close()


def test_a_database_that_people_worked_on_keeps_every_promise(city: City, lives: dict[str, Story]) -> None:
    assert len(lives) == 3
    assert broken(city) == {}
    assert {finding.promise for finding in found(city).values()} == set(range(1, 10))


def test_an_empty_database_keeps_every_promise(city: City) -> None:
    assert broken(city) == {}


def test_a_database_in_memory_can_be_examined() -> None:
    with open_test_engine() as (engine, _clock, _channel):
        assert [finding for finding in examine(engine) if not finding.ok] == []


def test_the_findings_come_in_the_order_of_the_promises(city: City) -> None:
    promises = [finding.promise for finding in examine(city.engine)]
    assert promises == sorted(promises)


_ALONE = "(SELECT min(id) FROM crisis_case)"
_RECUSED = "(SELECT case_id FROM crisis_recusal)"
_OVER = "(SELECT id FROM crisis_case WHERE final IS NOT NULL)"
_COPIED = 'case_id, at, kind, "by", second, two, header, commitment, secret, prev, hash, deadline, rung, times'

HARMS: dict[str, tuple[str, ...]] = {
    "clocked": ("DROP TRIGGER crisis_deadline_last_kept", f"UPDATE crisis_deadline SET status = 'dropped' WHERE case_id = {_ALONE}"),
    "next": (f"UPDATE crisis_case SET next_at = next_at + 3600000000 WHERE id = {_ALONE}",),
    "queues": (f"UPDATE crisis_deadline SET role = 'peer' WHERE name = 'acknowledge' AND case_id = {_ALONE}",),
    "standing": (f"UPDATE crisis_case SET clocks = replace(clocks, '\"acknowledge\"', '\"contact\"') WHERE id = {_ALONE}",),
    "pauses": (f"UPDATE crisis_case SET clocks = replace(clocks, ',1]]', ',1,null,0,null,[],1,null,1]]') WHERE id = {_ALONE}",),
    "answered": (f"UPDATE crisis_case SET answers = NULL WHERE id = {_ALONE}",),
    "rungs": (
        "DROP INDEX crisis_event_rung",
        f"INSERT INTO crisis_event (seq, {_COPIED}) SELECT 999, {_COPIED} FROM crisis_event WHERE kind = 'rung_fired' LIMIT 1",
    ),
    "notice_keys": (
        "CREATE TABLE loose AS SELECT * FROM crisis_notice", "DROP TABLE crisis_notice", "ALTER TABLE loose RENAME TO crisis_notice",
        f"INSERT INTO crisis_notice SELECT * FROM crisis_notice WHERE case_id = {_ALONE} LIMIT 1",
    ),
    "recused_holders": (f"INSERT INTO crisis_recusal SELECT id, answers FROM crisis_case WHERE id = {_ALONE}",),
    "gone_holders": ("UPDATE crisis_duty SET ends_at = 0, handed_at = 0 WHERE person = 'p-11'",),
    "endings": (f"UPDATE crisis_case SET ended_second = ended_by WHERE id = {_OVER}",),
    "signers": (LOOSEN, f"UPDATE crisis_event SET second = \"by\" WHERE kind = 'moved' AND two AND case_id = {_OVER}"),
    "lowered": (LOOSEN, f"UPDATE crisis_event SET header = replace(header, '{VICE_PRINCIPAL}', '{COUNSELOR}') WHERE case_id = {_OVER}"),
    "chain": (LOOSEN, f"UPDATE crisis_event SET hash = x'00' WHERE seq = 1 AND case_id = {_ALONE}"),
    "fold": (f"UPDATE crisis_case SET unit = 'xinyang/shihe/no-3/g7/c1' WHERE id = {_ALONE}",),
    "clocks": (f"UPDATE crisis_case SET clocks = replace(clocks, '\"acknowledge\",1', '\"acknowledge\",7') WHERE id = {_ALONE}",),
    "leaks": (f"UPDATE crisis_notice SET people = people || ',{CLASS_TEACHER}' WHERE case_id = {_RECUSED}",),
    "notice_words": (f"UPDATE crisis_notice SET what = 'she cried' WHERE case_id = {_ALONE}",),
    "dead_notices": (f"UPDATE crisis_notice SET status = 'dead' WHERE case_id = {_ALONE}",),
    "unpinned": ("DROP TRIGGER crisis_case_pinned", f"UPDATE crisis_case SET procedure = 'elsewhere' WHERE id = {_ALONE}"),
    "backwards": (LOOSEN, f"UPDATE crisis_event SET at = 0 WHERE seq = 5 AND case_id = {_ALONE}"),
}
OF_WHOM = {"endings": "over", "signers": "over", "lowered": "over", "leaks": "recused"}


@pytest.mark.parametrize("name", HARMS)
def test_a_broken_promise_is_found_with_the_number_of_its_case(city: City, lives: dict[str, Story], name: str) -> None:
    harm(city, *HARMS[name])

    finding = broken(city)[name]

    assert lives[OF_WHOM.get(name, "alone")].number in finding.cases
    assert str(len(finding.cases)) in finding.text_en
    assert str(len(finding.cases)) in finding.text_zh


def test_no_finding_says_a_fact_even_of_a_broken_database(city: City, lives: dict[str, Story]) -> None:
    assert lives
    for statements in HARMS.values():
        for statement in statements:
            try:
                harm(city, statement)
            except sqlite3.Error:
                continue  # an earlier harm took the table or trigger away
    said = " ".join(f"{finding.text_en} {finding.text_zh} {finding.cases}" for finding in examine(city.engine))
    assert FACTS not in said
    assert "stu-4" not in said
    assert CLASS_TEACHER not in said


def test_a_notice_without_a_case_is_found_by_its_key(city: City, lives: dict[str, Story]) -> None:
    harm(city, f"UPDATE crisis_notice SET case_id = 999 WHERE id = (SELECT min(id) FROM crisis_notice WHERE case_id = {_ALONE})")
    (key,) = broken(city)["notice_cases"].cases
    assert key.startswith(lives["alone"].number)


def test_a_changed_procedure_is_found(city: City, lives: dict[str, Story]) -> None:
    assert lives
    harm(city, "UPDATE crisis_definition SET body = replace(body, '10m', '90m')")
    assert "definitions" in broken(city)


def test_a_guardian_of_the_schema_that_somebody_dropped_is_named(city: City) -> None:
    harm(city, LOOSEN, "DROP INDEX crisis_case_sole")
    assert "crisis_event_kept" in broken(city)["guardians"].text_en
    assert "crisis_case_sole" in broken(city)["guardians"].text_en


def test_a_journal_that_may_lose_acknowledged_commands_is_found(city: City, tmp_path: Path) -> None:
    city.engine.close()
    path = tmp_path / "slow.db"
    copy_city(Path(city.url.removeprefix("sqlite:///")), path)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    connection.close()
    with open_engine(f"sqlite:///{path}", clock=city.clock, create=False) as engine:
        settings = next(finding for finding in examine(engine) if finding.name == "settings")
    assert not settings.ok
    assert "delete" in settings.text_en


def test_a_damaged_page_gives_broken_findings_and_no_exception(city: City, lives: dict[str, Story]) -> None:
    assert lives
    city.engine.close()
    path = Path(city.url.removeprefix("sqlite:///"))
    with sqlite3.connect(path) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'crisis_notice'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    names = set(broken(city))
    assert "file" in names
    assert "notice_words" in names  # could not be checked, and says so


def test_what_is_due_for_more_than_five_minutes_is_found_and_a_minute_is_not(city: City, lives: dict[str, Story]) -> None:
    due = city.engine.sweep().next_at
    assert due is not None
    city.clock.set(due)
    city.skip(minutes=1)
    assert "unfired" not in broken(city)
    city.skip(minutes=5)
    assert len(broken(city)["unfired"].cases) == 1
    assert broken(city)["unfired"].cases[0] in {life.number for life in lives.values()}


def test_a_notice_that_nobody_delivers_is_found_outside_a_sandbox_and_told_inside(city: City) -> None:
    story = city.at("09:00").report()
    city.at("09:06")
    assert found(city)["undelivered"].ok
    assert "sandbox" in found(city)["undelivered"].text_en
    harm(city, "DELETE FROM crisis_meta WHERE name = 'sandbox'")
    assert broken(city)["undelivered"].cases == (story.number,)
    city.messages()
    assert "undelivered" not in broken(city)


def test_a_sweep_that_stopped_is_found_and_a_gap_that_was_caught_up_is_told(city: City) -> None:
    harm(city, "DELETE FROM crisis_meta WHERE name = 'sandbox'")
    city.at("09:00").report()
    city.sweep()
    city.skip(minutes=11)
    assert not found(city)["sweeps"].ok
    assert "2026-03-02 09:00" in found(city)["sweeps"].text_zh
    city.skip(minutes=30).sweep()
    assert found(city)["sweeps"].ok
    assert "from 2026-03-02 09:00 to 2026-03-02 09:41" in found(city)["sweeps"].text_en


def test_a_delivery_to_somebody_after_the_recusal_is_found(city: City) -> None:
    """The notice was owed before; what counts is when it arrived."""
    story = city.at("09:00").report()
    city.messages()
    city.wait(minutes=1)
    story.act(COUNSELOR, "exclude_person", person=[CLASS_TEACHER], because="回避")
    city.messages()
    assert "leaks" not in broken(city)
    harm(city, f"UPDATE crisis_delivery SET at = at + 600000000 WHERE person = '{CLASS_TEACHER}'")
    assert broken(city)["leaks"].cases == (story.number,)


def test_nobody_answering_up_to_the_city_is_no_broken_promise_once_the_terminal_alarm_was_raised(city: City) -> None:
    story = city.at("09:00").report()
    for unit in ("xinyang/shihe", "xinyang"):
        for duty in city.engine.roster(unit, subjects=False)["duties"]:
            if duty["unit"] == unit and duty["role"] not in {"city_leading_group", "operator"}:
                city.engine.end_duty(role=duty["role"], unit=unit, person=duty["person"], by="p-9")
    city.at("18:00").messages()
    assert story.answers is None
    assert "answered" not in broken(city)
    assert COUNTY_EXPERT not in {clock.holder for clock in story.case.clocks}


def test_the_quick_examination_looks_at_a_sample(city: City, lives: dict[str, Story], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SAMPLE", 1)
    assert len(lives) == 3
    assert " 1 cases" in found(city, quick=True)["fold"].text_en
    assert " 3 cases" in found(city)["fold"].text_en


def test_a_finding_names_a_few_cases_and_counts_all(city: City, lives: dict[str, Story], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MOST_NUMBERS", 1)
    assert len(lives) == 3
    harm(city, "UPDATE crisis_case SET unit = 'xinyang/shihe/no-3/g7/c1'", "UPDATE crisis_case SET next_at = 1 WHERE final IS NULL")
    assert (len(broken(city)["fold"].cases), broken(city)["fold"].text_en[:16]) == (1, "The log of 3 of ")
    assert (len(broken(city)["next"].cases), broken(city)["next"].text_en[:2]) == (1, "2 ")


def test_the_doctor_writes_nothing(city: City, lives: dict[str, Story]) -> None:
    assert lives
    before = list(_rows(city))
    examine(city.engine)
    examine(city.engine, quick=True)
    assert list(_rows(city)) == before


def _rows(city: City) -> Iterator[str]:
    connection = sqlite3.connect(city.url.removeprefix("sqlite:///"))
    yield from connection.iterdump()
    connection.close()
