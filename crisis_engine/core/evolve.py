"""Fold the log: a case and one event give the next case. No calendar, policy or key is needed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, replace
from operator import attrgetter
from types import SimpleNamespace
from typing import Any

from . import events as ev
from .case import Case, Clock, Done, Grant, Proposal
from .model import Risk, Tier, higher_risk

Changes = dict[str, Any]


def evolve(case: Case | None, event: ev.Event) -> Case:
    """Return the case after the event. An event that does not fit its case raises ValueError: the log is broken."""
    if case is None:
        return Case(**_begun(event))
    if event.seq != case.version + 1:
        raise ValueError(f"case {case.number}: event {event.seq} does not follow {case.version}")
    if event.kind not in _APPLY:
        raise ValueError(f"case {case.number}: `{event.kind}` cannot come after the first event")
    changed = _APPLY[event.kind](case, event)
    changed["version"] = event.seq
    changed["last_at"] = event.at
    return _but(case, changed)


def _begun(event: ev.Event) -> Changes:
    """Return the fields of a case that the first event sets."""
    if not isinstance(event, ev.Opened):
        raise ValueError(f"case {event.case} does not begin with `opened` but with `{event.kind}`")  # noqa: TRY004 (the log is broken)
    return {
        "number": event.case, "workflow": event.workflow, "procedure": event.procedure, "unit": event.unit, "subject": event.subject,
        "parent": event.parent, "stage": event.stage, "tier": event.tier, "risk": event.risk, "peak": event.risk, "opened_at": event.at,
        "last_at": event.at, "version": event.seq, "opened_from": event.tier, "signal_seq": event.seq, "signal_at": event.at,
        "done": {event.move: Done(event.by, event.at, event.seq)},
    }


def also_armed(case: Case, armed: ev.ClockArmed) -> Case:
    """Return the case after one more clock that its last rung started."""
    return _but(case, _armed(case, armed))


_FIELDS = tuple(field.name for field in fields(Case))
_DEFAULTS = {  # frozen or never written on: every draft may begin with the same ones
    each.name: each.default if each.default_factory is MISSING else each.default_factory()
    for each in fields(Case) if each.default is not MISSING or each.default_factory is not MISSING
}
_PLACE = {name: place for place, name in enumerate(_FIELDS)}
_values_of = attrgetter(*_FIELDS)


def _but(case: Case, changed: Mapping[str, Any]) -> Case:
    """Return the case with some fields changed: `dataclasses.replace` at a third of its price, for a sweep pays it twice a case."""
    values = list(_values_of(case))
    for name, value in changed.items():
        values[_PLACE[name]] = value
    return Case(*values)


class Folding:
    """A log being folded: what `evolve` does, written over one draft, so that a proof of a million events pays for one case a log."""

    def __init__(self) -> None:
        self._draft: Any = None   # has the attributes of a Case, and unlike it can be written on

    def add(self, event: ev.Event) -> None:
        """Take the next event; ValueError, as `evolve` raises it, when it does not fit."""
        if self._draft is None:
            self._draft = SimpleNamespace(**{**_DEFAULTS, **_begun(event)})
            return
        draft = self._draft.__dict__
        apply = _APPLY.get(event.kind)
        if apply is None or event.seq != draft["version"] + 1:
            evolve(self.case(), event)   # says what is wrong
        elif changed := apply(self._draft, event):
            draft.update(changed)
        draft["version"], draft["last_at"] = event.seq, event.at

    @property
    def risk(self) -> Risk | None:
        """The risk as it is by now."""
        return None if self._draft is None else self._draft.risk

    def case(self) -> Case:
        """Return the case as far as it was folded; ValueError before the first event."""
        if self._draft is None:
            raise ValueError("an empty log folds to nothing")
        return Case(*_values_of(self._draft))


def fold(events: Iterable[ev.Event]) -> Case:
    """Return the case that a whole log folds to."""
    folding = Folding()
    for event in events:
        folding.add(event)
    return folding.case()


def _moved(case: Case, event: ev.Moved) -> Changes:
    changes: Changes = {"stage": event.to, "done": {**case.done, event.move: Done(event.by, event.at, event.seq)}}
    if event.final is not None:
        changes |= {"final": event.final, "closed_at": event.at, "ended_by": event.by, "ended_second": event.second, "danger": False}
    elif case.final is not None:   # a new life: what was done in the one before counts for nothing here
        done = {event.move: Done(event.by, event.at, event.seq)}
        changes |= {"final": None, "closed_at": None, "ended_by": None, "ended_second": None, "done": done}
    if event.signal:
        changes |= {"signal_seq": event.seq, "signal_at": event.at}
    return changes


def _risk_raised(case: Case, event: ev.RiskRaised) -> Changes:
    return {"risk": event.risk, "peak": higher_risk(case.peak, event.risk)}


def _answers(_case: Case, event: ev.TierRaised | ev.TierLowered | ev.AnswererChanged) -> Changes:
    changes: Changes = {"answers_role": event.role, "answers_unit": event.unit, "answers": event.holder}
    if not isinstance(event, ev.AnswererChanged):
        changes["tier"] = event.tier
    return changes


def _subject_set(case: Case, event: ev.SubjectSet) -> Changes:
    return {"subject": event.subject, "unit": event.unit, "facts": {k: v for k, v in case.facts.items() if k != "unidentified"}}


def clock_of(event: ev.ClockArmed) -> Clock:
    """Return the clock that an event starts."""
    return Clock(event.clock, event.n, event.sort, event.role, event.unit, event.holder, event.at, event.due_at, event.next_at,
                 event.rung, 0, event.cap_at, event.provisional, at_tier=event.at_tier)


def _armed(case: Case, event: ev.ClockArmed) -> Changes:
    return {"clocks": (*case.clocks, clock_of(event)), "armings": {**case.armings, event.clock: event.n}}


def _ended(case: Case, event: ev.ClockMet | ev.ClockDropped) -> Changes:
    left = tuple(clock for clock in case.clocks if clock.name != event.clock or clock.n != event.n)
    if len(left) == len(case.clocks):
        raise ValueError(f"case {case.number}: clock {event.clock}.{event.n} does not run")
    return {"clocks": left}


def _on_clock(change: Callable[[Clock, Any], Clock]) -> Callable[[Case, Any], Changes]:
    def apply(case: Case, event: Any) -> Changes:  # noqa: ANN401 - one of the clock events; the table below says which
        for place, clock in enumerate(case.clocks):
            if clock.name == event.clock and clock.n == event.n:
                return {"clocks": (*case.clocks[:place], change(clock, event), *case.clocks[place + 1:])}
        raise ValueError(f"case {case.number}: clock {event.clock}.{event.n} does not run")

    return apply


def _clock_moved(clock: Clock, event: ev.ClockMoved) -> Clock:
    return replace(
        clock, due_at=event.due_at, next_at=event.next_at, rung=event.rung, cap_at=event.cap_at, provisional=event.provisional,
        times=clock.times if event.times is None else event.times,
    )


def _clock_held(clock: Clock, event: ev.ClockHeld) -> Clock:
    return replace(clock, held_until=event.until, next_at=event.next_at, held_at=(*clock.held_at, event.tier))


def _clock_paused(clock: Clock, event: ev.ClockPaused) -> Clock:
    return replace(clock, paused_at=event.at, paused_until=event.until, next_at=event.until, pauses=clock.pauses + 1)


def _clock_resumed(clock: Clock, event: ev.ClockResumed) -> Clock:
    return replace(
        clock, paused_at=None, paused_until=None, due_at=event.due_at, next_at=event.next_at, rung=event.rung, cap_at=event.cap_at,
    )


def _handed_over(clock: Clock, event: ev.HandedOver) -> Clock:
    return replace(clock, role=event.role, unit=event.unit, holder=event.holder)


def _rung_fired(case: Case, event: ev.RungFired) -> Changes:
    clocks = []
    for clock in case.clocks:
        if clock.name == event.clock and clock.n == event.n:
            fired = Clock(
                clock.name, clock.n, clock.kind, clock.role, clock.unit, clock.holder, clock.armed_at, clock.due_at,
                event.next_at, event.next_rung, event.next_times, clock.cap_at, clock.provisional, None, clock.held_at,
                clock.paused_at, clock.paused_until, clock.pauses, clock.at_tier,
            )
            clocks.append(fired)
        else:
            clocks.append(clock)
    changes: Changes = {}
    if event.armed:
        clocks += [clock_of(one) for one in event.armed]
        changes["armings"] = {**case.armings, **{one.clock: one.n for one in event.armed}}
    changes["clocks"] = tuple(clocks)
    if event.tier is not None:
        changes["tier"], changes["answers"] = event.tier, event.answers
        changes["answers_role"], changes["answers_unit"] = event.answers_role, event.answers_unit
    if event.told:
        changes.update(_reached(case, max([tier for tier, _role in event.told], key=_RANK.__getitem__)))
    return changes


_RANK = {tier.value: tier.rank for tier in Tier}


def _reached(case: Case, tier: str) -> Changes:
    """Remember the highest level that was told: it may read from then on."""
    if _RANK[tier] <= _RANK[case.facts.get("reached", case.tier)]:
        return {}
    return {"facts": {**case.facts, "reached": str(tier)}}


def _proposed(case: Case, event: ev.Proposed) -> Changes:
    return {"proposals": (*case.proposals, Proposal(event.seq, event.move, event.by, event.at, event.risk))}


def _glass_broken(case: Case, event: ev.GlassBroken) -> Changes:
    running = (grant for grant in case.grants if grant.until > event.at or grant.person != event.person)
    return {"grants": (*running, Grant(event.person, event.until, event.reads, event.seq))}


def _nothing(_case: Case, _event: ev.Event) -> Changes:
    return {}


_APPLY: Mapping[str, Callable[[Case, Any], Changes]] = {
    "moved": _moved,
    "risk_raised": _risk_raised,
    "risk_lowered": lambda _case, event: {"risk": event.risk},
    "danger_began": lambda _case, _event: {"danger": True},
    "danger_ended": lambda _case, _event: {"danger": False},
    "tier_raised": _answers,
    "tier_lowered": _answers,
    "answerer_changed": _answers,
    "lead_changed": lambda _case, event: {"lead": event.lead},
    "fact_set": lambda case, event: {"facts": {**case.facts, event.name: event.value}},
    "subject_set": _subject_set,
    "person_recused": lambda case, event: {"recused": case.recused | {event.person}},
    "clock_armed": _armed,
    "clock_met": _ended,
    "clock_dropped": _ended,
    "clock_moved": _on_clock(_clock_moved),
    "clock_held": _on_clock(_clock_held),
    "clock_paused": _on_clock(_clock_paused),
    "clock_resumed": _on_clock(_clock_resumed),
    "handed_over": _on_clock(_handed_over),
    "rung_fired": _rung_fired,
    "told": lambda case, event: _reached(case, event.tier),
    "proposed": _proposed,
    "proposal_ended": lambda case, event: {"proposals": tuple(p for p in case.proposals if p.id != event.proposal)},
    "linked": _nothing,
    "glass_broken": _glass_broken,
    "track_moved": _nothing,
    "parent_set": lambda _case, event: {"parent": event.parent},
    "unit_set": lambda _case, event: {"unit": event.unit, "grants": ()},   # whoever broke the glass at the old place reads on no longer
    "migrated": lambda _case, event: {"procedure": event.procedure},
}
