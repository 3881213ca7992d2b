"""Commands that come twice, late, stale or from a broken clock; and the engine inside a host's own transaction."""

from __future__ import annotations

import itertools
import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

import crisis_engine as ce
from crisis_engine import BadInput, CommandRejected, NotFound, StaleVersion
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.model import Duty, Person
from crisis_engine.definitions import load_procedure
from crisis_engine.roster import RosterSet

from .story import (
    CHILD,
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    PEER,
    VICE_PRINCIPAL,
    City,
)

WORD = {"unit": CLASS, "subject": CHILD, "by": PEER, "facts": "纸条"}


# ---- twice ---------------------------------------------------------------------------------------------------------------


def test_a_report_sent_twice_under_one_key_is_one_report(city: City) -> None:
    """Promise 2: never lost, never twice. Commands take an idempotency key."""
    first = city.engine.report(**WORD, key="form-1")  # type: ignore[arg-type]
    city.skip(minutes=5)
    second = city.engine.report(**WORD, key="form-1")  # type: ignore[arg-type]

    assert second == first
    assert city.cases() == 1
    assert city.story(first.token).case.signal_seq == 1


def test_a_move_sent_twice_under_one_key_is_one_move(city: City) -> None:
    case = city.report(PEER)
    one = city.engine.act(case.number, "pass_up", by=CLASS_TEACHER, fields={"to": "grade"}, key="k")
    two = city.engine.act(case.number, "pass_up", by=CLASS_TEACHER, fields={"to": "grade"}, key="k")

    assert (two.version, two.tier) == (one.version, one.tier)
    assert len(case.happened("moved", move="pass_up")) == 1


def test_a_key_with_another_content_is_refused_and_one_persons_key_is_not_anothers(city: City) -> None:
    case = city.report(PEER, key="k")
    with pytest.raises(CommandRejected, match="used for another command"):
        city.engine.report(**{**WORD, "facts": "别的事"}, key="k")  # type: ignore[arg-type]
    city.engine.act(case.number, "acknowledge", by=CLASS_TEACHER, key="a")
    with pytest.raises(CommandRejected):
        city.engine.act(case.number, "pass_up", by=CLASS_TEACHER, fields={"to": "school"}, key="a")

    city.report("p-72", key="k")
    assert case.case.signal_seq > 1


def test_a_refused_command_leaves_its_key_free(city: City) -> None:
    case = city.report(PEER)
    with pytest.raises(BadInput):
        city.engine.act(case.number, "pass_up", by=CLASS_TEACHER, fields={"to": "moon"}, key="k")
    city.engine.act(case.number, "pass_up", by=CLASS_TEACHER, fields={"to": "grade"}, key="k")

    assert case.tier == "grade"


def test_a_command_on_a_version_that_passed_is_refused_with_the_present_one(city: City) -> None:
    case = city.report(PEER)
    seen = case.case.version
    city.report("p-72", facts="又一次")
    with pytest.raises(StaleVersion) as caught:
        city.engine.act(case.number, "acknowledge", by=CLASS_TEACHER, version=seen)

    assert caught.value.data["version"] == case.case.version
    assert case.stage == "reported"
    city.engine.act(case.number, "acknowledge", by=CLASS_TEACHER, version=case.case.version)
    assert case.stage == "acknowledged"


def test_an_unknown_case_number_is_not_found_and_a_mistyped_move_says_what_was_meant(city: City) -> None:
    with pytest.raises(NotFound):
        city.engine.act("222-222-222", "acknowledge", by=CLASS_TEACHER)
    with pytest.raises(NotFound):
        city.engine.receipt("222222222222")
    case = city.report(PEER)
    assert "Did you mean 'acknowledge'" in str(case.refused(BadInput, CLASS_TEACHER, "acknowlegde"))


# ---- the clock ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [datetime(1970, 1, 1, tzinfo=UTC), datetime(2019, 12, 31, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)])
def test_a_clock_far_in_the_past_or_the_future_is_refused_and_nothing_changes(city: City, wrong: datetime) -> None:
    """Promise 9: a clock that cannot be right decides nothing."""
    case = city.report(PEER)
    before = case.case
    right = city.clock()
    city.clock.set(wrong)
    for command in (
        lambda: city.engine.report(**WORD),  # type: ignore[arg-type]
        lambda: city.engine.act(case.number, "acknowledge", by=CLASS_TEACHER), city.engine.sweep, city.engine.deliver,
    ):
        with pytest.raises(BadInput, match="clock"):
            command()
    city.clock.set(right)

    assert case.case == before


