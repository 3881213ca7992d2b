"""When a clock is due and which rung comes next: pure reckoning over a rule, a risk and a calendar.

The steps of a clock are its reminders, then the rungs of its ladder; the last rung repeats for ever. A step is named by
(rung, times): `rung` counts through the steps, `times` counts how often the repeating rung fired and never falls, so that no
pair ever comes twice for one arming.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from .calendar import CHINA, Calendar, Offset, Span, dismissal_after, parse_offset
from .case import Clock
from .draft import drafted
from .model import Risk
from .policy import ClockRule, Policy, Rung, counts_as


@drafted
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


def day_before(value: datetime | str, before: Span | None, now: datetime) -> datetime | None:
    """Return when something is due that belongs before a named time, or before the end of a named day; None where that is past.

    Where it is too late for `before`, the named time itself is what is left.
    """
    at = value if isinstance(value, datetime) else datetime.combine(date.fromisoformat(value), time(), CHINA) + timedelta(days=1)
    early = at - before.wall if before is not None else at
    return early if early > now else at if at > now else None


def ladder_of(policy: Policy, rule: ClockRule, risk: Risk) -> tuple[Rung, ...]:
    """Return the ladder that this clock climbs at this risk."""
    return policy.ladders[rule.ladder_by_risk.get(counts_as(policy, risk), rule.ladder)]


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one clock at one risk, reckoned once for a procedure: a sweep asks for the same few again and again."""

    remind: tuple[Offset, ...]
    ladder: tuple[Rung, ...]
    late: tuple[timedelta, ...]   # how long after due each rung of the ladder comes by the plan; of the repeating one, its first time
    every: timedelta              # how long the repeating rung waits
    last: int                     # the number of the repeating step

    @classmethod
    def of(cls, policy: Policy, clock: str, risk: Risk) -> Steps:
        """Return the steps of the clock at this risk."""
        rule = policy.clocks[clock]
        ladder = ladder_of(policy, rule, risk)
        tail = ladder[-1].every
        every = tail.wall if tail is not None else timedelta(hours=24)
        before = ladder[-2].at if len(ladder) > 1 else None
        first_tail = (before.wall if before is not None else timedelta()) + every
        late = tuple(rung.at.wall if rung.at is not None else first_tail for rung in ladder)
        return cls(tuple(map(parse_offset, rule.remind)), ladder, late, every, len(rule.remind) + len(ladder) - 1)

    def rung(self, step: int) -> Rung | None:
        """Return the ladder's rung of this step; None for a reminder."""
        place = step - len(self.remind)
        return self.ladder[min(place, len(self.ladder) - 1)] if place >= 0 else None

    def clamp(self, step: int, times: int) -> tuple[int, int]:
        """Return the step within this ladder: a case whose risk rose may stand beyond the end of the new one."""
        return (step, times) if step <= self.last else (self.last, times + 1)

    def at(self, step: int, armed_at: datetime, due_at: datetime) -> datetime:
        """Return when a step is due by the plan; for the repeating one, its first time."""
        place = step - len(self.remind)
        if place < 0:
            return self.remind[step].at(armed_at, due_at)
        return due_at + self.late[min(place, len(self.late) - 1)]

    def first(self, armed_at: datetime, due_at: datetime, now: datetime, step: int = 0) -> tuple[int, datetime]:
        """Return the first step from `step` on, and when: reminders whose moment is past are left out, rungs never are."""
        while step < len(self.remind):
            when = self.at(step, armed_at, due_at)
            if when > now:
                return step, when
            step += 1
        return step, self.at(step, armed_at, due_at)

    def after(self, clock: Clock, step: int, times: int, now: datetime) -> tuple[int, int, datetime]:
        """Return what comes after a step that fired: the next rung by the plan, or the repeating rung counted from now."""
        if step >= self.last:
            return self.last, times + 1, now + self.every
        following, when = self.first(clock.armed_at, clock.due_at, now, step + 1)
        if following >= self.last and when <= now:   # the tail goes by its plan, but never fires in one breath with the rung before it
            when = now + self.every
        return following, times, when


def nearer(clock: Clock, due: Due, steps: Steps, now: datetime) -> tuple[int, datetime] | None:
    """Return the step and moment of a clock whose due time comes nearer; None when it would not: a clock only comes nearer."""
    if due.at >= clock.due_at:
        return None
    step, when = steps.first(clock.armed_at, due.at, now, min(clock.rung, steps.last))
    if clock.held_until is not None:
        when = min(max(when, clock.held_until), clock.next_at)   # a hold that a higher risk cut short stays as short
    if step >= steps.last:   # the repeating rung goes by what it last did, not by the plan
        when = min(when, clock.next_at)
    return max(step, clock.rung), when


def sooner(clock: Clock, steps: Steps, now: datetime) -> datetime:
    """Return when the clock's next step comes by these steps, for a clock whose due time stays but whose ladder became steeper."""
    step, _times = steps.clamp(clock.rung, clock.times)
    if step < len(steps.remind):
        return clock.next_at
    if step < steps.last:
        return max(now, steps.at(step, clock.armed_at, clock.due_at))
    return now + steps.every if steps.ladder[-1].every is not None and clock.due_at <= now else clock.next_at
