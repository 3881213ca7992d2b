"""Settling: after every change somebody answers, and every clock of the stage runs. This file holds promise 1 and promise 3."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from . import events as ev
from .access import BLIND
from .case import Case, Clock
from .deadline import Due, budget, nearer, sooner
from .guard import is_raised
from .model import Tier
from .pen import Pen
from .policy import Policy, longest_pause
from .resolve import Found, Resolver
from .workflow import ClockDef, Workflow, tier_ladder

_MOST_ROUNDS = 12
"""Each round can only raise the tier or arm a clock that did not run; a round without a change ends it long before."""


def settle(pen: Pen) -> None:
    """Bring the case to rest: the tier's holder named, clocks met, dropped, armed and handed over, people told."""
    owed: dict[tuple[str, str], list[tuple[ClockDef, Found, datetime]]] = {}
    fresh: set[str] = set()
    if pen.case.final is not None:
        _end(pen)
        return
    for _round in range(_MOST_ROUNDS):
        written = len(pen.events)
        settle_answerer(pen)
        _stop(pen)
        _start(pen, owed, fresh)
        pen.triggers.clear()
        if len(pen.events) == written:
            break
    _keep_alarm(pen)
    _tell_owed(pen, owed)


def _keep_alarm(pen: Pen) -> None:
    """While nobody answers, or nobody does what is due, one clock speaks up again within the policy's `terminal.every`."""
    case = pen.case
    if case.answers is not None and None not in [clock.holder for clock in case.clocks]:
        return
    limit = pen.now + pen.procedure.policy.terminal_every.wall
    awake = [clock for clock in case.clocks if clock.paused_until is None] or case.clocks
    if min(clock.next_at for clock in case.clocks) > limit:
        clock = min(awake, key=lambda one: one.next_at)
        pen.add(ev.ClockMoved, by="engine", clock=clock.name, n=clock.n, due_at=clock.due_at, next_at=limit, rung=clock.rung, why="alarm",
                cap_at=clock.cap_at, provisional=clock.provisional)


def _end(pen: Pen) -> None:
    for proposal in pen.case.proposals:
        pen.add(ev.ProposalEnded, proposal=proposal.id, how="voided")
    for clock in pen.case.clocks:
        if clock.name in pen.met:
            pen.add(ev.ClockMet, clock=clock.name, n=clock.n, late=pen.now > clock.due_at)
        else:
            pen.add(ev.ClockDropped, clock=clock.name, n=clock.n)


def lead_of(pen: Pen) -> Tier:
    """Return the level that does the work now."""
    case = pen.case
    return case.lead or pen.procedure.workflow.stages[case.stage].lead or Tier.SCHOOL


def settle_answerer(pen: Pen) -> None:
    """Name who answers at the tier. If nobody is there the case goes up at once; a level that does not exist is passed by."""
    case = pen.case
    found = pen.resolver.answerer(case.unit, case.tier, pen.procedure.policy, case.recused)
    if found.tier.rank > case.tier.rank and not (case.tier is Tier.PEER and found.tier is Tier.CLASS):
        raise_tier(pen, pen.resolver.answerer(case.unit, found.tier, pen.procedure.policy, case.recused))
    elif (found.role, found.unit, found.person) != (case.answers_role, case.answers_unit, case.answers):
        pen.add(ev.AnswererChanged, by="engine", role=found.role, unit=found.unit, holder=found.person)
        if found.person is None:
            pen.alarm("nobody_answers")


def raise_tier(pen: Pen, found: Found) -> None:
    """Raise the case to where somebody answers, and tell them. The ladder machine walks; it knows no way down."""
    tier = tier_ladder().raise_to(pen.case.tier, found.tier)
    pen.add(ev.TierRaised, tier=tier, role=found.role, unit=found.unit, holder=found.person)
    if found.person is None:
        pen.alarm("nobody_answers")
    else:
        soonest = min(pen.case.clocks, key=lambda clock: clock.due_at, default=None)
        pen.tell(found.role, soonest.name if soonest else "case", "raised", soonest.due_at if soonest else None)


