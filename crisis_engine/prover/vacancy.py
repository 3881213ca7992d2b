"""Somebody answers, also where duties are vacant and levels do not exist; and whoever a clock falls to can meet it."""

from __future__ import annotations

from collections.abc import Iterator

from crisis_engine.core.access import Actor
from crisis_engine.core.case import Case, Clock
from crisis_engine.core.decide import may_confirm, may_move
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.workflow import Workflow

from .law import Broken
from .situation import Situation
from .stagehand import Stagehand
from .town import NOTHING, START, Lack, Town, lacks

_OF_PROPOSAL = 3   # a proposal looks for its second person in whatever stage


def stands(hand: Stagehand) -> list[tuple[Lack, Stagehand]]:
    """Return a stagehand for the whole town and for each variant of it that this procedure can tell apart."""
    town, named = hand.town, _named(hand.procedure)
    every = [lack for lack in lacks(town.access) if not lack.roles or lack.roles & named]
    return [(NOTHING, hand), *((lack, Stagehand(hand.procedure, town.without(lack))) for lack in every)]


def _named(procedure: Procedure) -> frozenset[str]:
    """Return the roles among which the core looks for a doer or for whoever answers."""
    policy = procedure.policy
    named = {clock.who.partition("@")[0] for clock in procedure.workflow.clocks.values()} | {*policy.holder.values(), *policy.on_site}
    return frozenset(named | {role for move in procedure.workflow.moves.values() for role in move.second})


def vacancies(variants: list[tuple[Lack, Stagehand]], here: Situation, seen: set[tuple[object, ...]]) -> Iterator[tuple[Lack, Broken]]:
    """Yield what a vacancy breaks in this situation; situations in which the same people are looked for are looked at once."""
    case = here.case
    kinds: set[tuple[object, ...]] = {(clock.name, case.stage, case.tier, case.lead) for clock in case.clocks}
    kinds |= {(proposal.move, case.tier, case.lead) for proposal in case.proposals}
    if here.key.flag.startswith("proposed"):
        kinds = {kind for kind in kinds if len(kind) == _OF_PROPOSAL}
    if kinds <= seen:
        return
    seen |= kinds
    found = {case.answers_role, *(clock.role for clock in case.clocks)}
    for lack, hand in variants:
        if not lack.roles or lack.roles & found:   # who is not found first is not missed
            settled = hand.settled(case)
            yield from ((lack, broken) for broken in _unanswered(hand, settled))


def _unanswered(hand: Stagehand, case: Case) -> Iterator[Broken]:
    policy, workflow = hand.procedure.policy, hand.procedure.workflow
    if not case.clocks:
        yield Broken("clock")
        return
    somebody = case.answers is not None and all(clock.holder is not None for clock in case.clocks)
    if not somebody and (case.next_at is None or case.next_at > START + policy.terminal_every.wall):
        yield Broken("answers")
    if case.answers is not None and not _is_there(hand.town, case.answers):
        yield Broken("answers")
    for clock in case.clocks:
        if clock.holder is not None and not _is_there(hand.town, clock.holder):
            yield Broken("absent", clock.name)
        elif clock.holder is not None and not _may_meet(hand, workflow, case, clock):
            yield Broken("holder", f"{clock.name}:{clock.role}")


def _is_there(town: Town, person: str) -> bool:
    return any(duty.person == person for duties in town.resolver.roster.duties.values() for duty in duties)


def _may_meet(hand: Stagehand, workflow: Workflow, case: Case, clock: Clock) -> bool:
    """Whether the rights let the holder of a clock make a move that meets it."""
    world = hand.world(hand.town.actors.get(clock.holder or "", Actor(clock.holder or "")), case, START)
    if workflow.clocks[clock.name].who == "second_signer":
        return any(may_confirm(world, case, workflow.moves[proposal.move]).allowed for proposal in case.proposals)
    return any(
        may_move(world, case, move, move.by).allowed for move in workflow.moves.values()
        if clock.name in move.meets and case.stage in move.from_stages and not move.engine_only
    )
