"""Make one move: what each key of its definition (`sets meets tier lead tells shows opens`) does to the case."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any

from . import events as ev
from .case import Case
from .deadline import Due
from .errors import BadInput, CommandRejected
from .guard import refusals
from .hold import heed_days, hold_clock, tick
from .model import Risk, Tier, higher_risk
from .pen import Pen
from .policy import Policy
from .resolve import Found
from .settle import arm, bring_nearer, lead_of, raise_tier, settle
from .track import end_with, follow, meet_parent, open_named, open_own, parent_of, rehome
from .workflow import MoveDef, Workflow, tier_ladder
from .world import World

REPORTER = "reporter"
"""Stands for whoever spoke: who reported is a secret of its own."""


def secret_of(fields: Mapping[str, Any], **more: object) -> dict[str, Any]:
    """Return the fields as they are sealed: text, numbers, lists; an attachment stays one until it has its place in the log."""
    return {name: _plain(value) for name, value in {**fields, **more}.items()}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def cue_floor(policy: Policy, fields: Mapping[str, Any]) -> Risk:
    """Return the risk that the ticked cues come to; `unrated` without any."""
    risk = Risk.UNRATED
    for cue in fields.get("cues", ()):
        risk = higher_risk(risk, policy.cues[cue].floor)
    return risk


def make_move(
    world: World, pen: Pen, move: MoveDef, fields: Mapping[str, Any], level: Tier, *, by: str, second: str | None = None,
) -> tuple[list[Pen], tuple[str, ...]]:
    """Write a move and all that it sets; return the pens of other cases it touched, and telephone numbers to show.

    The caller has checked access, form and guards, and settles afterwards.
    """
    case, workflow = pen.case, pen.procedure.workflow
    value = _Value(move, fields)
    _check_lowering(pen.case, move, value, second)
    hold_clock(world, pen, move, fields)
    heed_days(pen, fields)
    to = pen.procedure.graph.step(case.stage, move.name)
    final = workflow.stages[to].final
    if move.signal:
        fields = {REPORTER: by, **fields}
    pen.by = REPORTER if move.signal else by
    pen.add(
        ev.Moved, secret_of(fields), move=move.name, origin=case.stage, to=to, two=bool(move.second) and second is not None,
        second=second, final=final, signal=move.signal,
    )
    pen.triggers |= {move.name, "reopened"} if case.final is not None else {move.name}
    if move.signal:
        _heed_signal(world, pen)
    pen.met |= set(move.meets)
    tick(pen, move, fields)
    shows = move.shows
    others: list[Pen] = []
    _set_facts(world, pen, value)   # recusals first: whom the case concerns must not be among those who are told below
    _set_risk(pen, move, value, second)
    shows += _set_danger(pen, workflow, value, second)
    _set_tier(pen, move, value, level, reopened=case.final is not None)
    others += _set_subject(world, pen, value, by)
    above = _move_parent(world, pen, move, fields)
    others += open_named(world, pen, above, move, fields)
    if above is not None and above.events:
        others += [above, *follow(world, above, world.siblings)]
    for role in move.tells:
        pen.tell(role, "case", "told")   # a notice names no move: `withhold_from_guardian` would be a fact
    _void_proposals(pen, signal=move.signal)
    others += open_own(world, pen, fields, others)
    others += _move_tracks(world, pen, second)
    return others, tuple(dict.fromkeys(shows))


def _move_parent(world: World, pen: Pen, move: MoveDef, fields: Mapping[str, Any]) -> Pen | None:
    """Do to the parent what a track's move does to it; return its pen where it is open, written on or not."""
    above = parent_of(world, pen.by) if move.meets_parent or move.sets_parent or move.opens else None
    if above is None or not pen.case.parent:
        return None
    meet_parent(above, move.meets_parent)
    _set_facts(world, above, _Value(move, fields, move.sets_parent))
    if above.case.recused - pen.case.recused:
        _recuse(pen, sorted(above.case.recused))
    if (unit := _Value(move, fields, move.sets_parent)("unit")) is not None:
        rehome(above, str(unit))
    return above


