"""Supervision by rules (督导): what the engine opens about a unit by itself, each occasion once, and the zero report (零报告) as an act."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine import BadInput, Engine, NotAllowed, NotFound, open_engine
from crisis_engine.almanac import published_calendar
from crisis_engine.core.calendar import CHINA, Vacation
from crisis_engine.core.model import Absence, Duty
from crisis_engine.core.occasion import EVER, vacant_since
from crisis_engine.engine import supervise as room
from crisis_engine.testing import open_test_engine

from .story import (
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    OPERATOR,
    PEER,
    PRINCIPAL,
    SCHOOL,
    SECOND_COUNSELOR,
    VICE_PRINCIPAL,
    City,
    Story,
    copy_city,
)

VILLAGE = "xinyang/luoshan/village-1"     # the example's school without a counselor
OTHER_COUNTY = "p-111"


def orders(city: City, unit: str = SCHOOL, about: str | None = None) -> list[Story]:
    """Return the supervision cases about a unit, in the order in which they began."""
    with city.engine.store.reading() as tx:
        found = [one.case.number for one in tx.cases_about(unit, "supervision_v1")]
        forms = {number: tx.events(number)[0].secret for number in found}
    return [Story(city, number) for number in found if about is None or forms[number]["about"] == about]


def settle(order: Story) -> Story:
    """The school replies, the county accepts."""
    return order.act(PRINCIPAL, "reply", reply="已办").act(COUNTY_OFFICER, "accept")


def neglected(city: City, **more: Any) -> Story:  # noqa: ANN401 - any field of the form
    """A red case with which nobody does anything for two days."""
    case = city.report(PEER, cues=["fresh_injury"], **more)
    city.wait(days=2)
    return case


# ---- what a rule opens ------------------------------------------------------------------------------------------------------------------


def test_a_school_where_nobody_is_counselor_gets_an_order_once(city: City) -> None:
    first = city.engine.supervise()
    assert (first.held, first.opened, first.failed) == (1, 1, 0)
    (order,) = orders(city, VILLAGE)
    opened = order.events[0]
    assert (order.stage, order.tier, opened.by) == ("ordered", "county", "engine")
    assert (opened.secret["about"], opened.secret["kind"]) == ("no_teacher", "order")
    assert "supervision_reply" in order.clocks
    assert order.case.subject is None

    for _ in range(3):
        assert city.engine.supervise().opened == 0
    assert len(orders(city, VILLAGE)) == 1


def test_whoever_answers_hears_of_the_order(city: City) -> None:
    city.report(PEER, cues=["fresh_injury"])
    city.wait(days=2)
    city.engine.supervise()
    order = orders(city)[0]
    assert order.answers == COUNTY_OFFICER
    assert {COUNTY_OFFICER, PRINCIPAL} <= order.heard()


def test_a_red_case_that_lies_for_more_than_a_day_brings_an_order_that_names_neither_case_nor_child(city: City) -> None:
    case = city.report(PEER, cues=["fresh_injury"])
    city.wait(hours=20)
    city.engine.supervise()
    assert orders(city) == []
    city.wait(hours=28)
    city.engine.supervise()

    (order,) = orders(city)
    said = str(city.engine.case(order.number, by=COUNTY_OFFICER).to_json()) + str(order.events) + str(order.history())
    assert case.number not in said
    assert "stu-42" not in said
    assert order.links() == set()
    for by in (PRINCIPAL, COUNSELOR, COUNTY_OFFICER):
        assert city.engine.case(order.number, by=by).number == order.number
    for by in (CLASS_TEACHER, OTHER_COUNTY):
        with pytest.raises(NotAllowed):
            city.engine.case(order.number, by=by)


def test_whom_a_late_case_concerns_hears_of_no_order_about_it(city: City) -> None:
    neglected(city, about_staff=[PRINCIPAL])
    city.engine.supervise()
    (order,) = orders(city)
    assert PRINCIPAL in order.case.recused
    assert order.who("supervision_reply") not in {None, PRINCIPAL}
    assert PRINCIPAL not in order.heard()
    with pytest.raises(NotFound):
        city.engine.case(order.number, by=PRINCIPAL)


def test_a_late_mandatory_report_brings_no_order_for_nobody_may_know_of_it(city: City) -> None:
    case = city.report(PEER, cues=["withdrawn"])
    case.agreed(COUNSELOR, LAW_VICE_PRINCIPAL, "withhold_from_guardian", because="孩子指认父亲")
    city.wait(days=3)
    city.engine.supervise()
    assert orders(city, about="overdue_red") == []


def test_nothing_is_ordered_again_for_what_was_settled_and_a_new_delay_is_ordered_anew(city: City) -> None:
    case = neglected(city)
    city.engine.supervise()
    settle(orders(city)[0])
    city.wait(days=3)
    city.engine.supervise()
    ever_late = {clock.name for clock in case.case.clocks if clock.due_at + timedelta(days=1) <= city.clock()}
    late_since = [clock.due_at + timedelta(days=1) for clock in case.case.clocks if clock.name in ever_late]
    settled = orders(city)[0].case.opened_at
    assert len(orders(city)) == 1 + any(settled < at <= city.clock() for at in late_since)


def test_an_order_that_the_county_gave_by_hand_about_the_same_thing_counts(city: City) -> None:
    neglected(city)
    fields = {"kind": "guidance", "about": "overdue_red", "text": "请立即办理"}
    by_hand = Story(city, city.engine.open_case("supervision_v1", by=COUNTY_OFFICER, unit=SCHOOL, fields=fields).number)
    city.engine.supervise()
    assert [one.number for one in orders(city)] == [by_hand.number]
    settle(by_hand)
    city.engine.supervise()
    assert len(orders(city)) == 1, "it was settled by that order"


def test_an_order_about_another_thing_does_not_stand_in_its_way(city: City) -> None:
    neglected(city)
    fields = {"kind": "order", "about": "practice", "text": "请完善预案"}
    city.engine.open_case("supervision_v1", by=COUNTY_OFFICER, unit=SCHOOL, fields=fields)
    assert city.engine.supervise().opened == 2   # and the village's


def test_a_counselor_who_leaves_is_missed_after_a_month_and_again_only_after_one_came_back(city: City) -> None:
    away = {"begins_at": city.clock(), "ends_at": city.clock() + timedelta(days=400)}
    city.engine.end_duty(role="counselor", unit=SCHOOL, person=COUNSELOR, by=PRINCIPAL)
    city.engine.add_absence(person=SECOND_COUNSELOR, by=PRINCIPAL, **away)
    city.skip(days=29)
    city.engine.supervise()
    assert orders(city, about="no_teacher") == []
    city.skip(days=2)
    city.engine.supervise()
    settle(orders(city, about="no_teacher")[0])
    city.skip(days=40)
    city.engine.supervise()
    assert len(orders(city, about="no_teacher")) == 1

    city.engine.add_absence(person=SECOND_COUNSELOR, by=PRINCIPAL, begins_at=away["begins_at"], ends_at=city.clock())   # she is back
    city.skip(days=1)
    city.engine.add_absence(person=SECOND_COUNSELOR, by=PRINCIPAL, begins_at=city.clock(), ends_at=city.clock() + timedelta(days=400))
    city.skip(days=31)
    city.engine.supervise()
    assert len(orders(city, about="no_teacher")) == 2


# ---- the zero report --------------------------------------------------------------------------------------------------------------------


def to(city: City, day: str) -> None:
    city.clock.set(datetime.fromisoformat(f"{day}T09:00+08:00"))


def test_two_months_without_a_word_or_a_zero_report_bring_an_order(city: City) -> None:
    city.engine.supervise()              # from now on the rule is known: March had begun before
    to(city, "2026-05-11")
    city.engine.supervise()
    assert orders(city, about="no_report") == []
    to(city, "2026-06-05")
    city.engine.supervise()
    assert orders(city, about="no_report") == [], "ten days are left for May"
    to(city, "2026-06-11")
    city.engine.supervise()
    assert len(orders(city, about="no_report")) == 1
    settle(orders(city, about="no_report")[0])
    to(city, "2026-07-20")
    city.engine.supervise()
    assert len(orders(city, about="no_report")) == 1, "April and May were settled, June alone is one month"


@pytest.mark.parametrize("act", [
    lambda city: city.engine.zero_report(unit=SCHOOL, month="2026-04", by=VICE_PRINCIPAL),
    lambda city: city.engine.zero_report(unit=SCHOOL, month="2026-05", by=PRINCIPAL),
], ids=["the first month", "the last month"])
def test_a_zero_report_for_either_month_keeps_the_rule_from_asking(city: City, act: Callable[[City], object]) -> None:
    city.engine.supervise()
    to(city, "2026-06-11")
    act(city)
    city.engine.supervise()
    assert orders(city, about="no_report") == []
    assert orders(city, "xinyang/exp-1", about="no_report"), "the other school said nothing"


def test_a_word_about_a_child_counts_as_well(city: City) -> None:
    city.engine.supervise()
    to(city, "2026-05-20")
    city.report(PEER, cues=["withdrawn"])
    to(city, "2026-06-11")
    city.engine.supervise()
    assert orders(city, about="no_report") == []


def test_the_silence_of_the_rule_tells_nobody_of_a_word_about_themselves(city: City) -> None:
    """The principal said nothing and is shown no case: were there no order, there would have to be a word that is kept from him."""
    city.engine.supervise()
    to(city, "2026-05-20")
    city.report(PEER, cues=["withdrawn"], about_staff=[PRINCIPAL])
    to(city, "2026-06-11")
    city.engine.supervise()
    assert len(orders(city, about="no_report")) == 1


def test_a_school_on_vacation_is_not_asked_and_a_month_without_a_school_day_is_passed_by(city: City) -> None:
    summer = Vacation(SCHOOL, date(2026, 7, 1), date(2026, 8, 31))
    city.engine.publish_calendar(replace(published_calendar(), vacations=(summer,)), by=OPERATOR)
    city.engine.supervise()
    city.engine.zero_report(unit=SCHOOL, month="2026-02", by=PRINCIPAL)
    to(city, "2026-05-02")
    city.engine.zero_report(unit=SCHOOL, month="2026-04", by=PRINCIPAL)
    for day, many in (("2026-08-20", 0), ("2026-09-20", 0), ("2026-10-11", 1)):    # May is reported; June, and after the summer September
        to(city, day)
        if day == "2026-08-20":
            city.engine.zero_report(unit=SCHOOL, month="2026-05", by=PRINCIPAL)
        city.engine.supervise()
        assert len(orders(city, about="no_report")) == many, day


def test_a_zero_report_is_answered_the_same_whether_or_not_there_was_a_word(city: City) -> None:
    to(city, "2026-05-20")
    city.report(PEER, cues=["fresh_injury"], about_staff=[PRINCIPAL])
    to(city, "2026-06-01")
    schools = ((SCHOOL, PRINCIPAL), ("xinyang/exp-1", "p-201"))
    said = [city.engine.zero_report(unit=unit, month="2026-05", by=by).to_json() for unit, by in schools]
    assert [set(one) for one in said] == [{"unit", "month", "received_at"}] * 2
    assert said[0]["received_at"] == said[1]["received_at"]
    again = city.engine.zero_report(unit=SCHOOL, month="2026-05", by=PRINCIPAL)
    assert again.to_json() == said[0]


def test_only_who_holds_a_duty_of_the_school_makes_its_zero_report_and_only_for_a_month_that_is_over(city: City) -> None:
    for by in (CLASS_TEACHER, COUNTY_OFFICER, PEER, "p-201", OPERATOR):
        with pytest.raises(NotAllowed):
            city.engine.zero_report(unit=SCHOOL, month="2026-02", by=by)
    for month in ("2026-03", "2026-04", "2026-2", "february", "2026-13", "2024-02", "２０２６-02", ""):
        with pytest.raises(BadInput):
            city.engine.zero_report(unit=SCHOOL, month=month, by=PRINCIPAL)
    with pytest.raises(NotAllowed):
        city.engine.zero_report(unit=f"{SCHOOL}/g7", month="2026-02", by=CLASS_TEACHER)
    with pytest.raises(BadInput, match="no school"):
        city.engine.zero_report(unit=f"{SCHOOL}/g7", month="2026-02", by=PRINCIPAL)
    with city.engine.store.reading() as tx:
        assert tx.zero_reports() == {}


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_was_said_and_opened_is_only_ever_added_to(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with _opened(database, request, tmp_path) as engine:
        engine.zero_report(unit=SCHOOL, month="2026-02", by=PRINCIPAL)
        engine.supervise()
        for sql in ("DELETE FROM crisis_zero_report", "UPDATE crisis_zero_report SET month = '2026-01'", "DELETE FROM crisis_occasion",
                    "UPDATE crisis_occasion SET number = ''"):
            with pytest.raises(Exception, match="append-only"), engine.store.writing() as tx:
                tx.connection.exec_driver_sql(sql)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_conditions_and_loads_look_at_is_the_same_on_both_databases(
    database: str, request: pytest.FixtureRequest, tmp_path: Path,
) -> None:
    with _opened(database, request, tmp_path) as engine:
        receipt = engine.report(unit=CLASS, subject="stu-42", by=PEER, facts="听到的话", cues=["fresh_injury"])
        hidden = engine.report(unit=CLASS, subject="stu-41", by=PEER, facts="听到的话", about_staff=[PRINCIPAL])
        engine.zero_report(unit=SCHOOL, month="2026-01", by=PRINCIPAL)
        now = engine.now()
        with engine.store.reading() as tx:
            number, other = (tx.receipt(one.token).number for one in (receipt, hidden))
            case = tx.case(number).case
            later = now + timedelta(days=1)
            for unit in (SCHOOL, None, CLASS):
                assert [one.case.number for one in tx.late_cases(later, ["red"], unit)] == [number]
            assert tx.late_cases(later, ["red"], "xinyang/exp-1") == tx.late_cases(now, ["red"]) == []
            assert {one.case.number for one in tx.late_cases(later, ["red", "unrated"])} == {number, other}
            assert {(one.unit, one.workflow) for one in tx.words_since(now, SCHOOL)} == {(CLASS, "school_crisis_v1")}
            assert len(tx.words_since(now)) == 2, "the opening and its receipt; of the word about the principal nothing"
            assert tx.words_since(later) == tx.words_since(now, "xinyang/exp-1") == []
            assert tx.zero_reports(SCHOOL) == tx.zero_reports() == {SCHOOL: frozenset({"2026-01"})}
            assert tx.open_procedures(SCHOOL) == [case.procedure]
            assert [one.case.number for one in tx.open_cases_under(SCHOOL, [case.procedure])] == [number, other]
            assert {duty.person for duty in tx.duties_in({"counselor"}, SCHOOL)[SCHOOL]} == {COUNSELOR, SECOND_COUNSELOR}
            assert tx.duties_in({"counselor"})[SCHOOL] == tx.duties_in({"counselor"}, SCHOOL)[SCHOOL]
            assert tx.staff_among([PRINCIPAL, "gd-42", "stu-42"]) == {PRINCIPAL}


# ---- once, whoever looks how often ------------------------------------------------------------------------------------------------------


class _Crash(Exception):
    pass


def _opened(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Any:  # noqa: ANN401 - a context that gives an engine
    url = str(request.getfixturevalue("postgres_url")) if database == "postgresql" else None
    if url is None:
        copy_city(request.getfixturevalue("city_template"), tmp_path / "one.db")
        url = f"sqlite:///{tmp_path / 'one.db'}"
    return open_engine(url, clock=lambda: datetime(2026, 3, 2, tzinfo=CHINA))


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_that_look_at_the_same_moment_open_one_order(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with _opened(database, request, tmp_path) as engine, open_engine(engine.store.url, clock=engine.now) as other:
        both, opened = threading.Barrier(2), []

        def look(one: Engine) -> None:
            both.wait()
            opened.append(one.supervise().opened)

        threads = [threading.Thread(target=look, args=(one,)) for one in (engine, other)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(opened) == [0, 1]
        with engine.store.reading() as tx:
            assert len(tx.cases_about(VILLAGE, "supervision_v1")) == 1


_STEPS = st.lists(st.tuples(st.sampled_from(["look", "look_twice", "crash", "leave", "return", "accept"]), st.integers(1, 40)),
                  min_size=4, max_size=14)


@settings(max_examples=25, derandomize=True)
@given(_STEPS)
def test_each_occasion_is_opened_once_however_often_and_wherever_it_is_looked_for(template: Path, steps: list[tuple[str, int]]) -> None:
    """Whoever looks, whenever they crash: an order for each vacancy that lasted, none while one is open, none for what was settled."""
    with tempfile.TemporaryDirectory() as folder:
        copy_city(template, Path(folder) / "city.db")
        with open_test_engine(url=f"sqlite:///{folder}/city.db") as (engine, clock, channel):
            city = City(engine, clock, channel, "")
            with open_engine(f"sqlite:///{folder}/city.db", clock=clock) as other:
                _live(city, other, steps)


def _live(city: City, other: Engine, steps: list[tuple[str, int]]) -> None:
    city.engine.end_duty(role="counselor", unit=SCHOOL, person=COUNSELOR, by=PRINCIPAL)
    gone: datetime | None = None
    covered: datetime | None = None      # until here everything was settled by an order
    expected = 0
    for what, days in steps:
        city.skip(days=days)
        now = city.clock()
        standing = [order for order in orders(city, about="no_teacher") if order.case.open]
        assert len(standing) <= 1
        due = gone is not None and now >= gone + timedelta(days=30) and not standing and (covered is None or gone > covered)
        if what == "leave" and gone is None:
            city.engine.add_absence(person=SECOND_COUNSELOR, by=PRINCIPAL, begins_at=now, ends_at=now + timedelta(days=3000))
            gone = now
        elif what == "return" and gone is not None:
            city.engine.add_absence(person=SECOND_COUNSELOR, by=PRINCIPAL, begins_at=gone, ends_at=now)
            gone = None
        elif what == "accept" and standing:
            settle(standing[0])
        elif what == "crash":
            with pytest.MonkeyPatch.context() as patch, suppress(_Crash):
                patch.setattr(room, "log", _crash_at("supervision.opened"))
                city.engine.supervise()
            expected, covered = (expected + 1, now) if due and _crashed_late(city, expected) else (expected, covered)
        elif what.startswith("look"):
            for engine in (city.engine, other)[:1 + (what == "look_twice")]:
                engine.supervise()
            expected, covered = (expected + 1, now) if due else (expected, covered)
        assert len(orders(city, about="no_teacher")) == expected, (what, days)


def _crash_at(event: str) -> Callable[..., None]:
    """Die right behind the commit of the first order of a look."""
    def log(name: str, **_fields: object) -> None:
        if name == event:
            raise _Crash

    return log


def _crashed_late(city: City, before: int) -> bool:
    return len(orders(city, about="no_teacher")) > before


@pytest.fixture(scope="module")
def template(city_template: Path) -> Path:
    return city_template


def test_a_unit_that_cannot_be_decided_keeps_no_other_from_being_looked_at(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    neglected(city)
    whole = room.Supervising._open_by_rule  # noqa: SLF001 - the one place that is made to fail

    def failing(self: Any, rule: Any, unit: Any, spoke: Any) -> bool:  # noqa: ANN401 - as it is
        if unit.id == VILLAGE:
            raise BadInput("broken")
        return bool(whole(self, rule, unit, spoke))

    monkeypatch.setattr(room.Supervising, "_open_by_rule", failing)
    report = city.engine.supervise()
    assert (report.held, report.opened, report.failed) == (2, 1, 1)


# ---- since when nobody is there: pure ---------------------------------------------------------------------------------------------------

_DAY = timedelta(days=1)
_START = datetime(2026, 1, 1, tzinfo=CHINA)
_spans = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), max_size=4)


@settings(max_examples=200, derandomize=True)
@given(_spans, _spans, st.integers(0, 80))
def test_since_when_nobody_is_there_is_the_last_moment_at_which_somebody_was(
    held: list[tuple[int, int]], away: list[tuple[int, int]], today: int,
) -> None:
    now = _START + today * _DAY
    duties = [Duty("counselor", SCHOOL, "p-1", _START + begin * _DAY, _START + (begin + days) * _DAY) for begin, days in held]
    absences = {"p-1": tuple(Absence("p-1", _START + begin * _DAY, _START + (begin + days) * _DAY) for begin, days in sorted(set(away)))}

    def there(half_days: int) -> bool:
        at = _START + half_days * _DAY / 2
        on = any(duty.begins_at <= at < duty.ends_at for duty in duties if duty.begins_at and duty.ends_at)
        return on and not any(one.begins_at <= at < one.ends_at for one in absences["p-1"])

    found = vacant_since(duties, absences, EVER, now)
    last = next((half for half in range(2 * today, -1, -1) if there(half)), None)
    if last == 2 * today:
        assert found is None
    else:
        assert found == (EVER if last is None else _START + (last + 1) * _DAY / 2)
