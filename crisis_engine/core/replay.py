"""Replay: what a log would have been under another policy. People's acts stay where they are; clocks and ladders are the other policy's.

Precisely: what people did (words, moves, proposals and their answers, ratings, danger, facts, recusals, holds and pauses, levels that they
raised or lowered) is taken from the log at its times. All else is left out and decided anew by the core under the other policy: which
clocks run, by when they are due, who must meet them, which rungs fire when, whom they tell, how far they raise. A clock is met by the
same act that met it; a hold or a pause lasts no longer than that policy lets it. What is due at the instant of an act fires before it.
Who is found is found in today's roster as of that time,
days are counted on today's calendar, and the last look is at `until`. Nobody in a replay does anything differently because a rung
fired earlier or later: it says what the new numbers would have made of the old behaviour, not how people would have behaved.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import events as ev
from .access import ENGINE
from .case import Case
from .deadline import Due
from .hold import days_of
from .model import Tier
from .pen import Pen
from .policy import longest_pause
from .procedure import Procedure
from .resolve import Resolver
from .rung import fire_due, resume
from .settle import arm, bring_nearer, raise_tier, raise_to, settle
from .track import meets_now

_ANSWERED = {"confirmed", "declined", "withdrawn"}
_TAKEN = (
    ev.Opened, ev.Moved, ev.RiskRaised, ev.RiskLowered, ev.DangerBegan, ev.DangerEnded, ev.TierRaised, ev.TierLowered, ev.LeadChanged,
    ev.FactSet, ev.SubjectSet, ev.PersonRecused, ev.ClockHeld, ev.ClockPaused, ev.ClockResumed, ev.Proposed, ev.ProposalEnded, ev.Linked,
    ev.GlassBroken, ev.TrackMoved, ev.ParentSet, ev.UnitSet,
)
_LOOKED = (ev.HandedOver, ev.AnswererChanged)


# ---- what a log comes to ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Spell:
    """One arming of a clock, from the log: who had to meet it by when, and whether that was missed."""

    role: str
    armed_at: datetime
    due_at: datetime
    missed: bool = False
    over: bool = False


@dataclass(slots=True)
class Lived:
    """What a log comes to: each arming of each clock, whom rungs and moves told, what fired and how far it raised."""

    spells: dict[tuple[str, int], Spell] = field(default_factory=dict)
    told: Counter[str] = field(default_factory=Counter)      # by role
    raised: Counter[str] = field(default_factory=Counter)    # by rungs, to which level
    rungs: int = 0
    alarms: int = 0


def lived(log: Iterable[ev.Event], until: datetime) -> Lived:  # noqa: C901 - one case for each kind of event
    """Return what a log comes to at `until`; a clock that still runs is missed when it is past due by then."""
    life = Lived()
    for event in log:
        match event:
            case ev.ClockArmed():
                _begin(life, event)
            case ev.ClockMoved() | ev.ClockResumed():
                life.spells[event.clock, event.n].due_at = event.due_at
            case ev.ClockMet():
                spell = life.spells[event.clock, event.n]
                spell.missed, spell.over = event.late, True
            case ev.ClockDropped():
                spell = life.spells[event.clock, event.n]
                spell.missed, spell.over = spell.due_at < event.at, True
            case ev.Told():
                life.told[event.role] += len(event.people)
            case ev.RungFired():
                life.rungs += 1
                life.alarms += event.alarm
                life.told.update(role for _tier, role in event.told)
                if event.tier is not None:
                    life.raised[event.tier.value] += 1
                for armed in event.armed or ():
                    _begin(life, armed)
            case _:
                pass
    for spell in life.spells.values():
        if not spell.over and spell.due_at <= until:
            spell.missed = True
    return life


def _begin(life: Lived, event: ev.ClockArmed) -> None:
    life.spells[event.clock, event.n] = Spell(event.role, event.at, event.due_at)


# ---- replaying ------------------------------------------------------------------------------------------------------------------


def replay(
    log: Iterable[ev.Event], procedure: Procedure, resolver_at: Callable[[str, datetime], Resolver], until: datetime,
) -> list[ev.Event]:
    """Return the log as it would have been. `procedure` has the log's own workflow with the other policy.

    `resolver_at` gives who is found for a unit at an instant. ValueError for a log that does not begin with `opened`.
    """
    player = _Player(procedure, resolver_at)
    followed = frozenset(move.name for move in procedure.workflow.moves.values() if move.follows)
    for group in _deeds(log, followed):
        player.fire(group[0].at)
        player.make(group)
    player.fire(until)
    return player.log


def _deeds(log: Iterable[ev.Event], followed: frozenset[str]) -> Iterable[list[ev.Event]]:
    """Divide a log into what one person did at a time, each with all that the log says of that; what the engine did is left out.

    `followed` are the engine's moves by which a track follows what somebody did to its parent: they stay, as that does.
    """
    group: list[ev.Event] = []
    fired_at: datetime | None = None
    for event in log:
        if isinstance(event, ev.RungFired):
            fired_at = event.at
        by_engine = event.by == ENGINE
        alone = not group or event.at != group[0].at
        if isinstance(event, _LOOKED) and by_engine and alone and event.at != fired_at:
            if group:
                yield group
            group = [event]
        follows = isinstance(event, ev.Moved) and event.by == ENGINE and event.move in followed
        if not (follows or _taken(event, alone=alone, fired=event.at == fired_at)) and not _carried(event, group):
            continue
        if group and (alone or _begins(event, group, followed)):
            yield group
            group = []
        group.append(event)
    if group:
        yield group


def _taken(event: ev.Event, *, alone: bool, fired: bool) -> bool:
    if not isinstance(event, _TAKEN) or (isinstance(event, ev.TierRaised | ev.ClockResumed) and event.by == ENGINE):
        return False
    return not (alone and fired and event.by == ENGINE)   # a move that a rung asked for


def _carried(event: ev.Event, group: list[ev.Event]) -> bool:
    """Whether a clock came over from a case that was merged into this one."""
    merged = any(isinstance(one, ev.Linked) and one.link == "merged_from" for one in group) and event.at == group[0].at
    return merged and (isinstance(event, ev.ClockArmed) or (isinstance(event, ev.ClockMoved) and event.why == "merged"))


def _begins(event: ev.Event, group: list[ev.Event], followed: frozenset[str]) -> bool:
    """Whether an event begins what another person did at the same instant."""
    if isinstance(event, ev.Opened | ev.Proposed | ev.GlassBroken):
        return True
    if isinstance(event, ev.ProposalEnded):
        return event.how in _ANSWERED
    if not isinstance(event, ev.Moved):
        return False
    if event.by == ENGINE:   # a signal's stop, a merge and an ending are part of what somebody did
        return event.move in followed and any(isinstance(one, ev.Moved) for one in group)
    first = group[0]
    confirms = isinstance(first, ev.ProposalEnded) and first.how == "confirmed"
    return not (confirms and not any(isinstance(one, ev.Moved) for one in group))


class _Player:
    """Plays one log again: the case as it then stands, and the log that comes of it."""

    def __init__(self, procedure: Procedure, resolver_at: Callable[[str, datetime], Resolver]) -> None:
        self.procedure, self.resolver_at = procedure, resolver_at
        self.case: Case | None = None
        self.log: list[ev.Event] = []
        self._proposals: dict[int, int] = {}

    def fire(self, until: datetime) -> None:
        """Fire whatever is due by then, each rung at its own moment."""
        while self.case is not None and (at := self.case.next_at) is not None and at <= until:
            pen = Pen(self.case, self.case.number, self.procedure, self.resolver_at(self.case.unit, at), ENGINE, at)
            fire_due(pen)
            self._keep(pen)

    def make(self, group: list[ev.Event]) -> None:
        """Let people do what they did, and bring the case to rest under the other policy."""
        first = group[0]
        unit = self.case.unit if self.case is not None else first.unit if isinstance(first, ev.Opened) else ""
        pen = Pen(self.case, first.case, self.procedure, self.resolver_at(unit, first.at), first.by, first.at)
        carried = []
        for event in group:
            if isinstance(event, ev.ClockArmed | ev.ClockMoved):
                carried.append(event)
            else:
                self._take(pen, event)
        settle(pen)
        for event in carried:
            self._carry(pen, event)
        self._keep(pen)

    def _keep(self, pen: Pen) -> None:
        self.log += pen.events
        self.case = pen.case

    # ---- one event -----------------------------------------------------------------------------------------------------

    def _take(self, pen: Pen, event: ev.Event) -> None:
        pen.by = event.by
        take = _TAKE.get(type(event))
        if take is None:
            if not isinstance(event, _LOOKED):
                _copy(pen, event)
        elif isinstance(event, ev.Proposed):
            self._proposals[event.seq] = _copy(pen, event).seq
            pen.triggers.add("proposed")
        elif isinstance(event, ev.ProposalEnded):
            proposal = self._proposals.get(event.proposal)
            if any(one.id == proposal for one in pen.case.proposals):
                _copy(pen, event, proposal=proposal)
                pen.triggers |= {event.how} & (_ANSWERED - {"confirmed"})
        else:
            take(pen, event)

    def _carry(self, pen: Pen, event: ev.ClockArmed | ev.ClockMoved) -> None:
        definition = self.procedure.workflow.clocks[event.clock]
        running = pen.case.clock(event.clock)
        if running is None and not definition.standing and pen.case.open:
            arm(pen, definition)
        elif running is not None:
            bring_nearer(pen, running, Due(event.due_at, running.cap_at, running.provisional), "merged")


def _copy(pen: Pen, event: ev.Event, **changed: Any) -> ev.Event:  # noqa: ANN401 - header fields of the event's own class
    header = {name: getattr(event, name) for name in ev.FIELDS[type(event)]}
    return pen.add(type(event), by=event.by, **{**header, **changed})


def _opened(pen: Pen, event: ev.Opened) -> None:
    workflow = pen.procedure.workflow
    _copy(pen, event, procedure=pen.procedure.hash)
    pen.triggers |= {event.move} | ({"unidentified"} if event.subject is None and workflow.subject == "student" else set())


def _moved(pen: Pen, event: ev.Moved) -> None:
    move, reopened = pen.procedure.workflow.moves.get(event.move), pen.case.final is not None
    _copy(pen, event)
    pen.triggers |= {event.move, "reopened"} if reopened else {event.move}
    if move is None or (event.by == ENGINE and not move.follows):
        return
    pen.met |= meets_now(pen, move) if move.follows else set(move.meets)
    if move.follows and move.tier is not None:
        raise_to(pen, Tier(move.tier))
    until = event.secret.get(str(move.sets.get("stay_until", "")).removeprefix("field:"))
    if until:   # a confirmed time; where the case's key was shredded nobody knows it
        pen.bounds.update(dict.fromkeys(pen.met, datetime.fromisoformat(str(until))))
    pen.bounds.update({clock.name: due_at for clock, due_at in days_of(pen, event.secret) if due_at is not None})


def _risk_raised(pen: Pen, event: ev.RiskRaised) -> None:
    if event.risk.rank > pen.case.risk.rank:
        _copy(pen, event)
        pen.triggers.add("risk_raised")


def _tier_raised(pen: Pen, event: ev.TierRaised) -> None:
    if event.tier.rank > pen.case.tier.rank:
        raise_tier(pen, pen.resolver.answerer(pen.case.unit, event.tier, pen.procedure.policy, pen.case.recused))


def _tier_lowered(pen: Pen, event: ev.TierLowered) -> None:
    found = pen.resolver.answerer(pen.case.unit, event.tier, pen.procedure.policy, pen.case.recused)
    if found.tier.rank < pen.case.tier.rank:
        _copy(pen, event, tier=Tier(found.tier), role=found.role, unit=found.unit, holder=found.person)


def _subject_set(pen: Pen, event: ev.SubjectSet) -> None:
    _copy(pen, event)
    pen.met |= {clock.name for clock in pen.procedure.workflow.clocks.values() if "unidentified" in clock.once_on}


def _track_moved(pen: Pen, event: ev.TrackMoved) -> None:
    _copy(pen, event)
    pen.met |= set(event.meets)


def _held(pen: Pen, event: ev.ClockHeld) -> None:
    running = pen.case.clock(event.clock)
    if running is not None and running.due_at <= pen.now < event.until and running.paused_until is None:
        until = min(event.until, pen.now + pen.procedure.policy.hold[pen.case.risk].wall)
        _copy(pen, event, n=running.n, until=until, next_at=max(running.next_at, until))


def _paused(pen: Pen, event: ev.ClockPaused) -> None:
    running = pen.case.clock(event.clock)
    if running is None or running.paused_until is not None or event.until <= pen.now:
        return
    policy = pen.procedure.policy
    longest = longest_pause(policy, policy.clocks[event.clock], pen.case.risk, running.pauses)
    if longest:
        _copy(pen, event, n=running.n, until=min(event.until, pen.now + longest))


def _resumed(pen: Pen, event: ev.ClockResumed) -> None:
    running = pen.case.clock(event.clock)
    if running is not None and running.paused_until is not None:
        resume(pen, running)


def _by_player(_pen: Pen, _event: ev.Event) -> None:
    raise AssertionError


_TAKE: Mapping[type[ev.Event], Callable[[Pen, Any], None]] = {
    ev.Opened: _opened, ev.Moved: _moved, ev.RiskRaised: _risk_raised, ev.TierRaised: _tier_raised, ev.TierLowered: _tier_lowered,
    ev.SubjectSet: _subject_set, ev.ClockHeld: _held, ev.ClockPaused: _paused, ev.ClockResumed: _resumed, ev.Proposed: _by_player,
    ev.ProposalEnded: _by_player, ev.TrackMoved: _track_moved,
}
