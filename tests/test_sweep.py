"""The sweep when something is wrong: one broken case holds up nobody else, and people are told of it; shares, outages, races."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from crisis_engine import BadInput, Engine, open_engine
from crisis_engine.core.errors import StoreError
from crisis_engine.core.model import Duty
from crisis_engine.doctor import examine
from crisis_engine.engine import sweep as sweep_room
from crisis_engine.roster import RosterSet
from crisis_engine.store import Tx, prepare
from tests.story import CLASS_TEACHER, COUNTY_DUTY, COUNTY_OFFICER, GRADE_HEAD, OPERATOR, PEER, SCHOOL, City, Story

WATCHERS = {OPERATOR, "p-3", "p-4", "p-101"}


def plain_sql(city: City, sql: str, *values: object) -> list[Any]:
    """Run SQL past the engine, as a fault or a careless hand would."""
    path = city.url.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TRIGGER IF EXISTS crisis_case_pinned")
        return connection.execute(sql, values).fetchall()


def two_words(city: City) -> tuple[Story, Story]:
    """Two children, each with a word that nobody acknowledges."""
    return city.report(PEER), city.report(PEER, subject="stu-41")


def sweep_at(city: City, minutes: int) -> Any:  # noqa: ANN401 - a SweepReport
    """Let minutes pass without a sweep, then sweep once."""
    city.clock.advance(timedelta(minutes=minutes))
    return city.engine.sweep()


def notices(city: City, what: str) -> set[str]:
    """Return who is owed a notice of this kind."""
    rows = plain_sql(city, "SELECT people FROM crisis_notice WHERE what = ?", what)
    return {person for (people,) in rows for person in people.split(",")}


def fault_in_the_procedure(city: City, case: Story) -> None:
    """The case is pinned to a procedure that is not there."""
    plain_sql(city, "UPDATE crisis_case SET procedure = 'gone' WHERE number = ?", case.number)


def fault_in_the_row(city: City, case: Story) -> None:
    """The case's row cannot be read."""
    plain_sql(city, "UPDATE crisis_case SET state = '{' WHERE number = ?", case.number)


def fault_in_the_log(city: City, case: Story) -> None:
    """A foreign record stands where the next one belongs, so that nothing can be written."""
    plain_sql(
        city, 'INSERT INTO crisis_event (case_id, seq, at, kind, "by", two, header, prev, hash)'
        " SELECT id, version + 1, last_at, 'told', 'x', 0, '{}', zeroblob(32), zeroblob(32) FROM crisis_case WHERE number = ?", case.number,
    )


@pytest.mark.parametrize("fault", [fault_in_the_procedure, fault_in_the_row, fault_in_the_log])
def test_one_broken_case_holds_up_nobody_elses_alarm(city: City, fault: Any) -> None:  # noqa: ANN401 - one of the three above
    """Promise 1 and 2: whatever is wrong with one case, the rungs of all others fire."""
    broken, sound = two_words(city)
    fault(city, broken)

    report = sweep_at(city, 16)

    assert (report.failed, report.cases) == (1, 1)
    assert sound.tier == "grade"


@pytest.mark.parametrize("fault", [fault_in_the_procedure, fault_in_the_log])
def test_operator_county_and_city_are_told_of_a_case_that_cannot_be_moved_at_every_try_with_a_longer_rest(city: City, fault: Any) -> None:  # noqa: ANN401
    broken, _sound = two_words(city)
    fault(city, broken)

    assert sweep_at(city, 16).failed == 1
    assert notices(city, "sweep_failed") == WATCHERS
    assert city.engine.sweep().failed == 0, "it rests a minute"
    assert sweep_at(city, 1).failed == 1
    assert sweep_at(city, 1).failed == 0, "then two"
    assert sweep_at(city, 1).failed == 1
    assert plain_sql(city, "SELECT count(*) FROM crisis_notice WHERE what = 'sweep_failed'") == [(3,)]


def test_a_case_that_failed_by_a_clock_that_ran_ahead_does_not_rest_until_that_time(city: City) -> None:
    broken, _sound = two_words(city)
    right = plain_sql(city, "SELECT procedure FROM crisis_case WHERE number = ?", broken.number)[0][0]
    fault_in_the_procedure(city, broken)
    ahead = 20 * 60
    assert sweep_at(city, ahead).failed == 1
    plain_sql(city, "UPDATE crisis_case SET procedure = ? WHERE number = ?", right, broken.number)
    assert sweep_at(city, 16 - ahead).cases == 1   # the clock is right again, and the case mended


