"""Spans, working and school days, hours and dismissal: what a due date in China rests on."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crisis_engine.core.calendar import (
    CHINA,
    Calendar,
    Offset,
    Span,
    Vacation,
    dismissal_after,
    parse_hours,
    parse_offset,
    parse_span,
)

SCHOOL = "anyang-example/east/no-1"
# A small invented calendar: a golden week whose Sunday before and Saturday after are worked, and a summer at one school.
CALENDAR = Calendar(
    off=frozenset({date(2026, 10, 1), date(2026, 10, 2), date(2026, 10, 5), date(2026, 10, 6), date(2026, 10, 7)}),
    work=frozenset({date(2026, 9, 20), date(2026, 10, 10)}),
    published_until=date(2026, 12, 31),
    vacations=(Vacation(SCHOOL, date(2026, 7, 6), date(2026, 8, 31)),),
)
FIVE_YEARS = frozenset(date(2026, 1, 1) + timedelta(days=n) for n in range(5 * 366))
NEVER_WORKED = Calendar(off=FIVE_YEARS, work=frozenset(), published_until=date(2030, 1, 1))

INSTANTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.sampled_from([UTC, CHINA]))  # noqa: DTZ001 (zone added)
DAY_UNITS = st.sampled_from(["wd", "sd"])


def at(text: str) -> datetime:
    """Return the instant of a local time in China, such as "2026-10-01 08:00"."""
    return datetime.fromisoformat(text).replace(tzinfo=CHINA)


# ---- spans ------------------------------------------------------------------------------------------------------


@given(st.integers(0, 9_999_999), st.sampled_from(["m", "h", "d", "wd", "sd"]))
def test_every_span_is_read_back_as_it_was_written(amount: int, unit: str) -> None:
    span = parse_span(f"{amount}{unit}")
    assert (span.amount, span.unit) == (amount, unit)
    assert parse_span(str(span)) == span


NO_SPANS = ["", "15", "m", "1.5h", "-15m", "15 m", "15M", "015m", "1w", "4h\n", "٣h", "99999999d", 15, None, ["4h"]]
NO_OFFSETS = ["", "50", "0%", "100%", "-50%", "15m", "--15m", "-0m", "-1wd", "-1sd", "1.5%", "-15m ", 50, None]


@pytest.mark.parametrize("text", NO_SPANS)
def test_anything_else_is_refused_as_a_span_with_a_sentence(text: object) -> None:
    with pytest.raises(ValueError, match=r"is no span of time: write a whole number .*\."):
        parse_span(text)


def test_a_span_made_by_hand_is_checked_too() -> None:
    with pytest.raises(ValueError, match="is no span"):
        Span(-1, "h")
    with pytest.raises(ValueError, match="is no span"):
        Span(1, "weeks")


def test_wall_spans_have_a_length_and_an_order() -> None:
    assert parse_span("90m").wall == timedelta(hours=1, minutes=30)
    assert parse_span("7d").wall == timedelta(days=7)
    assert parse_span("60m") < parse_span("4h") < parse_span("1d")
    assert parse_span("60m") <= parse_span("1h") <= parse_span("60m")
    assert not parse_span("60m") < parse_span("1h")
    assert max(parse_span("2d"), parse_span("24h"), parse_span("99m")) == Span(2, "d")


def test_working_days_have_no_length_and_no_order_without_a_calendar() -> None:
    assert not parse_span("3wd").is_wall
    assert not parse_span("3sd").is_wall
    with pytest.raises(ValueError, match="no fixed length"):
        _ = parse_span("3wd").wall
    with pytest.raises(ValueError, match="no fixed length"):
        _ = parse_span("3h") < parse_span("3sd")


# ---- offsets ----------------------------------------------------------------------------------------------------


def test_a_reminder_stands_at_a_share_of_the_budget_or_before_due() -> None:
    begins_at, due_at = at("2026-03-02 08:00"), at("2026-03-02 12:00")
    assert parse_offset("50%").at(begins_at, due_at) == at("2026-03-02 10:00")
    assert parse_offset("-15m").at(begins_at, due_at) == at("2026-03-02 11:45")
    assert parse_offset("-15m").shift == timedelta(minutes=-15)
    assert parse_offset("50%").shift is None
    assert [str(parse_offset(text)) for text in ("2%", "-2d")] == ["2%", "-2d"]


@pytest.mark.parametrize("text", NO_OFFSETS)
def test_anything_else_is_refused_as_an_offset_with_a_sentence(text: object) -> None:
    with pytest.raises(ValueError, match=r"is no offset: write a share of the budget.*\."):
        parse_offset(text)


def test_an_offset_is_one_thing_or_the_other() -> None:
    for percent, before in ((None, None), (50, Span(1, "h"))):
        with pytest.raises(ValueError, match="either"):
            Offset(percent, before)


# ---- working and school days ------------------------------------------------------------------------------------


def test_a_golden_week_is_jumped_and_its_make_up_days_count() -> None:
    before = at("2026-09-30 16:00")  # Wednesday
    assert CALENDAR.add(before, Span(1, "wd"), SCHOOL) == (at("2026-10-08 16:00"), False)
    assert CALENDAR.add(before, Span(3, "wd"), SCHOOL) == (at("2026-10-10 16:00"), False)  # a worked Saturday
    assert CALENDAR.add(before, Span(4, "wd"), SCHOOL) == (at("2026-10-12 16:00"), False)
    assert CALENDAR.add(at("2026-09-18 16:00"), Span(1, "wd"), SCHOOL)[0] == at("2026-09-20 16:00")  # a worked Sunday


def test_a_wall_span_runs_through_the_golden_week() -> None:
    assert CALENDAR.add(at("2026-09-30 16:00"), Span(72, "h"), SCHOOL) == (at("2026-10-03 16:00"), False)


def test_a_start_at_the_weekend_counts_as_the_same_time_on_the_next_working_day() -> None:
    saturday, monday = at("2026-03-07 10:00"), at("2026-03-09 10:00")
    assert CALENDAR.add(saturday, Span(0, "wd"), SCHOOL)[0] == monday
    assert CALENDAR.add(saturday, Span(1, "wd"), SCHOOL) == CALENDAR.add(monday, Span(1, "wd"), SCHOOL)
    assert CALENDAR.add(saturday, Span(1, "wd"), SCHOOL)[0] == at("2026-03-10 10:00")


def test_the_day_is_counted_on_chinas_clock_and_not_on_greenwichs() -> None:
    friday_in_greenwich = datetime(2026, 3, 6, 17, 0, tzinfo=UTC)  # Saturday 01:00 in China
    assert CALENDAR.add(friday_in_greenwich, Span(0, "wd"), SCHOOL)[0] == at("2026-03-09 01:00")


def test_a_date_beyond_the_published_calendar_is_provisional_and_a_wall_date_never() -> None:
    new_years_eve = at("2026-12-30 09:00")
    assert CALENDAR.add(new_years_eve, Span(1, "wd"), SCHOOL) == (at("2026-12-31 09:00"), False)
    assert CALENDAR.add(new_years_eve, Span(2, "wd"), SCHOOL) == (at("2027-01-01 09:00"), True)
    assert CALENDAR.add(at("2027-06-01 09:00"), Span(0, "wd"), SCHOOL)[1]
    assert CALENDAR.add(new_years_eve, Span(400, "d"), SCHOOL)[1] is False


def test_school_days_stop_for_the_vacation_of_the_school_and_of_everything_under_it_only() -> None:
    last_day = at("2026-07-03 15:00")
    assert CALENDAR.add(last_day, Span(1, "sd"), SCHOOL)[0] == at("2026-09-01 15:00")
    assert CALENDAR.add(last_day, Span(1, "sd"), f"{SCHOOL}/g7/c2")[0] == at("2026-09-01 15:00")
    for elsewhere in ("anyang-example/east", f"{SCHOOL}0", "anyang-example/east/no-2"):
        assert CALENDAR.add(last_day, Span(1, "sd"), elsewhere)[0] == at("2026-07-06 15:00")
    assert CALENDAR.add(last_day, Span(1, "wd"), SCHOOL)[0] == at("2026-07-06 15:00")


def test_a_vacation_includes_its_first_and_last_day_and_a_holiday_is_no_school_day() -> None:
    edges = (date(2026, 7, 3), date(2026, 7, 6), date(2026, 8, 31), date(2026, 9, 1))
    assert [CALENDAR.is_school_day(day, SCHOOL) for day in edges] == [True, False, False, True]
    assert not CALENDAR.is_school_day(date(2026, 10, 1), SCHOOL)
    assert CALENDAR.is_school_day(date(2026, 10, 10), SCHOOL)


@given(INSTANTS, st.integers(0, 60), DAY_UNITS)
@example(at("2026-09-19 23:59"), 0, "wd")
@example(at("2026-07-05 00:00"), 1, "sd")
def test_days_added_end_on_a_counted_day_at_the_same_clock_time_aware_and_in_utc(start: datetime, amount: int, unit: str) -> None:
    end, provisional = CALENDAR.add(start, Span(amount, unit), SCHOOL)
    local = end.astimezone(CHINA)
    assert end.tzinfo is UTC
    assert end >= start
    assert local.time() == start.astimezone(CHINA).time()
    assert CALENDAR.is_working_day(local.date())
    assert unit == "wd" or CALENDAR.is_school_day(local.date(), SCHOOL)
    assert provisional == (local.date() > CALENDAR.published_until)


@given(INSTANTS, st.integers(0, 60), DAY_UNITS)
def test_one_day_more_ends_later_with_no_counted_day_between(start: datetime, amount: int, unit: str) -> None:
    end, _ = CALENDAR.add(start, Span(amount, unit), SCHOOL)
    later, _ = CALENDAR.add(start, Span(amount + 1, unit), SCHOOL)
    between = [(end + timedelta(days=n)).astimezone(CHINA).date() for n in range(1, (later - end).days)]
    assert later > end
    assert not any(CALENDAR.is_school_day(day, SCHOOL) if unit == "sd" else CALENDAR.is_working_day(day) for day in between)


@given(INSTANTS, st.integers(0, 20_000), st.sampled_from(["m", "h", "d"]))
def test_a_wall_span_is_exact(start: datetime, amount: int, unit: str) -> None:
    end, provisional = CALENDAR.add(start, Span(amount, unit), SCHOOL)
    assert end - start == Span(amount, unit).wall
    assert end.tzinfo is UTC
    assert not provisional


def test_a_calendar_without_working_days_ends_in_a_sentence_and_not_in_a_hang() -> None:
    for unit in ("wd", "sd"):
        with pytest.raises(ValueError, match=r"^The three years from 2026-03-02 on do not have 1 .* days"):
            NEVER_WORKED.add(at("2026-03-02 08:00"), Span(1, unit), SCHOOL)


def test_the_end_of_time_is_refused_with_a_sentence() -> None:
    with pytest.raises(ValueError, match="beyond the year 9999"):
        CALENDAR.add(at("2026-03-02 08:00"), Span(9_999_999, "d"), SCHOOL)
    with pytest.raises(ValueError, match="do not have 9 working days"):
        CALENDAR.add(at("9999-12-30 08:00"), Span(9, "wd"), SCHOOL)


def test_naive_times_and_instants_taken_for_dates_are_refused() -> None:
    naive = datetime(2026, 10, 1, 8, 0)  # noqa: DTZ001 (the mistake under test)
    hours = parse_hours("wd 08:00-18:00")
    for call in (
        lambda: CALENDAR.add(naive, Span(1, "h"), SCHOOL),
        lambda: CALENDAR.add(naive, Span(1, "wd"), SCHOOL),
        lambda: hours.covers(naive, CALENDAR),
        lambda: parse_hours("").covers(naive, CALENDAR),
        lambda: parse_hours("").next_opening(naive, CALENDAR),
        lambda: dismissal_after(naive, "17:30", CALENDAR, SCHOOL),
    ):
        with pytest.raises(ValueError, match=r"has no time zone: add one, such as 2026-10-01T08:00:00\+08:00"):
            call()
    with pytest.raises(TypeError, match="is an instant"):
        CALENDAR.is_working_day(at("2026-10-01 08:00"))


def test_a_contradictory_calendar_and_a_backward_vacation_are_refused() -> None:
    with pytest.raises(ValueError, match="2026-10-01 stands in the calendar as a holiday and as a working day"):
        Calendar(off=frozenset({date(2026, 10, 1)}), work=frozenset({date(2026, 10, 1)}), published_until=date(2026, 12, 31))
    for unit, first, last in ((SCHOOL, date(2026, 8, 31), date(2026, 7, 6)), ("", date(2026, 7, 6), date(2026, 8, 31))):
        with pytest.raises(ValueError, match="A vacation needs a unit and first <= last: "):
            Vacation(unit, first, last)


# ---- hours ------------------------------------------------------------------------------------------------------

OFFICE = "mon-fri 08:00-18:00; sat 08:00-12:00"


@pytest.mark.parametrize(
    ("text", "there", "not_there"),
    [  # 6 March 2026 is a Friday; 1 to 7 October are off, 10 October is a worked Saturday
        (OFFICE, "03-06 08:00, 03-06 17:59, 03-07 11:59", "03-06 07:59, 03-06 18:00, 03-07 12:00"),
        ("fri 22:00-06:00", "03-06 22:00, 03-07 05:59", "03-06 05:00, 03-07 06:00, 03-07 23:00"),
        ("mon-sun 18:00-06:00", "03-06 18:00, 03-06 00:00, 03-06 05:59", "03-06 06:00, 03-06 17:59"),
        ("wd 08:00-18:00", "10-10 08:00, 09-30 08:00", "10-01 08:00, 10-11 08:00"),
        ("wd 18:00-06:00", "09-30 23:00, 10-01 05:59", "10-01 23:00, 10-08 05:00"),
        ("mon-fri 08:00-18:00", "10-01 08:00", "10-10 08:00"),
        ("sat-mon 00:00-24:00", "03-07 00:00, 03-09 23:59", "03-06 23:59, 03-10 00:00"),
        ("mon,wed 08:00-09:00;", "03-02 08:00, 03-04 08:00", "03-03 08:00"),
        ("WD 08：00－12：00；SAT，SUN 09:00 - 10:00", "03-06 08:00, 03-08 09:30", "03-08 08:00"),
    ],
)
def test_hours_cover_what_they_say(text: str, there: str, not_there: str) -> None:
    hours = parse_hours(text)
    assert [moment for moment in there.split(", ") if not hours.covers(at(f"2026-{moment}"), CALENDAR)] == []
    assert [moment for moment in not_there.split(", ") if hours.covers(at(f"2026-{moment}"), CALENDAR)] == []


@given(INSTANTS)
def test_no_hours_mean_always(now: datetime) -> None:
    assert parse_hours("").covers(now, CALENDAR)
    assert parse_hours(" ").next_opening(now, CALENDAR) == now


@pytest.mark.parametrize(
    ("text", "now", "opens"),
    [
        (OFFICE, "2026-03-06 09:00", "2026-03-06 09:00"),
        (OFFICE, "2026-03-06 18:00", "2026-03-07 08:00"),
        (OFFICE, "2026-03-07 12:00", "2026-03-09 08:00"),
        ("wd 08:00-18:00", "2026-09-30 18:00", "2026-10-08 08:00"),
        ("fri 22:00-06:00", "2026-03-07 06:00", "2026-03-13 22:00"),
        ("mon 20:00-21:00; mon 08:00-09:00", "2026-03-02 07:00", "2026-03-02 08:00"),
        ("", "2026-03-08 03:00", "2026-03-08 03:00"),
    ],
)
def test_the_next_opening_is_the_first_instant_at_which_somebody_is_there(text: str, now: str, opens: str) -> None:
    opening = parse_hours(text).next_opening(at(now), CALENDAR)
    assert opening == at(opens)
    assert opening.tzinfo is UTC


@given(
    st.sampled_from([OFFICE, "wd 08:00-18:00", "mon-sun 18:00-06:00", "fri 22:00-06:00; tue 00:00-24:00", ""]),
    INSTANTS,
    st.floats(0, 1, exclude_max=True),
)
def test_hours_cover_the_next_opening_and_nothing_before_it(text: str, now: datetime, share: float) -> None:
    hours = parse_hours(text)
    opening = hours.next_opening(now, CALENDAR)
    assert opening >= now
    assert hours.covers(opening, CALENDAR)
    between = now + (opening - now) * share
    assert between >= opening or not hours.covers(between, CALENDAR)


def test_hours_that_never_open_end_in_a_sentence_and_not_in_a_hang() -> None:
    with pytest.raises(ValueError, match="do not open in the three years"):
        parse_hours("wd 08:00-18:00").next_opening(at("2026-03-02 08:00"), NEVER_WORKED)


NO_DAYS = ["mon-", "mon-fry", "-fri", "mon,,tue", "wd-fri", "mon tue", "", "always"]
NO_RANGES = ["8:00-18:00", "08:00-25:00", "08:60-18:00", "08:00-08:00", "24:00-06:00", "08:00-18:00 sat 08:00-12:00", "08:00", ""]


@pytest.mark.parametrize("text", [";", *(f"{days} 08:00-18:00" for days in NO_DAYS), *(f"mon {span}" for span in NO_RANGES)])
def test_anything_else_is_refused_as_hours_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=r": write .*\.$"):
        parse_hours(text)


def test_a_text_of_ten_megabytes_is_refused_in_one_short_sentence() -> None:
    for parse in (parse_span, parse_offset, parse_hours):
        with pytest.raises(ValueError, match="write") as refused:
            parse("9" * 10_000_000)
        assert len(str(refused.value)) < 250


def test_the_same_hours_are_parsed_once() -> None:
    assert parse_hours(OFFICE) is parse_hours(OFFICE)


# ---- dismissal --------------------------------------------------------------------------------------------------


def test_dismissal_is_todays_while_it_lies_ahead() -> None:
    assert dismissal_after(at("2026-03-02 17:29"), "17:30", CALENDAR, SCHOOL) == at("2026-03-02 17:30")
    assert dismissal_after(at("2026-03-02 17:30"), "17:30", CALENDAR, SCHOOL) is None
    assert dismissal_after(at("2026-03-02 00:00"), "17:30", CALENDAR, SCHOOL) == at("2026-03-02 17:30")


def test_nobody_is_dismissed_on_a_holiday_in_the_vacation_or_where_pupils_board() -> None:
    assert dismissal_after(at("2026-10-01 08:00"), "17:30", CALENDAR, SCHOOL) is None
    assert dismissal_after(at("2026-07-06 08:00"), "17:30", CALENDAR, f"{SCHOOL}/g7") is None
    assert dismissal_after(at("2026-03-02 08:00"), None, CALENDAR, SCHOOL) is None
    assert dismissal_after(at("2026-10-10 08:00"), "17:30", CALENDAR, SCHOOL) == at("2026-10-10 17:30")


@pytest.mark.parametrize("text", ["", "5pm", "17.30", "24:30", "1730"])
def test_a_dismissal_that_is_no_time_is_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no time of day"):
        dismissal_after(at("2026-03-02 08:00"), text, CALENDAR, SCHOOL)
