"""The store of cases: what is appended comes back, and the database itself refuses what the promises forbid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from crisis_engine.core.case import Case, Proposal
from crisis_engine.core.errors import CrisisError, ProofFailed, StaleVersion, StoreError
from crisis_engine.core.events import (
    ClockArmed,
    ClockDropped,
    ClockHeld,
    ClockMet,
    ClockMoved,
    ClockPaused,
    Event,
    FactSet,
    Linked,
    Moved,
    Notice,
    Opened,
    PersonRecused,
    Proposed,
    RiskRaised,
    RungFired,
    TierRaised,
)
from crisis_engine.core.evolve import evolve, fold
from crisis_engine.core.model import Absence, Agreement, Duty, Guardian, Person, Risk, Subject, Tier, Unit
from crisis_engine.store import AlreadyOpen, Change, Store, Stored

NOW = datetime(2026, 3, 2, 0, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
SCHOOL = "ganzhou-invented/east/no-3"


def at(hours: float) -> datetime:
    """So many hours after NOW."""
    return NOW + hours * HOUR


def stamped(number: str, seq: int, event: type[Event], *, by: str = "p-1", hours: float = 0, **fields: Any) -> Event:  # noqa: ANN401
    """An event of a case."""
    return event(case=number, seq=seq, at=at(hours), by=by, **fields)


def armed(number: str, seq: int, name: str, *, n: int = 1, due: float = 4, role: str = "counselor", holder: str | None = "p-11",
          hours: float = 0, provisional: bool = False) -> Event:
    """A clock of the invented school that runs from `hours` on and is due at `due`."""
    return stamped(number, seq, ClockArmed, hours=hours, clock=name, n=n, sort="safety", role=role, unit=SCHOOL, holder=holder,
                   due_at=at(due), next_at=at(due), rung=0, provisional=provisional)


def fired(number: str, seq: int, name: str = "assessment", *, rung: int = 0, next_hours: float = 6, **fields: Any) -> Event:  # noqa: ANN401
    """A rung of a clock."""
    return stamped(number, seq, RungFired, by="engine", hours=4, clock=name, n=1, rung=rung, times=0, next_rung=rung + 1, next_times=0,
                   next_at=at(next_hours), **fields)


def opening(number: str, *, subject: str | None = "s-1", parent: str | None = None, due: float = 4) -> list[Event]:
    """The first events of an invented case: opened, answered for by p-11, one clock."""
    return [
        stamped(number, 1, Opened, by="reporter", workflow="school_crisis", procedure="f" * 64, unit=f"{SCHOOL}/g7/c2", subject=subject,
                parent=parent, stage="reported", tier=Tier.CLASS, risk=Risk.UNRATED, move="report", secret={"facts": "伤痕"}),
        stamped(number, 2, TierRaised, tier=Tier.SCHOOL, role="counselor", unit=SCHOOL, holder="p-11"),
        armed(number, 3, "assessment", due=due),
    ]


def grown(before: Stored | None, events: Sequence[Event], notices: Sequence[Notice] = (), *, two: bool = True, sole: bool = True) -> Change:
    """The change that these events make."""
    case = before.case if before else None
    for event in events:
        case = evolve(case, event)
    assert case is not None
    return Change(before, case, tuple(events), tuple(notices), two, sole)


def put(store: Store, *changes: Change) -> None:
    """Append in a transaction of its own."""
    with store.writing() as tx:
        tx.append(changes)


def got(store: Store, number: str) -> Stored:
    """The case of that number."""
    with store.reading() as tx:
        found = tx.case(number)
    assert found is not None
    return found


def more(store: Store, number: str, *events: Event, **options: Any) -> None:  # noqa: ANN401
    """Append events to a case that is there."""
    put(store, grown(got(store, number), events, **options))


def run(store: Store, sql: str) -> list[Any]:
    """Run plain SQL in a transaction of its own, past everything the store checks."""
    with store.writing() as tx:
        result = tx.connection.exec_driver_sql(sql)
        return [tuple(row) for row in result] if result.returns_rows else []


@pytest.fixture(params=["memory", "file", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database: in memory, as a file, and on a server."""
    served = request.getfixturevalue("postgres_bare") if request.param == "postgresql" else ""
    opened = Store.open(served or ("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'crisis.db'}"))
    yield opened
    opened.close()


