"""Makes a move possible that its guards refuse: does first, in the same stage, what they ask for, or waits as long as they ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from crisis_engine.core.access import Actor
from crisis_engine.core.case import Case
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.guard import refusals
from crisis_engine.core.workflow import MoveDef

from .form import Form, forms, said
from .situation import Step, core_key
from .stagehand import Proposed, Stagehand
from .town import START

OF_THE_SITUATION = frozenset({"danger", "no_danger", "raised", "rated", "risk_below", "unidentified", "only_own_signals",
                              "no_other_open_case", "other_open_case_of_subject", "not_shredded", "parent_ending"})
"""Guards that look at nothing but the situation itself: where one refuses, another situation has to be tried."""

OF_THE_ACTOR = frozenset({"not_actor_of", "panel_if_peak", "depth_allows_county", "not_sampled", "members_hold", "receiver_fits",
                          "home_at_addressee", "receipt_matches"})
"""Guards that look at who asks, at the form or at what never changes again."""

_MOST = 6   # what one guard asks for is a handful of duties, each met by one move


@dataclass(frozen=True, slots=True)
class Ready:
    """A case on which the move can be tried, and what was done before."""

    case: Case
    proposed: Proposed
    steps: tuple[Step, ...] = ()
    now: datetime = START
    waited: timedelta = timedelta()


def prepared(hand: Stagehand, case: Case, proposed: Proposed, move: MoveDef, form: Form) -> Ready | None:
    """Return the case with all that the move's guards ask for, None when they ask for what this situation cannot give.

    The situation stays the same: only what the key leaves out (a fact, a duty, how long it was quiet) is changed, by real moves.
    """
    ready: Ready | None = Ready(case, proposed)
    for _round in range(_MOST):
        if ready is None or not (missing := _missing(hand, ready, move, form)):
            return ready
        if missing & OF_THE_SITUATION or (missing == {"no_signal_since_proposal"} and _ends(hand, move)):
            return None   # an ending over a new word is tried as it is, and has to be refused
        ready = _waited(hand, ready) if missing == {"stable_for"} else _further(hand, ready, move, form)
    return None


def _ends(hand: Stagehand, move: MoveDef) -> bool:
    return move.to is not None and hand.procedure.workflow.stages[move.to].final is not None


def _missing(hand: Stagehand, ready: Ready, move: MoveDef, form: Form) -> set[str]:
    if not move.needs:
        return set()
    world = hand.world(Actor("nobody"), ready.case, ready.now)
    missing = {need.partition(":")[0] for need in move.needs if refusals(world, ready.case, (need,), form)}
    return missing - OF_THE_ACTOR


def _debt(hand: Stagehand, ready: Ready, missing: set[str]) -> int:
    """Return how much is still owed before the move: refusing guards, and running duties where the guard counts them."""
    clocks = hand.procedure.workflow.clocks
    once = sum(not clocks[clock.name].standing for clock in ready.case.clocks)
    return 10 * len(missing) + once


def _further(hand: Stagehand, ready: Ready, move: MoveDef, form: Form) -> Ready | None:
    """Return the case after one move more that brings the guards nearer to holding and leaves the situation as it is."""
    missing = _missing(hand, ready, move, form)
    owed, key = _debt(hand, ready, missing), core_key(ready.case)
    vain = (key.stage, key.danger, move.name, frozenset(missing), frozenset(clock.name for clock in ready.case.clocks))
    if vain in hand.vain:
        return None
    for other in _helpers(hand, ready.case, move, missing):
        filled = next(forms(hand.procedure.workflow, hand.procedure.policy, other, ready.case, ready.now), None)
        if filled is None:
            continue
        made = hand.agree(ready.case, other, filled, ready.proposed, ready.now)
        if isinstance(made, CrisisError):
            continue
        case = made[-1].case
        steps = [*ready.steps, *(Step(one.who, one.move, said(one.form) if one.move == other.name else {}, of=other.name) for one in made)]
        after = Ready(case, made[-1].proposed, tuple(steps), ready.now, ready.waited)
        if core_key(case) == key and _debt(hand, after, _missing(hand, after, move, form)) < owed:
            return after
    hand.vain.add(vain)
    return None


def _helpers(hand: Stagehand, case: Case, move: MoveDef, missing: set[str]) -> Iterator[MoveDef]:
    """Yield the moves that stay in the stage and can do something about what is missing, those of one person first."""
    running = {clock.name for clock in case.clocks if not hand.procedure.workflow.clocks[clock.name].standing}
    found = [other for other in hand.procedure.workflow.moves.values()
             if case.stage in other.from_stages and other is not move and other.to is None and not other.engine_only and not other.signal
             and any(_GIVES.get(guard, _anything)(other, running) for guard in missing)]
    yield from sorted(found, key=lambda other: bool(other.second))


def _tells_guardian(other: MoveDef, _running: set[str]) -> bool:
    return "guardian" in other.sets


def _meets_duty(other: MoveDef, running: set[str]) -> bool:
    return not running.isdisjoint(other.meets)


def _anything(other: MoveDef, _running: set[str]) -> bool:
    return bool(other.sets.keys() & {"guardian", "subject"} or other.meets)


_GIVES: Mapping[str, Callable[[MoveDef, set[str]], bool]] = {
    "guardian_known": _tells_guardian, "guardian_told_or_withheld": _tells_guardian, "no_once_clock_running": _meets_duty,
    "no_signal_since_proposal": _meets_duty, "assessed": lambda _other, _running: False,
    "checklist_done": lambda other, _running: any(field.type == "items" for field in other.fields),
}
"""What can give a guard what it asks for; nothing but a move to another stage makes a child assessed."""


def _waited(hand: Stagehand, ready: Ready) -> Ready:
    """Return the case after it was quiet for as long as the policy asks, everybody doing meanwhile what was due.

    Whoever waits meets each clock as it comes, which the law `meet` proves possible; so only the last word lies further back.
    """
    case, quiet = ready.case, hand.procedure.policy.stable_for[ready.case.peak].wall
    case = replace(case, opened_at=case.opened_at - quiet, signal_at=(case.signal_at or case.opened_at) - quiet)
    return replace(ready, case=case, waited=ready.waited + quiet)
