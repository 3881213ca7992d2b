"""What a rehearsal is measured by: deadlines met and missed, load by duty holder and day, alarms, broken promises, a digest.

Everything here adds up: the measures of two shards together are those of one run, in whatever order they are added.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from typing import Any

from crisis_engine.core.access import ENGINE
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.case import Case
from crisis_engine.core.events import Event
from crisis_engine.core.model import Tier, Unit
from crisis_engine.core.move import REPORTER
from crisis_engine.core.pen import Pen
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.resolve import Resolver

BY = ("clock", "role", "unit_kind", "risk", "workflow")
"""By what the share of missed deadlines is told."""

_EPOCH = datetime(2020, 1, 1, tzinfo=CHINA).toordinal()

Group = tuple[str, str]
"""By what, and which: ("clock", "contact")."""


@dataclass(slots=True)
class Share:
    """How many deadlines there were, and how many of them were missed: met late, or not met when they were due."""

    deadlines: int = 0
    missed: int = 0

    @property
    def share(self) -> float:
        """The part that was missed."""
        return self.missed / self.deadlines if self.deadlines else 0.0


@dataclass(slots=True)
class Tally:
    """The counts of one or many rehearsals."""

    cases: int = 0
    decisions: int = 0
    events: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)        # how cases ended; `open` those that did not
    tracks: defaultdict[str, Counter[str]] = field(default_factory=partial(defaultdict, Counter))   # by workflow: opened, how; ended, how
    missed: defaultdict[Group, Share] = field(default_factory=partial(defaultdict, Share))
    told: defaultdict[str, Counter[int]] = field(default_factory=partial(defaultdict, Counter))   # person -> day -> notices
    acts: defaultdict[str, Counter[int]] = field(default_factory=partial(defaultdict, Counter))   # person -> day -> moves
    roles: dict[str, str] = field(default_factory=dict)            # of those who were told or acted: the duty by which they are counted
    raised: Counter[str] = field(default_factory=Counter)          # by the engine, to which level
    alarms: int = 0                                                # rungs and vacancies that sounded the terminal alarm or the city's
    at_city: set[str] = field(default_factory=set)                 # cases that came to the city because nobody acted in time
    violations: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)         # moves that people tried and the rules refused
    digests: dict[str, str] = field(default_factory=dict)          # of each shard

    def add(self, other: Tally) -> None:
        """Take in what another shard counted."""
        for name in ("cases", "decisions", "events", "alarms"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("outcomes", "raised", "violations", "refused"):
            getattr(self, name).update(getattr(other, name))
        for group, share in other.missed.items():
            self.missed[group].deadlines += share.deadlines
            self.missed[group].missed += share.missed
        for workflow, counts in other.tracks.items():
            self.tracks[workflow].update(counts)
        self.roles.update(other.roles)
        for name in ("told", "acts"):
            for person, days in getattr(other, name).items():
                getattr(self, name)[person].update(days)
        self.at_city |= other.at_city
        self.digests.update(other.digests)

    @property
    def digest(self) -> str:
        """SHA-256 over the digests of all shards in the order of their names."""
        return sha256("".join(f"{name}={self.digests[name]};" for name in sorted(self.digests)).encode()).hexdigest()

    def busiest(self, most: int = 10) -> list[tuple[str, int, int, str]]:
        """Return the duty holders with most to do: id, notices and moves in all, the most on one day, and which day."""
        load = {person: self.told[person] + self.acts[person] for person in {*self.told, *self.acts}}
        ranked = sorted(load.items(), key=lambda one: (-sum(one[1].values()), one[0]))[:most]
        return [(person, sum(days.values()), *_peak(days)) for person, days in ranked]

    def load(self) -> dict[str, tuple[int, int, int]]:
        """Return by duty how many people hold it who had anything to do, notices and moves of them all, and of the busiest."""
        found: dict[str, tuple[int, int, int]] = {}
        for person in {*self.told, *self.acts}:
            role = self.roles.get(person, "")
            people, whole, most = found.get(role, (0, 0, 0))
            own = self.told[person].total() + self.acts[person].total()
            found[role] = people + 1, whole + own, max(most, own)
        return dict(sorted(found.items()))

    def per_day(self) -> dict[int, int]:
        """Return notices by day, of everybody together; days count from 1 January 2020."""
        days: Counter[int] = Counter()
        for held in self.told.values():
            days.update(held)
        return dict(sorted(days.items()))

    def to_json(self, most: int = 10) -> dict[str, Any]:
        """Return plain data."""
        return {
            "cases": self.cases, "outcomes": dict(sorted(self.outcomes.items())), "violations": dict(self.violations),
            "tracks": {name: dict(sorted(counts.items())) for name, counts in sorted(self.tracks.items())},
            "deadlines": {by: {name: {"deadlines": share.deadlines, "missed": share.missed, "share": round(share.share, 4)}
                               for (group, name), share in sorted(self.missed.items()) if group == by} for by in ("all", *BY)},
            "raised_by_the_engine": dict(sorted(self.raised.items())), "cases_that_reached_the_city": len(self.at_city),
            "alarms": self.alarms, "decisions": self.decisions, "events": self.events, "refused": dict(sorted(self.refused.items())),
            "busiest": [{"person": person, "load": load, "most_on_a_day": most_a_day, "on": day}
                        for person, load, most_a_day, day in self.busiest(most)],
            "load": {role: {"people": people, "load": whole, "most": most} for role, (people, whole, most) in self.load().items()},
            "notices_by_day": {day_of(day): count for day, count in self.per_day().items()}, "digest": self.digest,
        }


def day_of(day: int) -> str:
    """Return the date of a day that is counted from 1 January 2020."""
    return datetime.fromordinal(day + _EPOCH).date().isoformat()


def _peak(days: Mapping[int, int]) -> tuple[int, str]:
    day, most = max(days.items(), key=lambda one: (one[1], -one[0]))
    return most, day_of(day)


class Measure:
    """Watches the pens of one rehearsal and counts. `name` is the shard's, for the digest; `roles` has the duty by which each counts."""

    def __init__(self, units: Mapping[str, Unit], name: str = "", roles: Mapping[str, str] | None = None) -> None:
        self.tally = Tally()
        self._units, self._name, self._roles = units, name, roles or {}
        self._running: dict[tuple[str, str, int], tuple[datetime, str, str, str]] = {}
        self._ended: set[str] = set()   # cases that are over, and were not merged
        self._hash = sha256()
        self._handlers: Mapping[str, Callable[[Pen, Any], None]] = {
            "opened": self._opened, "moved": self._moved, "clock_armed": self._armed, "clock_met": self._met,
            "clock_dropped": self._dropped, "clock_moved": self._changed, "clock_resumed": self._changed, "rung_fired": self._fired,
            "tier_raised": self._raised,
            "proposal_ended": self._answered,
        }

    def __call__(self, pen: Pen) -> None:
        """Take in what one decision did to one case."""
        tally, case = self.tally, pen.case
        tally.decisions += 1
        tally.events += len(pen.events)
        for event in pen.events:
            handler = self._handlers.get(event.kind)
            if handler is not None:
                handler(pen, event)
        if pen.notices:
            day = _day(pen.now)
            for person in {person for notice in pen.notices for person in notice.people}:
                tally.told[person][day] += 1
        next_at = case.next_at
        self.look(case, pen.procedure, pen.resolver)
        self._hash.update(f"{case.number} {case.version} {pen.events[-1].kind} {pen.now} {case.stage} {case.tier} {case.risk} "
                          f"{case.answers} {next_at};".encode())

    def look(self, case: Case, procedure: Procedure, resolver: Resolver) -> None:
        """Look after the promise on one case as it stands now. A track that holds its case is not left behind by it."""
        broken = broken_promises(case, case.next_at, resolver, resolver.now, procedure.policy.terminal_every.wall)
        if case.parent in self._ended and case.open and procedure.workflow.stages[case.stage].holds:
            broken.append("track_left_behind")
        for one in broken:
            self.tally.violations[one] += 1

    def finish(self, cases: Iterable[Case], now: datetime) -> Tally:
        """Count what is still running at the end, and return the tally."""
        risks = {}
        for case in cases:
            risks[case.number] = case.risk.value
            if case.open:
                self._outcome(case)["open"] += 1
        for (number, clock, _n), (due_at, role, kind, workflow) in self._running.items():
            if due_at <= now:
                self._count(clock, role, kind, workflow, risks.get(number, ""), missed=True)
        self.tally.digests[self._name] = self._hash.hexdigest()
        self.tally.roles = {one: self._roles[one] for one in {*self.tally.told, *self.tally.acts} if one in self._roles}
        return self.tally

    def _outcome(self, case: Case) -> Counter[str]:
        return self.tally.outcomes if case.parent is None else self.tally.tracks[case.workflow]

    # ---- events -----------------------------------------------------------------------------------------------------------

    def _opened(self, pen: Pen, event: Event) -> None:
        if pen.case.parent is None:
            self.tally.cases += 1
        else:
            counts = self.tally.tracks[pen.case.workflow]
            counts["opened"] += 1
            counts["by_itself" if event.by == ENGINE else "by_a_person"] += 1

    def _moved(self, pen: Pen, event: Any) -> None:  # noqa: ANN401 - the event of that kind; likewise below
        if event.final is not None:
            self._outcome(pen.case)[event.final] += 1
            if event.final != "merged":
                self._ended.add(pen.number)
        if event.by not in {ENGINE, REPORTER}:
            self.tally.acts[event.by][_day(pen.now)] += 1

    def _answered(self, pen: Pen, event: Any) -> None:  # noqa: ANN401
        if event.by != ENGINE:
            self.tally.acts[event.by][_day(pen.now)] += 1

    def _armed(self, pen: Pen, event: Any) -> None:  # noqa: ANN401
        unit = self._units.get(event.unit)
        self._running[event.case, event.clock, event.n] = event.due_at, event.role, unit.kind if unit is not None else "", pen.case.workflow

    def _changed(self, _pen: Pen, event: Any) -> None:  # noqa: ANN401
        key = event.case, event.clock, event.n
        _due, role, kind, workflow = self._running[key]
        self._running[key] = event.due_at, role, kind, workflow

    def _met(self, pen: Pen, event: Any) -> None:  # noqa: ANN401
        _due, role, kind, workflow = self._running.pop((event.case, event.clock, event.n))
        self._count(event.clock, role, kind, workflow, pen.case.risk.value, missed=event.late)

    def _dropped(self, pen: Pen, event: Any) -> None:  # noqa: ANN401
        due_at, role, kind, workflow = self._running.pop((event.case, event.clock, event.n))
        self._count(event.clock, role, kind, workflow, pen.case.risk.value, missed=due_at < pen.now)

    def _fired(self, pen: Pen, event: Any) -> None:  # noqa: ANN401
        self.tally.alarms += event.alarm
        if event.tier is not None:
            self._up(pen, event.tier)
        for armed in event.armed or ():
            self._armed(pen, armed)

    def _raised(self, pen: Pen, event: Any) -> None:  # noqa: ANN401
        if event.by == ENGINE:
            self._up(pen, event.tier)

    def _up(self, pen: Pen, tier: Tier) -> None:
        self.tally.raised[tier.value] += 1
        if tier is Tier.CITY:
            self.tally.at_city.add(pen.number)

    def _count(self, clock: str, role: str, kind: str, workflow: str, risk: str, *, missed: bool) -> None:
        for group in (("all", "all"), ("clock", clock), ("role", role), ("unit_kind", kind), ("risk", risk), ("workflow", workflow)):
            share = self.tally.missed[group]
            share.deadlines += 1
            share.missed += missed