@pytest.fixture(params=["memory", "file"])
def on_sqlite(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty database of SQLite, where a test speaks its words."""
    opened = Store.open("sqlite://" if request.param == "memory" else f"sqlite:///{tmp_path / 'crisis.db'}")
    yield opened
    opened.close()


def test_a_case_comes_back_as_its_log_folds(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    more(
        store, "AAA-111",
        stamped("AAA-111", 4, FactSet, name="guardian", value="told"),
        stamped("AAA-111", 5, PersonRecused, person="p-66"),
        stamped("AAA-111", 6, Proposed, move="lower", risk=Risk.BLUE),
        stamped("AAA-111", 7, RiskRaised, risk=Risk.RED),
        armed("AAA-111", 8, "contact", due=2),
        armed("AAA-111", 9, "minutes", due=90, provisional=True),
        stamped("AAA-111", 10, ClockHeld, clock="assessment", n=1, tier=Tier.COUNTY, until=at(8), next_at=at(8)),
        stamped("AAA-111", 11, ClockPaused, clock="minutes", n=1, reason="waiting_for_documents", until=at(50)),
        stamped("AAA-111", 12, ClockMoved, clock="contact", n=1, due_at=at(1), next_at=at(1), rung=0, why="risk"),
        stamped("AAA-111", 13, Moved, move="signal", origin="reported", to="reported", signal=True),
    )
    stored = got(store, "AAA-111")
    with store.reading() as tx:
        assert stored.case == fold(tx.events("AAA-111"))
        assert list(tx.verify()) == []
    assert stored.case.proposals == (Proposal(6, "lower", "p-1", NOW, Risk.BLUE),)
    assert stored.case.recused == {"p-66"}
    assert [clock.name for clock in stored.case.clocks] == ["assessment", "contact", "minutes"]
    assert type(stored.case.tier) is Tier


def test_a_change_of_one_fact_alone_is_kept(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    more(store, "AAA-111", stamped("AAA-111", 4, FactSet, name="guardian", value="told"))
    assert got(store, "AAA-111").case.facts == {"guardian": "told"}


def test_clocks_stand_in_the_order_in_which_they_were_armed(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    more(store, "AAA-111", armed("AAA-111", 4, "stay_with"), armed("AAA-111", 5, "contact"))
    more(store, "AAA-111", stamped("AAA-111", 6, ClockMet, clock="assessment", n=1, late=False), armed("AAA-111", 7, "assessment", n=2))
    assert [clock.key for clock in got(store, "AAA-111").case.clocks] == ["stay_with.1", "contact.1", "assessment.2"]


def test_secrets_come_back_with_the_events_and_stand_in_no_header(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    with store.reading() as tx:
        assert tx.events("AAA-111") == opening("AAA-111")
        assert tx.history("AAA-111")[0].secret == {"facts": "伤痕"}
        assert all("伤痕" not in record.header for record in tx.records("AAA-111"))
        assert tx.events("ZZZ-999") == []
        assert list(tx.records("ZZZ-999")) == []
        assert tx.case("ZZZ-999") is None


def test_every_arming_of_a_clock_keeps_its_row_and_how_it_ended(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    more(store, "AAA-111",
         stamped("AAA-111", 4, ClockMet, hours=5, clock="assessment", n=1, late=True),
         armed("AAA-111", 5, "assessment", n=2, hours=5, due=30),
         armed("AAA-111", 6, "contact", hours=5, due=6),
         stamped("AAA-111", 7, ClockMet, hours=5, clock="contact", n=1, late=False),
         armed("AAA-111", 8, "stay_with", hours=5, due=6))
    more(store, "AAA-111", stamped("AAA-111", 9, ClockDropped, hours=6, clock="stay_with", n=1))
    assert run(store, "SELECT name, n, status, late FROM crisis_deadline ORDER BY name, n") == [
        ("assessment", 1, "met", 1), ("assessment", 2, "armed", None), ("contact", 1, "met", 0), ("stay_with", 1, "dropped", None),
    ]
    with store.reading() as tx:
        ended = tx.ended_clocks(1)
    assert [(clock.key, status, ended_at) for clock, status, ended_at in ended] == [
        ("assessment.1", "met_late", at(5)), ("contact.1", "met", at(5)), ("stay_with.1", "dropped", at(6)),
    ]
    assert got(store, "AAA-111").case.due_at == at(30)


def test_a_rung_moves_the_case_and_its_clock_and_owes_its_notice_once(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    note = Notice("AAA-111-4", "AAA-111", ("p-11", "p-5"), "assessment", "late", at(4), urgent=True, at=at(4))
    raised = fired("AAA-111", 4, told=(("county", "county_officer"),), tier=Tier.COUNTY, answers_role="county_officer",
                   answers_unit="ganzhou-invented/east", answers="p-71")
    put(store, grown(got(store, "AAA-111"), [raised], [note]))
    stored = got(store, "AAA-111").case
    assert (stored.tier, stored.answers, stored.next_at, stored.clocks[0].rung, stored.version) == (Tier.COUNTY, "p-71", at(6), 1, 4)
    with store.reading() as tx:
        assert stored == fold(tx.events("AAA-111"))
        assert [one.notice for one in tx.waiting_notices(at(4), 9)] == [note]
        assert tx.due(at(5.9), 9) == []
        assert tx.due(at(6), 9) == [1]
        assert tx.next_at() == at(6)


def test_a_rung_that_fired_cannot_fire_again(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    more(store, "AAA-111", fired("AAA-111", 4))
    with pytest.raises(StaleVersion, match="fired already"):
        more(store, "AAA-111", fired("AAA-111", 5))
    assert got(store, "AAA-111").case.version == 4


def test_of_two_writers_who_saw_the_same_case_the_second_is_told_and_changes_nothing(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")), grown(None, opening("BBB-222", subject="s-2")))
    seen, other = got(store, "AAA-111"), got(store, "BBB-222")
    more(store, "AAA-111", stamped("AAA-111", 4, RiskRaised, risk=Risk.RED))
    changes = grown(other, [fired("BBB-222", 4)]), grown(seen, [stamped("AAA-111", 4, RiskRaised, by="p-2", risk=Risk.BLUE)])
    with store.writing() as tx:
        with pytest.raises(StaleVersion) as caught:
            tx.append(changes)
        tx.heartbeat("sweep", NOW)  # the caller goes on: nothing of the refused batch may be kept
    assert caught.value.data["numbers"] == ("AAA-111",)
    assert got(store, "BBB-222") == other
    assert run(store, "SELECT count(*) FROM crisis_event") == [(7,)]


def test_a_child_has_one_open_case_of_a_workflow_that_allows_one(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    with store.writing() as tx:
        with pytest.raises(AlreadyOpen):
            tx.append([grown(None, opening("BBB-222"))])
        assert tx.open_case_of("school_crisis", "s-1") == tx.case("AAA-111")
        assert tx.case("BBB-222") is None
    put(store, grown(None, opening("CCC-333"), sole=False), grown(None, opening("DDD-444", subject=None)))
    with store.reading() as tx:
        assert [one.case.number for one in tx.cases_of("s-1")] == ["AAA-111", "CCC-333"]


def closing(number: str, second: str | None) -> list[Event]:
    """The end of a case by p-1 and a second."""
    return [stamped(number, 4, ClockDropped, clock="assessment", n=1),
            stamped(number, 5, Moved, move="close", origin="reported", to="closed", two=second is not None, second=second, final="closed")]


def test_a_closed_case_needs_no_clock_and_lets_the_child_have_another(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    more(store, "AAA-111", *closing("AAA-111", "p-2"))
    put(store, grown(None, opening("BBB-222")))
    closed = got(store, "AAA-111").case
    assert (closed.final, closed.ended_by, closed.ended_second, closed.clocks, closed.next_at) == ("closed", "p-1", "p-2", (), None)
    with store.reading() as tx:
        assert tx.due(at(99), 9) == [2]


_RECORD = """INSERT INTO crisis_event (case_id, seq, at, kind, "by", second, two, header, prev, hash) VALUES ({}, '', '', '')"""


def test_the_database_refuses_what_the_promises_forbid_even_in_plain_sql(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")), grown(None, opening("BBB-222", subject="s-2")))
    for sql in (
        "UPDATE crisis_case SET next_at = NULL",                                                  # an open case without a clock
        "UPDATE crisis_case SET final = 'closed', ended_by = 'p-1'",                              # ended by one person
        "UPDATE crisis_case SET final = 'closed', ended_by = 'p-1', ended_second = 'p-1'",        # … who signed twice
        "UPDATE crisis_case SET subject = 's-1'",                                                 # two open cases of one child
        "UPDATE crisis_case SET final = 'closed', ended_by = 'p-1', ended_second = ''",           # … or by nobody else
        "UPDATE crisis_case SET final = 'merged'",                                                # ended by nobody
        "UPDATE crisis_case SET two = (1 = 0)",                                                         # two are due no more
        "UPDATE crisis_case SET sole = (1 = 0)",
        "UPDATE crisis_deadline SET status = 'dropped'",                                          # the last clock of an open case
        "DELETE FROM crisis_deadline",
        "DELETE FROM crisis_case",
        "UPDATE crisis_case SET tier = 'nonsense'",
        "UPDATE crisis_case SET risk = 'pink'",
        "UPDATE crisis_deadline SET status = 'forgotten'",
        _RECORD.format("1, 9, 0, 'moved', 'p-1', NULL, 1 = 1"),    # one signer where two are due
        _RECORD.format("1, 9, 0, 'moved', 'p-1', 'p-1', 1 = 1"),
    ):
        with pytest.raises(sa.exc.IntegrityError):
            run(store, sql)
    more(store, "BBB-222", stamped("BBB-222", 4, RiskRaised, risk=Risk.RED))
    for kind in ("risk_lowered", "danger_ended"):
        with pytest.raises(sa.exc.IntegrityError):            # lowered from red, or out of danger, by one
            run(store, _RECORD.format(f"2, 5, 0, '{kind}', 'p-1', NULL, 1 = 0"))
    with pytest.raises(CrisisError, match="refused a change"):     # at the commit
        run(store, _RECORD.format("77, 1, 0, 'told', 'p-1', NULL, 1 = 0"))   # of no case
    run(store, "UPDATE crisis_case SET final = 'merged', ended_by = 'p-1' WHERE id = 1")  # one case into another ends nothing


def test_an_ending_signed_by_one_person_is_refused_by_the_store_in_a_sentence(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    with pytest.raises(ProofFailed, match="two people must sign"):
        more(store, "AAA-111", *closing("AAA-111", None))
    with pytest.raises(ProofFailed, match="two people must sign"):
        more(store, "AAA-111", *closing("AAA-111", "p-1"))
    with pytest.raises(ProofFailed, match="without a running clock"):
        more(store, "AAA-111", closing("AAA-111", "p-2")[0])
    put(store, grown(None, opening("BBB-222", subject="s-2"), two=False))
    more(store, "BBB-222", *closing("BBB-222", None), two=False)


def test_the_log_can_only_grow(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    own = ("rowid = 99",) if store.dialect == "sqlite" else ()
    for change in (*own, "id = 99", "case_id = 1", "seq = 9", "at = 0", "kind = 'x'", '"by" = \'0\'', "second = 'x'", "two = (1 = 0)",
                   "header = ''", "commitment = NULL", "prev = ''", "hash = ''", "deadline = 'x'", "rung = 1", "times = 1"):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"):
            run(store, f"UPDATE crisis_event SET {change} WHERE seq = 1")  # noqa: S608 (written above)
    last = "INSERT OR REPLACE INTO crisis_event SELECT * FROM crisis_event" if own else "TRUNCATE crisis_event"
    for sql in ("DELETE FROM crisis_event", last):
        with pytest.raises(sa.exc.IntegrityError, match="append-only"):
            run(store, sql)
    run(store, "UPDATE crisis_event SET secret = NULL WHERE seq = 1")  # redaction
    with store.reading() as tx:
        assert list(tx.verify()) == []
        assert tx.events("AAA-111")[0].secret == {}


@pytest.mark.parametrize(
    ("column", "change", "flaw"),
    [
        ("header", "replace(header, 'counselor', 'counsellor')", "header and hash do not fit"),
        ("header", "CAST(x'ff' || header AS TEXT)", "cannot be read"),
        ("secret", "CAST(substr(secret, 1, 20) || x'00' || substr(secret, 22) AS BLOB)", "secret and commitment do not fit"),
        ("prev", "CAST(x'01' || substr(prev, 2) AS BLOB)", "does not follow"),
        ("hash", "CAST(x'01' || substr(hash, 2) AS BLOB)", "do not fit"),
        ("seq", "seq + 10", "jumps"),
        ("by", "'p-99'", "columns and header"),
    ],
)
def test_a_log_that_somebody_changed_behind_the_triggers_is_named(on_sqlite: Store, column: str, change: str, flaw: str) -> None:
    put(on_sqlite, grown(None, opening("AAA-111")), grown(None, opening("BBB-222", subject="s-2")))
    with on_sqlite.writing() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER crisis_event_kept")
        where = "case_id = 1 AND (secret IS NOT NULL OR seq = 3)"
        tx.connection.exec_driver_sql(f'UPDATE crisis_event SET "{column}" = {change} WHERE {where}')  # noqa: S608 (written above)
    with on_sqlite.reading() as tx:
        found = list(tx.verify())
        assert any(flaw in sentence for sentence in found), found
        assert list(tx.verify("AAA-111")) == found
        assert list(tx.verify("BBB-222")) == []


def test_a_log_that_was_cut_off_or_rolled_back_is_named_by_its_row(on_sqlite: Store) -> None:
    put(on_sqlite, grown(None, opening("AAA-111")), grown(None, opening("BBB-222", subject="s-2")))
    with on_sqlite.writing() as tx:
        tx.connection.exec_driver_sql("DROP TRIGGER crisis_event_never_deleted")
        tx.connection.exec_driver_sql("DELETE FROM crisis_event WHERE case_id = 1 AND seq = 3")
        tx.connection.exec_driver_sql("UPDATE crisis_case SET head = x'00' WHERE id = 2")
    with on_sqlite.reading() as tx:
        assert list(tx.verify()) == [
            "case AAA-111: the row says version 3, the log ends at 2", "case BBB-222: the row's head is not the last record's hash",
        ]


def test_a_change_whose_events_do_not_follow_its_case_never_reaches_the_log(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    seen = got(store, "AAA-111")
    good = grown(seen, [fired("AAA-111", 4)])
    for broken in (replace(good, events=(fired("AAA-111", 5),)), replace(good, events=(fired("BBB-222", 4),)),
                   replace(good, after=replace(good.after, version=9))):
        with pytest.raises(CrisisError):
            put(store, broken)
    assert got(store, "AAA-111") == seen


def test_cases_are_found_by_parent_child_holder_and_calendar(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")), grown(None, opening("BBB-222", subject="s-2", parent="AAA-111")))
    more(store, "BBB-222", armed("BBB-222", 4, "minutes", due=90, holder=None, provisional=True))
    more(store, "AAA-111", armed("AAA-111", 4, "contact", holder="p-9"))
    with store.writing() as tx:
        tx.import_roster(Roster(duties=(Duty("counselor", SCHOOL, "p-11"), Duty("counselor", SCHOOL, "p-9"))))
        assert [one.case.number for one in tx.tracks_of("AAA-111")] == ["BBB-222"]
        assert [one.case.number for one in tx.cases_of("s-2")] == ["BBB-222"]
        assert tx.armed_for("p-9") == [1]
        assert tx.armed_for("p-11") == [1, 2]
        assert tx.armed_for("p-404") == []
        assert tx.provisional() == [2]
        assert tx.unheld() == [2]
        assert [one.id for one in tx.cases([2, 1, 404])] == [1, 2]
        assert tx.cases([]) == []


def test_who_answers_for_a_case_is_found_without_holding_one_of_its_clocks(store: Store) -> None:
    put(store, grown(None, [*opening("AAA-111")[:2], armed("AAA-111", 3, "contact", holder="p-9")]))
    with store.writing() as tx:
        tx.import_roster(Roster(duties=(Duty("counselor", SCHOOL, "p-11"), Duty("counselor", SCHOOL, "p-9"))))
        assert tx.armed_for("p-11") == [1]


@dataclass(frozen=True)
class Roster:
    """A roster with what is given and nothing else."""

    units: Sequence[Unit] = ()
    persons: Sequence[Person] = ()
    duties: Sequence[Duty] = ()
    absences: Sequence[Absence] = ()
    subjects: Sequence[Subject] = ()
    guardians: Sequence[Guardian] = ()
    agreements: Sequence[Agreement] = ()


def test_a_queue_shows_each_case_once_soonest_due_first_and_no_case_that_concerns_its_reader(store: Store) -> None:
    for place, number in enumerate(("AAA-111", "BBB-222", "CCC-333", "DDD-444")):
        put(store, grown(None, opening(number, subject=number, due=10 - place)))
    more(store, "AAA-111", armed("AAA-111", 4, "contact", due=1, role="class_teacher"), armed("AAA-111", 5, "minutes", due=3))
    more(store, "DDD-444", stamped("DDD-444", 4, PersonRecused, person="p-11"))
    counselor, teacher = ("counselor", SCHOOL), ("class_teacher", SCHOOL)
    with store.reading() as tx:
        assert [(row.number, row.clock, row.due_at) for row in tx.queue([counselor], [], "p-11", 9)] == [
            ("AAA-111", "minutes", at(3)), ("CCC-333", "assessment", at(8)), ("BBB-222", "assessment", at(9)),
        ]
        answered = tx.queue([counselor, counselor], [counselor], "p-11", 9)
        assert [row[0] + row.clock for row in answered] == ["AAA-111contact", "CCC-333assessment", "BBB-222assessment"]
        assert [row.number for row in tx.queue([counselor], [counselor], "p-11", 2)] == ["AAA-111", "CCC-333"]
        assert [row.number for row in tx.queue([], [counselor], "p-12", 9)] == ["AAA-111", "DDD-444", "CCC-333", "BBB-222"]
        assert [row.number for row in tx.queue([teacher], [teacher], "p-12", 9)] == ["AAA-111"]
        assert tx.queue([], [], "p-12", 9) == []
    assert answered[0][5:] == ("contact", "class_teacher", SCHOOL, "p-11", at(1), 5, "f" * 64)


def test_relations_and_recusals_have_rows_of_their_own(store: Store) -> None:
    put(store, grown(None, opening("AAA-111")))
    more(store, "AAA-111", stamped("AAA-111", 4, Linked, link="related", other="BBB-222"),
         stamped("AAA-111", 5, PersonRecused, person="p-66"),
         stamped("AAA-111", 6, Linked, link="related", other="BBB-222"))
    with store.reading() as tx:
        assert tx.links("AAA-111") == [("related", "BBB-222")]
    assert run(store, "SELECT case_id, person FROM crisis_recusal") == [(1, "p-66")]


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT id FROM crisis_case WHERE final IS NULL AND next_at <= 5 ORDER BY next_at", "crisis_case_next"),
        ("SELECT min(next_at) FROM crisis_case WHERE final IS NULL", "crisis_case_next"),
        (
            "SELECT id FROM crisis_case WHERE final IS NULL AND answers_unit = 'u' AND tier NOT IN ('peer', 'class') ORDER BY due_at",
            "crisis_case_answers",
        ),
        ("SELECT id FROM crisis_case WHERE parent = 'x'", "crisis_case_parent"),
        ("SELECT id FROM crisis_case WHERE subject = 'x'", "crisis_case_subject"),
        (
            "SELECT id FROM crisis_deadline WHERE status = 'armed' AND NOT at_tier AND unit = 'u' AND role = 'r' ORDER BY due_at",
            "crisis_deadline_queue",
        ),
        ("SELECT case_id FROM crisis_deadline WHERE status = 'armed' AND holder IS NULL", "crisis_deadline_unheld"),
        ("SELECT id FROM crisis_deadline WHERE status = 'armed' AND case_id IN (1, 2)", "crisis_deadline_armed"),
        ("SELECT id FROM crisis_notice WHERE status = 'waiting' AND next_try_at <= 5 ORDER BY next_try_at, id", "crisis_notice_waiting"),
        ("SELECT min(ends_at) FROM crisis_duty WHERE handed_at IS NULL AND ends_at IS NOT NULL", "crisis_duty_ends"),
    ],
)
def test_what_is_asked_in_every_sweep_reads_one_index_and_sorts_nothing(on_sqlite: Store, sql: str, index: str) -> None:
    plan = " / ".join(row[-1] for row in run(on_sqlite, f"EXPLAIN QUERY PLAN {sql}"))
    assert index in plan
    assert "B-TREE" not in plan


def test_many_cases_in_one_batch_are_all_written(store: Store) -> None:
    numbers = [f"N-{place:05}" for place in range(1500)]
    put(store, *(grown(None, opening(number, subject=number)) for number in numbers))
    with store.writing() as tx:
        stored = tx.cases(sorted(tx.due(at(4), 5000)))
        tx.append([grown(one, [fired(one.case.number, 4, next_hours=6 + place % 7)]) for place, one in enumerate(stored)])
    with store.reading() as tx:
        assert len(tx.due(at(6), 5000)) == len(range(0, 1500, 7))
        assert list(tx.verify()) == []
        assert tx.counts()["events"] == 6000


def test_a_reader_sees_one_moment_however_long_it_reads(tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path / 'crisis.db'}")
    put(store, grown(None, opening("AAA-111")))
    with store.reading() as tx:
        before = tx.case("AAA-111")
        more(store, "AAA-111", fired("AAA-111", 4))
        assert tx.case("AAA-111") == before
    assert got(store, "AAA-111").case.version == 4
    store.close()


def test_what_was_written_before_an_exception_is_undone(store: Store) -> None:
    def written_and_stopped() -> None:
        with store.writing() as tx:
            tx.append([grown(None, opening("AAA-111"))])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written_and_stopped()
    with store.reading() as tx:
        assert tx.case("AAA-111") is None


def test_a_reading_transaction_refuses_to_write_and_the_next_writer_may(store: Store) -> None:
    with store.reading() as tx, pytest.raises(StoreError, match="may only be read"):
        tx.set_meta("a", "b")
    with store.writing() as tx:
        tx.set_meta("a", "b")


def test_a_write_inside_a_write_is_refused_and_a_read_inside_is_not(store: Store) -> None:
    with store.writing(), pytest.raises(StoreError, match="inside another"):
        put(store)
    with store.writing() as outer, store.reading() as tx:
        assert tx.case("AAA-111") is outer.case("AAA-111") is None


def test_a_case_without_anything_special_has_an_empty_state(store: Store) -> None:
    plain = Case("AAA-111", "w", "p", "u", None, "s", Tier.CLASS, Risk.BLUE, Risk.BLUE, NOW, NOW, 1, final="merged", ended_by="engine")
    event = stamped("AAA-111", 1, FactSet, name="n", value="v")
    put(store, Change(None, plain, (event,), (), two=False, sole=False))
    assert run(store, "SELECT state FROM crisis_case") == [("{}",)]
    assert got(store, "AAA-111").case == plain
