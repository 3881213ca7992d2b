"""Nobody acts: how long it takes, at the worst, until the city is told that a clock is late, and who was told before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crisis_engine.core import events as ev
from crisis_engine.core.calendar import Span
from crisis_engine.core.case import Case
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.policy import ClockRule, longest_pause
from crisis_engine.core.workflow import MoveDef

from .form import forms
from .law import Broken, by_software
from .situation import Key, Situation, Step
from .stagehand import Made, Stagehand
from .town import START

_MOST_RUNGS = 300
_LONGEST = timedelta(days=4000)
_AFTER_CITY = timedelta(days=2)


@dataclass(slots=True)
class Silence:
    """What happened while nobody acted: when which level was told, when the alarm rang, what broke a law."""

    told: dict[Tier, timedelta] = field(default_factory=dict)
    alarm: timedelta | None = None
    broken: list[Broken] = field(default_factory=list)
    began: timedelta = timedelta()      # what was waited before the silence is counted
    by_move: bool = False               # a rung made a move of the engine, which settled the matter

    @property
    def city(self) -> timedelta | None:
        """When the city was told, or the terminal alarm rang in its place."""
        times = [at for at in (self.told.get(Tier.CITY), self.alarm) if at is not None]
        return min(times, default=None)


def freshly_met(hand: Stagehand, case: Case) -> Case:
    """Return the situation at its most patient: every duty owed was met just now, so only its standing clocks run, each at its longest.

    A duty more only adds a clock, and a clock only ever raises and tells: whatever the case looks like, it is not later than this.
    """
    workflow, policy = hand.procedure.workflow, hand.procedure.policy
    armings = {name: 1 if not clock.standing or _longer_again(policy.clocks[name], case.risk) else 0
               for name, clock in workflow.clocks.items()}
    return hand.settled(replace(case, clocks=(), proposals=(), armings=armings))


def _longer_again(rule: ClockRule, risk: Risk) -> bool:
    return risk in rule.again and _length(rule.again[risk]) > _length(rule.within[risk])


def _length(span: Span) -> timedelta:
    return span.wall if span.is_wall else timedelta(days=span.amount)


def fall_silent(hand: Stagehand, case: Case, began: datetime = START) -> Silence:
    """Let nobody act from now on, until the city is told."""
    silence, now = Silence(), began
    for _round in range(_MOST_RUNGS):
        if case.next_at is None or case.next_at - began > _LONGEST:
            break
        now = max(now, case.next_at)
        pen = hand.due(case, now)
        if not pen.case.open:
            silence.by_move = any(isinstance(event, ev.Moved) for event in pen.events)
            if not silence.by_move:
                silence.broken.append(Broken("software"))
            break
        silence.broken += by_software(case, pen.case)
        for level, alarm in _heard(hand, pen.events):
            silence.told.setdefault(level, now - began)
            if alarm and silence.alarm is None:
                silence.alarm = now - began
        case = pen.case
        city = silence.city
        if city is not None and (not case.danger or silence.alarm is not None or now - began - city > _AFTER_CITY):
            break
    return silence


def _heard(hand: Stagehand, events: list[ev.Event]) -> Iterator[tuple[Tier, bool]]:
    """Yield the levels that were told that a clock is late; a reminder before the time is no alarm."""
    rules = hand.procedure.policy.clocks
    for event in events:
        if isinstance(event, ev.RungFired) and event.rung >= len(rules[event.clock].remind):
            yield from ((Tier(level), event.alarm) for level, _role in event.told)
            if event.tier is not None:
                yield event.tier, event.alarm
        elif isinstance(event, ev.TierRaised):
            yield event.tier, False


@dataclass(frozen=True, slots=True)
class Worst:
    """The longest silence of a stage at a risk, and from which level on."""

    stage: str
    risk: Risk
    after: timedelta
    tier: Tier


def silences(hand: Stagehand, here: Situation) -> Iterator[tuple[Silence, tuple[Step, ...]]]:
    """Yield what comes of nobody acting here: at the most patient, with each paper clock paused, with a late clock taken in hand."""
    fresh = freshly_met(hand, here.case)
    plain = fall_silent(hand, fresh)
    yield plain, ()
    for move in hand.procedure.workflow.moves.values():
        if here.key.stage in move.from_stages and not move.engine_only:
            if "pause" in move.sets:
                yield from _paused(hand, fresh, move)
            elif "hold" in move.sets:
                yield from _held(hand, fresh, move)


def _paused(hand: Stagehand, fresh: Case, move: MoveDef) -> Iterator[tuple[Silence, tuple[Step, ...]]]:
    case, steps = fresh, []
    for clock in fresh.clocks:
        rule = hand.procedure.policy.clocks[clock.name]
        longest = longest_pause(hand.procedure.policy, rule, fresh.risk, 0)
        if rule.pause is None or not longest:
            continue
        form = next(forms(hand.procedure.workflow, hand.procedure.policy, move, case, START), None)
        if form is None:
            continue
        filled = {**form, "clock": clock.name, "reason": rule.pause.reasons[0], "until": START + longest}
        made = hand.make(case, move, {name: filled[name] for name in form}, {})
        if isinstance(made, Made):
            case = made.case
            steps.append(Step(made.who, move.name, {"clock": clock.name}))
    if steps:
        yield fall_silent(hand, case), tuple(steps)


def _held(hand: Stagehand, fresh: Case, move: MoveDef) -> Iterator[tuple[Silence, tuple[Step, ...]]]:
    """Take every clock in hand that is late at the first moment at which one is, for as long as the policy allows."""
    now = min((clock.due_at for clock in fresh.clocks), default=START)
    case = fresh
    while case.next_at is not None and case.next_at < now:
        case = hand.due(case, case.next_at).case
    steps: list[Step] = []
    for clock in [each for each in case.clocks if each.due_at <= now]:
        form = next(forms(hand.procedure.workflow, hand.procedure.policy, move, case, now), None)
        if form is None:
            continue
        made = hand.make(case, move, {**form, **({"clock": clock.name} if "clock" in form else {})}, {}, now)
        if not isinstance(made, CrisisError):
            case = made.case
            steps.append(Step(made.who, move.name, {"clock": clock.name}, now - START if not steps else timedelta()))
    if steps:
        yield fall_silent(hand, case, now), tuple(steps)


def breaks(hand: Stagehand, key: Key, silence: Silence, *, plain: bool) -> Iterator[Broken]:
    """What the silence breaks: the city never hears of it, a level is passed over, a danger never comes to the alarm."""
    yield from silence.broken
    if silence.by_move:
        return
    city = silence.city
    if city is None:
        yield Broken("silence", key.stage)
        return
    lead = hand.procedure.workflow.stages[key.stage].lead
    levels = (Tier.GRADE, Tier.SCHOOL, Tier.COUNTY) if lead is Tier.PEER else (Tier.SCHOOL, Tier.COUNTY)
    for level in levels:
        heard = silence.told.get(level)
        if plain and level.rank > key.tier.rank and (heard is None or heard > city):
            yield Broken("skipped", level.value)
    if key.danger and silence.alarm is None:
        yield Broken("no_alarm", key.stage)
