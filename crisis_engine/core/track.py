"""Tracks: the child cases beside a case; how they open, what they do to their parent, how they follow it and end with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from . import events as ev
from .case import Case
from .deadline import sooner
from .errors import BadInput, CommandRejected, said
from .model import Tier, higher_tier
from .pen import Pen
from .procedure import Procedure
from .workflow import MoveDef, Workflow
from .world import World

Track = tuple[Case, Procedure]


def may_open(workflow: Workflow, case: Case | None, moves: Collection[str], fields: Mapping[str, Any]) -> list[str]:
    """Return the tracks that these moves could open by themselves: whoever gathers a world looks these up, and no others."""
    if not workflow.tracks:
        return []
    made = {*moves, *_engine_moves(workflow)}
    return [
        track.name for track in workflow.tracks.values()
        if set(track.on) & made or set(track.cues) & _listed(fields.get("cues"))
        or (track.from_risk is not None and (case is None or case.peak.rank < track.from_risk.rank))
    ]


def _engine_moves(workflow: Workflow) -> set[str]:
    return {move.name for move in workflow.moves.values() if move.engine_only}


def _listed(value: object) -> set[str]:
    return {str(one) for one in value} if isinstance(value, (list, tuple)) else {str(value)} if value else set()


# ---- opening ------------------------------------------------------------------------------------------------------------------------


def open_named(world: World, pen: Pen, above: Pen | None, move: MoveDef, fields: Mapping[str, Any]) -> list[Pen]:
    """Open what a move's `opens` names: beside its case, or where that is a track itself, beside the parent (`above`)."""
    pens: list[Pen] = []
    for name in move.opens:
        track = fields.get(name.removeprefix("field:")) if name.startswith("field:") else name
        if track is None or _stands(world, pen, str(track)):
            continue
        if pen.case.parent is not None and above is None:
            raise CommandRejected("The case beside which this one stands is over: nothing opens there.", way_out="Report anew.")
        if track not in world.openable:
            raise BadInput(f"There is no track {said(track)!r} beside this case.", way_out=f"Known: {', '.join(world.openable) or 'none'}.")
        pens.append(_begin(world, above or pen, str(track), pen.by))
    return pens


def open_own(world: World, pen: Pen, fields: Mapping[str, Any], others: Iterable[Pen] = ()) -> list[Pen]:
    """Open the tracks that open by themselves: the risk first came so high, a cue was ticked, or one of their moves was made.

    A track that cannot be looked up is left out: a broken file turns no word away, and the parent's own clocks run on.
    """
    if pen.case.final is not None:
        return []
    peak = pen.before.peak.rank if pen.before is not None else 0
    begun = {other.procedure.workflow.name for other in others if other.before is None}
    pens = []
    for track in pen.procedure.workflow.tracks.values():
        risk = track.from_risk is not None and peak < track.from_risk.rank <= pen.case.peak.rank
        asked = risk or _listed(fields.get("cues")) & set(track.cues) or pen.triggers & set(track.on)
        if asked and track.name in world.openable and not _stands(world, pen, track.name) and _name(track.name) not in begun:
            pens.append(_begin(world, pen, track.name, "engine"))
    return pens


def _stands(world: World, pen: Pen, track: str) -> bool:
    """Whether such a track is open already; another version of the file is the same track."""
    beside = world.siblings if pen.case.parent is not None else world.tracks
    return _name(track) == (pen.procedure.workflow.name if pen.case.parent is not None else "") or any(
        procedure.workflow.name == _name(track) for _case, procedure in beside)


def _name(track: str) -> str:
    return track.rpartition("_v")[0] or track


def _begin(world: World, above: Pen, track: str, by: str) -> Pen:
    number, procedure = world.openable[track]
    pen = Pen(None, number, procedure, world.resolver, by, world.now)
    opening, lead = procedure.workflow.opening.name, procedure.workflow.stages[procedure.workflow.start].lead
    tier = world.resolver.level_from(above.case.unit, higher_tier(above.case.tier, lead or above.case.tier))
    pen.add(
        ev.Opened, workflow=procedure.workflow.id, procedure=procedure.hash, unit=above.case.unit, subject=above.case.subject,
        parent=above.number, stage=procedure.workflow.start, tier=tier, risk=above.case.risk, move=opening,
    )
    pen.triggers.add(opening)
    for person in sorted(above.case.recused):
        pen.add(ev.PersonRecused, person=person)
    above.add(ev.Linked, link="track", other=number)
    return pen


# ---- the parent of a track ------------------------------------------------------------------------------------------------------------


def parent_of(world: World, by: str) -> Pen | None:
    """Return a pen on the open parent of the case that is moved; None where there is none, or it is over."""
    parent, procedure = world.parent, world.parent_procedure
    if parent is None or procedure is None or not parent.open or world.case is None:
        return None
    return Pen(parent, parent.number, procedure, world.resolver, by, world.now)


