"""Why a case stands as it stands: why each clock runs, what set its due time, who must meet it and why, what comes next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from . import events as ev
from .calendar import Calendar
from .case import Case, Clock
from .deadline import Steps, budget
from .model import Risk, Tier
from .policy import ClockRule
from .procedure import Procedure
from .resolve import Found, Resolver
from .settle import doer
from .workflow import ClockDef


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who it is, and by which step of the search: holder, deputy, stand_in, next_level or nobody."""

    role: str
    unit: str
    person: str | None
    step: str
    instead_of: str     # the role that was looked for


@dataclass(frozen=True, slots=True)
class NextStep:
    """What happens if nobody acts: a reminder or a rung, when, which level it reaches, which roles are told."""

    at: datetime
    kind: str                         # reminder, rung, resume (a pause ends)
    raises_to: Tier | None = None
    tells: tuple[str, ...] = ()
    alarm: bool = False
    held: bool = False                # somebody took the clock in hand until then


@dataclass(frozen=True, slots=True)
class Reason:
    """Everything about one running clock."""

    clock: Clock
    condition: str                    # stage, danger, raised, from_risk, move
    detail: str                       # the stage, the risk or the move
    set_by: str                       # budget, again, cap, dismissal, confirmed, risk, signal, calendar, resumed, merged, migrated, kept
    set_at: datetime
    risk: Risk                        # by which it was reckoned
    span: str                         # the budget as the policy writes it
    rule: ClockRule
    who: Answerer
    next: NextStep


def answerer_of(case: Case, procedure: Procedure, resolver: Resolver) -> Answerer:
    """Return who answers for the case, and why this person."""
    policy = procedure.policy
    wanted = policy.holder[resolver.level_from(case.unit, case.tier)]
    return _answerer(Found(case.answers_role, case.answers_unit, case.tier, case.answers), (wanted,), procedure, resolver)


def reasons(case: Case, events: Sequence[ev.Event], procedure: Procedure, resolver: Resolver) -> Iterator[Reason]:
    """Yield why each running clock runs, the one due first on top."""
    for clock in sorted(case.clocks, key=lambda one: one.due_at):
        definition, rule = procedure.workflow.clocks[clock.name], procedure.policy.clocks[clock.name]
        kind, at, risk, trigger, moved = _set(clock, events)
        condition, detail = _condition(definition, case, trigger)
        span = (rule.again.get(risk) if clock.n > 1 else None) or rule.within[risk]
        if kind == "armed":
            kind = _limit(clock, rule, risk, resolver, case)
            if kind == "confirmed" and moved:
                kind = "kept"
        yield Reason(clock, condition, detail, kind, at, risk, str(span), rule, _who(case, clock, definition, procedure, resolver),
                     _next(case, clock, procedure, resolver))


def _armed_in(event: ev.Event) -> Iterable[ev.ClockArmed]:
    if isinstance(event, ev.ClockArmed):
        return (event,)
    return event.armed or () if isinstance(event, ev.RungFired) else ()


def _set(clock: Clock, events: Sequence[ev.Event]) -> tuple[str, datetime, Risk, str, bool]:
    """Return what last set the clock's due time, when, at which risk, behind which move it was armed, if a new version came since."""
    moved = False
    kind, at, set_risk, move, trigger = "armed", clock.armed_at, Risk.UNRATED, "", ""
    risk, due_at = Risk.UNRATED, None
    for event in events:
        if isinstance(event, (ev.Opened, ev.RiskRaised, ev.RiskLowered)):
            risk = event.risk
        if isinstance(event, (ev.Opened, ev.Moved, ev.Proposed)):
            move = event.move
        if any((armed.clock, armed.n) == (clock.name, clock.n) for armed in _armed_in(event)):
            kind, at, set_risk, trigger, moved = "armed", event.at, risk, move, False
            due_at = next(armed.due_at for armed in _armed_in(event) if armed.clock == clock.name)
        elif isinstance(event, (ev.ClockMoved, ev.ClockResumed)) and _moves(event, clock, due_at):
            kind = event.why if isinstance(event, ev.ClockMoved) else "resumed"
            at, set_risk, due_at = event.at, risk, event.due_at
        elif isinstance(event, ev.Migrated):
            moved = True
    return kind, at, set_risk, trigger, moved


def _moves(event: ev.ClockMoved | ev.ClockResumed, clock: Clock, due_at: datetime | None) -> bool:
    """Whether it is the clock's due time that moves; a steeper ladder, or an alarm, moves the next step alone."""
    return (event.clock, event.n) == (clock.name, clock.n) and event.due_at != due_at


def _condition(clock: ClockDef, case: Case, trigger: str) -> tuple[str, str]:
    if clock.flag is not None:
        return clock.flag, ""
    if clock.stages:
        return "stage", case.stage
    if clock.once_from_risk is not None:
        return "from_risk", clock.once_from_risk.value
    if "unidentified" in clock.once_on:
        return "unidentified", ""
    return ("proposed" if "proposed" in clock.once_on else "move"), trigger


