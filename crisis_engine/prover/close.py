"""The laws of closing and excluding: quiet for long enough, nothing owed, as deep as the peak asks, and never on while a new word waits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import product

from crisis_engine.core import events as ev
from crisis_engine.core.case import Case
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.model import Risk
from crisis_engine.core.workflow import MoveDef, Workflow

from .form import Form, forms
from .law import Broken, signers_of
from .prepare import prepared
from .situation import Situation, Step
from .stagehand import DRAWN_NUMBER, NUMBER, Made, Stagehand
from .town import START

_PANEL = 3


def closing_stages(workflow: Workflow) -> frozenset[str]:
    """Return the stages in which one move more closes a case: the closure was asked for."""
    return frozenset(stage for move in workflow.moves.values() if move.to is not None and workflow.stages[move.to].final == "closed"
                     for stage in move.from_stages)


def of_closing(hand: Stagehand, closing: Collection[str], before: Case, made: Made, second: str | None) -> Iterator[Broken]:
    """Yield what a step breaks, in a workflow to whose open case every new word about the child comes."""
    workflow, after = hand.procedure.workflow, made.case
    if workflow.again is None or not before.open:
        return
    word = made.move == workflow.again or any(isinstance(event, ev.DangerBegan) for event in made.pen.events)
    if after.open and word and after.stage in closing:
        yield Broken("word_closing", made.move)
    if after.final == "excluded" and not _rated_by_hand(workflow, before):
        yield Broken("unseen", made.move)
    if after.final == "closed":
        yield from _closed(hand, before, made, signers_of(made, second))


def _closed(hand: Stagehand, before: Case, made: Made, signers: Collection[str]) -> Iterator[Broken]:
    policy, clocks = hand.procedure.policy, hand.procedure.workflow.clocks
    if made.pen.now - (before.signal_at or before.opened_at) < policy.stable_for[before.peak].wall:
        yield Broken("unquiet", made.move)
    for clock in before.clocks:
        if not clocks[clock.name].standing and clocks[clock.name].who != "second_signer":
            yield Broken("owed", clock.name)
    yield from _deep_enough(hand, before, made, signers)


def _deep_enough(hand: Stagehand, before: Case, made: Made, signers: Collection[str]) -> Iterator[Broken]:
    policy = hand.procedure.policy
    drawn = before.number == DRAWN_NUMBER and policy.sample.get(before.peak, 0) > 0
    if (policy.closure_by_peak[before.peak] != "county" or drawn) and not any(_of_city(hand, person) for person in signers):
        yield Broken("depth", made.move)
    filled = "proposal" not in made.form   # an answer has no form of its own
    if filled and policy.closure_by_peak[before.peak] == "city_panel" and len(made.form.get("members") or ()) < _PANEL:
        yield Broken("panel", made.move)


def misclosed(hand: Stagehand, found: Collection[Situation]) -> Iterator[tuple[Broken, Situation, Step]]:
    """Yield where a closure is not as deep as the peak of risk asks, drawn by the city (抽查) or not, with a panel and without.

    Neither the peak nor the draw is part of a situation: they are read by the moves that close, so each is tried on one case there.
    """
    workflow = hand.procedure.workflow
    if workflow.again is None:
        return
    for move in workflow.moves.values():
        if move.to is None or workflow.stages[move.to].final != "closed":
            continue
        for stage in sorted(move.from_stages):
            here = next((each for each in found if each.key.stage == stage and not each.key.flag), None)
            for peak, number in product(Risk, (NUMBER, DRAWN_NUMBER)) if here is not None else ():
                case = replace(here.case, peak=peak, number=number)
                form = next(forms(workflow, hand.procedure.policy, move, case, START), {})
                for filled in (form, {name: value for name, value in form.items() if name != "members"}):
                    for broken, step in _tried(hand, here, case, move, filled):
                        yield broken, here, step


def _tried(hand: Stagehand, here: Situation, case: Case, move: MoveDef, form: Form) -> Iterator[tuple[Broken, Step]]:
    ready = prepared(hand, case, here.proposed, move, form)
    made = hand.agree(ready.case, move, form, ready.proposed, ready.now) if ready is not None else None
    if ready is None or made is None or isinstance(made, CrisisError) or made[-1].case.open:
        return
    last = replace(made[-1], move=move.name, form=form)
    for broken in _deep_enough(hand, ready.case, last, signers_of(last, made[0].who)):
        yield broken, Step(last.who, move.name, waited=ready.waited)


def _rated_by_hand(workflow: Workflow, case: Case) -> bool:
    """Whether somebody looked at the child and said how dangerous it is: a move that leads on with a risk of its form."""
    ratings = (move.name for move in workflow.moves.values() if move.to is not None and str(move.sets.get("risk", "")).startswith("field:"))
    return any(name in case.done for name in ratings)


def _of_city(hand: Stagehand, person: str) -> bool:
    role = hand.town.access.roles.get(person.partition(".")[0])
    return role is not None and role.level == "city"