def test_a_clock_without_zone_is_refused(city: City) -> None:
    with ce.open_engine(city.url, clock=lambda: datetime(2026, 3, 2, 8, 0)) as engine, pytest.raises(BadInput, match="zone"):  # noqa: DTZ001 - that is what is refused
        engine.report(**WORD)  # type: ignore[arg-type]


def test_within_a_case_time_never_runs_back(city: City) -> None:
    """Promise 9: at = max(now, last)."""
    city.at("10:00")
    case = city.report(PEER)
    city.skip(hours=-1)
    case.act(CLASS_TEACHER, "acknowledge").act(CLASS_TEACHER, "note", text="钟慢了")

    times = [event.at for event in case.events]
    assert times == sorted(times)
    assert times[-1] == city.time("10:00")
    assert city.engine.sweep().rungs == 0
    city.skip(hours=2)
    case.act(CLASS_TEACHER, "note", text="钟对了")
    assert case.case.last_at == city.time("11:00")


def test_a_clock_that_jumped_back_neither_loses_nor_repeats_a_rung(city: City) -> None:
    """Promise 2 and 9."""
    case = city.report(PEER)
    city.at("08:20")
    assert case.tier == "grade"
    city.skip(hours=-3)
    assert city.engine.sweep().rungs == 0
    city.skip(hours=3, minutes=10)
    city.sweep()

    assert case.tier == "school"
    fired = [(event.clock, event.n, event.rung, event.times) for event in case.happened("rung_fired")]  # type: ignore[attr-defined]
    assert len(fired) == len(set(fired))


# ---- promises kept by the database --------------------------------------------------------------------------------------------


def test_the_database_itself_refuses_an_open_case_without_a_clock(city: City) -> None:
    """Promise 1: CHECK (final IS NOT NULL OR next_at IS NOT NULL)."""
    city.report(PEER)
    host = create_engine(city.url)
    with pytest.raises(Exception, match="crisis_case_clocked"), host.begin() as connection:
        connection.execute(text("UPDATE crisis_case SET next_at = NULL"))
    host.dispose()


def test_the_database_itself_refuses_one_signer_where_two_are_due(city: City) -> None:
    """Promise 4: the database itself refuses one person."""
    case = city.report(PEER).reach("triaging", "yellow").agreed(COUNSELOR, VICE_PRINCIPAL, "exclude", because="误会")
    assert case.stage == "excluded"
    host = create_engine(city.url)
    with pytest.raises(Exception, match="crisis_case_two"), host.begin() as connection:
        connection.execute(text("UPDATE crisis_case SET ended_second = ended_by"))
    host.dispose()


_BY_TWO = [(name, move) for name in ("school_crisis_v1", "glass_review_v1") for move in load_procedure(name, "default_v1").signed_moves]


@pytest.mark.parametrize(("workflow", "move"), _BY_TWO, ids=[f"{name}-{move}" for name, move in _BY_TWO])
def test_plain_sql_cannot_make_a_two_person_move_with_one(city: City, workflow: str, move: str) -> None:
    """Promise 4, around the engine: the database knows which moves of a pinned procedure two people must sign."""
    story = city.report(PEER)
    number = story.number
    if workflow == "glass_review_v1":
        city.engine.break_glass(number, by="p-12", because="she is in my class now", hours=1)
    host = create_engine(city.url)
    with host.connect() as db:
        sql = text("SELECT id, version FROM crisis_case WHERE workflow = :name")
        case_id, version = db.execute(sql, {"name": workflow}).one()
    header = json.dumps({"case": number, "kind": "moved", "move": move, "seq": version + 1}, sort_keys=True, separators=(",", ":"))
    put = text('INSERT INTO crisis_event (case_id, seq, at, kind, "by", second, two, header, prev, hash)'
               " VALUES (:id, :seq, 0, 'moved', 'p-31', :second, :two, :header, :none, :none)")
    for two, second in ((False, None), (False, "p-33"), (True, None), (True, ""), (True, "p-31")):
        with pytest.raises(IntegrityError, match="crisis_event_two"), host.begin() as db:
            db.execute(put, {"id": case_id, "seq": version + 1, "second": second, "two": two, "header": header, "none": b""})
    for statement in ("UPDATE crisis_case SET procedure = 'another'", "DELETE FROM crisis_signed_move"):
        with pytest.raises(IntegrityError, match="append-only"), host.begin() as db:
            db.execute(text(statement))
    host.dispose()


