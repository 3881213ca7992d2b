"""The guards that a definition may name under `needs`: each looks at the world and says why not, or nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from .case import Case
from .deadline import day_before
from .model import Risk, Tier
from .policy import Policy
from .resolve import is_within
from .world import World

Guard = Callable[[World, Case, Mapping[str, Any], str], str | None]


def refusals(world: World, case: Case, needs: tuple[str, ...], fields: Mapping[str, Any]) -> list[str]:
    """Return why the guards refuse, in the order of the definition; an empty list when all hold."""
    reasons = []
    for need in needs:
        name, _, argument = need.partition(":")
        reason = GUARDS[name](world, case, fields, argument)
        if reason is not None:
            reasons.append(reason)
    return reasons


def is_raised(tier: Tier, lead: Tier) -> bool:
    """Whether a higher level (`tier`) answers than the one that does the work: the case is under oversight (督办)."""
    return tier.rank > max(lead.rank, Tier.CLASS.rank)


def is_sampled(number: str, percent: int) -> bool:
    """Whether the city draws this case (抽查): from a hash of the number, so that nobody chooses."""
    return int.from_bytes(hashlib.sha256(number.encode()).digest()[:4], "big") % 100 < percent


def lead_of(world: World, case: Case) -> Tier:
    """Return the level that does the work: the stage's, or whoever took the case over."""
    return case.lead or world.procedure.workflow.stages[case.stage].lead or Tier.SCHOOL


def _policy(world: World) -> Policy:
    return world.procedure.policy


def _late(world: World, case: Case) -> list[str]:
    return [clock.name for clock in case.clocks if clock.due_at <= world.now and clock.paused_at is None]


def _when(holds: Callable[[World, Case, str], bool], says: str) -> Guard:
    """Make a guard that refuses with one sentence unless the condition holds."""
    return lambda world, case, _fields, argument: None if holds(world, case, argument) else says.format(argument)