def _move_tracks(world: World, pen: Pen, second: str | None) -> list[Pen]:
    """Let the tracks go with their case: to its end, to whoever it turned out to be about, to the case that it was merged into."""
    target = world.target if pen.case.final == "merged" else None
    if target is not None:
        return follow(world, pen, world.tracks, parent=target.number, child=target.subject)
    ended = end_with(world, pen, second=second) if pen.case.final is not None else []
    going_on = [track for track in world.tracks if track[0].number not in {one.number for one in ended}]
    was = pen.before.subject if pen.before is not None else None
    child = pen.case.subject if pen.case.subject != was else None
    return [*ended, *follow(world, pen, going_on, child=child)]


class _Value:
    """Reads what a key of `sets` comes to: a literal, or the field that it names."""

    def __init__(self, move: MoveDef, fields: Mapping[str, Any], sets: Mapping[str, str | bool] | None = None) -> None:
        self.sets, self.fields = move.sets if sets is None else sets, fields

    def __call__(self, key: str) -> Any:  # noqa: ANN401 - the field's own type
        entry = self.sets.get(key)
        if isinstance(entry, str) and entry.startswith("field:"):
            return self.fields.get(entry.removeprefix("field:"))
        return entry


# ---- risk and danger ----------------------------------------------------------------------------------------------


def _wanted_risk(pen_case: Case, value: _Value, policy: Policy) -> Risk | None:
    entry = value.sets.get("risk")
    if entry is None:
        return None
    if entry == "cue_floor":
        return cue_floor(policy, value.fields)
    if entry == "peak_or_yellow":
        return higher_risk(pen_case.peak, Risk.YELLOW)
    risk = value("risk")
    return Risk(risk) if risk is not None else None


def _check_lowering(case: Case, move: MoveDef, value: _Value, second: str | None) -> None:
    """A risk is lowered by a move that is made for it, never on the way: software raises, people lower."""
    if not str(value.sets.get("risk", "")).startswith("field:"):
        return
    risk = value("risk")
    if risk is None or Risk(risk).rank >= case.risk.rank or second is not None or move.second:
        return
    if move.to is None:
        raise CommandRejected(f"{move.name} cannot lower the risk from {case.risk} to {risk}.",
                              way_out="Leave the risk out here and propose `lower_risk`; another person confirms it.")


def _set_risk(pen: Pen, move: MoveDef, value: _Value, second: str | None) -> None:
    risk = _wanted_risk(pen.case, value, pen.procedure.policy)
    if risk is None:
        return
    if risk.rank > pen.case.risk.rank:
        raise_risk(pen, risk)
    elif risk.rank < pen.case.risk.rank and move.second and not pen.case.danger:
        pen.add(ev.RiskLowered, risk=risk, two=second is not None, second=second)


def raise_risk(pen: Pen, risk: Risk) -> None:
    """Raise the risk; the clocks come nearer when the case settles. A lower risk changes nothing."""
    if risk.rank > pen.case.risk.rank:
        pen.add(ev.RiskRaised, risk=risk)
        pen.triggers.add("risk_raised")


def _set_danger(pen: Pen, workflow: Workflow, value: _Value, second: str | None) -> tuple[str, ...]:
    danger = value("danger")
    if danger:
        return begin_danger(pen, workflow)
    if danger is False and "danger" in value.sets and value.sets["danger"] is False and pen.case.danger:
        pen.add(ev.DangerEnded, second=second)
    return ()


def begin_danger(pen: Pen, workflow: Workflow) -> tuple[str, ...]:
    """Declare danger now: red, tier at least school, everybody named told at once. Return the numbers to show."""
    danger = workflow.danger
    if danger is None:
        raise CommandRejected("This workflow knows no danger.", way_out="Report it as a crisis case.")
    if not pen.case.danger:
        pen.add(ev.DangerBegan)
    raise_risk(pen, danger.risk)
    raise_to(pen, danger.tier)
    for role in danger.tells:
        pen.tell(role, "danger", "danger")
    return danger.shows


