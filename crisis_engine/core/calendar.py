"""Spans of time, working and school days, a duty's hours: everything the rules know about China's calendar and clock."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache

CHINA = timezone(timedelta(hours=8))
"""China's time: UTC+8 all year, without summer time, in the whole country."""

_WALL_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_UNITS = (*_WALL_UNITS, "wd", "sd")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SATURDAY = 5
_WORKING_DAYS = "wd"
_DAY = timedelta(days=1)
_SEARCH_DAYS = 3 * 366  # a search for a day ends here, so that a calendar without working days cannot hang a sweep

# Ten digits would overflow timedelta; seven say anything that a policy can mean. Leading zeros are out, so that text round-trips.
SPAN = re.compile(r"(0|[1-9][0-9]{0,6})(m|h|d|wd|sd)")
PERCENT = re.compile(r"([1-9][0-9]?)%")
_SLOT = re.compile(r"(\S+)\s+([0-9]{2}:[0-9]{2})\s*-\s*([0-9]{2}:[0-9]{2})")
_TIME = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):00)")


# ---- spans and offsets ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A length of time as a policy writes it: m, h, d by the wall clock, or working (wd, 工作日) or school days (sd).

    Wall spans are ordered by their length (`60m <= 1h <= 60m`) though `==` compares what was written (`60m != 1h`).
    """

    amount: int
    unit: str

    def __post_init__(self) -> None:
        """Raise ValueError for an unknown unit or a negative amount."""
        if self.unit not in _UNITS or self.amount < 0:
            raise ValueError(f"{self.amount}{self.unit} is no span: write 0 or more and one of {', '.join(_UNITS)}.")

    @property
    def is_wall(self) -> bool:
        """Whether the span runs by the wall clock, through nights, weekends and holidays."""
        return self.unit in _WALL_UNITS

    @property
    def wall(self) -> timedelta:
        """Return the exact length; ValueError for working and school days, which have none without a calendar."""
        if not self.is_wall:
            raise ValueError(f"{self} counts days of a calendar and has no fixed length: write it in m, h or d.")
        return self.amount * _WALL_UNITS[self.unit]

    def __lt__(self, other: Span) -> bool:
        """Compare two wall spans; ValueError if one counts working or school days."""
        return self.wall < other.wall

    def __le__(self, other: Span) -> bool:
        """Compare two wall spans; ValueError if one counts working or school days."""
        return self.wall <= other.wall

    def __str__(self) -> str:
        """Return the text that `parse_span` reads back."""
        return f"{self.amount}{self.unit}"


def parse_span(text: object) -> Span:
    """Return the span that a file wrote as "15m", "4h", "7d", "3wd" or "2sd"; ValueError with a sentence for anything else."""
    match = SPAN.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f'{text!r:.60} is no span of time: write a whole number and m, h, d, wd or sd in quotes, such as "15m".')
    return Span(int(match[1]), match[2])


@dataclass(frozen=True, slots=True)
class Offset:
    """When a reminder goes out: after `percent` of the budget, or a wall span `before` the clock is due. Exactly one is set."""

    percent: int | None = None
    before: Span | None = None

    def __post_init__(self) -> None:
        """Raise ValueError unless exactly one of the two is set."""
        if (self.percent is None) == (self.before is None):
            raise ValueError("An offset is either a share of the budget or a span before due.")

    @property
    def shift(self) -> timedelta | None:
        """The negative distance from due; None for a share of the budget."""
        return None if self.before is None else -self.before.wall

    def at(self, begins_at: datetime, due_at: datetime) -> datetime:
        """Return the instant for a clock that began and is due then; it may lie before `begins_at` when the budget is short."""
        if self.before is not None:
            return due_at - self.before.wall
        return begins_at + (due_at - begins_at) * (self.percent or 0) / 100

    def __str__(self) -> str:
        """Return the text that `parse_offset` reads back."""
        return f"{self.percent}%" if self.before is None else f"-{self.before}"


def parse_offset(text: object) -> Offset:
    """Return the offset that a file wrote as "50%" or "-15m"; ValueError with a sentence for anything else."""
    if isinstance(text, str):
        if match := PERCENT.fullmatch(text):
            return Offset(percent=int(match[1]))
        span = SPAN.fullmatch(text.removeprefix("-"))
        if text.startswith("-") and span and span[1] != "0" and span[2] in _WALL_UNITS:
            return Offset(before=Span(int(span[1]), span[2]))
    raise ValueError(f'{text!r:.60} is no offset: write a share of the budget as "50%" or a wall span before due as "-15m".')


# ---- the calendar -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Vacation:
    """A school vacation (寒假、暑假) of a unit and everything under it, from `first` to `last`, both included."""

    unit: str
    first: date
    last: date

    def __post_init__(self) -> None:
        """Raise ValueError for a vacation without unit or one that ends before it begins."""
        if not self.unit or self.last < self.first:
            raise ValueError(f"A vacation needs a unit and first <= last: {self.unit!r}, {self.first} to {self.last}.")

    def covers(self, day: date, unit: str) -> bool:
        """Whether `unit` is the vacation's unit or lies under it, and `day` within the vacation."""
        return self.first <= day <= self.last and (unit == self.unit or unit.startswith(f"{self.unit}/"))


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days are worked: Monday to Friday but `off`, and the weekend days in `work` (调休).

    `published_until` is the last day of which the State Council's notice is known. Beyond it only the weekday speaks, and every
    result that looked there is marked provisional, to be projected anew when the next notice comes.
    """

    off: frozenset[date]
    work: frozenset[date]
    published_until: date
    vacations: tuple[Vacation, ...] = ()

    def __post_init__(self) -> None:
        """Raise ValueError when a date is both off and worked."""
        if both := self.off & self.work:
            raise ValueError(f"{min(both)} stands in the calendar as a holiday and as a working day: keep one of them.")

    def is_working_day(self, day: date) -> bool:
        """Whether `day`, a date in China, is worked; a make-up day at a weekend is, a holiday on a weekday is not."""
        if isinstance(day, datetime):
            # A datetime is a date to Python but equals none, so a holiday would pass for a working day.
            raise TypeError(f"{day!r} is an instant: give the date in China instead.")
        return day in self.work or (day.weekday() < _SATURDAY and day not in self.off)

    def is_school_day(self, day: date, unit: str) -> bool:
        """Whether `day` is a working day outside the vacations of `unit` and of every unit above it."""
        return self.is_working_day(day) and not any(vacation.covers(day, unit) for vacation in self.vacations)

    def add(self, start: datetime, span: Span, unit: str) -> tuple[datetime, bool]:
        """Return the instant a span after `start`, in UTC, and whether it is provisional.

        A wall span is added exactly and is never provisional. Of working or school days (`unit`: whose vacations count), the
        result is the same clock time in China that many such days on. A start on any other day counts as the same clock time on
        the next such day: Saturday 10:00 plus 1wd is Tuesday 10:00, as Monday 10:00 plus 1wd is; plus 0wd it is Monday 10:00.
        Provisional means that a day after `published_until` was looked at.
        Raises ValueError for a naive start, and when no such day is found within three years.
        """
        if span.is_wall:
            try:
                return (start if start.tzinfo is UTC else _in_china(start).astimezone(UTC)) + span.wall, False
            except OverflowError:
                raise ValueError(f"{span} after {start.isoformat()} lies beyond the year 9999.") from None
        local = _in_china(start)
        left = span.amount
        for day in _days_from(local.date()):
            if self.is_working_day(day) if span.unit == _WORKING_DAYS else self.is_school_day(day, unit):
                if left == 0:
                    return datetime.combine(day, local.timetz()).astimezone(UTC), day > self.published_until
                left -= 1
        days = "working days" if span.unit == _WORKING_DAYS else f"school days of {unit!r}"
        raise ValueError(f"The three years from {local.date()} on do not have {span.amount} {days}: check span and calendar.")


# ---- hours of a duty --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Slot:
    """One range of a duty's hours; `closes_after` passes 24 hours when it runs over midnight into the next day."""

    weekdays: frozenset[int]
    working_days: bool
    opens_after: timedelta
    closes_after: timedelta

    def opens_on(self, day: date, calendar: Calendar) -> bool:
        """Whether the range begins on `day`."""
        return day.weekday() in self.weekdays or (self.working_days and calendar.is_working_day(day))


