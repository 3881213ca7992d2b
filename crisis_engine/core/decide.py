"""Decide: a world and a command give events, or a refusal that says the way out. Nothing here reads or writes anything."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from . import events as ev
from .access import Actor, Verdict, granted, may_do
from .case import Case, Proposal
from .commands import ANSWERS, Act, Open
from .errors import BadInput, CommandRejected, NotAllowed, NotFound, said
from .form import check_fields
from .guard import refusals
from .hold import heed_days
from .model import TIERS, Risk, Tier, higher_risk
from .move import REPORTER, begin_danger, cue_floor, make_move, secret_of
from .pen import Pen
from .resolve import Resolver
from .rung import fire_due
from .settle import reproject, settle
from .track import meet_parent, open_own, rehome
from .workflow import MoveDef
from .world import World


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command comes to: one pen for each case that it writes, the main case first; numbers to show (110, 120, 12356)."""

    pens: tuple[Pen, ...]
    shows: tuple[str, ...] = ()
    waits: bool = field(default=False)     # a proposal was made: a second person has to confirm


def decide_open(world: World, command: Open) -> Decision:
    """Open a case by the workflow's opening move."""
    workflow = world.procedure.workflow
    move = workflow.opening
    verdict = _may(world, "case.open", move=move, within=command.unit if workflow.subject == "unit" else "")
    if not verdict.allowed:
        raise NotAllowed(f"{world.actor.id} may not make the move {move.name}: {verdict.rule}.", way_out="Ask whoever holds the duty.")
    if world.resolver.roster.units.get(command.unit) is None:
        raise NotFound(f"There is no unit {said(command.unit)!r}.", way_out="See `crisis roster show` for the units.")
    fields = check_fields(move, command.fields, workflow, world.procedure.policy)
    pens = [open_case(world, move, command, fields, verdict)]
    pen = pens[0]
    heed_days(pen, fields)
    if world.parent is not None and world.parent_procedure is not None:
        above = Pen(world.parent, world.parent.number, world.parent_procedure, world.resolver, world.actor.id, world.now)
        above.add(ev.Linked, link="track", other=pen.number)
        pens.append(above)
        if move.meets_parent:
            meet_parent(above, move.meets_parent)
            settle(above)
    shows = begin_danger(pen, workflow) if fields.get("danger_now") else ()
    tracks = open_own(world, pen, fields)
    for one in (pen, *tracks):
        settle(one)
    pens += tracks
    return Decision(tuple(pens), (*shows, *_numbers(pen)))


def open_case(world: World, move: MoveDef, command: Open, fields: Mapping[str, Any], verdict: Verdict) -> Pen:
    """Write the first events of a case: its tier is where the word came from, its risk what the cues say.

    A track has its parent's child, its risk at least, and everybody whom the parent concerns.
    """
    procedure, resolver = world.procedure, world.resolver
    told_by = REPORTER if procedure.workflow.again is not None else world.actor.id
    pen = Pen(None, world.number, procedure, resolver, told_by, world.now)
    risk = cue_floor(procedure.policy, fields)
    if any(not other.open for other in world.others):
        risk = higher_risk(risk, Risk.YELLOW)
    tier = _first_tier(resolver, move, command.unit, verdict)
    parent = world.parent
    if parent is not None:
        if not parent.open:
            raise CommandRejected(f"Case {parent.number} is over: no track can stand beside it.",
                                  way_out="Reopen it first, or report anew.")
        if any(procedure.workflow.name == track.workflow.name for _case, track in world.siblings):
            raise CommandRejected(f"Such a track stands beside case {parent.number} already.", way_out="Work on that one.")
        risk = higher_risk(risk, parent.risk)
    pen.add(
        ev.Opened, secret_of(fields, reporter=world.actor.id), workflow=procedure.workflow.id, procedure=procedure.hash, unit=command.unit,
        subject=command.subject, parent=parent.number if parent is not None else None,
        stage=procedure.workflow.start, tier=tier, risk=risk, move=move.name,
    )
    pen.triggers |= {move.name} | ({"unidentified"} if command.subject is None and procedure.workflow.subject == "student" else set())
    for person in sorted({*fields.get("about_staff", ()), *(parent.recused if parent is not None else ())}):
        pen.add(ev.PersonRecused, person=person)
    for other in world.others:
        if not other.open:
            pen.add(ev.Linked, link="earlier", other=other.number)
    for link, other_number in command.links:
        pen.add(ev.Linked, link=link, other=other_number)
    return pen


