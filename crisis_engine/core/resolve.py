"""Who does it and who answers: duties, presence and stand-ins turned into one named person, with nobody left out.

Order when nobody is there (DESIGN.md promise 3): deputy (the next rank of the same duty), stand-in by the policy's `instead`,
next level that exists, terminal alarm. A level that does not exist is no vacancy; a person asleep is none either.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .calendar import Calendar, parse_hours
from .draft import drafted
from .model import TIERS, Absence, Duty, Tier, Unit
from .policy import Access, Policy

_LEVEL_OF_KIND: Mapping[str, Tier] = {tier.value: tier for tier in TIERS if tier is not Tier.PEER}


@dataclass(frozen=True, slots=True)
class Roster:
    """The part of the roster that a decision looks at: units by id, duties by unit (by rank), absences by person."""

    units: Mapping[str, Unit]
    duties: Mapping[str, tuple[Duty, ...]]
    absences: Mapping[str, tuple[Absence, ...]]


@drafted
@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search. `person` is None only when nobody answers up to the city (terminal alarm)."""

    role: str
    unit: str
    tier: Tier
    person: str | None
    vacant: bool = False     # a duty was vacant and the search had to leave its level


def level_of(access: Access, role: str) -> Tier:
    """Return the level at which a role answers; a partner (hospital, centre) stands beside the county, an unknown role at the city."""
    known = access.roles.get(role)
    if known is None:
        return Tier.CITY
    return _LEVEL_OF_KIND.get(known.level, Tier.COUNTY)


def paths(unit: str) -> list[str]:
    """Return the unit and all above it, nearest first: unit ids are paths."""
    parts = unit.split("/")
    return ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]


def is_within(unit: str, above: str) -> bool:
    """Whether `unit` is `above` or lies below it."""
    return unit == above or unit.startswith(above + "/")