def _stop(pen: Pen) -> None:
    for clock in pen.case.clocks:
        definition = pen.procedure.workflow.clocks[clock.name]
        if clock.name in pen.met:
            pen.met.discard(clock.name)
            pen.add(ev.ClockMet, clock=clock.name, n=clock.n, late=pen.now > clock.due_at)
        elif definition.who == "second_signer" and not pen.case.proposals:
            pen.add(ev.ClockMet, clock=clock.name, n=clock.n, late=pen.now > clock.due_at)
        elif definition.standing and not stands(pen, definition):
            pen.add(ev.ClockDropped, by="engine", clock=clock.name, n=clock.n)


def stands(pen: Pen, clock: ClockDef) -> bool:
    """Whether a standing clock's condition holds."""
    if clock.flag == "danger":
        return pen.case.danger
    if clock.flag == "raised":
        return is_raised(pen.case.tier, lead_of(pen))
    return pen.case.stage in clock.stages


def _triggered(pen: Pen, clock: ClockDef) -> bool:
    return any(trigger in pen.triggers for trigger in clock.once_on)


def _first_time(pen: Pen, clock: ClockDef) -> bool:
    """Whether a `from_risk` clock starts now: the risk first reaches its floor (unrated counts as the policy says)."""
    if clock.once_from_risk is None or (clock.name in pen.case.armings and "reopened" not in pen.triggers):
        return False
    risk = pen.case.risk
    counted = pen.procedure.policy.unrated_counts_as if risk.rank == 0 else risk
    return counted.rank >= clock.once_from_risk.rank


def _start(pen: Pen, owed: dict[tuple[str, str], list[tuple[ClockDef, Found, datetime]]], fresh: set[str]) -> None:
    for definition in pen.procedure.workflow.clocks.values():
        clock = pen.case.clock(definition.name)
        if clock is None:
            if (stands(pen, definition) if definition.standing else _triggered(pen, definition) or _first_time(pen, definition)):
                found, due_at = arm(pen, definition)
                fresh.add(definition.name)
                owed.setdefault((found.role, found.unit), []).append((definition, found, due_at))
        elif definition.name not in fresh:
            hand_over(pen, definition, clock)
            if _triggered(pen, definition) or "risk_raised" in pen.triggers:
                bring_nearer(pen, clock, _budget(pen, definition, clock.n > 1), "signal" if _triggered(pen, definition) else "risk")
            if "risk_raised" in pen.triggers:
                _cut_short(pen, definition.name)


def _budget(pen: Pen, definition: ClockDef, again: bool) -> Due:  # noqa: FBT001 - read by name at both callers
    policy, case = pen.procedure.policy, pen.case
    rule = policy.clocks[definition.name]
    school = pen.resolver.roster.units.get(pen.resolver.chain(case.unit).get(Tier.SCHOOL, "")) if rule.not_after else None
    due = budget(rule, case.risk, pen.now, pen.resolver.calendar, case.unit, again=again,
                 dismissal=school.dismissal if school is not None else None)
    bound = pen.bounds.get(definition.name)
    return replace(due, at=min(due.at, bound)) if bound is not None else due


def arm(pen: Pen, definition: ClockDef) -> tuple[Found, datetime]:
    """Start a clock: due by the policy, its first step ahead, its doer named; if that duty is vacant the case goes up now."""
    found = doer(pen.resolver, pen.procedure.workflow, pen.procedure.policy, pen.case, definition)
    armed = _armed(pen, definition, found, *pen.arms())
    pen.arm(armed)
    _jump(pen, definition.name, found)
    return found, armed.due_at


def _armed(pen: Pen, definition: ClockDef, found: Found, seq: int, by: str) -> ev.ClockArmed:
    policy, case = pen.procedure.policy, pen.case
    n = case.armings.get(definition.name, 0) + 1
    due = _budget(pen, definition, n > 1)
    rung, next_at = pen.procedure.steps(definition.name, case.risk).first(pen.now, due.at, pen.now)
    if found.person is None:
        next_at = min(next_at, pen.now + policy.terminal_every.wall)
    return ev.ClockArmed(
        case=pen.number, seq=seq, at=pen.now, by=by, clock=definition.name, n=n, sort=definition.kind, role=found.role, unit=found.unit,
        holder=found.person, due_at=due.at, next_at=next_at, rung=rung, cap_at=due.cap_at, provisional=due.provisional,
        at_tier=definition.who == "tier_holder",
    )