def meet_parent(above: Pen, clocks: Collection[str]) -> None:
    """Meet those of these clocks that run on the parent; its log says that a track did it, and not which."""
    running = tuple(clock.name for clock in above.case.clocks if clock.name in clocks)
    if running:
        above.add(ev.TrackMoved, meets=running)
        above.met |= set(running)


def rehome(pen: Pen, unit: str) -> None:
    """Let a case go to another unit with its child; what runs stays due as it was, and whoever must do it is found there when it settles.

    What people of the old place proposed is void, unless they answer for the new one too; what they took in hand climbs again. Across a
    county's border the old county leads no longer, and the new one is told.
    """
    old, new = pen.resolver.chain(pen.case.unit), pen.resolver.chain(unit)
    if unit == pen.case.unit:
        return
    pen.add(ev.UnitSet, unit=unit)
    there = {duty.person for place in new.values() for duty in pen.resolver.roster.duties.get(place, ()) if pen.resolver.is_present(duty)}
    for proposal in pen.case.proposals:
        if proposal.by not in there:
            pen.add(ev.ProposalEnded, by="engine", proposal=proposal.id, how="voided")
    for clock in pen.case.clocks:
        if clock.held_until is not None and old.get(clock.held_at[-1]) != new.get(clock.held_at[-1]):   # who took it in hand is gone
            next_at = sooner(clock, pen.procedure.steps(clock.name, pen.case.risk), pen.now)
            pen.add(ev.ClockMoved, by="engine", clock=clock.name, n=clock.n, due_at=clock.due_at, next_at=min(clock.next_at, next_at),
                    rung=clock.rung, why="unit", cap_at=clock.cap_at, provisional=clock.provisional)
    if old.get(Tier.COUNTY) != new.get(Tier.COUNTY):
        if pen.case.lead is Tier.COUNTY:
            pen.add(ev.LeadChanged, lead=None)
        if Tier.COUNTY in new:
            pen.tell(pen.procedure.policy.holder[Tier.COUNTY], "case", "told")


# ---- following and ending -------------------------------------------------------------------------------------------------------------


def follow(
    world: World, pen: Pen, tracks: Iterable[Track], *, parent: str | None = None, child: str | None = None,
) -> list[Pen]:
    """Let tracks follow their case: whom it concerns they concern too, and what became more dangerous is so there too.

    `child` is who it turned out to be about: the work stays where it began. `parent` is the case that took it over. Where the child
    went to another unit, the tracks go along.
    """
    pens = []
    moved = any(isinstance(event, ev.UnitSet) for event in pen.events)
    rose = pen.before is not None and pen.case.risk.rank > pen.before.risk.rank
    for case, procedure in tracks:
        other = Pen(case, case.number, procedure, world.resolver, pen.by, world.now)
        if rose and pen.case.risk.rank > case.risk.rank:
            other.add(ev.RiskRaised, by="engine", risk=pen.case.risk)
            other.triggers.add("risk_raised")
        for person in sorted(pen.case.recused - case.recused):
            other.add(ev.PersonRecused, person=person)
        if child is not None and case.subject != child:
            other.add(ev.SubjectSet, subject=child, unit=case.unit)
        if parent is not None:
            other.add(ev.ParentSet, parent=parent)
        if moved:
            rehome(other, pen.case.unit)
        if other.events:
            pens.append(other)
    return pens


def end_with(world: World, pen: Pen, *, second: str | None) -> list[Pen]:
    """End the tracks whose files say how they end with their parent. What holds the parent ends only where two persons ended it.

    Raises CommandRejected where a track holds the parent that would be left behind: nothing is closed over it.
    """
    pens, left = [], []
    for case, procedure in world.tracks:
        stage, move = procedure.workflow.stages[case.stage], procedure.workflow.ending_from(case.stage)
        two = second is not None and pen.case.final == "ended"
        if move is not None and (two or not stage.holds):
            other = Pen(case, case.number, procedure, world.resolver, "engine", world.now)
            if move.sets.get("addressee") == "none" and case.facts.get("addressee"):
                other.add(ev.FactSet, name="addressee", value="")   # what was sent somewhere is nobody's any more
            to = procedure.graph.step(case.stage, move.name)
            other.add(ev.Moved, move=move.name, origin=case.stage, to=to, final=procedure.workflow.stages[to].final)
            other.triggers.add(move.name)
            for role in move.tells:
                other.tell(role, "case", "told")
            pens.append(other)
        elif stage.holds:
            left.append(procedure.workflow.name)
    if left:
        raise CommandRejected(f"These tracks hold the case: {', '.join(left)}.", way_out="End them first; `crisis show` has their numbers.")
    return pens