def _limit(clock: Clock, rule: ClockRule, risk: Risk, resolver: Resolver, case: Case) -> str:
    """Return what of the rule set the due time: its budget, its wall cap, the dismissal, or a time that a person confirmed."""
    if clock.cap_at is not None and clock.due_at == clock.cap_at:
        return "cap"
    school = resolver.roster.units.get(resolver.chain(case.unit).get(Tier.SCHOOL, ""))
    by_budget = _due(rule, risk, clock, resolver.calendar, case.unit, None)
    if clock.due_at == by_budget:
        return "again" if clock.n > 1 and rule.again else "budget"
    dismissal = school.dismissal if school is not None else None
    return "dismissal" if dismissal and clock.due_at == _due(rule, risk, clock, resolver.calendar, case.unit, dismissal) else "confirmed"


def _due(rule: ClockRule, risk: Risk, clock: Clock, calendar: Calendar, unit: str, dismissal: str | None) -> datetime:
    return budget(rule, risk, clock.armed_at, calendar, unit, again=clock.n > 1, dismissal=dismissal).at


# ---- who ------------------------------------------------------------------------------------------------------------------------


def _who(case: Case, clock: Clock, definition: ClockDef, procedure: Procedure, resolver: Resolver) -> Answerer:
    """Return who must meet the clock. The roles that were looked for are those of `doer`, which found the person."""
    found = doer(resolver, procedure.workflow, procedure.policy, case, definition)
    if (found.role, found.unit, found.person) != (clock.role, clock.unit, clock.holder):
        found = Found(clock.role, clock.unit, found.tier, clock.holder)   # the next sweep hands it over; this is who has it now
    return _answerer(found, _wanted(case, clock, definition, procedure, resolver), procedure, resolver)


def _wanted(case: Case, clock: Clock, definition: ClockDef, procedure: Procedure, resolver: Resolver) -> tuple[str, ...]:
    policy = procedure.policy
    who, _, _place = definition.who.partition("@")
    if who == "tier_holder":
        return (policy.holder[resolver.level_from(case.unit, case.tier)],)
    if who == "first_receiver":
        return (clock.role,)
    if who == "on_site":
        return policy.on_site
    if who == "second_signer":
        move = procedure.workflow.moves[case.proposals[-1].move] if case.proposals else None
        return tuple(role for role in move.second if ":" not in role) if move is not None else (clock.role,)
    return (policy.counterpart.get(who, {}).get(case.lead, who),) if case.lead is not None else (who,)


def _answerer(found: Found, wanted: Sequence[str], procedure: Procedure, resolver: Resolver) -> Answerer:
    first = wanted[0] if wanted else found.role
    if found.person is None:
        return Answerer(found.role, found.unit, None, "nobody", first)
    if found.role in wanted:
        running = [duty for duty in resolver.roster.duties.get(found.unit, ()) if duty.role == found.role
                   and (duty.begins_at is None or duty.begins_at <= resolver.now) and (duty.ends_at is None or duty.ends_at > resolver.now)]
        best = min((duty.rank for duty in running), default=1)
        mine = min((duty.rank for duty in running if duty.person == found.person), default=best)
        return Answerer(found.role, found.unit, found.person, "holder" if mine == best else "deputy", first)
    instead = {other for role in wanted for other in procedure.policy.instead.get(role, ())}
    return Answerer(found.role, found.unit, found.person, "stand_in" if found.role in instead else "next_level", first)


# ---- what comes next --------------------------------------------------------------------------------------------------------------


def _next(case: Case, clock: Clock, procedure: Procedure, resolver: Resolver) -> NextStep:
    if clock.paused_until is not None:
        return NextStep(clock.next_at, "resume")
    steps = Steps.of(procedure.policy, clock.name, case.risk)
    rung = steps.rung(steps.clamp(clock.rung, clock.times)[0])
    held = clock.held_until is not None and clock.next_at == clock.held_until
    if rung is None:
        return NextStep(clock.next_at, "reminder", tells=(clock.role,), held=held)
    raises_to: Tier | None = None
    if rung.raise_to == "next":
        raises_to = resolver.level_above(case.unit, case.tier)
    elif rung.raise_to is not None:
        raises_to = resolver.level_from(case.unit, Tier(rung.raise_to))
    if raises_to is not None and raises_to.rank <= case.tier.rank:
        raises_to = None
    told = [clock.role, *([procedure.policy.holder[raises_to]] if raises_to is not None else [])]
    told += [case.answers_role if role == "tier_holder" else role for role in rung.tell]
    return NextStep(clock.next_at, "rung", raises_to, tuple(dict.fromkeys(told)), rung.alarm, held)