def _first_tier(resolver: Resolver, move: MoveDef, unit: str, verdict: Verdict) -> Tier:
    """Return the level that answers first: where the word came from, or the higher one that the opening move names."""
    tier = verdict.level or Tier.CLASS
    if tier is not Tier.PEER or Tier.CLASS not in resolver.chain(unit):
        tier = resolver.level_from(unit, tier)
    if move.tier not in TIERS:
        return tier
    return max(tier, resolver.level_from(unit, Tier(move.tier)), key=lambda one: one.rank)


def decide_again(world: World, command: Open) -> Decision:
    """Take a second report about a child with an open case: it becomes a signal, and whoever spoke learns nothing of the case."""
    case, workflow = _known(world), world.procedure.workflow
    opening, verdict = workflow.opening, _may(world, "case.open", move=workflow.opening)
    if not verdict.allowed:   # word for word as `decide_open`: a refusal must not say whether there is a case
        raise NotAllowed(f"{world.actor.id} may not make the move {opening.name}: {verdict.rule}.", way_out="Ask whoever holds the duty.")
    check_fields(opening, command.fields, workflow, world.procedure.policy)   # nor may what is wrong with the form
    move = workflow.moves[workflow.again or ""]
    fields = check_fields(move, command.fields, workflow, world.procedure.policy)
    return _made(world, case, move, {**fields, REPORTER: world.actor.id}, verdict, by=world.actor.id, second=None)


def decide_due(world: World) -> Pen:
    """Fire what is due on one case, and make the moves of the engine that its rungs ask for."""
    case = _known(world)
    pen = Pen(case, case.number, world.procedure, world.resolver, "engine", world.now)
    moves: list[tuple[str, str]] = []
    fire_due(pen, moves)
    for name, _clock in moves:
        move = world.procedure.workflow.moves[name]
        if pen.case.stage in move.from_stages and not refusals(world, pen.case, move.needs, {}):
            make_move(world, pen, move, {}, pen.case.tier, by="engine")
            settle(pen)
    return pen


def decide_presence(world: World) -> Pen:
    """Look again who does and who answers: a duty or a presence ended, or the roster changed."""
    case = _known(world)
    pen = Pen(case, case.number, world.procedure, world.resolver, "engine", world.now)
    settle(pen)
    return pen


def decide_home(world: World, unit: str) -> Pen:
    """Let a case go with its child to another class of the same school; to another school it goes only when that one takes it."""
    case = _known(world)
    pen = Pen(case, case.number, world.procedure, world.resolver, "engine", world.now)
    here, there = (world.resolver.chain(one).get(Tier.SCHOOL) for one in (case.unit, unit))
    if there is not None and here == there:
        rehome(pen, unit)
        settle(pen)
    return pen


def decide_calendar(world: World) -> Pen:
    """Reckon provisional clocks anew on a calendar that was published since; the wall cap stays."""
    case = _known(world)
    pen = Pen(case, case.number, world.procedure, world.resolver, world.actor.id, world.now)
    for clock in case.clocks:
        if clock.provisional and clock.paused_at is None:
            reproject(pen, clock)
    return pen


def decide_act(world: World, command: Act) -> Decision:
    """Make a move of a case, propose it where two persons are due, or answer a proposal."""
    case = _known(world)
    check_sight(world, case)
    if command.move in ANSWERS:
        return _answer(world, case, command)
    move = find_move(world, command.move)
    verdict = permit(world, case, move)
    world.procedure.graph.step(case.stage, move.name)
    fields = check_fields(move, command.fields, world.procedure.workflow, world.procedure.policy,
                          partly=any(p.move == move.name for p in case.proposals) and not command.fields)
    standing = next((proposal for proposal in case.proposals if proposal.move == move.name), None)
    if standing is not None:
        if not command.fields and standing.by != world.actor.id:
            return _answer(world, case, Act("confirm", {"proposal": move.name}))
        raise CommandRejected(
            f"{move.name} was already proposed by {standing.by}.",
            way_out="Another person confirms or declines it (`confirm`, `decline`); the proposer may `withdraw` it.",
        )
    _guard(world, case, move, fields)
    if needs_second(world, case, move):
        return _propose(world, case, move, fields)
    second = _signed_before(world, case, move)
    return _made(world, case, move, fields, verdict, by=world.actor.id, second=second)


