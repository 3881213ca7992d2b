"""What happens when nobody acted: all due rungs of a case, decided at once, each person told once."""

from __future__ import annotations

from datetime import datetime
from operator import attrgetter

from . import events as ev
from .case import Clock
from .model import Tier, higher_tier
from .pen import Pen
from .policy import Rung
from .resolve import Found
from .settle import armed_by_raise, doer, hand_over, next_alarm, settle, settle_raised
from .workflow import tier_ladder

_due_at = attrgetter("due_at")
_NAME = {tier: tier.value for tier in Tier}
_TIER = {tier.value: tier for tier in Tier}


def fire_due(pen: Pen, moves: list[tuple[str, str]] | None = None) -> int:
    """Fire every rung of the case that is due; return how many fired.

    `moves` collects (move, clock) pairs of rungs that ask for a move of the engine (expire); the caller makes them.
    """
    fired = 0
    tier = pen.case.tier
    clocks = pen.case.clocks
    for clock in clocks if len(clocks) == 1 else sorted(clocks, key=_due_at):   # whoever hears once hears of what is latest
        if clock.next_at > pen.now:
            continue
        running: Clock | None = clock
        if clock.paused_until is not None:
            resume(pen, clock)
            running = pen.case.clock(clock.name)
        if running is not None and running.next_at <= pen.now:
            fired += _fire(pen, running, moves)
    case = pen.case
    if case.tier is not tier or case.answers is None:
        settle_raised(pen)
        return fired
    found = pen.resolver.answerer(case.unit, case.tier, pen.procedure.policy, case.recused)
    if (found.role, found.unit, found.person) != (case.answers_role, case.answers_unit, case.answers):
        settle(pen)
    return fired


def _fire(pen: Pen, clock: Clock, moves: list[tuple[str, str]] | None) -> int:
    definition = pen.procedure.workflow.clocks[clock.name]
    policy = pen.procedure.policy
    found = doer(pen.resolver, pen.procedure.workflow, policy, pen.case, definition)
    if (found.role, found.unit, found.person) != (clock.role, clock.unit, clock.holder):
        hand_over(pen, definition, clock)
    steps = pen.procedure.steps(clock.name, pen.case.risk)
    step, times = steps.clamp(clock.rung, clock.times)
    target, alarm = pen.case.tier, found.person is None
    roles: list[str] = []
    due: list[tuple[int, int]] = []
    when = clock.next_at
    if step < steps.last and clock.held_until is None and steps.at(step, clock.armed_at, clock.due_at) > pen.now:
        planned = steps.at(step, clock.armed_at, clock.due_at)   # nobody answered, so the clock spoke up before its next rung
        following = (step, times + 1, next_alarm(pen, planned, somebody=found.person is not None and pen.case.answers is not None))
        _last(pen, clock, (step, times), following, target, roles, found, rung=steps.rung(step), alarm=alarm or pen.case.answers is None)
        return 1
    rung: Rung | None = None
    while when <= pen.now:
        due.append((step, times))
        rung = steps.rung(step)
        if rung is not None:
            target = _target(pen, rung, found, target)
            roles += [role for role in rung.tell if role not in roles]
            alarm = alarm or rung.alarm
            if rung.move is not None and moves is not None:
                moves.append((rung.move, clock.name))
        step, times, when = steps.after(clock, step, times, pen.now)
    when = next_alarm(pen, when, somebody=found.person is not None and pen.case.answers is not None)
    for place, (one, count) in enumerate(due):
        if place < len(due) - 1:   # an outage: earlier rungs are logged as fired, the last one carries what they brought about
            pen.add(ev.RungFired, by="engine", clock=clock.name, n=clock.n, rung=one, times=count, next_rung=due[place + 1][0],
                    next_times=due[place + 1][1], next_at=when)
    _last(pen, clock, due[-1], (step, times, when), target, roles, found, rung=rung, alarm=alarm)
    return len(due)


def _target(pen: Pen, rung: Rung, found: Found, target: Tier) -> Tier:
    if rung.raise_to is None:
        return target
    unit = pen.case.unit
    if rung.raise_to == "next":
        return higher_tier(target, pen.resolver.level_above(unit, found.tier))
    return higher_tier(target, pen.resolver.level_from(unit, _TIER[rung.raise_to]))


def _last(
    pen: Pen, clock: Clock, fired: tuple[int, int], following: tuple[int, int, datetime], target: Tier, roles: list[str],
    doing: Found, *, rung: Rung | None, alarm: bool,
) -> None:
    case, policy, resolver = pen.case, pen.procedure.policy, pen.resolver
    answers: Found | None = None
    told: list[tuple[str, str]] = []
    people: list[str] = []
    safety = clock.kind == "safety"
    if target.rank > case.tier.rank:
        answers = resolver.answerer(case.unit, target, policy, case.recused)
        tier_ladder().raise_to(case.tier, answers.tier)
        alarm = alarm or answers.person is None
    for role in dict.fromkeys([doing.role, answers.role, *roles] if answers else [doing.role, *roles]):
        if role == "tier_holder":
            role = answers.role if answers else case.answers_role  # noqa: PLW2901 - the word stands for a role
        if role == doing.role:
            where, names = doing, resolver.named(case.unit, doing, policy, case.recused, safety=safety)
        else:
            where, names = resolver.people(case.unit, role, policy, case.recused, urgent=safety)
        if (pair := (_NAME[where.tier], where.role)) not in told:
            told.append(pair)
            people += names
    if alarm:
        people += resolver.terminal(case.unit, policy, case.recused)
    if answers is not None and answers.tier.rank <= case.tier.rank:
        answers = None
    pen.put(ev.RungFired(
        case=pen.number, seq=case.version + 1, at=pen.now, by="engine", clock=clock.name, n=clock.n, rung=fired[0], times=fired[1],
        next_rung=following[0], next_times=following[1], next_at=following[2], told=tuple(told), alarm=alarm,
        tier=answers.tier if answers else None, answers_role=answers.role if answers else None,
        answers_unit=answers.unit if answers else None, answers=answers.person if answers else None,
        armed=armed_by_raise(pen, answers) if answers else None,
    ))
    unheard = tuple([person for person in dict.fromkeys(people) if person not in pen.heard])
    if unheard:
        late = rung is not None
        pen.heard.update(unheard)
        pen.notices.append(ev.Notice(
            key=f"{pen.number}-{pen.case.version}", case=pen.number, people=unheard, what=clock.name,
            why="late" if late else "remind", due_at=clock.due_at, urgent=pen.urgent or alarm, at=pen.now,
        ))


def resume(pen: Pen, clock: Clock) -> None:
    """Let a paused paper clock run again: its due time moves by the time that it stood, its cap with it."""
    stood = pen.now - (clock.paused_at or pen.now)
    due_at = clock.due_at + stood
    steps = pen.procedure.steps(clock.name, pen.case.risk)
    step, next_at = steps.first(clock.armed_at, due_at, pen.now, clock.rung)
    pen.add(
        ev.ClockResumed, clock=clock.name, n=clock.n, due_at=due_at, next_at=max(next_at, pen.now), rung=step,
        cap_at=clock.cap_at + stood if clock.cap_at is not None else None,
    )