def test_the_log_is_append_only_and_chained(city: City) -> None:
    """Promise 5: every change is an event in an append-only, hash-chained log."""
    case = city.report(PEER).reach("intervening", "orange")
    with city.engine.store.reading() as tx:
        assert list(tx.verify()) == []
        records = list(tx.records(case.number))
    assert [record.seq for record in records] == list(range(1, len(records) + 1))
    assert all(later.prev == earlier.hash for earlier, later in itertools.pairwise(records))

    host = create_engine(city.url)
    for statement in ("UPDATE crisis_event SET at = at + 1", "DELETE FROM crisis_event"):
        with pytest.raises(Exception, match="append-only"), host.begin() as connection:
            connection.execute(text(statement))
    host.dispose()


# ---- inside a host's transaction ------------------------------------------------------------------------------------------------


def test_a_host_that_rolls_back_leaves_nothing_of_ours(city: City) -> None:
    host = create_engine(city.url)
    with host.begin() as connection:
        connection.execute(text("CREATE TABLE host_note (word TEXT)"))
    with Session(host) as session, city.engine.join(session) as joined:
        session.execute(text("INSERT INTO host_note VALUES ('with the report')"))
        joined.report(**WORD, key="form-1")  # type: ignore[arg-type]
        session.rollback()

    with host.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM host_note")).scalar() == 0
    assert city.cases() == 0
    host.dispose()
    assert city.report(PEER, key="form-1").stage == "reported"  # not even the key is taken


def test_a_host_that_commits_keeps_its_own_row_and_our_case(city: City) -> None:
    host = create_engine(city.url)
    with Session(host) as session, session.begin(), city.engine.join(session) as joined:
        session.execute(text("CREATE TABLE host_note (word TEXT)"))
        receipt = joined.report(**WORD)  # type: ignore[arg-type]
        number = joined.queue(by=CLASS_TEACHER)[0].number
        joined.act(number, "acknowledge", by=CLASS_TEACHER)
        session.execute(text("INSERT INTO host_note VALUES (:number)"), {"number": number})

    story = city.story(receipt.token)
    with host.connect() as connection:
        assert connection.execute(text("SELECT word FROM host_note")).scalar() == story.number
    host.dispose()
    assert story.stage == "acknowledged"


def test_an_error_inside_a_joined_transaction_leaves_the_hosts_work_to_the_host(city: City) -> None:
    case = city.report(PEER)
    host = create_engine(city.url)
    with Session(host) as session, session.begin(), city.engine.join(session) as joined:
        with pytest.raises(CrisisError):
            joined.act(case.number, "acknowledge", by=CITY_OFFICER)
        joined.act(case.number, "acknowledge", by=CLASS_TEACHER)
    host.dispose()

    assert case.stage == "acknowledged"


def test_a_refused_roster_inside_a_joined_transaction_is_not_kept_by_a_host_that_goes_on(city: City) -> None:
    """An error changes nothing, also for a host that catches it: what came before the refusal is undone with it."""
    two_offices = RosterSet(persons=(Person("p-900"),), duties=tuple(Duty(role, "xinyang", "p-900") for role in ("auditor", "operator")))
    host = create_engine(city.url)
    with Session(host) as session, session.begin(), city.engine.join(session) as joined:
        with pytest.raises(BadInput):
            joined.import_roster(two_offices)
        joined.report(**WORD)  # type: ignore[arg-type]
    host.dispose()

    assert city.cases() == 1
    assert [duty for duty in city.engine.roster("xinyang")["duties"] if duty["person"] == "p-900"] == []


def test_a_roster_that_a_host_rolled_back_gives_nobody_a_clock(city: City) -> None:
    """Promise 3: whoever answers holds a duty. What is kept in memory of a roster goes with the roster."""
    host = create_engine(city.url)
    stranger = RosterSet(persons=(Person("p-900"),), duties=(Duty("class_teacher", CLASS, "p-900", rank=0),))
    with Session(host) as session, city.engine.join(session) as joined:
        joined.import_roster(stranger)
        joined.report(**WORD)  # type: ignore[arg-type]
        session.rollback()
    with Session(host) as session, session.begin(), city.engine.join(session) as joined:
        joined.import_roster(RosterSet(persons=(Person("p-901"),)))
        receipt = joined.report(**WORD)  # type: ignore[arg-type]
    host.dispose()

    assert city.story(receipt.token).who("acknowledge") == CLASS_TEACHER


def test_a_sweep_inside_a_hosts_transaction_leaves_nothing_behind_when_the_host_rolls_back(city: City) -> None:
    """It may take part or refuse; what it must not do is to commit beside the host."""
    case = city.report(PEER)
    city.skip(minutes=30)
    host = create_engine(city.url)
    with Session(host) as session, city.engine.join(session) as joined:
        with suppress(CrisisError):
            joined.sweep()
        session.rollback()
    host.dispose()

    assert case.tier == "peer"