def _no_clock_late(world: World, case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    late = _late(world, case)
    return f"late clocks first: {', '.join(late)}" if late else None


def _no_holding_track(world: World, _case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    holding = [procedure.workflow.name for track, procedure in world.tracks if procedure.workflow.stages[track.stage].holds]
    return f"these tracks hold the case: {', '.join(holding)}" if holding else None


def _tracks_end_with_it(world: World, _case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    holding = [
        procedure.workflow.name for track, procedure in world.tracks
        if procedure.workflow.stages[track.stage].holds and procedure.workflow.ending_from(track.stage) is None
    ]
    return f"these tracks hold the case and do not end with it: {', '.join(holding)}" if holding else None


def _no_once_clock_running(world: World, case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    clocks = world.procedure.workflow.clocks
    running = [clock.name for clock in case.clocks if not clocks[clock.name].standing and clocks[clock.name].who != "second_signer"]
    return f"these duties are still owed: {', '.join(running)}" if running else None


def _stable_for(world: World, case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    span = _policy(world).stable_for[case.peak]
    since = case.signal_at or case.opened_at
    if world.now - since >= span.wall:
        return None
    return f"{span} without a new signal are asked after a peak of {case.peak}; the last was {since.isoformat()}"


def _not_actor_of(world: World, case: Case, _fields: Mapping[str, Any], move: str) -> str | None:
    made = case.done.get(move)
    return f"whoever made {move} may not decide here" if made is not None and made.by == world.actor.id else None


def _panel_if_peak(_world: World, case: Case, fields: Mapping[str, Any], risk: str) -> str | None:
    least = 3
    if case.peak is not Risk(risk) or len(fields.get("members", ())) >= least:
        return None
    return f"a panel of at least {least} members decides after a peak of {risk} (field members)"


def _unheard(world: World, case: Case) -> bool:
    """Whether a clock runs that a word from outside started: nobody has said yet what follows from the word."""
    workflow = world.procedure.workflow
    started = (of for clock in case.clocks if clock.name in workflow.clocks for of in workflow.clocks[clock.name].once_on)
    return any(of in workflow.moves and workflow.moves[of].signal for of in started)


def _no_signal_since_proposal(world: World, case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    return "a new signal is not handled yet" if _unheard(world, case) else None


def _no_other_open_case(world: World, _case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    others = [other for other in world.others if other.open]
    if any(world.actor.id in other.recused for other in others):
        return "this cannot be decided here"   # nothing more: whom the other case concerns must not learn of it
    return "the child has another open case: work on that one" if others else None


def _above(world: World, case: Case) -> Case:
    """Return the case beside which a track stands; a case of its own is that itself."""
    return world.parent or case


def _escort_authorised(_world: World, _case: Case, fields: Mapping[str, Any], _argument: str) -> str | None:
    written, escort = fields.get("form") == "authorisation", fields.get("escort")
    if written and not escort:
        return "an authorisation names who goes along (field escort)"
    if escort and not written:
        return "nobody escorts the child without the guardian's written authorisation (field form)"
    return None


def _partner_agreement_valid(world: World, case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    for partner in world.partners.values():
        if not partner.runs(world.now):
            return f"{partner.unit.id} is a partner no more"
        standing = [one for one in partner.agreements if one.covers(case.unit, world.now)]
        if not standing:
            return f"no agreement with {partner.unit.id} runs today for {case.unit}"
        if all(one.capacity is not None and partner.load >= one.capacity for one in standing):
            return f"{partner.unit.id} has no room: {partner.load} children are with it"
    return None


def _partner_not_tried(world: World, _case: Case, fields: Mapping[str, Any], _argument: str) -> str | None:
    tried = sorted(world.tried & world.partners.keys())
    return f"{tried[0]} was asked before: name another, or say so (field again)" if tried and not fields.get("again") else None


def _receiver_fits(world: World, case: Case, fields: Mapping[str, Any], _argument: str) -> str | None:
    """Whether the unit that a child is offered to is another school than its own, and is there when the child comes (field begins)."""
    begins = fields.get("begins")
    comes = (day_before(begins, None, world.now) if begins is not None else None) or world.now
    home = _above(world, case)
    if home.subject is None:
        return "nobody knows yet who the child is: identify it first"
    for named in world.partners.values():
        unit = named.unit
        if unit.ends_at is not None and unit.ends_at <= world.now:
            return f"{unit.id} is abolished"
        if unit.ends_at is not None and unit.ends_at <= comes:
            return f"{unit.id} ends before the child comes"
        if unit.begins_at is not None and unit.begins_at > comes:
            return f"{unit.id} does not exist yet when the child comes"
        if world.resolver.chain(home.unit).get(Tier.SCHOOL) == world.resolver.chain(unit.id).get(Tier.SCHOOL, ""):
            return f"{unit.id} is the child's own school: between its classes a child goes by the roster (`crisis roster import`)"
    return None


def _home_at_addressee(world: World, case: Case, _fields: Mapping[str, Any], _argument: str) -> str | None:
    for named in world.partners.values():
        if not is_within(named.unit.id, case.facts.get("addressee", "")):
            return f"{named.unit.id} is not at the school that was asked"
        if named.unit.ends_at is not None and named.unit.ends_at <= world.now:
            return f"{named.unit.id} is abolished"
    return None


def _receipt_matches(_world: World, case: Case, fields: Mapping[str, Any], _argument: str) -> str | None:
    typed = fields.get("receipt")
    if typed is None or typed == case.facts.get("sealed"):
        return None
    return "this is not the hash of what was sealed last: the receiver has another file, or one that was changed on the way"


def _checklist_done(world: World, case: Case, _fields: Mapping[str, Any], name: str) -> str | None:
    ticked = case.facts.get(f"checklist.{name}", "").split(",")
    left = [item for item in _policy(world).checklists.get(name, {}) if item not in ticked]
    return f"these items are still to be ticked: {', '.join(left)}" if left else None


def _members_hold(world: World, case: Case, fields: Mapping[str, Any], role: str) -> str | None:
    roles, resolver = (role, *_policy(world).instead.get(role, ())), world.resolver
    places = resolver.chain(case.unit).values()
    there = {duty.person for one in roles for place in places for duty in resolver.holders(place, one, case.recused)}
    if all(person in there for person in fields.get("members", ())):
        return None
    return f"each of the members must hold the duty {role} here, be present, and not be concerned"


GUARDS: Mapping[str, Guard] = {
    "danger": _when(lambda _w, case, _a: case.danger, "no danger has been declared"),
    "no_danger": _when(lambda _w, case, _a: not case.danger, "the child is in danger now: end that first (danger_over)"),
    "raised": _when(lambda world, case, _a: is_raised(case.tier, lead_of(world, case)), "no higher level answers for the case"),
    "rated": _when(lambda _w, case, _a: case.risk is not Risk.UNRATED, "the risk is not rated yet"),
    "assessed": _when(lambda _w, case, _a: "assess" in case.done, "nobody has assessed the child yet"),
    "no_signal_since_proposal": _no_signal_since_proposal,
    "signal_pending": _when(lambda world, case, _a: case.signal_seq == case.version or _unheard(world, case),
                            "no new signal came"),
    "no_holding_track": _no_holding_track,
    "tracks_handed_over_or_ended": _tracks_end_with_it,
    "unidentified": _when(lambda _w, case, _a: case.subject is None, "the child is known already"),
    "guardian_known": _when(lambda _w, case, _a: "guardian" in case.facts,
                            "the guardian was neither told, nor withheld, nor sought in vain (guardian_told, guardian_unreachable)"),
    "guardian_told_or_withheld": _when(lambda _w, case, _a: case.facts.get("guardian", "unreachable") != "unreachable",
                                       "the guardian was neither told nor withheld (guardian_told, withhold_from_guardian)"),
    "some_clock_late": _when(lambda world, case, _a: bool(_late(world, case)), "no clock is late"),
    "no_clock_late": _no_clock_late,
    "stable_for": _stable_for,
    "no_once_clock_running": _no_once_clock_running,
    "depth_allows_county": _when(lambda world, case, _a: _policy(world).closure_by_peak[case.peak] == "county",
                                 "the city evaluates closures after this peak of risk"),
    "not_sampled": _when(lambda world, case, _a: not is_sampled(case.number, _policy(world).sample.get(case.peak, 0)),
                         "the city drew this case for its own evaluation (抽查)"),
    "not_actor_of": _not_actor_of,
    "panel_if_peak": _panel_if_peak,
    "risk_below": _when(lambda _w, case, risk: case.risk.rank < Risk(risk).rank, "the risk must be below {} first"),
    "no_other_open_case": _no_other_open_case,
    "other_open_case_of_subject": _when(lambda world, _c, _a: world.target is not None, "there is no other open case of this child"),
    "not_shredded": _when(lambda world, _c, _a: not world.erased, "the case's secrets were erased"),
    "only_own_signals": _when(lambda _w, case, _a: case.signal_seq == 1,
                              "signals about the named child came since: open a new case instead"),
    "guardian_withheld": _when(lambda world, case, _a: _above(world, case).facts.get("guardian") == "withheld",
                               "nothing is withheld from the guardian"),
    "guardian_not_withheld": _when(lambda world, case, _a: _above(world, case).facts.get("guardian") != "withheld",
                                   "it is withheld from the guardian: lift that first"),
    "danger_to_self_or_others": _when(
        lambda world, case, _a: _above(world, case).danger or Risk.RED in {case.risk, _above(world, case).risk},
        "only danger to the child or to others goes without consent: the risk must be red, or danger declared"),
    "escort_authorised": _escort_authorised,
    "partner_agreement_valid": _partner_agreement_valid,
    "partner_not_tried": _partner_not_tried,
    "receiver_fits": _receiver_fits,
    "home_at_addressee": _home_at_addressee,
    "receipt_matches": _receipt_matches,
    "checklist_done": _checklist_done,
    "members_hold": _members_hold,
    "parent_ending": _when(lambda world, _c, _a: world.actor.is_engine, "the parent case is not over"),
}
"""Every guard that a definition may name, `NAME` or `NAME:ARGUMENT`."""