@dataclass(slots=True)
class Resolver:
    """Finds people for one instant; answers of one instant are remembered, for a sweep asks the same again and again."""

    roster: Roster
    access: Access
    calendar: Calendar
    now: datetime
    _chains: dict[str, dict[Tier, str]] = field(default_factory=dict)
    _found: dict[tuple[object, ...], Found] = field(default_factory=dict)
    _people: dict[tuple[object, ...], tuple[Found, tuple[str, ...]]] = field(default_factory=dict)
    _answering: dict[tuple[object, ...], Found] = field(default_factory=dict)
    _lowest: dict[tuple[object, ...], Tier] = field(default_factory=dict)
    _levels: dict[tuple[str, Tier], Tier] = field(default_factory=dict)
    rights: dict[str, Any] = field(default_factory=dict)   # core/access: what the duties of each actor come to at this instant

    def chain(self, unit: str) -> dict[Tier, str]:
        """Return the levels that exist above and at the unit, each with its unit's id."""
        chain = self._chains.get(unit)
        if chain is None:
            known = self.roster.units
            chain = {_LEVEL_OF_KIND[known[path].kind]: path for path in paths(unit) if path in known and known[path].kind in _LEVEL_OF_KIND}
            self._chains[unit] = chain
        return chain

    def level_from(self, unit: str, tier: Tier) -> Tier:
        """Return the tier itself if its level exists for this unit, else the next one up that does (at least `class`)."""
        level = self._levels.get((unit, tier))
        if level is None:
            chain = self.chain(unit)
            level = next((one for one in TIERS[max(tier.rank, 1):] if one in chain), Tier.CITY)
            self._levels[unit, tier] = level
        return level

    def level_above(self, unit: str, tier: Tier) -> Tier:
        """Return the next level above `tier` that exists for this unit; the city is above itself."""
        return self.level_from(unit, TIERS[min(tier.rank + 1, Tier.CITY.rank)])

    def is_present(self, duty: Duty) -> bool:
        """Whether the duty runs and its person is not absent. Off hours is no absence."""
        if (duty.begins_at is not None and duty.begins_at > self.now) or (duty.ends_at is not None and duty.ends_at <= self.now):
            return False
        return not any(away.begins_at <= self.now < away.ends_at for away in self.roster.absences.get(duty.person, ()))

    def is_awake(self, duty: Duty) -> bool:
        """Whether the duty's hours cover this instant, or its person is on call."""
        return duty.on_call or not duty.hours or parse_hours(duty.hours).covers(self.now, self.calendar)

    def holders(self, unit: str, role: str, recused: frozenset[str] = frozenset()) -> list[Duty]:
        """Return the duties of this role at this very unit whose persons are present and not recused, by rank."""
        return [
            duty for duty in self.roster.duties.get(unit, ())
            if duty.role == role and duty.person not in recused and self.is_present(duty)
        ]

    def find(self, unit: str, roles: Sequence[str], policy: Policy, recused: frozenset[str] = frozenset()) -> Found:
        """Return the first person present among the roles, their stand-ins, then the holders of the levels above."""
        roles = tuple(roles)
        asked = (unit, roles, id(policy), recused)
        found = self._found.get(asked)
        if found is None:
            key = (self.anchor(unit, roles, policy), *asked[1:])
            found = self._found.get(key)
            if found is None:
                found = self._found[key] = self._find(unit, roles, policy, recused)
            self._found[asked] = found
        return found

    def anchor(self, unit: str, roles: Sequence[str], policy: Policy) -> str:
        """Return the lowest unit that a search for these roles looks at: all classes of a school share the search for its counselor."""
        wanted = (tuple(roles), id(policy))
        lowest = self._lowest.get(wanted)
        if lowest is None:
            every = [*roles, *(other for role in roles for other in policy.instead.get(role, ()))]
            levels = (level_of(self.access, role) for role in every)
            lowest = self._lowest[wanted] = min(levels, key=lambda tier: tier.rank, default=Tier.PEER)
        return self.chain(unit).get(lowest, unit)

    def _find(self, unit: str, roles: Sequence[str], policy: Policy, recused: frozenset[str]) -> Found:
        chain = self.chain(unit)
        start = min((self._level(role) for role in roles), key=lambda tier: tier.rank, default=Tier.CITY)
        exists = any(self._level(role) in chain for role in roles)
        for role in [*roles, *(other for wanted in roles for other in policy.instead.get(wanted, ()))]:
            level = self._level(role)
            place = chain.get(level)
            if place is not None:
                for duty in self.holders(place, role, recused):
                    return Found(role, place, level, duty.person)
        for level in TIERS[max(start.rank, 1):]:
            if level in chain and (not exists or level.rank > start.rank):
                holder = policy.holder[level]
                for role in (holder, *policy.instead.get(holder, ())):
                    place = chain.get(self._level(role))
                    if place is not None:
                        for duty in self.holders(place, role, recused):
                            return Found(role, place, max(level, self._level(role), key=lambda tier: tier.rank), duty.person, vacant=exists)
                exists = True   # this level exists and is vacant: whatever is found above it is a jump
        top = chain.get(Tier.CITY, unit)
        return Found(policy.terminal_to[0], top, Tier.CITY, None, vacant=True)

    def _level(self, role: str) -> Tier:
        return level_of(self.access, role)

    def answerer(self, unit: str, tier: Tier, policy: Policy, recused: frozenset[str] = frozenset()) -> Found:
        """Return who answers for a case of this unit at this tier; for `peer` the class teacher as receiver of the word."""
        asked = (unit, tier, id(policy), recused)
        found = self._answering.get(asked)
        if found is None:
            found = self._answering[asked] = self.find(unit, (policy.holder[self.level_from(unit, tier)],), policy, recused)
        return found

    def people(self, unit: str, role: str, policy: Policy, recused: frozenset[str], *, urgent: bool) -> tuple[Found, tuple[str, ...]]:
        """Return where a role is found and everybody there who must hear: all who hold it, and off hours whoever is on duty.

        `urgent` (a safety matter) goes beyond the hours; a paper matter goes to the holders alone.
        """
        asked = (unit, role, id(policy), recused, urgent)
        known = self._people.get(asked)
        if known is None:
            key = (self.anchor(unit, (role,), policy), *asked[1:])
            known = self._people.get(key)
            if known is None:
                known = self._people[key] = self._all_people(unit, role, policy, recused, urgent=urgent)
            self._people[asked] = known
        return known

    def _all_people(self, unit: str, role: str, policy: Policy, recused: frozenset[str], *, urgent: bool) -> tuple[Found, tuple[str, ...]]:
        found = self.find(unit, (role,), policy, recused)
        if found.person is None:
            return found, self.terminal(unit, policy, recused)
        duties = self.holders(found.unit, found.role, recused)
        people = [duty.person for duty in duties]
        if urgent and not any(self.is_awake(duty) for duty in duties):
            people += self.on_duty(unit, found.tier, policy, recused)
        return found, tuple(dict.fromkeys(people))

    def named(self, unit: str, found: Found, policy: Policy, recused: frozenset[str], *, safety: bool) -> tuple[str, ...]:
        """Return whom to tell of a clock: its named holder, and for safety off hours whoever is on duty."""
        if found.person is None:
            return ()
        # a partner stands beside many counties
        key = (found.role, found.unit, found.person, self.chain(unit).get(found.tier), id(policy), recused, safety)
        known = self._people.get(key)
        if known is None:
            asleep = safety and not any(self.is_awake(duty) for duty in self.holders(found.unit, found.role, recused))
            extra = self.on_duty(unit, found.tier, policy, recused) if asleep else []
            known = self._people[key] = found, tuple(dict.fromkeys([found.person, *extra]))
        return known[1]

    def on_duty(self, unit: str, tier: Tier, policy: Policy, recused: frozenset[str]) -> list[str]:
        """Return the people on duty (值班) for this level, those whose hours cover this instant."""
        level = max(tier, Tier.SCHOOL, key=lambda one: one.rank)
        role, place = policy.on_duty.get(level), self.chain(unit).get(level)
        if role is None or place is None:
            return []
        return [duty.person for duty in self.holders(place, role, recused) if self.is_awake(duty)]

    def terminal(self, unit: str, policy: Policy, recused: frozenset[str]) -> tuple[str, ...]:
        """Return who hears the terminal alarm: nobody answers at the city. Absent people too: an alarm in an empty room is none."""
        city = self.chain(unit).get(Tier.CITY, unit)
        return tuple(dict.fromkeys(
            duty.person for role in policy.terminal_to for duty in self.roster.duties.get(city, ())
            if duty.role == role and duty.person not in recused
        ))


def needed_units(units: Iterable[str]) -> set[str]:
    """Return every unit whose duties a decision about these units may look at."""
    return {path for unit in units for path in paths(unit)}