def test_the_notice_of_a_case_that_cannot_be_moved_is_one_that_the_doctor_and_the_channels_take(city: City) -> None:
    broken, _sound = two_words(city)
    right = plain_sql(city, "SELECT procedure FROM crisis_case WHERE number = ?", broken.number)[0][0]
    fault_in_the_procedure(city, broken)
    sweep_at(city, 16)
    plain_sql(city, "UPDATE crisis_case SET procedure = ? WHERE number = ?", right, broken.number)

    assert [finding.name for finding in examine(city.engine) if not finding.ok and finding.name.startswith("notice")] == []
    city.engine.deliver()
    bodies = {message.body for message in city.messages() if message.to == OPERATOR}
    assert any(broken.number in body and "sweep_failed" not in body for body in bodies)


def test_a_mended_case_fires_what_it_owes(city: City) -> None:
    broken, _sound = two_words(city)
    right = plain_sql(city, "SELECT procedure FROM crisis_case WHERE number = ?", broken.number)[0][0]
    fault_in_the_procedure(city, broken)
    sweep_at(city, 16)
    plain_sql(city, "UPDATE crisis_case SET procedure = ? WHERE number = ?", right, broken.number)

    assert sweep_at(city, 2).cases == 1
    assert broken.tier == "grade"


def test_a_case_that_cannot_be_handed_over_holds_up_neither_the_others_nor_the_rungs(city: City) -> None:
    broken, sound = two_words(city)
    fault_in_the_log(city, broken)
    city.engine.add_absence(
        person=CLASS_TEACHER, begins_at=city.clock() + timedelta(minutes=3), ends_at=city.clock() + timedelta(days=3), by=OPERATOR,
    )

    report = sweep_at(city, 16)

    assert report.handed_over == 1
    assert sound.who("acknowledge") != CLASS_TEACHER
    assert sound.tier == "grade"


def test_a_rung_that_waited_through_an_outage_is_an_alarm_of_its_own(city: City) -> None:
    """Promise 7: after an outage all is decided at once, and the outage itself is told to whoever watches."""
    two_words(city)
    sweep_at(city, 15)
    assert notices(city, "sweep_gap") == set()

    sweep_at(city, 60)
    assert notices(city, "sweep_gap") == WATCHERS
    assert plain_sql(city, "SELECT count(*) FROM crisis_notice WHERE what = 'sweep_gap'") == [(1,)]


def test_two_sweepers_that_share_the_cases_leave_nothing_due_and_fire_nothing_twice(city: City) -> None:
    """Promise 2: a rung fires once, however many sweep."""
    two_words(city)
    city.clock.advance(timedelta(minutes=16))

    first = city.engine.sweep(share=(0, 2))
    second = city.engine.sweep(share=(1, 2))

    assert first.cases + second.cases == 2
    assert city.engine.sweep().cases == 0
    with pytest.raises(BadInput):
        city.engine.sweep(share=(2, 2))