def armed_by_raise(pen: Pen, answers: Found) -> tuple[ev.ClockArmed, ...] | None:
    """Return the clocks that a rung starts by raising the case to where `answers` stands, for the rung's own record.

    What is left out here `settle_raised` starts behind it: this is the common case at half the price.
    """
    if answers.person is None or not is_raised(answers.tier, lead_of(pen)):
        return None
    case = pen.case
    return tuple([
        _armed(pen, definition, answers, case.version + 1, "engine") for definition in pen.procedure.raised_clocks
        if definition.flag == "raised" and definition.who == "tier_holder" and case.clock(definition.name) is None
    ]) or None


def hand_over(pen: Pen, definition: ClockDef, clock: Clock, *, quiet: bool = False) -> None:
    """Look again who must meet a running clock: a duty, a presence, a recusal or the lead may have changed."""
    found = doer(pen.resolver, pen.procedure.workflow, pen.procedure.policy, pen.case, definition)
    if (found.role, found.unit, found.person) == (clock.role, clock.unit, clock.holder):
        return
    pen.add(ev.HandedOver, by="engine", clock=clock.name, n=clock.n, role=found.role, unit=found.unit, holder=found.person)
    _jump(pen, clock.name, found)
    if found.person is not None and not quiet:
        _tell_doer(pen, found, clock.name, "handover", clock.due_at, safety=clock.kind == "safety")


def _jump(pen: Pen, clock: str, found: Found) -> None:
    if found.person is None:
        pen.alarm(clock)
    if found.vacant and found.tier.rank > pen.case.tier.rank:
        raise_tier(pen, pen.resolver.answerer(pen.case.unit, found.tier, pen.procedure.policy, pen.case.recused))


def bring_nearer(pen: Pen, clock: Clock, due: Due, why: str) -> None:
    """Bring a running clock nearer; one that would move away stays where it is."""
    steps = pen.procedure.steps(clock.name, pen.case.risk)
    moved = nearer(clock, due, steps, pen.now)
    if moved is not None:
        step, next_at = moved
        if clock.paused_until is not None:
            next_at = clock.next_at
        pen.add(
            ev.ClockMoved, clock=clock.name, n=clock.n, due_at=due.at, next_at=next_at, rung=step, why=why, cap_at=due.cap_at,
            provisional=due.provisional,
        )
    elif clock.paused_until is None and clock.held_until is None:
        next_at = sooner(clock, steps, pen.now)
        if next_at < clock.next_at:   # late already: a steeper ladder begins at once
            pen.add(
                ev.ClockMoved, clock=clock.name, n=clock.n, due_at=clock.due_at, next_at=next_at, rung=clock.rung, why=why,
                cap_at=clock.cap_at, provisional=clock.provisional,
            )


def _cut_short(pen: Pen, name: str) -> None:
    """End a hold or a pause that a lower risk allowed as soon as the higher one asks, counted from now."""
    clock, case, policy = pen.case.clock(name), pen.case, pen.procedure.policy
    if clock is None or (clock.held_until is None and clock.paused_until is None):
        return
    if clock.paused_until is not None:
        next_at = pen.now + longest_pause(policy, policy.clocks[name], case.risk, clock.pauses - 1)
    else:
        next_at = max(sooner(clock, pen.procedure.steps(name, case.risk), pen.now), pen.now + policy.hold[case.risk].wall)
    if next_at < clock.next_at:
        pen.add(ev.ClockMoved, clock=name, n=clock.n, due_at=clock.due_at, next_at=next_at, rung=clock.rung, why="risk",
                cap_at=clock.cap_at, provisional=clock.provisional)


def reproject(pen: Pen, clock: Clock) -> None:
    """Reckon a clock in days anew from when it was armed, on the calendar of today; its cap stays."""
    rule = pen.procedure.policy.clocks[clock.name]
    due = budget(rule, pen.case.risk, clock.armed_at, pen.resolver.calendar, pen.case.unit, again=clock.n > 1, dismissal=None)
    at = min(due.at, clock.cap_at) if clock.cap_at is not None else due.at
    if (at, due.provisional) == (clock.due_at, clock.provisional):
        return
    steps = pen.procedure.steps(clock.name, pen.case.risk)
    step, next_at = steps.first(clock.armed_at, at, pen.now, clock.rung)
    pen.add(
        ev.ClockMoved, clock=clock.name, n=clock.n, due_at=at, next_at=next_at, rung=step, why="calendar", cap_at=clock.cap_at,
        provisional=due.provisional,
    )


