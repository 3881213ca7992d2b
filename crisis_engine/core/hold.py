"""What a form does to a clock: a late one taken in hand (催办), a paper one paused or resumed, one that runs towards a named day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from . import events as ev
from .calendar import CHINA
from .case import Clock
from .deadline import day_before
from .errors import BadInput, CommandRejected, NotFound, said
from .pen import Pen
from .policy import longest_pause
from .rung import resume
from .workflow import ClockDef, MoveDef
from .world import World


def hold_clock(world: World, pen: Pen, move: MoveDef, fields: Mapping[str, Any]) -> None:
    """Hold, pause or resume the clock that the form names; refuse before anything is written."""
    kinds = [key for key in ("hold", "pause", "resume") if key in move.sets]
    if not kinds:
        return
    name = fields.get("clock")
    clock = pen.case.clock(str(name))
    if clock is None:
        running = ", ".join(one.name for one in pen.case.clocks)
        raise NotFound(f"No clock {said(name)!r} runs on this case.", way_out=f"Running: {running}.")
    _CLOCK_KEYS[kinds[0]](world, pen, clock, fields)


def tick(pen: Pen, move: MoveDef, fields: Mapping[str, Any]) -> None:
    """Begin a checklist (预案) anew where the move says so, and tick the items of its form; which were ticked is a fact of the case."""
    if move.checklist is not None:
        pen.add(ev.FactSet, name=f"checklist.{move.checklist}", value="")
    for field in move.fields:
        if field.type == "items" and fields.get(field.name):
            name = f"checklist.{field.of}"
            ticked = [item for item in pen.case.facts.get(name, "").split(",") if item]
            pen.add(ev.FactSet, name=name, value=",".join(dict.fromkeys([*ticked, *fields[field.name]])))


def heed_days(pen: Pen, fields: Mapping[str, Any]) -> None:
    """Bound the clocks that must be met before a day of this form (`toward`); BadInput for a day that is over."""
    for clock, due_at in days_of(pen, fields):
        if due_at is None:
            raise BadInput(f"Field {clock.toward!r} lies in the past.", way_out="Name a day that is still to come.", field=clock.toward)
        pen.bounds[clock.name] = due_at


def days_of(pen: Pen, fields: Mapping[str, Any]) -> Iterator[tuple[ClockDef, datetime | None]]:
    """Yield the clocks that run towards a day of this form, each with when it must be met; None where that is over."""
    for clock in pen.procedure.workflow.clocks.values():
        value = fields.get(clock.toward) if clock.toward is not None else None
        if value is not None:
            yield clock, day_before(value, pen.procedure.policy.clocks[clock.name].before, pen.now)


def _hold(world: World, pen: Pen, clock: Clock, fields: Mapping[str, Any]) -> None:
    until, policy = fields["until"], pen.procedure.policy
    longest = pen.now + policy.hold[pen.case.risk].wall
    if clock.due_at > pen.now:
        raise CommandRejected(f"The clock {clock.name} is not late.", way_out="Only a late clock is taken in hand; see `crisis show`.")
    if clock.paused_until is not None:
        raise CommandRejected(f"The clock {clock.name} is paused.", way_out="Resume it first (`resume_clock`).")
    if pen.case.tier in clock.held_at:
        raise CommandRejected(f"The clock {clock.name} was taken in hand at {pen.case.tier} before; once is all.",
                              way_out="Meet the clock, or let the next level act.")
    if not pen.now < until <= longest:
        raise CommandRejected(f"A ladder may be held until {longest.astimezone(CHINA).isoformat()} at most, and not into the past.",
                              way_out="Give a nearer --field until=….")
    pen.add(ev.ClockHeld, by=world.actor.id, clock=clock.name, n=clock.n, tier=pen.case.tier, until=until,
            next_at=max(clock.next_at, until))


def _pause(world: World, pen: Pen, clock: Clock, fields: Mapping[str, Any]) -> None:
    until, rule = fields["until"], pen.procedure.policy.clocks[clock.name]
    if clock.kind != "paper" or rule.pause is None:
        raise CommandRejected(f"The clock {clock.name} never stands still.", way_out="Only paper clocks with a `pause` in the policy do.")
    reason = str(fields.get("reason"))
    if reason not in rule.pause.reasons:
        raise CommandRejected(f"{said(reason)!r} is no reason to pause {clock.name}.", way_out=f"Reasons: {', '.join(rule.pause.reasons)}.")
    if clock.pauses >= rule.pause.times or clock.paused_until is not None:
        raise CommandRejected(f"The clock {clock.name} was paused {clock.pauses} time(s) already.", way_out="Decide on what there is.")
    longest = pen.now + longest_pause(pen.procedure.policy, rule, pen.case.risk, clock.pauses)
    if longest <= pen.now:
        raise CommandRejected(f"All pauses of {clock.name} together last {pen.procedure.policy.pause[pen.case.risk]} at most.",
                              way_out="Decide on what there is.")
    if not pen.now < until <= longest:
        raise CommandRejected(f"A pause may last until {longest.astimezone(CHINA).isoformat()} at most, and not into the past.",
                              way_out="Give a nearer --field until=….")
    pen.add(ev.ClockPaused, by=world.actor.id, clock=clock.name, n=clock.n, reason=reason, until=until)


def _resume(_world: World, pen: Pen, clock: Clock, _fields: Mapping[str, Any]) -> None:
    if clock.paused_until is None:
        raise CommandRejected(f"The clock {clock.name} is not paused.", way_out="See `crisis show`.")
    resume(pen, clock)


_CLOCK_KEYS: Mapping[str, Callable[[World, Pen, Clock, Mapping[str, Any]], None]] = {
    "hold": _hold, "pause": _pause, "resume": _resume,
}
