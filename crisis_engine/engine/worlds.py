"""Worlds: the engine's transactions and clock, and everything that a decision on one case looks at, gathered in one place."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import may_do
from crisis_engine.core.case import Case
from crisis_engine.core.commands import ANSWERS
from crisis_engine.core.decide import Decision
from crisis_engine.core.errors import BadInput, DefinitionError, NotFound, StaleVersion, said
from crisis_engine.core.events import FactSet, UnitSet
from crisis_engine.core.model import Partner, Subject
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.track import may_open
from crisis_engine.core.workflow import MoveDef, Workflow
from crisis_engine.core.world import World
from crisis_engine.store import AlreadyOpen, Store, Stored, Tx
from crisis_engine.store.key import CASE

from .failing import Failing
from .gather import Sources, actor_of, subject_of
from .log import log
from .look import Look
from .sweep import change_of, units_of

if TYPE_CHECKING:
    from crisis_engine.notify import Channel

CRISIS = "school_crisis_v1"
"""The workflow that a report opens."""

_SPELLED = 11   # a number as it is written, its two dashes included
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


class Worlds(Look):
    """What both halves of the face stand on: a look at the database, and the gathering of a world."""

    def __init__(
        self, store: Store, sources: Sources, clock: Callable[[], datetime], channels: tuple[Channel, ...], *, lang: str, link: str,
    ) -> None:
        """Use `open_engine`."""
        super().__init__(store, sources, clock)
        self._channels = channels
        self._lang, self._link = lang, link
        self._failing = Failing()

    def _world_of_report(
        self, tx: Tx, now: datetime, by: str, child: Subject | None, unit: str, form: Mapping[str, Any],
    ) -> tuple[World, Stored | None, Any]:
        home = child.unit if child is not None else unit
        tx.hold_child(child.id if child is not None else None)
        stored = tx.open_case_of(CRISIS, child.id) if child is not None else None
        others = tuple(one.case for one in tx.cases_of(child.id) if one.case.workflow == CRISIS) if child is not None else ()
        procedure = self._sources.pinned(tx, stored.case.procedure) if stored is not None else self._sources.procedure_for(tx, CRISIS, home)
        actor = actor_of(tx, by, speaks=True)
        tracks = self._tracks(tx, stored) if stored is not None else ()
        workflow, case = procedure.workflow, stored.case if stored is not None else None
        own = may_open(workflow, case, {workflow.opening.name, workflow.again or ""}, form)
        resolver = self._sources.resolver(tx, {home, unit, *(duty.unit for duty in actor.duties), *_units_beside(tracks)}, now)
        world = World(
            now=now, actor=actor, procedure=procedure, resolver=resolver, case=stored.case if stored is not None else None,
            number=new_number(), subject=child, others=others, tracks=tracks, openable=self._openable(tx, workflow.name, home, (), own),
        )
        return world, stored, procedure

    def _world(self, tx: Tx, now: datetime, by: str, stored: Stored) -> World:
        actor = actor_of(tx, by)
        units = units_of([stored]) | {duty.unit for duty in actor.duties}
        return World(
            now=max(now, stored.case.last_at), actor=actor, procedure=self._sources.pinned(tx, stored.case.procedure),
            resolver=self._sources.resolver(tx, units, now), case=stored.case, tracks=self._tracks(tx, stored),
        )

    def _world_of_act(
        self, tx: Tx, now: datetime, by: str, stored: Stored, move: str, fields: Mapping[str, Any],
    ) -> World:
        # before any other look: a refusal must not depend on what it finds
        _verdict, actor, resolver = self._admitted(tx, now, by, "case.act", stored=stored)
        case = stored.case
        procedure = self._sources.pinned(tx, case.procedure)
        proposed: dict[int, Mapping[str, Any]] = {}
        if case.proposals:
            wanted = {proposal.id for proposal in case.proposals}
            proposed = {event.seq: event.secret for event in tx.events(case.number) if event.seq in wanted}
        if move in ANSWERS or any(p.move == move for p in case.proposals):
            named = next((proposed[p.id] for p in case.proposals if p.move in {move, fields.get("proposal", p.move)}), {})
            fields = {**named, **fields}
        ref = fields.get("subject")
        child = subject_of(tx, str(ref)) if ref else None
        tx.hold_child(child.id if child is not None and child.id != case.subject else None)
        subject = child.id if child is not None else case.subject
        all_of_child = tx.cases_of(subject) if subject is not None else []
        others = [one for one in all_of_child if one.case.number != case.number and one.case.workflow == case.workflow]
        into = fields.get("into")
        target = next((one for one in others if one.case.open and into in {None, one.case.number}), None)
        if into is not None and target is None:
            raise NotFound("There is no such other open case of this child.", way_out="Check the number.")
        units = units_of([stored, *([target] if target else [])]) | {duty.unit for duty in actor.duties}
        units |= {child.unit} if child is not None else set()
        tracks, target_tracks = self._tracks(tx, stored), self._tracks(tx, target) if target else ()
        made = self._made(procedure, case, move)
        above = tx.case(case.parent) if case.parent is not None else None
        siblings = tuple(one for one in self._tracks(tx, above) if one[0].number != case.number) if above is not None else ()
        units |= _units_beside((*tracks, *target_tracks, *siblings)) | ({above.case.unit} if above is not None else set())
        partners, tried = self._partners(tx, case, made, fields)
        units |= partners.keys()
        people_known(tx, [*_listed(fields.get("person")), *_listed(fields.get("about_staff")), *_listed(fields.get("members"))])
        if case.last_at > now or not units <= {case.unit, *(duty.unit for duty in actor.duties)}:
            resolver = self._sources.resolver(tx, units, max(now, case.last_at))
        return World(
            now=max(now, case.last_at), actor=actor, procedure=procedure, resolver=resolver,
            case=case, number=new_number(), subject=child, others=tuple(one.case for one in others), target=target.case if target else None,
            target_procedure=self._sources.pinned(tx, target.case.procedure) if target else None,
            tracks=tracks, target_tracks=target_tracks,
            partners=partners, tried=tried,
            parent=above.case if above is not None else None,
            parent_procedure=self._sources.pinned(tx, above.case.procedure) if above is not None else None, siblings=siblings,
            openable=self._openable(
                tx, (above.case.workflow if above is not None else case.workflow).rpartition("_v")[0], case.unit,
                [*_listed(fields.get("track")), *(track for one in made for track in one.opens)],
                may_open(procedure.workflow, case, {one.name for one in made}, fields),
            ),
            guardians=tx.guardian_ids(subject) if subject is not None else (), proposed=proposed,
            erased=not case.open and tx.erased(CASE, case.number) is not None,
        )

    def _apply(self, tx: Tx, decision: Decision, stored: Stored | None) -> None:
        before = {stored.case.number: stored} if stored is not None else {}
        for pen in decision.pens:
            if pen.before is not None and pen.number not in before and (other := tx.case(pen.number)) is not None:
                before[pen.number] = other
        try:
            # `writing` undoes all of it where this fails
            tx.append([change_of(before.get(pen.number), pen) for pen in decision.pens if pen.events], whole=False)
            for pen in decision.pens:
                if pen.case.subject is not None and any(isinstance(event, UnitSet) for event in pen.events):
                    tx.move_child(pen.case.subject, pen.case.unit, pen.now)   # where a case went, its child is at home
        except AlreadyOpen as error:
            raise StaleVersion("Somebody reported the same child at this moment.",
                               way_out="Send the report again; it will be added.") from error

    def _links(self, tx: Tx, world: World) -> list[tuple[str, str]]:
        """Return the links of a case to those cases that the reader sees too: a link to another would say that it exists."""
        links = tx.links(world.case.number if world.case is not None else "")
        return [(link, other) for link, other in links if self._sees(tx, world, other)]

    def _sees(self, tx: Tx, world: World, number: str | None) -> bool:
        """Whether the reader sees another case too."""
        other = tx.case(number) if number is not None else None
        if other is None:
            return False
        resolver = self._sources.resolver(tx, {other.case.unit, *(duty.unit for duty in world.actor.duties)}, world.resolver.now)
        return may_do(self._sources.access, "case.list", world.actor, resolver, case=other.case).allowed

    @staticmethod
    def _partners(
        tx: Tx, case: Case, moves: Sequence[MoveDef], fields: Mapping[str, Any],
    ) -> tuple[dict[str, Partner], frozenset[str]]:
        """Return the units that a form names, each of a sort that its field allows, and to whom the case was sent before."""
        named = [field for move in moves for field in move.fields if field.type == "unit"]
        asked = [(field, str(fields[field.name])) for field in named if fields.get(field.name)]
        if not asked:
            return {}, frozenset()
        names = {name for _field, name in asked}
        units, agreements, loads = tx.units(names), tx.agreements_of(names), tx.loads_of(names)
        for field, name in asked:
            unit = units.get(name)
            if unit is None:
                raise NotFound(f"There is no unit {said(name)!r}.", way_out="See `crisis roster show` for the units.")
            if field.sorts and not {unit.sort, unit.kind} & set(field.sorts):
                raise BadInput(f"{unit.id} is no unit of such a sort: {', '.join(field.sorts)}.",
                               way_out="Name a unit of such a sort; the roster says which is which.", field=field.name)
        sent = frozenset(event.value for event in tx.events(case.number) if isinstance(event, FactSet) and event.name == "addressee")
        return {name: Partner(unit, agreements.get(name, ()), loads.get(name, 0)) for name, unit in units.items()}, sent

    def _openable(
        self, tx: Tx, workflow: str, unit: str, names: Sequence[str], own: Sequence[str] = (),
    ) -> dict[str, tuple[str, Any]]:
        """Return what may be opened beside a case: what a move names, and what would open by itself as far as it can be read."""
        found = {}
        for name in dict.fromkeys((*names, *own)):
            if not name.isidentifier():   # a form names a workflow, never a path
                continue
            try:
                procedure = self._sources.procedure_for(tx, name, unit)
            except DefinitionError:
                if name in names:
                    raise
                log("track.unreadable", track=name)   # it was not asked for: the word is taken without it
                continue
            if workflow in procedure.workflow.parents:
                found[name] = (new_number(), procedure)
        return found

    @staticmethod
    def _made(procedure: Procedure, case: Case, move: str) -> list[MoveDef]:
        """Return the moves that a command may come to: the one it names, or those that it may confirm."""
        names = {move, *(one.move for one in case.proposals)} if move in ANSWERS else {move}
        return [procedure.workflow.moves[name] for name in sorted(names) if name in procedure.workflow.moves]

    def _tracks(self, tx: Tx, stored: Stored) -> tuple[tuple[Case, Procedure], ...]:
        return tuple(
            (one.case, self._sources.pinned(tx, one.case.procedure)) for one in tx.tracks_of(stored.case.number) if one.case.open
        )


def _units_beside(tracks: Sequence[tuple[Case, Procedure]]) -> set[str]:
    """Return where the tracks are at home: a case may have gone elsewhere since, when it was known whose it is."""
    return {case.unit for case, _procedure in tracks}


def stored_case(tx: Tx, number: str) -> Stored:
    """Return a case by its number, or say that there is none."""
    stored = tx.case(number) or tx.case(_spelled(number))
    if stored is None:
        raise no_such_case(number)
    return stored


def held_case(tx: Tx, number: str) -> Stored:
    """Return a case by its number as `stored_case` does, its row and those of its family locked until the transaction ends."""
    stored = stored_case(tx, number)
    while tx.locks:
        seen = stored.case
        tx.hold_family(seen.number, seen.parent, seen.subject)
        stored = stored_case(tx, seen.number)   # as its last holder left it
        if (stored.case.parent, stored.case.subject) == (seen.parent, seen.subject):
            break
    return stored


def no_such_case(number: str) -> NotFound:
    """Return what is said of a number that does not exist, spelled as one that does: whom a case concerns hears the very same."""
    spelled = _spelled(number)
    return NotFound(f"There is no case {spelled if len(spelled) == _SPELLED else said(number)}.", way_out="Check the number.")


def _listed(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)] if value else []


def _spelled(number: str) -> str:
    """Return a number as it is written, from one that was read over the telephone: small letters, blanks, no dashes."""
    letters = "".join(char for char in number.upper() if char.isascii() and char.isalnum())
    return f"{letters[:3]}-{letters[3:6]}-{letters[6:]}"


def people_known(tx: Tx, people: Sequence[str]) -> None:
    """Refuse a form that names somebody who is not in the roster."""
    for person in people:
        if tx.person(person) is None and tx.guardian(person) is None:
            raise NotFound(f"Nobody is known as {said(person)!r}.", way_out="Give the id of a person or guardian of the roster.")


def refuse_subject(workflow: Workflow, child: Subject | None, above: object | None) -> None:
    """Refuse a track that stands beside nothing, and a child in a case that is about a unit."""
    if workflow.subject == "unit" and child is not None:
        raise BadInput(f"{workflow.id} is about a unit and names no child.",
                       way_out="Leave --subject out; link the case of a child where it belongs.")
    if workflow.subject == "parent" and above is None:
        raise BadInput(f"{workflow.id} stands beside a case and was given none.", way_out="Give --parent NUMBER.")


def new_number() -> str:
    """Return a fresh case number: random, so that nobody can count cases; without letters that look alike."""
    token = new_token(9)
    return f"{token[:3]}-{token[3:6]}-{token[6:]}"


def new_token(length: int) -> str:
    """Return random letters, some 4.9 bits each."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