# ---- tier and lead ------------------------------------------------------------------------------------------------


def raise_to(pen: Pen, tier: Tier) -> None:
    """Raise the case to a level, or to the next one up that exists and where somebody is."""
    level = pen.resolver.level_from(pen.case.unit, tier)
    if level.rank > pen.case.tier.rank:
        raise_tier(pen, pen.resolver.answerer(pen.case.unit, level, pen.procedure.policy, pen.case.recused))


def _set_tier(pen: Pen, move: MoveDef, value: _Value, level: Tier, *, reopened: bool) -> None:
    if move.lead == "own" and pen.case.lead is not level:
        pen.add(ev.LeadChanged, lead=level)
    elif move.lead == "stage" and pen.case.lead is not None:
        pen.add(ev.LeadChanged, lead=None)
    wanted = value("tier")
    if isinstance(wanted, Tier):
        if wanted.rank <= pen.case.tier.rank:
            raise CommandRejected(f"The case is at {pen.case.tier} already.", way_out="Name a higher level.")
        raise_to(pen, wanted)
    if move.tier is None:
        return
    target = {"own": level, "lead": lead_of(pen)}.get(move.tier) or Tier(move.tier)
    if (move.tier == "lead" or reopened) and target.rank < pen.case.tier.rank:
        _lower_to(pen, target)
    else:
        raise_to(pen, target)


def _lower_to(pen: Pen, tier: Tier) -> None:
    found: Found = pen.resolver.answerer(pen.case.unit, tier, pen.procedure.policy, pen.case.recused)
    if found.tier.rank < pen.case.tier.rank:
        lowered = tier_ladder().lower_to(pen.case.tier, found.tier)
        pen.add(ev.TierLowered, tier=lowered, role=found.role, unit=found.unit, holder=found.person)


# ---- facts, clocks --------------------------------------------------------------------------------------------------


def _set_facts(world: World, pen: Pen, value: _Value) -> None:
    for name in ("guardian", "addressee", "recipient", "sealed"):
        known = value(name)
        if name == "addressee" and known == "none":
            known = "" if pen.case.facts.get(name) else None   # sent back: it is nobody's any more
        if known is not None:
            pen.add(ev.FactSet, name=name, value=str(known))
    until = value("stay_until")
    if until is not None:
        if until <= pen.now:
            raise BadInput("Field 'until' lies in the past.", way_out="Say until when the child is not alone.", field="until")
        pen.bounds.update(dict.fromkeys(pen.met, until))
    recused = value("recused")
    people = world.guardians if recused == "guardians" else recused if isinstance(recused, (list, tuple)) else [recused] if recused else ()
    for person in people:
        if person not in pen.case.recused:
            pen.add(ev.PersonRecused, person=person)


# ---- signals and proposals ------------------------------------------------------------------------------------------


def _heed_signal(world: World, pen: Pen) -> None:
    """A word from outside: the engine stops a closure that waits for it."""
    for move in pen.procedure.workflow.moves.values():
        heeds = move.engine_only and move.when == "signal" and pen.case.stage in move.from_stages
        if heeds and not refusals(world, pen.case, move.needs, {}):
            to = pen.procedure.graph.step(pen.case.stage, move.name)
            pen.add(ev.Moved, by="engine", move=move.name, origin=pen.case.stage, to=to)
            pen.triggers.add(move.name)


def _void_proposals(pen: Pen, *, signal: bool) -> None:
    moves = pen.procedure.workflow.moves
    for proposal in pen.case.proposals:
        stands = pen.case.stage in moves[proposal.move].from_stages and proposal.by not in pen.case.recused
        if signal or pen.case.final is not None or not stands:
            pen.add(ev.ProposalEnded, by="engine", proposal=proposal.id, how="voided")