def find_move(world: World, name: str) -> MoveDef:
    """Return the workflow's move of that name, or say what was meant."""
    moves = world.procedure.workflow.moves
    move = moves.get(name)
    if move is None or move.opens_case:
        close = difflib.get_close_matches(name, [*moves, *ANSWERS], n=1)
        raise BadInput(f"There is no move {said(name)!r} here.", way_out=f"Did you mean {close[0]!r}?" if close else "See `crisis moves`.")
    return move


def _may(world: World, action: str, **about: Any) -> Verdict:  # noqa: ANN401 - what `may_do` takes about the record
    return may_do(world.resolver.access, action, world.actor, world.resolver, **about)


def check_sight(world: World, case: Case, action: str = "case.act", *, because: str = "") -> Verdict:
    """Refuse whoever may not do this to the case, or not know of it. A recused person hears what a stranger's number would give."""
    return granted(_may(world, action, case=case, because=because), world.actor.id, action, case.number)


def permit(world: World, case: Case, move: MoveDef) -> Verdict:
    """Refuse whoever may not make this move."""
    verdict = may_move(world, case, move, move.by)
    if not verdict.allowed and may_confirm(world, case, move).allowed and any(p.move == move.name for p in case.proposals):
        return may_confirm(world, case, move)
    if not verdict.allowed:
        raise NotAllowed(f"{world.actor.id} may not make the move {move.name}: {verdict.rule}.", way_out="See `crisis moves` for yours.")
    return verdict


def may_move(world: World, case: Case, move: MoveDef, roles: Sequence[str]) -> Verdict:
    """Decide whether the actor may make this move (`roles` = its `by`) or confirm it (`roles` = its `second`)."""
    return _may(world, "case.act", case=case, move=move, roles=roles, policy=world.procedure.policy)


def may_confirm(world: World, case: Case, move: MoveDef) -> Verdict:
    """Decide whether the actor may be the second person: a role of `second`, or whoever the second signature's clock names."""
    verdict = may_move(world, case, move, [role for role in move.second if ":" not in role])
    if verdict.allowed:
        return verdict
    clocks = world.procedure.workflow.clocks
    for clock in case.clocks:
        if clocks[clock.name].who == "second_signer" and clock.holder == world.actor.id:
            return Verdict(allowed=True, rule="holds the second signature", as_role=clock.role, level=case.tier)
    return verdict


def needs_second(world: World, case: Case, move: MoveDef) -> bool:
    """Whether this move waits for a confirmation. A move that does nothing but lower the risk needs it from the policy's risks on."""
    if not any(":" not in role for role in move.second):
        return False
    return not move.only_lowers or case.risk in {*world.procedure.policy.second_to_lower_from, Risk.RED, Risk.ORANGE}


def _known(world: World) -> Case:
    if world.case is None:
        raise NotFound("There is no such case.", way_out="Check the number.")
    return world.case


def _guard(world: World, case: Case, move: MoveDef, fields: Mapping[str, Any]) -> None:
    reasons = refusals(world, case, move.needs, fields)
    if reasons:
        raise CommandRejected(f"{move.name} is not possible now: {'; '.join(reasons)}.", way_out="See `crisis moves` for what is.")


def _signed_before(world: World, case: Case, move: MoveDef) -> str | None:
    """Return whose earlier act counts as the other signature (`actor_of:MOVE`); it must be another person's."""
    for entry in move.second:
        word, _, earlier = entry.partition(":")
        if word == "actor_of":
            made = case.done.get(earlier)
            if made is None or made.by == world.actor.id:
                raise CommandRejected(f"{move.name} needs two persons: {earlier} must have been made by somebody else.",
                                      way_out="Let a colleague make this move.")
            opening = earlier == world.procedure.workflow.opening.name   # it stands for what the case is about, whoever is recused from it
            if (made.by in case.recused and not opening) or made.seq < case.signal_seq:
                raise CommandRejected(f"{earlier} counts no more: whoever made it is recused, or a new word came since.",
                                      way_out="Send the case back, and let somebody ask for it anew.")
            return made.by
    return None


