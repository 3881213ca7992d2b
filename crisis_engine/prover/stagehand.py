"""Makes moves on the cases of a proof with the real core: finds somebody who may, and a second person where one is due."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from crisis_engine.core import events as ev
from crisis_engine.core.access import ENGINE, Actor
from crisis_engine.core.case import Case
from crisis_engine.core.commands import Act, Open
from crisis_engine.core.decide import Decision, decide_act, decide_due, decide_open, decide_presence
from crisis_engine.core.errors import BadInput, CommandRejected, CrisisError, NotAllowed, NotFound
from crisis_engine.core.model import TIERS, UNIT_KINDS, Partner, Risk, Subject, Tier, higher_tier
from crisis_engine.core.parse_policy import PUPILS
from crisis_engine.core.pen import Pen
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.settle import settle
from crisis_engine.core.workflow import MoveDef
from crisis_engine.core.world import World

from .form import OTHER_CHILD, Form
from .town import A_PARTNER, A_RECEIVER, CHILD, GUARDIANS, HOME, PARTNER, RECEIVER, START, Town

NUMBER, DRAWN_NUMBER = "DRAWN-29", "DRAWN-140"
"""A case that no share below 100 percent draws for the city (抽查), and one that every share above 0 draws."""

_BY_CORE = frozenset({"engine", "addressee"})
Proposed = Mapping[int, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Made:
    """What a move came to: the pen that wrote it, who made it and by what form; `proposed` keeps the forms of open proposals."""

    pen: Pen
    who: str
    move: str
    form: Form
    proposed: Proposed
    waits: bool = False
    shows: tuple[str, ...] = ()

    @property
    def case(self) -> Case:
        """The case afterwards."""
        return self.pen.case


@dataclass(slots=True)
class Stagehand:
    """Acts in the town. Refusals of the core come back as the refusal, never as an exception."""

    procedure: Procedure
    town: Town
    decisions: int = 0
    vain: set[tuple[object, ...]] = field(default_factory=set)    # where nothing helped a move's guards
    _liked: dict[tuple[object, ...], str] = field(default_factory=dict)
    _openable: dict[str, tuple[str, Procedure]] = field(default_factory=dict)
    _stub: Procedure = field(init=False)
    _parent: Case | None = field(init=False, default=None)
    _partners: dict[str, Partner] = field(init=False)     # the units that a form names: the town's partner, or its other school

    def __post_init__(self) -> None:
        """Give every track that a move may open something to open, and make a track that holds its parent."""
        workflow = self.procedure.workflow
        names = {name for move in workflow.moves.values() for name in move.opens} | workflow.tracks.keys()
        names |= {one for values in workflow.choices.values() for one in values}
        kinds = {kind for move in workflow.moves.values() for each in move.fields for kind in each.sorts}
        sends = any("addressee" in move.sets for move in workflow.moves.values())
        self._partners = {RECEIVER: A_RECEIVER} if kinds & set(UNIT_KINDS) else {PARTNER: A_PARTNER} if sends else {}
        self._openable = {name: (f"TRACK-{name}", self.procedure) for name in names}
        stages = {name: replace(stage, holds=True) for name, stage in workflow.stages.items()}
        self._stub = replace(self.procedure, workflow=replace(workflow, name="held", stages=stages))
        if workflow.parents:   # what a track does to its parent is done to a case of whatever kind
            above = Pen(None, "PARENT", self._stub, self.town.at(START), "engine", START)
            above.add(ev.Opened, workflow="held_v1", procedure=self.procedure.hash, unit=HOME, subject=CHILD, parent=None,
                      stage=workflow.start, tier=Tier.SCHOOL, risk=Risk.RED, move=workflow.opening.name)
            settle(above)
            self._parent = above.case

    # ---- the world --------------------------------------------------------------------------------------------------

    def world(self, actor: Actor, case: Case | None, now: datetime, proposed: Proposed | None = None, *, held: bool = False) -> World:
        """Return what a decision may look at; with `held` a track stands beside the case that the parent has to wait for."""
        self.decisions += 1
        subject = Subject(OTHER_CHILD if case is not None and case.subject == CHILD else CHILD, "stu", HOME)
        tracks = ((case, self._stub),) if held and case is not None else ()
        return World(now, actor, self.procedure, self.town.at(now), case, NUMBER if case is None else case.number, subject, (),
                     tracks=tracks, openable=self._openable, guardians=GUARDIANS, proposed=proposed or {},
                     parent=self._parent if case is not None else None, parent_procedure=self._stub if self._parent is not None else None,
                     partners=self._partners)

    def due(self, case: Case, now: datetime) -> Pen:
        """Let the sweep come by at this instant."""
        return decide_due(self.world(Actor(ENGINE), case, now))

    def settled(self, case: Case, now: datetime = START) -> Case:
        """Return the case after everybody was looked for again."""
        return decide_presence(self.world(Actor(ENGINE), case, now)).case

    # ---- opening ------------------------------------------------------------------------------------------------------

    def openings(self, forms: Iterable[dict[str, Any]]) -> Iterator[Made]:
        """Yield a case for each way in which the workflow can begin."""
        workflow = self.procedure.workflow
        move = workflow.opening
        if workflow.parents or move.engine_only:
            yield from self._beside(move)
            return
        filled = list(forms)
        known = [CHILD, None] if workflow.subject == "student" else [None]
        for subject in known:
            for person in self._any_of(move.by):
                for form in filled[:1] if subject is None else filled:
                    made = self._open(move, person, subject, form)
                    if made is not None:
                        yield made

    def _open(self, move: MoveDef, person: str, subject: str | None, form: dict[str, Any]) -> Made | None:
        try:
            decision = decide_open(self.world(self.town.actors[person], None, START), Open(HOME, subject, form))
        except CrisisError:
            return None
        return Made(decision.pens[0], person, move.name, form, {}, shows=decision.shows)

    def _beside(self, move: MoveDef) -> Iterator[Made]:
        """Yield the case beside a parent of each risk and level, as the engine or a person opens it; its maker is recused."""
        workflow = self.procedure.workflow
        for tier in TIERS[1:]:
            for risk in Risk:
                lead = workflow.stages[workflow.start].lead or tier
                pen = Pen(None, NUMBER, self.procedure, self.town.at(START), "class_teacher.1", START)
                pen.add(ev.Opened, workflow=workflow.id, procedure=self.procedure.hash, unit=HOME, subject=None,
                        parent="PARENT", stage=workflow.start, tier=higher_tier(tier, lead), risk=risk, move=move.name)
                pen.triggers.add(move.name)
                pen.add(ev.PersonRecused, person="class_teacher.1")
                settle(pen)
                yield Made(pen, "class_teacher.1", move.name, {}, {})

    def _any_of(self, roles: Iterable[str]) -> Iterator[str]:
        """Yield one person of each role, of roles at one level only the first: the level is all that an opening looks at."""
        seen: set[object] = set()
        for role in roles:
            person = f"{role}.1"
            known = self.town.access.roles.get(role)
            if known is not None and person in self.town.actors and (role in PUPILS or known.level not in seen):
                seen.add(role if role in PUPILS else known.level)
                yield person

    # ---- moves ----------------------------------------------------------------------------------------------------------

    def make(
        self, case: Case, move: MoveDef, form: Form, proposed: Proposed, now: datetime = START, *, held: bool = False,
    ) -> Made | CrisisError:
        """Make a move, or propose it, by the first person whom the core lets; return the last refusal when there is none."""
        refusal: CrisisError = NotAllowed(f"nobody may make the move {move.name}")
        personal = any(need.startswith("not_actor_of") for need in move.needs) or any(":" in role for role in move.second)
        liked = (move.name, case.tier, case.lead, case.stage)
        for person in self._candidates(case, move, self._liked.get(liked)):
            try:
                decision = decide_act(self.world(self.town.actors[person], case, now, proposed, held=held), Act(move.name, form))
            except (NotAllowed, NotFound) as error:
                refusal = error if isinstance(refusal, NotAllowed) else refusal
                continue
            except (CommandRejected, BadInput) as error:
                refusal = error
                if personal:
                    continue
                return refusal
            self._liked[liked] = person
            return _made(decision, person, move.name, form, proposed)
        return refusal

    def answer(
        self, case: Case, how: str, of: str, by: str, proposed: Proposed, now: datetime = START, *, held: bool = False,
    ) -> Made | CrisisError:
        """Answer a proposal by this person."""
        try:
            act = Act(how, {"proposal": of})
            decision = decide_act(self.world(self.town.actors[by], case, now, proposed, held=held), act)
        except CrisisError as error:
            return error
        return _made(decision, by, how, {"proposal": of}, proposed)

    def second(self, case: Case, of: str, proposed: Proposed, how: str = "confirm", now: datetime = START) -> Made | CrisisError:
        """Let somebody else answer a proposal."""
        move = self.procedure.workflow.moves[of]
        proposer = next((proposal.by for proposal in case.proposals if proposal.move == of), "")
        refusal: CrisisError = NotAllowed(f"nobody may confirm {of}")
        holders = [clock.holder for clock in case.clocks if clock.holder is not None]
        roles = [role for role in move.second if ":" not in role]
        for person in dict.fromkeys([*self._people(case, roles, move), *holders]):
            if person != proposer:
                made = self.answer(case, how, of, person, proposed, now)
                if isinstance(made, Made):
                    return made
                refusal = made
                if isinstance(made, CommandRejected):
                    return made
        return refusal

    def agree(self, case: Case, move: MoveDef, form: Form, proposed: Proposed, now: datetime = START) -> list[Made] | CrisisError:
        """Make a move with all its signatures; return each step."""
        made = self.make(case, move, form, proposed, now)
        if isinstance(made, CrisisError) or not made.waits:
            return made if isinstance(made, CrisisError) else [made]
        confirmed = self.second(made.case, move.name, made.proposed, now=now)
        return confirmed if isinstance(confirmed, CrisisError) else [made, confirmed]

    def _candidates(self, case: Case, move: MoveDef, liked: str | None) -> Iterator[str]:
        if liked is not None:
            yield liked
        yield from (person for person in self._people(case, move.by, move) if person != liked)

    def _people(self, case: Case, roles: Collection[str], move: MoveDef) -> Iterator[str]:
        """Yield everybody who may be among these roles now, whoever writes blind last."""
        policy = self.procedure.policy
        wanted = dict.fromkeys(role for role in roles if role not in _BY_CORE)
        if "addressee" in roles and (sent_to := case.facts.get("addressee")):
            yield from dict.fromkeys(duty.person for duty in self.town.resolver.roster.duties.get(sent_to, ()))
        if "tier_holder" in wanted:
            if case.answers is not None:
                yield case.answers
            wanted |= dict.fromkeys(policy.holder[tier] for tier in TIERS if tier.rank >= case.tier.rank)
        if move.instead:
            wanted |= dict.fromkeys(other for role in tuple(wanted) for other in policy.instead.get(role, ()))
        if case.lead is not None:
            wanted |= dict.fromkeys(policy.counterpart.get(role, {}).get(case.lead, role) for role in tuple(wanted))
        known = self.town.access.roles
        people = [f"{role}.{number}" for role in sorted(wanted, key=lambda role: known[role].reads < 0 if role in known else True)
                  for number in (1, 2)]
        yield from (person for person in people if person in self.town.actors)


def _made(decision: Decision, who: str, move: str, form: Form, proposed: Proposed) -> Made:
    pen = decision.pens[0]
    kept = {proposal.id: proposed.get(proposal.id, form) for proposal in pen.case.proposals}
    return Made(pen, who, move, form, kept, decision.waits, decision.shows)

