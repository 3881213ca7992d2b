"""Habits: how soon people act on a clock, how often they do nothing, when they are away, when words come in; read from one TOML file."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from importlib.resources import as_file, files
from random import Random
from statistics import NormalDist
from typing import Any

from crisis_engine.core.calendar import Calendar, Hours, parse_hours
from crisis_engine.core.model import Risk
from crisis_engine.core.parse_table import Table
from crisis_engine.definitions import load_workflow_doc

SHIPPED = "people_v1.toml"
TRUTHS = ("none", "blue", "yellow", "orange", "red")
"""How it truly is with a child, which nobody knows at first: `none` is no crisis."""

_NORMAL = NormalDist()
_NINE_OF_TEN = _NORMAL.inv_cdf(0.9)
_EDGE = 1e-9
_HUNDRED = 100


@dataclass(frozen=True, slots=True)
class Delay:
    """A span that people take: half are quicker than `median`, nine of ten quicker than `slow` (log-normal)."""

    median: timedelta
    slow: timedelta

    def draw(self, chance: Random) -> timedelta:
        """Return one such span in whole seconds. Only `random()` is drawn, which Python promises to keep."""
        spread = math.log(self.slow / self.median) / _NINE_OF_TEN
        at = min(max(chance.random(), _EDGE), 1 - _EDGE)
        return timedelta(seconds=round(self.median.total_seconds() * math.exp(spread * _NORMAL.inv_cdf(at))))


@dataclass(frozen=True, slots=True)
class Deed:
    """A move that is tried, for whom, how often, with what in its form beside what is needed anyway."""

    move: str
    when: tuple[str, ...] = ()
    chance: int = _HUNDRED
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Habit:
    """What people do about a clock."""

    delay: Delay
    by_risk: Mapping[Risk, Delay]
    hours: Hours
    never: int
    deeds: tuple[Deed, ...]

    def at(self, now: datetime, risk: Risk, chance: Random, calendar: Calendar, again: Delay | None = None) -> datetime:
        """Return when somebody acts on it: a delay from now, within the hours in which such a thing is done.

        `again` is the delay of those who were told again, where that is shorter.
        """
        delay = self.by_risk.get(risk, self.delay)
        at = now + (again if again is not None and again.median < delay.median else delay).draw(chance)
        return self.hours.next_opening(at, calendar) if self.hours.slots else at


@dataclass(frozen=True, slots=True)
class Rest:
    """What people do about a clock of which the file says nothing: some part of its time passes, then they make a move that meets it."""

    median: int    # percent of the time from now until it is due
    slow: int
    never: int
    hours: Hours

    def at(self, now: datetime, due_at: datetime, chance: Random, calendar: Calendar, again: Delay | None = None) -> datetime:
        """Return when somebody acts on a clock that is due then; `again` as with a habit."""
        budget = max(due_at - now, timedelta(minutes=1))
        delay = Delay(budget * self.median / _HUNDRED, budget * self.slow / _HUNDRED)
        at = now + (again if again is not None and again.median < delay.median else delay).draw(chance)
        return self.hours.next_opening(at, calendar) if self.hours.slots else at


@dataclass(frozen=True, slots=True)
class Later:
    """What people do unasked while a case stands in a stage: in so many percent of the cases that come there."""

    stage: str
    deed: Deed
    by: tuple[str, ...]
    delay: Delay
    risks: frozenset[Risk]
    stable: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """A track that people open by hand beside a case that came to a stage, in so many percent."""

    track: str
    stage: str
    by: tuple[str, ...]
    delay: Delay
    risks: frozenset[Risk]
    chance: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Words:
    """How words come in."""

    by: tuple[tuple[str, int], ...]
    truth: tuple[tuple[str, int], ...]
    danger: int
    unknown: int
    again: int
    silent: int
    cue: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Year:
    """The school year: its days, its vacations, how many words come on days off."""

    first: date
    last: date
    vacations: tuple[tuple[date, date], ...]
    vacation_words: int
    weekend_words: int


@dataclass(frozen=True, slots=True)
class Habits:
    """A whole file."""

    year: Year
    words: Words
    absences: int
    away: Delay
    vacant: int
    again: Delay
    clocks: Mapping[str, Habit]
    rest: Rest
    later: tuple[Later, ...]
    opens: tuple[Opening, ...]


def pick(weights: Sequence[tuple[str, int]], chance: Random) -> str:
    """Return one name by its weight."""
    at = chance.random() * sum(weight for _name, weight in weights)
    for name, weight in weights:
        at -= weight
        if at < 0:
            return name
    return weights[-1][0]


def happens(percent: int, chance: Random) -> bool:
    """Whether something happens that happens in so many percent."""
    return chance.random() * _HUNDRED < percent


# ---- reading ----------------------------------------------------------------------------------------------------------------


def load_habits(path: str | None = None) -> Habits:
    """Return the habits of a file, or the shipped ones; DefinitionError with file and key for whatever is wrong."""
    if path is not None:
        return parse_habits(load_workflow_doc(path), path.replace("\\", "/").rpartition("/")[2])
    with as_file(files(__package__) / SHIPPED) as shipped:
        return parse_habits(load_workflow_doc(str(shipped)), SHIPPED)


def parse_habits(doc: Mapping[str, object], file: str) -> Habits:
    """Return the habits that a parsed file says."""
    top = Table(doc, file)
    top.number("format", 1, 1)
    top.word("name")
    top.number("version", 1, 9999)
    top.trust()
    staff, again = top.table("staff"), top.table("again")
    habits = Habits(
        year=_year(top.table("year")), words=_words(top.table("word")), absences=staff.number("absences", 0, 100), away=_delay(staff),
        vacant=staff.number("vacant", 0, _HUNDRED), again=_delay(again), clocks=_clocks(top.table("clock")),
        rest=_rest(top.table("else")), later=tuple(_later(one) for one in top.tables("later")),
        opens=tuple(_opening(one) for one in top.tables("open")),
    )
    staff.close()
    again.close()
    top.close()
    return habits


def _delay(table: Table) -> Delay:
    median, slow = table.wall_span("median").wall, table.wall_span("slow").wall
    if slow <= median:
        table.refuse("nine of ten cannot be quicker than half.", "slow", way_out="Write a longer span than `median`.")
    return Delay(median, slow)


def _clocks(table: Table) -> dict[str, Habit]:
    found = {}
    for name in table.names():
        one = table.table(name)
        by_risk = {}
        for risk in Risk:
            inner = one.table_or_none(risk.value)
            if inner is not None:
                by_risk[risk] = _delay(inner)
                inner.close()
        deeds = tuple(_deed(deed) for deed in one.tables("do"))
        found[name] = Habit(_delay(one), by_risk, _hours(one), one.number("never", 0, 99, 0), deeds)
        one.close()
    return found


def _hours(table: Table) -> Hours:
    return table.parsed("hours", lambda text: parse_hours(str(text))) if table.has("hours") else Hours()


def _rest(table: Table) -> Rest:
    rest = Rest(table.number("median", 1, 1000), table.number("slow", 1, 1000), table.number("never", 0, 99, 0), _hours(table))
    if rest.slow <= rest.median:
        table.refuse("nine of ten cannot be quicker than half.", "slow", way_out="Write a larger part than `median`.")
    table.close()
    return rest


def _deed(table: Table) -> Deed:
    deed = Deed(table.word("move"), table.some_of("when", TRUTHS), table.number("chance", 1, _HUNDRED, _HUNDRED), _fields(table))
    table.close()
    return deed


def _fields(table: Table) -> Mapping[str, Any] | None:
    fields = table.raw("fields") if table.has("fields") else None
    if fields is not None and not isinstance(fields, Mapping):
        table.refuse("this must be a table.", "fields", way_out='Write it such as { mode = "face" }.')
    return fields


def _later(table: Table) -> Later:
    later = Later(
        table.word("stage"), Deed(table.word("move"), (), table.number("chance", 1, _HUNDRED, _HUNDRED), _fields(table)),
        table.words("by"), _delay(table), _risks(table), table.flag("stable"),
    )
    table.close()
    return later


def _opening(table: Table) -> Opening:
    opening = Opening(
        table.word("track"), table.word("stage"), table.words("by"), _delay(table), _risks(table), table.number("chance", 1, _HUNDRED),
        _fields(table) or {},
    )
    table.close()
    return opening


def _risks(table: Table) -> frozenset[Risk]:
    return frozenset(Risk(risk) for risk in table.some_of("risk", [risk.value for risk in Risk]))


def _words(table: Table) -> Words:
    cues = table.table("cue")
    words = Words(
        by=_weights(table.table("by"), None), truth=_weights(table.table("truth"), TRUTHS),
        **{name: table.number(name, 0, _HUNDRED) for name in ("danger", "unknown", "again", "silent")},
        cue={name: cues.word(name) for name in TRUTHS if cues.has(name)},
    )
    cues.close()
    table.close()
    return words


def _weights(table: Table, known: Sequence[str] | None) -> tuple[tuple[str, int], ...]:
    names = known or table.names()
    weights = tuple((name, table.number(name, 0, 1000, 0)) for name in names)
    table.close()
    if not sum(weight for _name, weight in weights):
        table.refuse("nothing has a weight here.", way_out="Write for instance { peer = 35, class_teacher = 30 }.")
    return weights


def _year(table: Table) -> Year:
    first, last = _day(table, "first"), _day(table, "last")
    if last <= first:
        table.refuse("the year ends before it begins.", "last", way_out="Write a later day.")
    vacations = []
    for one in table.tables("vacation"):
        begins, ends = _day(one, "first"), _day(one, "last")
        if ends < begins:
            one.refuse("the vacation ends before it begins.", "last", way_out="Write a later day.")
        vacations.append((begins, ends))
        one.close()
    year = Year(first, last, tuple(vacations), table.number("vacation_words", 0, _HUNDRED), table.number("weekend_words", 0, _HUNDRED))
    table.close()
    return year


def _day(table: Table, name: str) -> date:
    value = table.raw(name)
    if not isinstance(value, date) or isinstance(value, datetime):
        table.refuse("this must be a date.", name, way_out="Write it as 2025-09-01, without quotes.")
    return value
