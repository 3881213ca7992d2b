"""Occasions of supervision (督导): whether a rule's condition holds at one unit, since when, and whom it concerns.

What an order settled is no occasion any more: everything that began before the last order about it was given. So a rule asks for no
memory but that instant, and whoever asks twice gets the same answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from .calendar import CHINA, Calendar
from .case import Case
from .model import Absence, Duty, Unit
from .policy import Rule
from .resolve import is_within

EVER = datetime(2000, 1, 1, tzinfo=UTC)
"""Since when, where nobody ever held a duty and nobody knows since when the unit is there."""

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Occasion:
    """A condition that holds at a unit. `concerned` are the people whom it must not reach: whom one of its cases concerns (回避)."""

    since: datetime
    concerned: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """One unit as the conditions look at it, at one instant."""

    unit: Unit
    now: datetime
    calendar: Calendar
    cases: tuple[Case, ...] = ()                                          # open cases of the unit that may be late
    duties: tuple[Duty, ...] = ()                                         # at the unit itself
    absences: Mapping[str, tuple[Absence, ...]] = field(default_factory=dict)
    spoke: frozenset[tuple[str, str]] = frozenset()                       # (workflow, month) in which a word came from here
    reported: frozenset[str] = frozenset()                                # months for which somebody here made a zero report
    known: datetime = EVER                                                # since when the rule is known here
    settled: datetime | None = None                                       # when the last order about it was given


def occasion(rule: Rule, place: Place) -> Occasion | None:
    """Return the occasion of a rule at a unit, None where there is none; a unit that is no more, or not yet, gives none."""
    unit = place.unit
    if (unit.begins_at is not None and unit.begins_at > place.now) or (unit.ends_at is not None and unit.ends_at <= place.now):
        return None
    return _CONDITIONS[rule.when](rule, place)


def _after(rule: Rule) -> timedelta:
    return rule.after.wall if rule.after is not None else timedelta()


def _is_new(at: datetime, place: Place) -> bool:
    return place.settled is None or at > place.settled


# ---- a clock of a dangerous case is late, and stands with somebody of the unit ---------------------------------------------------


def _clock_late(rule: Rule, place: Place) -> Occasion | None:
    late = [(at, case) for case in place.cases if _counts(rule, case) for at in _lates(rule, case, place)]
    if not late:
        return None
    return Occasion(min(at for at, _case in late), frozenset(person for _at, case in late for person in case.recused))


def _counts(rule: Rule, case: Case) -> bool:
    return case.open and name_of(case.workflow) in rule.of and (rule.risk is None or case.risk.rank >= rule.risk.rank)


def _lates(rule: Rule, case: Case, place: Place) -> Iterator[datetime]:
    """Yield when each late clock became an occasion. One that waits above the unit is none of the unit's, one that pauses is not late."""
    for clock in case.clocks:
        at = clock.due_at + _after(rule)
        if at <= place.now and clock.paused_at is None and is_within(clock.unit, place.unit.id) and _is_new(at, place):
            yield at


# ---- nobody who is there holds a role --------------------------------------------------------------------------------------------


def _nobody_holds(rule: Rule, place: Place) -> Occasion | None:
    duties = [duty for duty in place.duties if duty.role == rule.role]
    since = vacant_since(duties, place.absences, place.unit.begins_at or EVER, place.now)
    if since is None or since + _after(rule) > place.now or not _is_new(since, place):
        return None
    return Occasion(since)


def vacant_since(
    duties: Iterable[Duty], absences: Mapping[str, tuple[Absence, ...]], began: datetime, now: datetime,
) -> datetime | None:
    """Return since when nobody who is there holds one of these duties; None while somebody does, `began` where nobody ever did."""
    since = began
    for duty in duties:
        there, last = _last_there(duty, absences.get(duty.person, ()), now)
        if there:
            return None
        since = max(since, last or since)
    return since


def _last_there(duty: Duty, absences: tuple[Absence, ...], now: datetime) -> tuple[bool, datetime | None]:
    """Return whether the holder is there at this instant, and else until when: None where the holder never was."""
    began = duty.begins_at or EVER
    if began > now:
        return False, None
    running = duty.ends_at is None or duty.ends_at > now
    there = now if running or duty.ends_at is None else duty.ends_at
    for away in sorted(absences, key=lambda one: one.begins_at, reverse=True):
        if (away.begins_at <= there < away.ends_at) if running else (away.begins_at < there <= away.ends_at):
            there, running = away.begins_at, False
    return running, there if there > began else None


# ---- neither a word nor a zero report (零报告) for so many months -----------------------------------------------------------------


def _no_report(rule: Rule, place: Place) -> Occasion | None:
    """Months without a school day are passed by, and while the unit is on vacation nobody is asked."""
    calendar, unit = place.calendar, place.unit.id
    today = place.now.astimezone(CHINA).date()
    if any(vacation.covers(today, unit) for vacation in calendar.vacations):
        return None
    told = {month for workflow, month in place.spoke if name_of(workflow) in rule.of} | place.reported
    least = max(place.known, place.unit.begins_at or EVER, place.settled or EVER)
    missed: list[date] = []
    for month in _months_before(place.now - _after(rule)):
        if begin_of(month) < least or len(missed) == rule.months:
            break
        if not any(calendar.is_school_day(day, unit) for day in _days_of(month)):
            continue
        if month_of(begin_of(month)) in told:
            return None
        missed.append(month)
    return Occasion(begin_of(missed[-1])) if len(missed) == rule.months else None


def month_of(at: datetime) -> str:
    """Return China's month that an instant lies in, such as "2026-03"."""
    return f"{at.astimezone(CHINA):%Y-%m}"


def begin_of(month: date) -> datetime:
    """Return the instant at which China's month begins that a date lies in."""
    return datetime(month.year, month.month, 1, tzinfo=CHINA)


def _months_before(at: datetime) -> Iterator[date]:
    """Yield the first days of the months that were over by then, the last first."""
    first = at.astimezone(CHINA).date().replace(day=1)
    while first.year >= EVER.year:
        first = (first - _DAY).replace(day=1)
        yield first


def _days_of(month: date) -> Iterator[date]:
    day = month
    while day.month == month.month:
        yield day
        day += _DAY


def name_of(workflow: str) -> str:
    """Return a workflow's name without its version."""
    return workflow.rpartition("_v")[0]


_CONDITIONS: Mapping[str, Callable[[Rule, Place], Occasion | None]] = {
    "clock_late": _clock_late, "nobody_holds": _nobody_holds, "no_report": _no_report,
}