# ---- subjects, merging, tracks ----------------------------------------------------------------------------------------


def _set_subject(world: World, pen: Pen, value: _Value, by: str) -> list[Pen]:
    if value.sets.get("merged_into") is not None:
        return _merged(world, pen, by)
    if value.sets.get("subject") is None or world.subject is None:
        return []
    if world.target is None:
        pen.add(ev.SubjectSet, subject=world.subject.id, unit=world.subject.unit)
        if pen.case.facts.get("guardian") == "withheld":
            _recuse(pen, world.guardians)
        pen.met |= {clock.name for clock in pen.procedure.workflow.clocks.values() if "unidentified" in clock.once_on}
        for other in world.others:
            if not other.open and other.number != pen.number:
                pen.add(ev.Linked, link="earlier", other=other.number)
        return []
    merging = next((m for m in pen.procedure.workflow.moves.values() if "merged_into" in m.sets), None)
    if merging is None:
        raise CommandRejected("The child has another open case.", way_out="Work on that one.")
    to = pen.procedure.graph.step(pen.case.stage, merging.name)
    pen.add(ev.Moved, by="engine", move=merging.name, origin=pen.case.stage, to=to, final=pen.procedure.workflow.stages[to].final)
    return _merged(world, pen, by)


def _merged(world: World, pen: Pen, by: str) -> list[Pen]:
    other = merge(world, pen, by)
    for case, _procedure in world.tracks:
        other.add(ev.Linked, link="track", other=case.number)
    return [other, *follow(world, other, world.target_tracks)]


def merge(world: World, pen: Pen, by: str) -> Pen:
    """Carry signals, danger, peak, tier, recusals and the nearest clocks over to the child's older open case."""
    target, procedure = world.target, world.target_procedure
    if target is None or procedure is None:
        raise CommandRejected("There is no other open case to merge into.", way_out="Use `identify` or `correct_subject`.")
    clocks = pen.case.clocks
    pen.add(ev.Linked, link="merged_into", other=target.number)
    other = Pen(target, target.number, procedure, world.resolver, by, world.now)
    again = procedure.workflow.moves[procedure.workflow.again or ""]
    other.add(ev.Moved, {"merged_from": pen.number}, move=again.name, origin=target.stage, to=target.stage, signal=True)
    other.triggers.add(again.name)
    _heed_signal(world, other)
    other.add(ev.Linked, link="merged_from", other=pen.number)
    for person in sorted(pen.case.recused - target.recused):
        other.add(ev.PersonRecused, person=person)
    if pen.before is not None and pen.before.danger:
        begin_danger(other, procedure.workflow)
    raise_risk(other, pen.case.peak)
    raise_to(other, pen.case.tier)
    _void_proposals(other, signal=True)
    settle(other)
    if pen.case.facts.get("guardian") == "withheld" and target.facts.get("guardian") != "withheld":   # the more protective fact wins
        other.add(ev.FactSet, name="guardian", value="withheld")
        _recuse(other, world.guardians)
        for withholding in procedure.workflow.moves.values():
            if withholding.sets.get("guardian") == "withheld":
                other.met |= set(withholding.meets)
        settle(other)
    _recuse(pen, sorted(target.recused))   # whom the other case concerns must not learn of it by what became of this one
    for clock in clocks:
        definition = procedure.workflow.clocks.get(clock.name)
        owed = definition is not None and not definition.standing and "unidentified" not in definition.once_on
        running = other.case.clock(clock.name)
        if definition is not None and owed and running is None and definition.who != "second_signer" and (
                definition.once_on or clock.name not in other.case.armings):
            arm(other, definition)
            running = other.case.clock(clock.name)
        if running is not None:
            bring_nearer(other, running, Due(clock.due_at, running.cap_at, running.provisional), "merged")
    return other


def _recuse(pen: Pen, people: Iterable[str]) -> None:
    for person in people:
        if person not in pen.case.recused:
            pen.add(ev.PersonRecused, person=person)
