"""Moving an open case to another version of its procedure, and back: what keeps it from moving, and what becomes of its clocks.

Time already spent counts: a clock is due at the earlier of its old due time and the new budget from when it was armed, so that a new
version never pushes a running clock away (promise 4). Only a revert, which two people sign too, gives back what the version took.
"""

from __future__ import annotations

from datetime import datetime

from . import events as ev
from .case import Case, Clock
from .deadline import Steps, budget
from .model import Tier
from .pen import Pen
from .procedure import Procedure
from .resolve import Resolver
from .settle import settle


def hindrance(case: Case, new: Procedure, old: Procedure, *, undo: bool = False) -> tuple[str, str] | None:
    """Return why a case cannot follow `new`, as (word of the catalogue, name); None when it can.

    A clock that `new` does not know keeps the case, but where a migration is undone: it came with that.
    """
    workflow, policy = new.workflow, new.policy
    if case.stage not in workflow.stages or workflow.stages[case.stage].final is not None:
        return "stage", case.stage
    for clock in case.clocks:
        if clock.name not in workflow.clocks and undo:
            continue
        if clock.name not in workflow.clocks:
            return "clock", clock.name
        if clock.name not in policy.clocks:
            return "budget", clock.name
        if workflow.clocks[clock.name].kind != clock.kind:
            return "kind", clock.name
    if case.proposals:
        return "proposal", case.proposals[-1].move
    if (new.two, workflow.one_open_per_subject) != (old.two, old.workflow.one_open_per_subject):
        return "rules", workflow.id
    return None


def migrate(case: Case, old: Procedure, new: Procedure, resolver: Resolver, now: datetime, *, by: str, second: str) -> Pen:
    """Return what moving the case comes to: one event that pins it anew, its clocks as they then run, and the case at rest."""
    pen = Pen(case, case.number, new, resolver, by, now)
    pen.add(ev.Migrated, origin=old.hash, procedure=new.hash, second=second)
    for clock in case.clocks:
        _take(pen, clock, old)
    settle(pen)
    return pen


def revert(case: Case, before: Case, after: Case, procedures: tuple[Procedure, Procedure], resolver: Resolver, now: datetime, *,
           by: str, second: str) -> Pen:
    """Return what moving the case back comes to. `before` and `after` are the case around the move that is undone.

    A clock that nothing touched since is as it was before; one that was touched keeps what happened; one that came with the new
    version goes with it.
    """
    new, old = procedures
    pen = Pen(case, case.number, old, resolver, by, now)
    pen.add(ev.Migrated, origin=new.hash, procedure=old.hash, second=second, reverts=True)
    was, moved = ({(clock.name, clock.n): clock for clock in each.clocks} for each in (before, after))
    for clock in case.clocks:
        key = (clock.name, clock.n)
        if clock.name not in old.workflow.clocks:
            pen.add(ev.ClockDropped, by="engine", clock=clock.name, n=clock.n)
        elif key in was and key in moved and _stands(clock) == _stands(moved[key]):
            first = was[key]
            if _stands(first) != _stands(clock):
                _move(pen, clock, first.due_at, first.next_at, first.rung, first.cap_at, provisional=first.provisional)
        else:
            due_at = was[key].due_at if key in was and key in moved and clock.due_at == moved[key].due_at else clock.due_at
            _take(pen, clock, new, due_at=due_at)
    settle(pen)
    return pen


def _stands(clock: Clock) -> tuple[object, ...]:
    return clock.due_at, clock.next_at, clock.rung, clock.times, clock.held_until, clock.paused_until


def _take(pen: Pen, clock: Clock, old: Procedure, due_at: datetime | None = None) -> None:
    """Let a running clock go on by the numbers of the pen's procedure; nothing is written where nothing changes."""
    case, policy = pen.case, pen.procedure.policy
    steps, before = pen.procedure.steps(clock.name, case.risk), old.steps(clock.name, case.risk)
    rule, calendar = policy.clocks[clock.name], pen.resolver.calendar
    due = budget(rule, case.risk, clock.armed_at, calendar, case.unit, again=clock.n > 1, dismissal=None)
    stood = clock.due_at if due_at is None else due_at
    nearer = due.at < stood and clock.paused_at is None
    at = due.at if nearer else stood
    if at == clock.due_at and (steps.remind, steps.ladder) == (before.remind, before.ladder):
        return
    rung, next_at = _next(pen, clock, steps, at)
    if clock.paused_until is not None or clock.held_until is not None:
        next_at = clock.next_at   # a pause and a holding end when they were to end
    elif due_at is None:
        next_at = min(next_at, clock.next_at)   # and what comes next does not come later either
    cap_at = due.cap_at if nearer else clock.cap_at
    _move(pen, clock, at, next_at, rung, cap_at, provisional=due.provisional if nearer else clock.provisional)


def _next(pen: Pen, clock: Clock, steps: Steps, due_at: datetime) -> tuple[int, datetime]:
    """Return the step that comes next: what is planned for later, or a rung that is overdue and reaches higher than the case has come."""
    case = pen.case
    if due_at > pen.now:
        return steps.first(clock.armed_at, due_at, pen.now)
    for step in range(len(steps.remind), steps.last):
        rung, when = steps.rung(step), steps.at(step, clock.armed_at, due_at)
        if when > pen.now:
            return step, when
        if clock.due_at > pen.now:       # it was not late before: every rung is still to come
            return step, pen.now
        if rung is not None and rung.raise_to not in {None, "next"} and Tier(str(rung.raise_to)).rank > case.tier.rank:
            return step, pen.now
    return steps.last, max(pen.now, steps.at(steps.last, clock.armed_at, due_at))


def _move(
    pen: Pen, clock: Clock, due_at: datetime, next_at: datetime, rung: int, cap_at: datetime | None, *, provisional: bool,
) -> None:
    """Write the clock's new plan. `times` grows, so that no rung of the other numbering ever bears the name of one that fired."""
    pen.add(ev.ClockMoved, by="engine", clock=clock.name, n=clock.n, due_at=due_at, next_at=next_at, rung=rung, why="migrated",
            cap_at=cap_at, provisional=provisional, times=clock.times + 1)