@dataclass(frozen=True, slots=True)
class Hours:
    """When the holder of a duty is there (值班时间): half-open ranges in China's time; without any, always."""

    slots: tuple[_Slot, ...] = ()

    def covers(self, instant: datetime, calendar: Calendar) -> bool:
        """Whether the duty is there at `instant`; a range over midnight belongs to the day on which it begins."""
        local = _in_china(instant)
        return not self.slots or any(
            slot.opens_on(day, calendar) and slot.opens_after <= local - _midnight(day) < slot.closes_after
            for day in (local.date() - _DAY, local.date())
            for slot in self.slots
        )

    def next_opening(self, instant: datetime, calendar: Calendar) -> datetime:
        """Return the first instant from `instant` on, in UTC, at which the duty is there: `instant` itself if it is there now.

        Raises ValueError when there is none within three years, as for `wd` hours in a calendar without working days.
        """
        if self.covers(instant, calendar):
            return instant.astimezone(UTC)
        local = _in_china(instant)
        for day in _days_from(local.date()):
            openings = [_midnight(day) + slot.opens_after for slot in self.slots if slot.opens_on(day, calendar)]
            if later := [opening for opening in openings if opening > local]:
                return min(later).astimezone(UTC)
        raise ValueError(f"These hours do not open in the three years from {local.date()} on: check the holidays.")