def broken_promises(case: Case, next_at: datetime | None, resolver: Resolver, now: datetime, patience: timedelta) -> list[str]:
    """Return which part of "somebody answers and a clock runs" does not hold for a case; nothing, if all is well.

    An open case has a clock that will fire; somebody answers for it who is there, or, where nobody is up to the city, an alarm that
    sounds again within the policy's `terminal.every`; whoever holds a clock is there. No clock survives its case.
    """
    if not case.open:
        return ["clock_survives"] if case.clocks else []
    broken = []
    if next_at is None:
        return ["no_clock"]
    if next_at < now:
        broken.append("clock_stands")
    if not case.answers_role or (case.answers is None and next_at - now > patience):
        broken.append("nobody_answers")
    if case.answers is not None and not _is_there(resolver, case.answers, case.answers_unit):
        broken.append("absent_answerer")
    seen = {None, case.answers}
    for clock in case.clocks:
        if clock.holder not in seen:
            seen.add(clock.holder)
            if not _is_there(resolver, clock.holder, clock.unit):
                broken.append("absent_holder")
                break
    return broken


def _is_there(resolver: Resolver, person: str | None, unit: str) -> bool:
    return any(duty.person == person and resolver.is_present(duty) for duty in resolver.roster.duties.get(unit, ()))


def _day(at: datetime) -> int:
    return at.astimezone(CHINA).toordinal() - _EPOCH
