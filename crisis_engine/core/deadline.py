"""When a clock is due and which rung comes next: pure reckoning over a rule, a risk and a calendar.

The steps of a clock are its reminders, then the rungs of its ladder; the last rung repeats for ever. A step is named by
(rung, times): `rung` counts through the steps, `times` counts how often the repeating rung fired and never falls, so that no
pair ever comes twice for one arming.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from .calendar import Calendar, dismissal_after, parse_offset
from .case import Clock
from .model import Risk
from .policy import ClockRule, Policy, Rung, counts_as


@dataclass(frozen=True, slots=True)
class Due:
    """When a clock is due, its wall cap if it counts days, and whether an unpublished calendar was consulted."""

    at: datetime
    cap_at: datetime | None = None
    provisional: bool = False


def budget(rule: ClockRule, risk: Risk, start: datetime, calendar: Calendar, unit: str, *, again: bool, dismissal: str | None) -> Due:
    """Return when a clock that starts now is due at this risk: its span, capped by the wall, not after dismissal where it says so."""
    span = (rule.again.get(risk) if again else None) or rule.within[risk]
    at, provisional = calendar.add(start, span, unit)
    cap_at = None
    if risk in rule.cap:
        cap_at = start + rule.cap[risk].wall
        at = min(at, cap_at)
    if rule.not_after.get(risk) == "dismissal" and dismissal:
        leaves = dismissal_after(start, dismissal, calendar, unit)
        if leaves is not None:
            at = min(at, leaves)
    return Due(at, cap_at, provisional)


def ladder_of(policy: Policy, rule: ClockRule, risk: Risk) -> tuple[Rung, ...]:
    """Return the ladder that this clock climbs at this risk."""
    return policy.ladders[rule.ladder_by_risk.get(counts_as(policy, risk), rule.ladder)]


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one clock at one risk."""

    rule: ClockRule
    ladder: tuple[Rung, ...]

    @classmethod
    def of(cls, policy: Policy, clock: str, risk: Risk) -> Steps:
        """Return the steps of the clock at this risk."""
        rule = policy.clocks[clock]
        return cls(rule, ladder_of(policy, rule, risk))

    @property
    def last(self) -> int:
        """The number of the repeating step."""
        return len(self.rule.remind) + len(self.ladder) - 1

    def rung(self, step: int) -> Rung | None:
        """Return the ladder's rung of this step; None for a reminder."""
        place = step - len(self.rule.remind)
        return self.ladder[min(place, len(self.ladder) - 1)] if place >= 0 else None

    def clamp(self, step: int, times: int) -> tuple[int, int]:
        """Return the step within this ladder: a case whose risk rose may stand beyond the end of the new one."""
        return (step, times) if step <= self.last else (self.last, times + 1)

    def at(self, step: int, armed_at: datetime, due_at: datetime) -> datetime:
        """Return when a step is due by the plan; for the repeating one, its first time."""
        place = step - len(self.rule.remind)
        if place < 0:
            return parse_offset(self.rule.remind[step]).at(armed_at, due_at)
        rung = self.ladder[min(place, len(self.ladder) - 1)]
        if rung.at is not None:
            return due_at + rung.at.wall
        before = self.ladder[-2].at if len(self.ladder) > 1 else None
        every = rung.every.wall if rung.every is not None else timedelta(hours=24)
        return due_at + (before.wall if before is not None else timedelta()) + every

    def first(self, armed_at: datetime, due_at: datetime, now: datetime, step: int = 0) -> tuple[int, datetime]:
        """Return the first step from `step` on, and when: reminders whose moment is past are left out, rungs never are."""
        while step < len(self.rule.remind):
            when = self.at(step, armed_at, due_at)
            if when > now:
                return step, when
            step += 1
        return step, self.at(step, armed_at, due_at)

    def after(self, clock: Clock, step: int, times: int, now: datetime) -> tuple[int, int, datetime]:
        """Return what comes after a step that fired: the next rung by the plan, or the repeating rung counted from now."""
        if step >= self.last:
            every = self.ladder[-1].every
            return self.last, times + 1, now + (every.wall if every is not None else timedelta(hours=24))
        following, when = self.first(clock.armed_at, clock.due_at, now, step + 1)
        if following >= self.last:   # the tail counts from its plan, but never fires in the same breath as the rung before it
            every = self.ladder[-1].every
            when = max(when, now + (every.wall if every is not None else timedelta())) if when <= now else when
        return following, times, when


def nearer(clock: Clock, due: Due, steps: Steps, now: datetime) -> tuple[int, datetime] | None:
    """Return the step and moment of a clock whose due time comes nearer; None when it would not: a clock only comes nearer."""
    if due.at >= clock.due_at:
        return None
    step, when = steps.first(clock.armed_at, due.at, now, min(clock.rung, steps.last))
    if clock.held_until is not None:
        when = max(when, clock.held_until)
    if step >= steps.last:   # the repeating rung goes by what it last did, not by the plan
        when = min(when, clock.next_at)
    return max(step, clock.rung), when


def sooner(clock: Clock, steps: Steps, now: datetime) -> datetime:
    """Return when the clock's next step comes by these steps, for a clock whose due time stays but whose ladder became steeper."""
    step, _times = steps.clamp(clock.rung, clock.times)
    if step < len(steps.rule.remind):
        return clock.next_at
    if step < steps.last:
        return max(now, steps.at(step, clock.armed_at, clock.due_at))
    every = steps.ladder[-1].every
    return now + every.wall if every is not None and clock.due_at <= now else clock.next_at
