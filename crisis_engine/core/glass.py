"""Breaking the glass (应急查阅): an emergency reading with a reason and an end, told at once and put to somebody else for review."""

from __future__ import annotations

from datetime import datetime

from . import events as ev
from .access import BLIND, glass_of, may_do
from .case import Case
from .decide import Decision, check_sight
from .errors import CommandRejected
from .model import Risk, Tier
from .pen import Pen
from .settle import settle
from .world import World

REVIEW = "glass_review_v1"
"""The workflow by which an emergency reading is reviewed."""


def decide_break(world: World, case: Case, because: str, until: datetime) -> Decision:
    """Grant the actor an emergency reading of the case until a time, and open its review.

    It holds afterwards: whoever answers for the case and whoever answers at the next level are told; a case of the workflow REVIEW
    stands beside this one, at that next level, with a clock of its own, and whoever broke the glass counts as absent there and
    never learns who reviews it. Nothing is granted that the actor reads already.
    """
    access, actor, resolver = world.resolver.access, world.actor, world.resolver
    check_sight(world, case, "glass.break", because=because)
    if world.erased:   # there is nothing left to read, and the reason would be sealed under a key of its own
        raise CommandRejected(f"Case {case.number} was erased already.", way_out="Read the case as it is.")
    reads = glass_of(access, actor, resolver, case)
    sight = may_do(access, "case.read", actor, resolver, case=case)
    if reads == BLIND or sight.reads >= reads:
        raise CommandRejected("The glass hides nothing more from this person.", way_out="Read the case as it is.")

    pen = Pen(case, case.number, world.procedure, resolver, actor.id, world.now)
    pen.add(ev.GlassBroken, {"because": because}, person=actor.id, reads=reads, until=until)
    above = resolver.level_above(case.unit, case.tier)
    for tier in dict.fromkeys((case.tier, above)):
        _tell(pen, tier)
    review = _review(world, case, above)
    pen.add(ev.Linked, link="track", other=review.number)
    return Decision((pen, review))


def _tell(pen: Pen, tier: Tier) -> None:
    """Tell whoever answers at that level; the notice says that the glass was broken, not why and not by whom."""
    case, policy = pen.case, pen.procedure.policy
    role = case.answers_role if tier is case.tier else policy.holder[pen.resolver.level_from(case.unit, tier)]
    found, people = pen.resolver.people(case.unit, role, policy, case.recused, urgent=True)
    pen.tell_people(found, [person for person in people if person != pen.by], "glass", "glass")


def _review(world: World, case: Case, above: Tier) -> Pen:
    number, procedure = world.openable[REVIEW]
    pen = Pen(None, number, procedure, world.resolver, world.actor.id, world.now)
    pen.add(
        ev.Opened, workflow=procedure.workflow.id, procedure=procedure.hash, unit=case.unit, subject=None, parent=case.number,
        stage=procedure.workflow.start, tier=above, risk=Risk.UNRATED, move=procedure.workflow.opening.name,
    )
    for person in sorted({*case.recused, world.actor.id}):
        pen.add(ev.PersonRecused, person=person)
    settle(pen)
    return pen
