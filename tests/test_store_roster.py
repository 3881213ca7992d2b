"""The roster, the outbox and the house's notes in the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from crisis_engine.core.calendar import Calendar, Vacation
from crisis_engine.core.errors import CrisisError, NotFound, ProofFailed, StaleVersion
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Absence, Duty, Guardian, Person, Subject, Unit
from crisis_engine.store import Store
from crisis_engine.store.read_log import ReadEntry
from crisis_engine.store.roster import EndedPresence
from tests.test_store import NOW, SCHOOL, Roster, at, grown, opening, put

UNITS = (
    Unit("ganzhou-invented", "city", "虚构市", None),
    Unit(SCHOOL, "school", "虚构三中", "ganzhou-invented/east", NOW, None, "17:30", "default_v1"),
    Unit(f"{SCHOOL}/g7", "grade", "七年级", SCHOOL),
    Unit(f"{SCHOOL}-annex", "school", "虚构三中分校", "ganzhou-invented/east", NOW, at(9000)),
)
DUTIES = (
    Duty("counselor", SCHOOL, "p-2", rank=2),
    Duty("counselor", SCHOOL, "p-11", NOW, at(100), hours="mon-fri 08:00-18:00", on_call=True),
    Duty("grade_head", f"{SCHOOL}/g7", "p-5"),
)
SUBJECT = Subject("key-1", "stu-1", f"{SCHOOL}/g7/c1", "虚构甲")
GUARDIAN = Guardian("g-1", "stu-1", "虚构乙", "mailto:g1@example.invalid")
WHOLE = Roster(units=UNITS, persons=(Person("p-11", "虚构丙", "mailto:p11@example.invalid"),), duties=DUTIES,
               absences=(Absence("p-5", at(10), at(20)),), subjects=(SUBJECT,), guardians=(GUARDIAN,))


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    """A database in memory or on a server with the invented roster."""
    opened = Store.open("sqlite://" if request.param == "sqlite" else request.getfixturevalue("postgres_bare"))
    with opened.writing() as tx:
        assert tx.import_roster(WHOLE) == {
            "units": 4, "persons": 1, "duties": 3, "absences": 1, "subjects": 1, "guardians": 1, "agreements": 0,
        }
    yield opened
    opened.close()


def test_a_roster_comes_back_as_it_was_imported(store: Store) -> None:
    with store.reading() as tx:
        assert tx.units([SCHOOL, f"{SCHOOL}-annex", "nowhere"]) == {SCHOOL: UNITS[1], f"{SCHOOL}-annex": UNITS[3]}
        assert tx.duties_at([SCHOOL, "nowhere"]) == {SCHOOL: (DUTIES[1], DUTIES[0])}
        assert tx.duties_of("p-5") == [DUTIES[2]]
        assert tx.absences_of(["p-5", "p-2"]) == {"p-5": (Absence("p-5", at(10), at(20)),)}
        assert tx.absences() == [Absence("p-5", at(10), at(20))]
        assert tx.person("p-11") == Person("p-11", "虚构丙", "mailto:p11@example.invalid")
        assert tx.subject("stu-1") == tx.subject_by_id("key-1") == SUBJECT
        assert tx.guardian("g-1") == GUARDIAN
        assert tx.guardians_of("stu-1") == [GUARDIAN]
        assert [tx.person("nobody"), tx.subject("nobody"), tx.subject_by_id("nobody"), tx.guardian("nobody")] == [None] * 4
        assert tx.guardians_of("nobody") == []


def test_what_lies_under_a_unit_does_not_hold_its_namesake_neighbour(store: Store) -> None:
    with store.reading() as tx:
        assert [unit.id for unit in tx.units_under(SCHOOL)] == [SCHOOL, f"{SCHOOL}/g7"]
        assert len(tx.units_under()) == 4
        assert tx.duties_under(f"{SCHOOL}/g7") == [DUTIES[2]]
        assert len(tx.duties_under()) == 3
        assert list(tx.subjects_under(SCHOOL)) == list(tx.subjects_under()) == [SUBJECT]
        assert list(tx.subjects_under(f"{SCHOOL}-annex")) == []


def test_a_duty_ends_with_its_unit_or_one_above_it_and_not_with_a_neighbour(store: Store) -> None:
    annex = Duty("counselor", f"{SCHOOL}-annex", "p-2")
    with store.writing() as tx:
        tx.import_roster(Roster(duties=(annex,)))     # a file that knows nothing of the end
        assert tx.duties_at([annex.unit])[annex.unit] == (replace(annex, ends_at=at(9000)),)
        tx.import_roster(Roster(units=(replace(UNITS[1], ends_at=at(90)),)))
        assert tx.duties_at([SCHOOL])[SCHOOL] == (replace(DUTIES[1], ends_at=at(90)), replace(DUTIES[0], ends_at=at(90)))
        assert tx.duties_of("p-5") == [replace(DUTIES[2], ends_at=at(90))]
        assert tx.duties_at([annex.unit])[annex.unit] == (replace(annex, ends_at=at(9000)),)


def test_a_second_import_brings_up_to_date_and_keeps_the_childs_random_key(store: Store) -> None:
    with store.writing() as tx:
        version = tx.roster_version()
        tx.import_roster(WHOLE)
        tx.import_roster(Roster(subjects=(Subject("", "stu-1", SCHOOL, "虚构丁"), Subject("", "stu-2", SCHOOL)),
                                duties=(Duty("grade_head", f"{SCHOOL}/g7", "p-5", rank=3),), persons=(Person("p-11", "新名"),)))
        assert tx.subject("stu-1") == Subject("key-1", "stu-1", SCHOOL, "虚构丁")
        second = tx.subject("stu-2")
        assert second is not None
        assert len(second.id) == 16
        assert tx.duties_of("p-5") == [Duty("grade_head", f"{SCHOOL}/g7", "p-5", rank=3)]
        assert tx.person("p-11") == Person("p-11", "新名")
        assert tx.roster_version() > version
        counts = tx.counts()
    assert (counts["units"], counts["duties"], counts["subjects"], counts["guardians"]) == (4, 3, 2, 1)


def test_an_import_that_fails_leaves_the_roster_as_it_was(store: Store) -> None:
    with store.writing() as tx:
        version = tx.roster_version()
        with pytest.raises(Exception, match="crisis_unit_kind"):
            tx.import_roster(Roster(units=(Unit("a", "city", "A", None), Unit("b", "planet", "B", None))))
        assert tx.units(["a"]) == {}
        assert tx.roster_version() == version


def test_presences_that_ended_are_handed_over_once(store: Store) -> None:
    with store.writing() as tx:
        assert tx.next_presence_end() == at(10)
        assert tx.ended_presences(at(9), 9) == []
        assert [(kind, person) for kind, _, person in tx.ended_presences(at(100), 9)] == [("absence", "p-5"), ("duty", "p-11")]
        assert len(tx.ended_presences(at(100), 1)) == 1
        tx.mark_handed(tx.ended_presences(at(10), 9), at(10))
        assert tx.next_presence_end() == at(100)
        tx.mark_handed(tx.ended_presences(at(100), 9), at(100))
        assert tx.ended_presences(at(999), 9) == []
        assert tx.next_presence_end() is None
        tx.import_roster(WHOLE)
        assert tx.ended_presences(at(999), 9) == [], "the same roster again is no new end"


def test_an_end_that_moves_is_handed_over_anew(store: Store) -> None:
    with store.writing() as tx:
        tx.mark_handed(tx.ended_presences(at(100), 9), at(100))
        assert tx.end_duty("counselor", SCHOOL, "p-2", at(50)) == 1
        assert tx.end_duty("counselor", SCHOOL, "p-2", at(60)) == 0, "it ended before"
        assert tx.end_duty("counselor", SCHOOL, "nobody", at(50)) == 0
        tx.add_absence(Absence("p-2", at(30), at(40)))
        tx.add_absence(Absence("p-2", at(30), at(35)))
        assert tx.absences_of(["p-2"]) == {"p-2": (Absence("p-2", at(30), at(35)),)}
        ended = tx.ended_presences(at(50), 9)
        assert [(one.kind, one.person) for one in ended] == [("absence", "p-2"), ("duty", "p-2")]
        assert all(isinstance(one, EndedPresence) for one in ended)


def owed(number: str, key: str, when: datetime, not_before: datetime | None = None) -> Notice:
    """An invented notice."""
    return Notice(f"{number}-{key}", number, ("p-11",), "assessment", "late", at(4), urgent=False, at=when, not_before=not_before)


def test_a_notice_waits_until_it_is_shared_out_and_ends_with_its_messages(store: Store) -> None:
    held = owed("AAA-111", "k2", at(4), at(8))
    put(store, grown(None, opening("AAA-111"), [owed("AAA-111", "k1", at(4)), held]))
    with store.writing() as tx:
        first, = tx.waiting_notices(at(3), 9)   # one without `not_before` is due whatever the clock says
        assert tx.waiting_notices(at(7), 9) == [first]
        message = tx.put_message("k1", "p-11", "mail", [first.id], urgent=False, now=at(7), next_try_at=at(7))
        assert message is not None
        assert tx.put_message("k1", "p-11", "mail", [first.id], urgent=False, now=at(7), next_try_at=at(7)) is None, "owed already"
        tx.share_out([first.id])
        assert [one.notice for one in tx.waiting_notices(at(8), 9)] == [held]
        assert (tx.next_try_at(), tx.outbox_size()) == (at(7), 2)
        tx.settle([first.id], at(7))
        claimed, = tx.claim_messages(at(7), 9, timedelta(days=2))
        assert tx.claim_messages(at(8), 9, timedelta(days=2)) == [], "it is claimed"
        assert tx.put_back(claimed, at(9), error="connection refused", unsure=False, passed_on=False)
        assert not tx.end_message(claimed._replace(fence=7), "sent", at(9)), "a fence of nobody marks nothing"
        again, = tx.claim_messages(at(9), 9, timedelta(days=2))
        assert (again.tries, again.fence) == (2, 2)
        assert not tx.end_message(claimed, "sent", at(9)), "the claim before is over"
        assert tx.end_message(again, "dead", at(9), error="x" * 999)
        tx.settle([first.id], at(9))
        assert tx.connection.exec_driver_sql("SELECT key, status FROM crisis_notice ORDER BY key").all() == [
            ("AAA-111-k1", "dead"), ("AAA-111-k2", "waiting"),
        ]
        assert tx.revive([message], at(10)) == 1
        tx.reopen([message])
        last, = tx.claim_messages(at(10), 9, timedelta(days=2))
        tx.end_message(last, "sent", at(10))
        tx.settle([first.id], at(10))
        assert tx.connection.exec_driver_sql("SELECT status FROM crisis_notice WHERE id = 1").all() == [("sent",)]


def test_a_person_once_reached_stays_reached(store: Store) -> None:
    put(store, grown(None, opening("AAA-111"), [owed("AAA-111", "k1", at(4))]))
    with store.writing() as tx:
        notice = tx.waiting_notices(at(4), 9)[0].id
        tx.put_delivery(notice, "p-11", "mail", at(4), "refused")
        assert tx.reached(notice) == set()
        tx.put_delivery(notice, "p-11", "mail", at(5))
        tx.put_delivery(notice, "p-11", "mail", at(6), "refused")
        assert tx.reached(notice) == {("p-11", "mail")}


def test_a_notice_goes_out_under_one_key_only_once(store: Store) -> None:
    put(store, grown(None, opening("AAA-111"), [owed("AAA-111", "k1", at(4))]))
    with pytest.raises(Exception, match=r"crisis_notice[._]key"):
        put(store, grown(None, opening("BBB-222", subject="s-2"), [owed("AAA-111", "k1", at(4))]))
    with pytest.raises(CrisisError, match="does not begin with its case's number"):
        put(store, grown(None, opening("BBB-222", subject="s-2"), [replace(owed("BBB-222", "k1", at(4)), key="AAA-111-k3")]))
    put(store, grown(None, opening("BBB-222", subject="s-2"), [owed("AAA-111", "k2", at(4))]))
    with store.reading() as tx:
        assert [one.notice.case for one in tx.waiting_notices(at(4), 9)] == ["AAA-111", "AAA-111"]


def test_a_receipt_is_kept_with_its_reporter_in_one_place(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    with store.writing() as tx:
        tx.put_receipt("token-1", "AAA-111", NOW, "stu-7")
        assert tx.receipt("token-1") == ("AAA-111", NOW, "stu-7")
        assert tx.receipt("token-2") is None
        with pytest.raises(NotFound):
            tx.put_receipt("token-2", "ZZZ-999", NOW, "stu-7")


def test_a_command_key_is_taken_once(store: Store) -> None:
    with store.writing() as tx:
        assert tx.command("form-1") is None
        tx.put_command("form-1", "digest", '{"a":1}', NOW)
        assert tx.command("form-1") == ("digest", '{"a":1}')
        with pytest.raises(StaleVersion):
            tx.put_command("form-1", "other", "{}", NOW)


def test_a_definition_once_kept_stays_as_it_is(store: Store) -> None:
    with store.writing() as tx:
        tx.put_definition("abc", "procedure", "school_crisis_v1", "{}")
        tx.put_definition("abc", "procedure", "school_crisis_v1", "changed")
        assert tx.definition("abc") == "{}"
        assert tx.definition("xyz") is None


def test_a_calendar_comes_back_and_each_new_one_has_a_greater_version(store: Store) -> None:
    calendar = Calendar(frozenset({date(2026, 5, 1)}), frozenset({date(2026, 5, 9)}), date(2026, 12, 31),
                        (Vacation(SCHOOL, date(2026, 7, 10), date(2026, 8, 31)),))
    with store.writing() as tx:
        assert tx.calendar() == Calendar(frozenset(), frozenset(), date.min)
        tx.put_calendar(calendar)
        assert tx.calendar() == calendar
        version = tx.calendar_version()
        tx.put_calendar(Calendar(frozenset(), frozenset(), date(2027, 12, 31)))
        assert tx.calendar() == Calendar(frozenset(), frozenset(), date(2027, 12, 31))
        assert tx.calendar_version() > version > 0


def test_notes_heartbeats_and_readings_are_kept(store: Store) -> None:
    with store.writing() as tx:
        assert tx.meta("sandbox") is None
        tx.set_meta("sandbox", "no")
        tx.set_meta("sandbox", "yes")
        assert tx.meta("sandbox") == "yes"
        tx.heartbeat("sweep", NOW)
        tx.heartbeat("sweep", at(1))
        tx.heartbeat("deliver", NOW)
        assert tx.heartbeats() == {"deliver": NOW, "sweep": at(1)}
        first, second = ReadEntry("p-11", "case", "AAA-111", NOW, 2, "duty"), ReadEntry("p-11", "history", "AAA-222", at(1), 3, glass=7)
        tx.log_read(first)
        tx.log_read(second)
        assert tx.reads_by("p-11", 10) == [second, first]
        assert tx.reads_of("AAA-111", 10) == [first]


def test_an_entry_of_the_read_log_is_neither_changed_nor_taken_out_past_the_engine(store: Store) -> None:
    with store.writing() as tx:
        tx.log_read(ReadEntry("p-11", "case", "AAA-111", NOW, 2, "duty"))
    replaced = "INSERT OR REPLACE INTO crisis_access_log (id, who, what, at, why, tier, glass) VALUES (1, 'p-12', 'case', 0, '', 0, 0)"
    for sql in ("UPDATE crisis_access_log SET who = 'p-12'", "UPDATE crisis_access_log SET tier = 0", "DELETE FROM crisis_access_log",
                replaced if store.dialect == "sqlite" else "TRUNCATE crisis_access_log"):
        with pytest.raises(ProofFailed, match="append-only"), store.writing() as tx:
            tx._run(sql)  # noqa: SLF001 - as somebody with the file would
    with store.reading() as tx:
        assert [entry.who for entry in tx.reads_of("AAA-111", 10)] == ["p-11"]


def test_a_large_school_system_is_imported_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crisis_engine.store.child.CHUNK", 7)
    store = Store.open("sqlite://")
    with store.writing() as tx:
        assert tx.import_roster(Roster(subjects=[Subject("", f"stu-{number}", SCHOOL) for number in range(50)]))["subjects"] == 50
        assert len(list(tx.subjects_under())) == 50
    store.close()
