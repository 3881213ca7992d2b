"""The nouns of a case: tier, risk, unit, duty, clock, proposal, case. All frozen, all free of I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Tier(StrEnum):
    """How far up the warning network (四级预警网络, then county and city) a case has come."""

    PEER = "peer"
    CLASS = "class"
    GRADE = "grade"
    SCHOOL = "school"
    COUNTY = "county"
    CITY = "city"

    rank: int   # 0 for `peer` up to 5 for `city`


class Risk(StrEnum):
    """How dangerous (预警等级). `unrated` stands outside the order and is clocked as orange."""

    UNRATED = "unrated"
    BLUE = "blue"
    YELLOW = "yellow"
    ORANGE = "orange"
    RED = "red"

    rank: int   # 1 for `blue` up to 4 for `red`; `unrated` counts as 0: any rating is higher than none


TIERS: tuple[Tier, ...] = tuple(Tier)
RISKS: tuple[Risk, ...] = tuple(Risk)
for _place, _tier in enumerate(TIERS):   # an attribute of the member: a decision asks for ranks a dozen times
    _tier.rank = _place
for _place, _risk in enumerate(RISKS):
    _risk.rank = _place


def higher_tier(one: Tier, other: Tier) -> Tier:
    """Return the tier that is further up."""
    return one if one.rank >= other.rank else other


def higher_risk(one: Risk, other: Risk) -> Risk:
    """Return the risk that is more dangerous; any rating is higher than `unrated`."""
    return one if one.rank >= other.rank else other


# ---- the roster -------------------------------------------------------------------------------------------------

UNIT_KINDS: tuple[str, ...] = ("city", "county", "school", "grade", "class", "partner")
"""Kinds of unit; the first five are levels of the network, a `partner` stands beside it (hospital, centre, police)."""


PARTNER_SORTS: tuple[str, ...] = (
    "hospital", "centre", "police", "health", "civil_affairs", "womens_federation", "youth_league", "cyberspace", "political_legal",
)
"""Sorts of partner: hospital, outside counselling centre, police, health (卫健), civil affairs (民政), women's federation (妇联),
youth league (共青团), cyberspace (网信), political-legal committee (政法委)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A place in the tree: city / county / school / grade / class, or a partner. Its id is its path."""

    id: str
    kind: str
    name: str
    parent: str | None
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    dismissal: str | None = None  # local "HH:MM" at which day pupils leave the premises; None where they board
    policy: str | None = None     # the policy chosen by this unit, if any (the nearest one up the path counts)
    sort: str = ""                # of a partner: one of PARTNER_SORTS, where the city says it


@dataclass(frozen=True, slots=True)
class Agreement:
    """What a partner (协作单位) agreed to: to take children of a place, from when to when, so many at a time."""

    id: str
    partner: str                        # the partner's unit
    place: str                          # the unit whose children it takes, with all below it
    begins_at: datetime
    ends_at: datetime
    capacity: int | None = None         # open cases at one time; None where nothing was agreed

    def covers(self, unit: str, now: datetime) -> bool:
        """Whether it runs at this instant for children of this unit."""
        return self.begins_at <= now < self.ends_at and (unit == self.place or unit.startswith(f"{self.place}/"))


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner as a decision sees it: its unit, what it agreed to, and how many open cases stand with it now."""

    unit: Unit
    agreements: tuple[Agreement, ...] = ()
    load: int = 0

    def runs(self, now: datetime) -> bool:
        """Whether the unit exists at this instant."""
        unit = self.unit
        return (unit.begins_at is None or unit.begins_at <= now) and (unit.ends_at is None or now < unit.ends_at)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can hold a duty; `name` and `contact` are secrets of the store."""

    id: str
    name: str = ""
    contact: str = ""  # how to reach: an address for the notify floor, e.g. "mailto:x@example.invalid"


@dataclass(frozen=True, slots=True)
class Duty:
    """Duty (岗位职责): who holds which role at which unit, from when to when; rank 1 answers before rank 2 (deputy)."""

    role: str
    unit: str
    person: str
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    rank: int = 1
    hours: str = ""        # "" always; else e.g. "mon-fri 08:00-18:00", local time (UTC+8); off hours is no vacancy
    on_call: bool = False  # is told at night too


@dataclass(frozen=True, slots=True)
class Absence:
    """An absence (请假、出差): the person is not there from `begins_at` until `ends_at`, half-open."""

    person: str
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Subject:
    """The child whom a case is about; `ref` is the school's own id, e.g. "stu-42"."""

    id: str           # a random key: what events and rows carry
    ref: str
    unit: str         # home unit: the class
    name: str = ""


@dataclass(frozen=True, slots=True)
class Guardian:
    """A guardian (监护人) of a subject; may report, may be whom a case concerns."""

    id: str
    subject: str  # the subject's ref
    name: str = ""
    contact: str = ""