@lru_cache(maxsize=1024)
def parse_hours(text: str) -> Hours:
    """Return the hours written as "mon-fri 08:00-18:00; sat 08:00-12:00"; "" means always.

    Days are `mon` to `sun`, ranges of them (also `sat-mon`), lists with commas, and `wd` for the calendar's working days;
    `mon-fri` means these weekdays even if they are holidays. An end before the begin is on the next day, a whole day is
    00:00-24:00. Full-width signs, as a Chinese keyboard makes them, are read too. ValueError with a sentence for anything else.
    """
    if not text.strip():
        return Hours()
    parts = [part.strip() for part in unicodedata.normalize("NFKC", text).lower().split(";")]
    slots = tuple(_parse_slot(part) for part in parts if part)
    if not slots:
        raise ValueError(f'{text!r:.60} names no hours: write such as "mon-fri 08:00-18:00", or nothing for always.')
    return Hours(slots)


def _parse_slot(text: str) -> _Slot:
    match = _SLOT.fullmatch(text)
    if match is None:
        raise ValueError(f'{text!r:.60} are no hours: write days, a space and a range, such as "mon-fri 08:00-18:00".')
    words = match[1].split(",")
    weekdays = frozenset(weekday for word in words if word != _WORKING_DAYS for weekday in _parse_weekdays(word))
    opens_after, closes_after = _parse_time(match[2]), _parse_time(match[3])
    if opens_after in (closes_after, _DAY):
        raise ValueError(f"{text!r:.60} has no length: write 00:00-24:00 for a whole day.")
    if closes_after < opens_after:
        closes_after += _DAY
    return _Slot(weekdays, _WORKING_DAYS in words, opens_after, closes_after)


def _parse_weekdays(word: str) -> Iterator[int]:
    first, _, last = word.partition("-")
    if first not in _WEEKDAYS or (last or first) not in _WEEKDAYS or word.endswith("-"):
        raise ValueError(f"{word!r:.60} is no day: write {', '.join(_WEEKDAYS)}, a range such as mon-fri, or wd for work days.")
    begin = _WEEKDAYS.index(first)
    length = (_WEEKDAYS.index(last or first) - begin) % len(_WEEKDAYS)
    return ((begin + step) % len(_WEEKDAYS) for step in range(length + 1))


@lru_cache(maxsize=1024)
def _parse_time(text: str) -> timedelta:
    """Return the time since local midnight; 24:00 is a whole day."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r:.60} is no time of day: write hours and minutes such as 07:30.")
    return _DAY if match[3] else timedelta(hours=int(match[1]), minutes=int(match[2]))


def dismissal_after(now: datetime, dismissal: str | None, calendar: Calendar, unit: str) -> datetime | None:
    """Return when day pupils of `unit` leave the premises today (放学), in UTC; None when that has passed or is no school day.

    `dismissal` is a local "HH:MM"; None, where pupils board, gives None. ValueError for anything else.
    """
    if dismissal is None:
        return None
    today = _in_china(now).date()
    leaves_at = (_midnight(today) + _parse_time(dismissal)).astimezone(UTC)
    return leaves_at if leaves_at > now and calendar.is_school_day(today, unit) else None


# ---- instants and dates -----------------------------------------------------------------------------------------


def _in_china(instant: datetime) -> datetime:
    """Return the instant on China's clock; a naive one is refused, because Python would read it by the machine's time zone."""
    if instant.utcoffset() is None:
        raise ValueError(f"{instant.isoformat()} has no time zone: add one, such as {instant.isoformat()}+08:00.")
    return instant.astimezone(CHINA)


def _midnight(day: date) -> datetime:
    """Return the instant at which `day` begins in China."""
    return datetime(day.year, day.month, day.day, tzinfo=CHINA)


def _days_from(first: date) -> Iterator[date]:
    """Yield `first` and the days after it, for three years and never beyond the last date there is."""
    begin = first.toordinal()
    return map(date.fromordinal, range(begin, min(begin + _SEARCH_DAYS, date.max.toordinal()) + 1))
