"""The town of a proof: one unit of each level, two people in each role, and variants in which a level or a duty is missing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from crisis_engine.core.access import BLIND, Actor
from crisis_engine.core.calendar import Calendar
from crisis_engine.core.model import Agreement, Duty, Partner, Tier, Unit
from crisis_engine.core.policy import Access, Policy
from crisis_engine.core.resolve import Resolver, Roster, level_of

START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
"""The instant at which every situation of a proof stands; a Monday, 08:00 in China."""

CHILD = "child"
GUARDIANS = ("guardian.1", "guardian.2")
LEVELS: tuple[Tier, ...] = (Tier.CITY, Tier.COUNTY, Tier.SCHOOL, Tier.GRADE, Tier.CLASS)
UNIT: dict[Tier, str] = {tier: "/".join(str(level) for level in LEVELS[: place + 1]) for place, tier in enumerate(LEVELS)}
HOME = UNIT[Tier.CLASS]
PARTNER = "city/partner"
A_PARTNER = Partner(Unit(PARTNER, "partner", "partner", UNIT[Tier.CITY]), (
    Agreement("a", PARTNER, UNIT[Tier.CITY], START - timedelta(days=1), START + timedelta(days=4000)),))
RECEIVER = f"{UNIT[Tier.COUNTY]}/other"
A_RECEIVER = Partner(Unit(RECEIVER, "school", "other", UNIT[Tier.COUNTY]))
_LONGEST_CAP = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Lack:
    """What is missing in a variant of the town: levels that do not exist, levels and roles whose duties nobody holds."""

    levels: frozenset[Tier] = frozenset()
    empty: frozenset[Tier] = frozenset()
    roles: frozenset[str] = frozenset()


NOTHING = Lack()


def worst_calendar(policy: Policy) -> Calendar:
    """Return a calendar without a working day for longer than any wall cap: each paper clock then runs to its cap, which is the worst case.

    No dismissal falls into it either, so `not_after` never helps.
    """
    caps = [span.wall for rule in policy.clocks.values() for span in rule.cap.values()]
    days = min(max(caps, default=timedelta()), _LONGEST_CAP).days + 2
    first = START.date()
    off = frozenset(date.fromordinal(first.toordinal() + day) for day in range(-1, days + 1))
    return Calendar(off=off, work=frozenset(), published_until=date(2099, 12, 31))


def lacks(access: Access) -> list[Lack]:
    """Return the variants: levels that a child's unit may not have, each duty vacant, each level empty, nobody at all."""
    absent = [Lack(levels=frozenset(missing)) for missing in ((Tier.GRADE,), (Tier.COUNTY,), (Tier.GRADE, Tier.COUNTY))]
    roles = [Lack(roles=frozenset({role})) for role in access.roles if level_of(access, role) in UNIT]
    empty = [Lack(empty=frozenset(LEVELS[place:])) for place in range(len(LEVELS))]
    single = [Lack(empty=frozenset({level})) for level in LEVELS[:-1]]
    return [*absent, *empty, *single, *roles]


@dataclass(slots=True)
class Town:
    """The people of a proof and how they are found. Nobody goes off duty and nobody sleeps, so one search serves every instant."""

    access: Access
    calendar: Calendar
    lack: Lack = NOTHING
    actors: dict[str, Actor] = field(default_factory=dict)
    resolver: Resolver = field(init=False)

    def __post_init__(self) -> None:
        """Write the roster."""
        units = {
            UNIT[tier]: Unit(UNIT[tier], tier.value, tier.value, UNIT[tier].rpartition("/")[0] or None)
            for tier in LEVELS if tier not in self.lack.levels
        }
        units[PARTNER], units[RECEIVER] = A_PARTNER.unit, A_RECEIVER.unit
        duties: dict[str, tuple[Duty, ...]] = {}
        for name, role in self.access.roles.items():
            if role.level == "subject":
                continue
            unit = PARTNER if role.level == "partner" else UNIT[Tier(role.level)]
            held = tuple(Duty(name, unit, f"{name}.{rank}", rank=rank) for rank in (1, 2))
            for duty in held:
                self.actors[duty.person] = Actor(duty.person, (duty,))
            if unit in units and name not in self.lack.roles and (role.level == "partner" or Tier(role.level) not in self.lack.empty):
                duties[unit] = (*duties.get(unit, ()), *held)
            if role.level == "school" and role.addressed != BLIND:   # of another school, to which a child can be offered
                there = tuple(Duty(name, RECEIVER, f"{name}.{rank}", rank=rank) for rank in (3, 4))
                self.actors |= {duty.person: Actor(duty.person, (duty,)) for duty in there}
                duties[RECEIVER] = (*duties.get(RECEIVER, ()), *there)
        self.actors["student.1"] = Actor("student.1", pupil=CHILD)
        self.actors |= {person: Actor(person, wards=(CHILD,)) for person in GUARDIANS}
        self.resolver = Resolver(Roster(units, duties, {}), self.access, self.calendar, START)

    def at(self, now: datetime) -> Resolver:
        """Return the search for this instant."""
        self.resolver.now = now
        return self.resolver

    def without(self, lack: Lack) -> Town:
        """Return a variant of the town."""
        return replace(self, lack=lack, actors={})
