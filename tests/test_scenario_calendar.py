"""Paper clocks count working days with a wall cap, safety clocks never stop; provisional dates are reckoned anew."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from crisis_engine.almanac import published_calendar
from crisis_engine.core.calendar import parse_span

from .story import CITY_OFFICER, COUNTY_OFFICER, OPERATOR, PEER, VICE_PRINCIPAL, City, Story


def requested_at(city: City, when: str, risk: str = "red") -> Story:
    """Return a case of this risk whose closure the school requested at that time."""
    story = city.report(PEER).reach("follow_up", risk)
    city.clock.set(city.time(when))
    story.meet()
    if story.risk != risk:  # it was lowered to step down
        story.act(VICE_PRINCIPAL, "raise_risk", risk=risk, because="保守起见")
    return story.ask_closure()


def test_three_working_days_of_an_ordinary_week(city: City) -> None:
    story = requested_at(city, "2026-09-07 10:00")  # a Monday

    assert story.due("county_review") == city.time("2026-09-10 10:00")
    assert story.clock("county_review").provisional is False


def test_national_day_does_not_count_but_its_make_up_workday_does(city: City) -> None:
    """2026: 1 to 7 October are off, Saturday 10 October is worked (调休); the wall cap of seven days comes first."""
    story = requested_at(city, "2026-09-30 10:00")
    clock = story.clock("county_review")

    assert published_calendar().add(city.clock(), parse_span("3wd"), "xinyang")[0] == city.time("2026-10-10 10:00")
    assert clock.due_at == city.time("2026-10-07 10:00")  # a golden week cannot stretch it beyond the cap
    assert clock.cap_at == clock.due_at


def test_over_a_long_weekend_the_working_days_come_before_the_cap(city: City) -> None:
    """2026: Mid-Autumn is 25 to 27 September; three working days from Thursday the 24th end on the 30th, inside the cap."""
    story = requested_at(city, "2026-09-24 10:00")

    assert story.due("county_review") == city.time("2026-09-30 10:00")


def test_a_safety_clock_runs_through_national_day(city: City) -> None:
    city.clock.set(city.time("2026-10-01 02:00"))
    story = city.report(PEER, cues=["means"])

    assert story.due("acknowledge") == city.time("2026-10-01 02:10")
    assert story.due("guardian_told") == city.time("2026-10-01 02:30")


def test_the_assessment_of_a_red_case_in_the_holidays_is_not_put_off_to_the_next_dismissal(city: City) -> None:
    city.clock.set(city.time("2026-10-01 18:00"))

    assert city.report(PEER, cues=["means"]).due("assessment") == city.time("2026-10-01 19:00")


def test_a_date_beyond_the_published_calendar_is_provisional_and_is_reckoned_anew_when_the_calendar_comes(city: City) -> None:
    """Dates beyond the published calendar are provisional; publishing is done by a named person and moves them."""
    published = published_calendar()
    assert published.published_until == date(2026, 12, 31)
    story = requested_at(city, "2026-12-31 10:00", "orange")
    before = story.clock("county_review")
    assert before.provisional is True
    assert before.due_at == city.time("2027-01-07 10:00")  # five weekdays, for nothing better is known

    new = replace(published, off=published.off | {date(2027, 1, 1), date(2027, 1, 4), date(2027, 1, 5)}, published_until=date(2027, 12, 31))
    assert city.engine.publish_calendar(new, by=OPERATOR) == 1
    after = story.clock("county_review")
    assert after.provisional is False
    assert after.due_at == city.time("2027-01-12 10:00")
    assert after.due_at <= (after.cap_at or after.due_at)
    moved = story.happened("clock_moved", clock="county_review")
    assert [(event.by, event.why) for event in moved] == [(OPERATOR, "calendar")]  # type: ignore[attr-defined]


def test_a_published_calendar_never_pushes_a_clock_past_its_cap(city: City) -> None:
    published = published_calendar()
    story = requested_at(city, "2026-12-31 10:00", "orange")
    cap = story.clock("county_review").cap_at
    idle = frozenset(date(2027, 1, 1) + timedelta(days=n) for n in range(60))
    city.engine.publish_calendar(replace(published, off=published.off | idle, published_until=date(2027, 12, 31)), by=OPERATOR)

    assert cap == city.time("2027-01-14 10:00")
    assert story.due("county_review") == cap


def test_the_citys_evaluation_counts_its_own_days_and_goes_up_when_nobody_evaluates(city: City) -> None:
    story = requested_at(city, "2026-09-07 10:00").act(COUNTY_OFFICER, "county_agree", opinion="同意")
    assert story.due("city_evaluation") == city.time("2026-09-14 10:00")
    assert story.who("city_evaluation") == CITY_OFFICER
    city.clock.set(city.time("2026-09-14 10:00"))
    city.sweep()

    assert "city_evaluation" in story.late
    assert story.stage == "county_reviewed"  # software never closes
    story.act(VICE_PRINCIPAL, "withdraw_closure")
    assert "city_evaluation" not in story.clocks