def doer(resolver: Resolver, workflow: Workflow, policy: Policy, case: Case, clock: ClockDef) -> Found:
    """Return who must meet this clock (`who`), at the level that leads the work, recused persons left out."""
    who, recused = clock.who, case.recused
    running = case.clock(clock.name)
    if who == "first_receiver" and running is not None:   # a raise adds people who answer; it takes no duty from those below
        return resolver.find(case.unit, (running.role,), policy, recused)
    if who in {"tier_holder", "first_receiver"}:
        return resolver.answerer(case.unit, case.tier, policy, recused)
    if who == "on_site":
        return resolver.find(case.unit, policy.on_site, policy, recused)
    if who == "second_signer":
        if not case.proposals:
            return resolver.answerer(case.unit, case.tier, policy, recused)
        proposal = case.proposals[-1]
        roles = [role for role in workflow.moves[proposal.move].second if ":" not in role]
        return resolver.find(case.unit, roles, policy, recused | {proposal.by})
    role, _, place = who.partition("@")
    if place == "addressee" and case.facts.get("addressee"):
        at_partner = _at_addressee(resolver, case, role)   # a partner without anybody is the county's matter, at once
        return at_partner or replace(resolver.answerer(case.unit, Tier.COUNTY, policy, recused), vacant=True)
    if case.lead is not None:
        role = policy.counterpart.get(role, {}).get(case.lead, role)
    return resolver.find(case.unit, (role,), policy, recused)


def _at_addressee(resolver: Resolver, case: Case, role: str) -> Found | None:
    """Return who takes what was sent to a partner: the role there, else whoever there reads what is addressed to the unit.

    A partner that is no more takes nothing. It stands beside the school: what it hears is not yet known to the county.
    """
    unit = resolver.roster.units.get(case.facts.get("addressee", ""))
    if unit is None or (unit.ends_at is not None and unit.ends_at <= resolver.now):
        return None
    addressed = [name for name, one in resolver.access.roles.items() if one.addressed != BLIND]
    for name in dict.fromkeys((role, *addressed)):
        for duty in resolver.holders(unit.id, name, case.recused):
            return Found(name, duty.unit, Tier.SCHOOL, duty.person)
    return None


def _tell_doer(pen: Pen, found: Found, what: str, why: str, due_at: datetime, *, safety: bool) -> None:
    """Tell everybody of the doer's role there; a partner is found at its own unit, not above the child's."""
    if found.unit in pen.resolver.chain(pen.case.unit).values():
        pen.tell(found.role, what, why, due_at, safety=safety)
    else:
        people = [duty.person for duty in pen.resolver.holders(found.unit, found.role, pen.case.recused)]
        asleep = pen.resolver.named(pen.case.unit, found, pen.procedure.policy, pen.case.recused, safety=safety)
        pen.tell_people(found, dict.fromkeys([*people, *asleep]), what, why, due_at, safety=safety)


def _tell_owed(pen: Pen, owed: dict[tuple[str, str], list[tuple[ClockDef, Found, datetime]]]) -> None:
    """Tell each role once of the clock that is due first among those that it got: fewer notices are read more."""
    for clocks in owed.values():
        running = [entry for entry in clocks if pen.case.clock(entry[0].name) is not None]
        if running:
            definition, found, due_at = min(running, key=lambda entry: entry[2])
            if found.person is not None:
                _tell_doer(pen, found, definition.name, "armed", due_at, safety=definition.kind == "safety")


def settle_raised(pen: Pen) -> None:
    """After a rung: name who answers, arm the clocks that hang on a flag and hand on those that go with the tier. The rest is as it was.

    Whoever answers heard of the case by the rung itself, in the same breath: nobody is told twice.
    """
    settle_answerer(pen)
    for definition in pen.procedure.raised_clocks:
        running = pen.case.clock(definition.name)
        if running is None and stands(pen, definition):
            arm(pen, definition)
        elif running is not None and definition.who == "tier_holder":
            hand_over(pen, definition, running, quiet=True)
    _keep_alarm(pen)


def next_alarm(pen: Pen, next_at: datetime, *, somebody: bool) -> datetime:
    """Return the next moment of a clock: sooner where nobody answers (terminal alarm)."""
    return next_at if somebody else min(next_at, pen.now + max(pen.procedure.policy.terminal_every.wall, timedelta(minutes=1)))