def test_what_somebody_did_while_the_sweep_was_deciding_counts(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 2: the version of the case is the claim: a clock met in between does not fire."""
    case = city.report(PEER)
    real = prepare
    met: list[str] = []

    def meanwhile(changes: Sequence[Any]) -> Any:  # noqa: ANN401 - the store's Batch
        if not met:
            met.append(case.number)
            with open_engine(city.url, clock=city.clock) as other:
                other.act(case.number, "acknowledge", by=CLASS_TEACHER)
        return real(changes)

    monkeypatch.setattr(sweep_room, "prepare", meanwhile)
    report = sweep_at(city, 16)

    assert met == [case.number]
    assert (report.cases, report.failed) == (0, 0)
    assert case.tier == "class"
    assert case.happened("rung_fired") == []


@pytest.mark.parametrize("minutes", [0, 1])
def test_whoever_leaves_while_the_sweep_is_deciding_is_given_no_clock(city: City, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Promise 3: the end of a duty hands over once, so a batch that saw the person present must look again before it writes."""
    case = city.report(PEER)
    real = prepare
    left: list[str] = []

    def meanwhile(changes: Sequence[Any]) -> Any:  # noqa: ANN401 - the store's Batch
        if not left:
            left.append(GRADE_HEAD)
            city.clock.advance(timedelta(minutes=minutes))
            with open_engine(city.url, clock=city.clock) as other:
                other.end_duty(role="grade_head", unit=f"{SCHOOL}/g7", person=GRADE_HEAD, by=OPERATOR)
        return real(changes)

    monkeypatch.setattr(sweep_room, "prepare", meanwhile)
    report = sweep_at(city, 16)

    assert (left, report.failed) == ([GRADE_HEAD], 0)
    assert GRADE_HEAD not in {case.answers, *(clock.holder for clock in case.case.clocks)}
    assert [finding.name for finding in examine(city.engine) if finding.promise == 3 and not finding.ok] == []


def test_two_sweepers_that_meet_the_same_broken_case_in_one_second_tell_of_it_once(city: City) -> None:
    broken, _sound = two_words(city)
    fault_in_the_procedure(city, broken)

    assert sweep_at(city, 16).failed == 1
    with open_engine(city.url, clock=city.clock) as other:
        assert other.sweep().failed == 1
    assert plain_sql(city, "SELECT count(*) FROM crisis_notice WHERE what = 'sweep_failed'") == [(1,)]


def test_whoever_comes_to_answer_under_another_post_holds_what_goes_with_the_tier_under_that_post(city: City) -> None:
    """A clock that goes with the tier is found through who answers: post and person must be the same in both."""
    county, away = "xinyang/shihe", city.clock() + timedelta(days=30)
    city.engine.add_absence(person=COUNTY_OFFICER, begins_at=city.clock(), ends_at=away, by=OPERATOR)
    case = city.report(PEER).reach("triaging")
    city.engine.break_glass(case.number, by="p-12", because="the child stands on the roof")
    review = Story(city, next(number for link, number in case.links() if link == "track"))
    assert (review.answers, review.clock("second_person").role) == (COUNTY_DUTY, "county_duty")
    city.engine.import_roster(RosterSet(duties=(Duty("county_officer", county, COUNTY_DUTY, rank=3),)))
    city.wait(hours=25)

    assert review.happened("rung_fired")
    assert review.tier == "county"
    clock = review.clock("second_person")
    assert (clock.role, clock.holder) == (review.case.answers_role, review.answers) == ("county_officer", COUNTY_DUTY)
    assert [finding.name for finding in examine(city.engine) if not finding.ok and finding.promise == 1] == []


def test_a_duty_that_ends_in_seconds_that_pass_twice_is_handed_over_again(city: City) -> None:
    """A clock that is set back by some seconds shows by no heartbeat of a minute; who was handed over shows it."""
    story = city.report(PEER)
    end = city.clock() + timedelta(minutes=3)
    city.engine.end_duty(role="class_teacher", unit="xinyang/shihe/no-3/g7/c2", person=CLASS_TEACHER, at=end, by=OPERATOR)
    city.clock.advance(timedelta(minutes=2, seconds=30))
    city.engine.sweep()
    city.clock.advance(timedelta(seconds=40))
    city.engine.sweep()   # no minute since the heartbeat: it stays
    assert CLASS_TEACHER not in holders(city, story)
    city.clock.advance(timedelta(seconds=-25))
    city.engine.sweep()
    later = city.report(PEER, subject="stu-41")
    assert CLASS_TEACHER in holders(city, later), "she is there again, by this clock"
    city.clock.advance(timedelta(seconds=30))
    city.engine.sweep()
    assert CLASS_TEACHER not in holders(city, later)


def holders(city: City, story: Story) -> set[str | None]:
    """Return who holds a clock of the case, or answers for it."""
    with city.engine.store.reading() as tx:
        stored = tx.case(story.number)
    assert stored is not None
    return {stored.case.answers, *(clock.holder for clock in stored.case.clocks)}


def test_a_roster_that_broke_off_while_it_was_read_is_read_again(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Promise 3: whoever is away is away too after a statement failed between reading their duties and their absences."""
    city.engine.add_absence(person=CLASS_TEACHER, begins_at=city.clock(), ends_at=city.clock() + timedelta(hours=3), by=OPERATOR)

    def broken(_tx: Tx, _people: object) -> None:
        raise StoreError("The disk could not be read or written; nothing was changed.")

    def word(engine: Engine) -> str:
        return engine.report(unit=f"{SCHOOL}/g7/c2", subject="stu-42", by=PEER, facts="听到的话").token

    with open_engine(city.url, clock=city.clock) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(Tx, "absences_of", broken)
            with pytest.raises(StoreError):
                word(engine)
        case = city.story(word(engine))
    assert case.who("acknowledge") not in {None, CLASS_TEACHER}