def _propose(world: World, case: Case, move: MoveDef, fields: Mapping[str, Any]) -> Decision:
    pen = Pen(case, case.number, world.procedure, world.resolver, world.actor.id, world.now)
    risk = fields.get("risk")
    pen.add(ev.Proposed, secret_of(fields), move=move.name, risk=risk)
    pen.triggers.add("proposed")
    settle(pen)
    return Decision((pen,), waits=True)


def _answer(world: World, case: Case, command: Act) -> Decision:
    proposal = _proposal(case, command.fields)
    move = world.procedure.workflow.moves[proposal.move]
    if command.move == "withdraw" and proposal.by != world.actor.id:
        raise NotAllowed(f"Only {proposal.by} may withdraw this proposal.", way_out="Use `decline` to refuse it.")
    if command.move != "withdraw":
        if proposal.by == world.actor.id:
            raise NotAllowed("Two different people are due: the proposer cannot confirm or decline.", way_out="Let a colleague confirm.")
        verdict = may_confirm(world, case, move)
        if not verdict.allowed:
            raise NotAllowed(f"{world.actor.id} may not {command.move} {move.name}: {verdict.rule}.",
                             way_out="See who holds the second signature.")
    pen = Pen(case, case.number, world.procedure, world.resolver, world.actor.id, world.now)
    how = {"confirm": "confirmed", "decline": "declined", "withdraw": "withdrawn"}[command.move]
    pen.add(ev.ProposalEnded, {"because": str(command.fields["because"])[:20_000]} if command.fields.get("because") else None,
            proposal=proposal.id, how=how)
    if how != "confirmed":
        pen.triggers.add(how)
        settle(pen)
        return Decision((pen,))
    fields = check_fields(move, world.proposed.get(proposal.id, {}), world.procedure.workflow, world.procedure.policy, proposed=True)
    world.procedure.graph.step(case.stage, move.name)
    proposer = replace(world, actor=Actor(proposal.by))
    _guard(proposer, case, move, fields)
    verdict = Verdict(allowed=True, rule="confirmed", level=case.tier)
    return _made(proposer, case, move, fields, verdict, by=proposal.by, second=world.actor.id, pen=pen)


def _proposal(case: Case, fields: Mapping[str, Any]) -> Proposal:
    if unknown := set(fields) - {"proposal", "because"}:
        raise BadInput(f"An answer to a proposal has no field {said(min(unknown))!r}.", way_out="Known fields: proposal, because.")
    named = str(fields.get("proposal", ""))
    fitting = [proposal for proposal in case.proposals if named in {"", proposal.move, str(proposal.id)}]
    if not fitting:
        raise CommandRejected("There is no such open proposal.", way_out="It may have been voided by a new word; see `crisis history`.")
    if len(fitting) > 1:
        raise BadInput("Several proposals are open.", way_out=f"Say which: --field proposal={'|'.join(p.move for p in fitting)}.")
    return fitting[0]


def _made(
    world: World, case: Case, move: MoveDef, fields: Mapping[str, Any], verdict: Verdict, *, by: str, second: str | None,
    pen: Pen | None = None,
) -> Decision:
    pen = pen or Pen(case, case.number, world.procedure, world.resolver, by, world.now)
    others, shows = make_move(world, pen, move, fields, verdict.level or Tier.SCHOOL, by=by, second=second)
    settle(pen)
    for other in others:
        settle(other)
    return Decision((pen, *others), (*shows, *_numbers(pen)))


def _numbers(pen: Pen) -> tuple[str, ...]:
    return ("12356", "110", "120") if pen.case.risk is Risk.RED and pen.case.open else ()


def possible_moves(world: World) -> list[tuple[MoveDef, str | None]]:
    """Return every move that the actor could name on this case, each with nothing or with why not now."""
    case = _known(world)
    check_sight(world, case)
    moves: list[tuple[MoveDef, str | None]] = []
    for move in world.procedure.workflow.moves.values():
        if move.opens_case or move.engine_only:
            continue
        verdict = may_move(world, case, move, move.by)
        reasons = [] if verdict.allowed else [verdict.rule]
        if case.stage not in move.from_stages:
            reasons.append(f"not from the stage {case.stage}")
        elif verdict.allowed:
            reasons += refusals(world, case, move.needs, {})
            if any(proposal.move == move.name for proposal in case.proposals):
                reasons.append("proposed already: confirm, decline or withdraw it")
        moves.append((move, "; ".join(reasons) or None))
    return moves
