"""The published calendar against the State Council's notice for 2026 and against a second, independent library."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, datetime, timedelta

import holidays
import pytest

from crisis_engine.almanac import published_calendar
from crisis_engine.core.calendar import CHINA, Span

CALENDAR = published_calendar()

# The notice on the holidays of 2026: first and last day off, and the weekend days that are worked for it.
NOTICE_2026 = {
    "元旦": (date(2026, 1, 1), date(2026, 1, 3), [date(2026, 1, 4)]),
    "春节": (date(2026, 2, 15), date(2026, 2, 23), [date(2026, 2, 14), date(2026, 2, 28)]),
    "清明节": (date(2026, 4, 4), date(2026, 4, 6), []),
    "劳动节": (date(2026, 5, 1), date(2026, 5, 5), [date(2026, 5, 9)]),
    "端午节": (date(2026, 6, 19), date(2026, 6, 21), []),
    "中秋节": (date(2026, 9, 25), date(2026, 9, 27), []),
    "国庆节": (date(2026, 10, 1), date(2026, 10, 7), [date(2026, 9, 20), date(2026, 10, 10)]),
}


def days(first: date, last: date) -> list[date]:
    """Return every date from first to last, both included."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


@pytest.mark.parametrize("name", NOTICE_2026)
def test_each_holiday_of_the_notice_for_2026_is_off_and_its_make_up_days_are_worked(name: str) -> None:
    first, last, worked = NOTICE_2026[name]
    assert [day for day in days(first, last) if CALENDAR.is_working_day(day)] == []
    assert [day for day in worked if not CALENDAR.is_working_day(day)] == []


def test_the_notice_for_2026_names_every_day_on_which_the_week_is_broken() -> None:
    named = {day for first, last, worked in NOTICE_2026.values() for day in [*days(first, last), *worked]}
    broken = {day for day in CALENDAR.off | CALENDAR.work if day.year == 2026}
    assert broken <= named


@pytest.mark.parametrize("year", [2024, 2025, 2026])
def test_every_day_agrees_with_the_holidays_library(year: int) -> None:
    other = holidays.country_holidays("CN", years=year)
    whole_year = days(date(year, 1, 1), date(year, 12, 31))
    assert [day for day in whole_year if CALENDAR.is_working_day(day) != other.is_working_day(day)] == []


def test_three_working_days_from_the_eve_of_the_spring_festival_end_after_it() -> None:
    saturday_worked = datetime(2026, 2, 14, 9, 0, tzinfo=CHINA)
    assert CALENDAR.add(saturday_worked, Span(3, "wd"), "") == (datetime(2026, 2, 26, 9, 0, tzinfo=CHINA), False)


def test_the_calendar_ends_with_the_year_of_its_data_and_a_date_beyond_is_provisional() -> None:
    last = CALENDAR.published_until
    # 2026 with today's package, so that 2027 is provisional; a later package may only move it on by whole years.
    assert (last.month, last.day) == (12, 31)
    assert last.year == max(CALENDAR.off).year >= 2026
    a_week_before = datetime(last.year, 12, 24, 9, 0, tzinfo=CHINA)
    assert CALENDAR.add(a_week_before, Span(1, "wd"), "")[1] is False
    assert CALENDAR.add(a_week_before, Span(10, "wd"), "")[1] is True


def test_the_calendar_keeps_weekday_holidays_and_worked_weekends_and_no_vacation() -> None:
    assert {day.weekday() for day in CALENDAR.off} == {0, 1, 2, 3, 4}
    assert {day.weekday() for day in CALENDAR.work} == {5, 6}
    assert CALENDAR.vacations == ()


def test_the_data_package_is_loaded_only_when_the_calendar_is_asked_for() -> None:
    code = "import sys, crisis_engine.almanac; sys.exit('chinese_calendar' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
