"""The book of a rehearsal: roster, procedures and cases in memory, and the worlds that the core decides on, gathered as the engine does."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from crisis_engine import definitions
from crisis_engine.core.access import ENGINE, Actor, granted, may_do
from crisis_engine.core.calendar import Calendar
from crisis_engine.core.case import Case
from crisis_engine.core.commands import ANSWERS
from crisis_engine.core.errors import BadInput, CommandRejected, DefinitionError, NotAllowed, NotFound, said
from crisis_engine.core.events import FactSet
from crisis_engine.core.model import Absence, Agreement, Duty, Partner, Subject, Unit
from crisis_engine.core.pen import Pen
from crisis_engine.core.policy import Access
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.resolve import Resolver, Roster, paths
from crisis_engine.core.track import may_open
from crisis_engine.core.workflow import MoveDef
from crisis_engine.core.world import World
from crisis_engine.engine.gather import DEFAULT_POLICY
from crisis_engine.engine.worlds import refuse_subject
from crisis_engine.roster import RosterSet

Numbers = Callable[[str], str]
"""Gives the number of a case that may be opened now, by the name of its workflow."""

_ENGINE = Actor(ENGINE)
_EVER = datetime.min.replace(tzinfo=UTC)


class Shelf:
    """The procedures of a rehearsal, each loaded once: `policy` for every unit, or what each unit chose."""

    def __init__(self, policy: str | None = None) -> None:
        self.policy = policy
        self._loaded: dict[tuple[str, str], Procedure] = {}

    def procedure(self, workflow: str, chosen: Sequence[str] = (), *, track: bool = False) -> Procedure:
        """Return the workflow with the policy of all, or else with the first that was chosen; DefinitionError names what is wrong.

        A track of which that policy says nothing (its `for`) has the default numbers, as on the engine.
        """
        policy = self.policy or next(iter(chosen), DEFAULT_POLICY)
        found = self._loaded.get((workflow, policy))
        if found is None:
            try:
                found = definitions.load_procedure(workflow, policy)
            except DefinitionError as error:
                if not track or error.key != "for" or policy == DEFAULT_POLICY:
                    raise
                found = definitions.load_procedure(workflow, DEFAULT_POLICY)
            self._loaded[workflow, policy] = found
        return found


class Book:
    """What the database is to the engine: everything that a decision looks at. It decides nothing and knows no clock."""

    def __init__(self, roster: RosterSet, access: Access, calendar: Calendar, shelf: Shelf) -> None:
        self.access, self.calendar, self.shelf = access, calendar, shelf
        self.units: dict[str, Unit] = {unit.id: unit for unit in roster.units}
        self.duties: dict[str, tuple[Duty, ...]] = _at_units(roster.duties)
        self.absences: dict[str, tuple[Absence, ...]] = {}
        self.subjects = {one.ref: replace(one, id=one.id or f"key-{one.ref}") for one in roster.subjects}
        self.guardians = {one.id: one for one in roster.guardians}
        self.people = {person.id for person in roster.persons} | {duty.person for duty in roster.duties} | self.guardians.keys()
        self.cases: dict[str, Case] = {}
        self.proposed: dict[str, dict[int, Mapping[str, Any]]] = {}
        self._procedures: dict[str, Procedure] = {}
        self._of_subject: dict[str, list[str]] = {}
        self._tracks: dict[str, list[str]] = {}
        self._places: dict[str, int] = {}       # of each case among all, in the order in which they began
        self.agreements: dict[str, tuple[Agreement, ...]] = {}
        for agreement in roster.agreements:
            self.agreements[agreement.partner] = (*self.agreements.get(agreement.partner, ()), agreement)
        self._loads: Counter[str] = Counter()   # open cases that stand with a partner
        self._sent: dict[str, frozenset[str]] = {}   # to whom a case was sent so far
        self._actors: dict[str, Actor] = {}
        self._duties_of = self._by_person()
        self._resolver: Resolver | None = None
        self._chains: dict[str, Any] = {}       # these three say how the tree lies, which no rehearsal changes
        self._lowest: dict[Any, Any] = {}
        self._levels: dict[Any, Any] = {}
        self._found: dict[Any, Any] = {}        # who was found, good until somebody comes or goes
        self._turns: list[datetime] | None = None
        self._turn = -1
        for absence in sorted(roster.absences, key=lambda one: one.begins_at):
            self.add_absence(absence)

    # ---- the roster as it changes ---------------------------------------------------------------------------------------

    def add_absence(self, absence: Absence) -> None:
        """Note that somebody is away. One that begins at the same moment takes the place of the first: it is said anew how long."""
        others = (one for one in self.absences.get(absence.person, ()) if one.begins_at != absence.begins_at)
        self.absences[absence.person] = (*others, absence)
        self._resolver = self._turns = None

    def end_duty(self, role: str, unit: str, at: datetime, person: str | None = None) -> tuple[str, ...]:
        """End the duties of a role at a unit, or that of one person; return whose they were. NotFound when there is none."""
        held = self.duties.get(unit, ())
        ending = [duty for duty in held if duty.role == role and person in {None, duty.person}]
        if not ending:
            raise NotFound(f"Nobody holds {said(role)!r} at {said(unit)!r}.", way_out="See the roster for roles and units.")
        self.duties[unit] = tuple(replace(duty, ends_at=at) if duty in ending else duty for duty in held)
        self._resolver = self._turns = None
        self._actors, self._duties_of = {}, self._by_person()
        return tuple(duty.person for duty in ending)

    def _by_person(self) -> dict[str, list[Duty]]:
        found: dict[str, list[Duty]] = defaultdict(list)
        for held in self.duties.values():
            for duty in held:
                found[duty.person].append(duty)
        return found

    # ---- looking things up ----------------------------------------------------------------------------------------------

    def resolver(self, now: datetime) -> Resolver:
        """Return the resolver of this instant; what no time changes is remembered from one instant to the next."""
        if self._resolver is None or self._resolver.now != now:
            turn = self._turn_at(now)
            if turn != self._turn:
                self._turn, self._found = turn, {}
            roster = Roster(self.units, self.duties, self.absences)
            self._resolver = Resolver(roster, self.access, self.calendar, now, _chains=self._chains, _lowest=self._lowest,
                                      _levels=self._levels, _found=self._found)
        return self._resolver

    def _turn_at(self, now: datetime) -> int:
        """Return how many comings and goings there were by now; while none comes, whoever was found is found again."""
        if self._turns is None:
            ends = [at for held in self.absences.values() for away in held for at in (away.begins_at, away.ends_at)]
            ends += [at for held in self.duties.values() for duty in held for at in (duty.begins_at, duty.ends_at) if at is not None]
            self._turns, self._turn = sorted(ends), -1
        return bisect_right(self._turns, now)

    def procedure_for(self, workflow: str, unit: str, *, track: bool = False) -> Procedure:
        """Return what a new case of this unit is pinned to; `track` where it would stand beside another."""
        chosen = [policy for path in paths(unit) if path in self.units and (policy := self.units[path].policy)]
        found = self.shelf.procedure(workflow, chosen, track=track)
        self._procedures[found.hash] = found
        return found

    def pinned(self, case: Case) -> Procedure:
        """Return what a case is pinned to."""
        return self._procedures[case.procedure]

    def case(self, number: str) -> Case:
        """Return a case; NotFound when there is none of that number."""
        case = self.cases.get(number)
        if case is None:
            raise NotFound(f"There is no case {said(number)}.", way_out="Check the number.")
        return case

    def subject(self, ref: str | None) -> Subject | None:
        """Return a child by the school's own id; NotFound when nobody is known by it."""
        if ref is None:
            return None
        if ref not in self.subjects:
            raise NotFound(f"No child is known as {said(ref)!r}.", way_out="Leave the subject out if nobody knows who it is.")
        return self.subjects[ref]

    def actor(self, by: str) -> Actor:
        """Return who acts: a person with duties, a pupil, a guardian; NotAllowed for anybody else."""
        if by not in self._actors:
            duties = tuple(sorted(self._duties_of.get(by, ()), key=lambda one: (one.unit, one.role, one.rank)))
            pupil, guardian = self.subjects.get(by), self.guardians.get(by)
            ward = self.subjects.get(guardian.subject) if guardian is not None else None
            if by == ENGINE:
                raise NotAllowed("Nobody acts as the engine.", way_out="Name a person of the roster.")
            if not (duties or pupil or ward):
                raise NotAllowed(f"Nobody with a duty is known as {said(by)!r}.", way_out="Name a person of the roster.")
            self._actors[by] = Actor(by, duties, pupil.id if pupil is not None else None, (ward.id,) if ward is not None else ())
        return self._actors[by]

    def people_known(self, people: Iterable[str]) -> None:
        """Refuse a form that names somebody who is not in the roster."""
        for person in people:
            if person not in self.people:
                raise NotFound(f"Nobody is known as {said(person)!r}.", way_out="Give the id of a person or guardian of the roster.")

    def cases_of(self, subject: str | None) -> list[Case]:
        """Return a child's cases, in the order in which they began."""
        return [self.cases[number] for number in self._of_subject.get(subject or "", ())]

    def tracks_of(self, case: Case | None) -> tuple[tuple[Case, Procedure], ...]:
        """Return the open tracks of a case."""
        numbers = self._tracks.get(case.number, ()) if case is not None else ()
        tracks = [self.cases[number] for number in numbers]
        return tuple((track, self.pinned(track)) for track in tracks if track.open)

    def sent(self, number: str) -> frozenset[str]:
        """Return to whom a case was sent so far."""
        return self._sent.get(number, frozenset())

    def takes(self, partner: str, sorts: Sequence[str], unit: str, now: datetime) -> bool:
        """Whether a partner of one of these sorts takes a child of this unit now."""
        known = Partner(self.units[partner], tuple(one for one in self.agreements[partner] if one.covers(unit, now)), self._loads[partner])
        room = any(one.capacity is None or known.load < one.capacity for one in known.agreements)
        return known.unit.sort in sorts and known.runs(now) and room

    # ---- worlds ---------------------------------------------------------------------------------------------------------

    def world_of_report(
        self, now: datetime, by: str, number: str, workflow: str, child: Subject | None, unit: str, form: Mapping[str, Any],
        numbers: Numbers,
    ) -> World:
        """Return what a first word is decided on; `case` is the child's open case, if there is one."""
        home = child.unit if child is not None else unit
        procedure = self.procedure_for(workflow, home)
        of_child = [case for case in self.cases_of(child.id if child else None) if case.workflow == procedure.workflow.id]
        standing = next((case for case in of_child if case.open), None)
        procedure = self.pinned(standing) if standing is not None else procedure
        return World(
            now=now, actor=self.actor(by), procedure=procedure, resolver=self.resolver(now), case=standing, number=number, subject=child,
            others=tuple(of_child), tracks=self.tracks_of(standing),
            openable=self._openable(procedure, home, may_open(procedure.workflow, standing, {
                procedure.workflow.opening.name, procedure.workflow.again or ""}, form), numbers),
        )

    def world_of_open(
        self, now: datetime, by: str, workflow: str, above: Case | None, child: Subject | None, unit: str | None, form: Mapping[str, Any],
        numbers: Numbers,
    ) -> tuple[World, str]:
        """Return what an opening by hand is decided on, and the unit at which the case would lie."""
        home = unit or (child.unit if child is not None else above.unit if above is not None else None)
        if home is None:
            raise BadInput("A case needs a unit, a subject or a parent.", way_out="Give --unit, --subject or --parent.")
        actor = self.actor(by)
        if above is not None:
            granted(may_do(self.access, "case.act", actor, self.resolver(now), case=above), by, "case.act", above.number)
        procedure = self.procedure_for(workflow, home, track=above is not None)
        refuse_subject(procedure.workflow, child, above)
        if above is not None and above.workflow.rpartition("_v")[0] not in procedure.workflow.parents:
            raise CommandRejected(f"{procedure.workflow.id} is no track of {above.workflow}.", way_out="Open it without a parent.")
        own = may_open(procedure.workflow, None, {procedure.workflow.opening.name}, form)
        return World(
            now=now, actor=actor, procedure=procedure, resolver=self.resolver(now), number=numbers(workflow), subject=child,
            others=tuple(one for one in self.cases_of(child.id) if one.workflow == procedure.workflow.id) if child is not None else (),
            parent=above, parent_procedure=self.pinned(above) if above is not None else None, siblings=self.tracks_of(above),
            openable=self._openable(procedure, home, own, numbers),
        ), home

    def world_of_act(self, now: datetime, by: str, case: Case, move: str, fields: Mapping[str, Any], numbers: Numbers) -> World:
        """Return what a move is decided on. Whoever may not know of the case is refused before any other look, as the engine does."""
        actor, at = self.actor(by), max(now, case.last_at)
        granted(may_do(self.access, "case.act", actor, self.resolver(now), case=case), by, "case.act", case.number)
        procedure = self.pinned(case)
        proposed = self.proposed.get(case.number, {}) if case.proposals else {}
        if proposed and (move in ANSWERS or any(one.move == move for one in case.proposals)):
            named = next((proposed[one.id] for one in case.proposals if one.move in {move, fields.get("proposal", one.move)}), {})
            fields = {**named, **fields}
        child = self.subject(str(fields["subject"])) if fields.get("subject") else None
        of_child = self.cases_of(child.id if child is not None else case.subject)
        others = [one for one in of_child if one.number != case.number and one.workflow == case.workflow]
        into = fields.get("into")
        target = next((one for one in others if one.open and into in {None, one.number}), None)
        if into is not None and target is None:
            raise NotFound("There is no such other open case of this child.", way_out="Check the number.")
        names = {move, *(one.move for one in case.proposals)} if move in ANSWERS else {move}
        made = [procedure.workflow.moves[name] for name in sorted(names) if name in procedure.workflow.moves]
        partners = self._partners(made, fields)
        for name in ("person", "about_staff", "members"):
            self.people_known(_listed(fields.get(name)))
        asked = [*_listed(fields.get("track")), *(track for one in made for track in one.opens)]
        own = may_open(procedure.workflow, case, names, fields)
        above = self.cases[case.parent] if case.parent is not None else None
        beside = self.pinned(above) if above is not None else procedure
        return World(
            now=at, actor=actor, procedure=procedure, resolver=self.resolver(at), case=case, subject=child,
            others=tuple(others), target=target, target_procedure=self.pinned(target) if target is not None else None,
            tracks=self.tracks_of(case), target_tracks=self.tracks_of(target),
            openable=self._openable(beside, case.unit, own, numbers, asked),
            partners=partners, tried=self.sent(case.number) if partners else frozenset(),
            parent=above, parent_procedure=beside if above is not None else None,
            siblings=tuple(one for one in self.tracks_of(above) if one[0].number != case.number),
            guardians=self._guardians_of(child.id if child is not None else case.subject), proposed=proposed,
        )

    def world_of_engine(self, now: datetime, case: Case) -> World:
        """Return what the engine's own look at a case is decided on."""
        return World(now=now, actor=_ENGINE, procedure=self.pinned(case), resolver=self.resolver(now), case=case)

    def _openable(
        self, procedure: Procedure, unit: str, own: Sequence[str], numbers: Numbers, asked: Sequence[str] = (),
    ) -> dict[str, tuple[str, Procedure]]:
        """Return what may open beside a case: what was asked for, and what would open by itself as far as it can be read."""
        found = {}
        for name in dict.fromkeys(name for name in (*asked, *own) if name.isidentifier()):
            try:
                track = self.procedure_for(name, unit, track=True)
            except DefinitionError:
                if name in asked:
                    raise
                continue
            if procedure.workflow.name in track.workflow.parents:
                found[name] = (numbers(name), track)
        return found

    def _partners(self, moves: Sequence[MoveDef], fields: Mapping[str, Any]) -> dict[str, Partner]:
        """Return the units that a form names, each of a sort that its field allows; refused as the engine does."""
        found = {}
        for field in (field for move in moves for field in move.fields if field.type == "unit" and fields.get(field.name)):
            name = str(fields[field.name])
            unit = self.units.get(name)
            if unit is None:
                raise NotFound(f"There is no unit {said(name)!r}.", way_out="See `crisis roster show` for the units.")
            if field.sorts and unit.sort not in field.sorts:
                raise BadInput(f"{unit.id} is no partner of such a sort: {', '.join(field.sorts)}.",
                               way_out="Name a partner of such a sort; the roster says which is which.", field=field.name)
            found[name] = Partner(unit, self.agreements.get(name, ()), self._loads[name])
        return found

    def _guardians_of(self, subject: str | None) -> tuple[str, ...]:
        refs = {one.ref for one in self.subjects.values() if one.id == subject} if self.guardians else ()
        return tuple(sorted(one.id for one in self.guardians.values() if one.subject in refs))

    # ---- what a decision came to ----------------------------------------------------------------------------------------

    def write(self, pen: Pen) -> None:
        """Keep a case as it then stands, and the forms of its open proposals."""
        case, before = pen.case, pen.before
        if before is None:
            self._places[case.number] = len(self._places)
            self._procedures[case.procedure] = pen.procedure
        if case.parent is not None and (before is None or before.parent != case.parent):
            if before is not None and before.parent is not None:
                self._tracks[before.parent].remove(case.number)
            beside = self._tracks.setdefault(case.parent, [])
            beside.append(case.number)
            beside.sort(key=self._places.__getitem__)
        self._stand(case, before)
        for event in pen.events:
            if isinstance(event, FactSet) and event.name == "addressee":
                self._sent[case.number] = self.sent(case.number) | {event.value}
        if case.subject is not None and (before is None or before.subject != case.subject):
            if before is not None and before.subject is not None:
                self._of_subject[before.subject].remove(case.number)
            of_child = self._of_subject.setdefault(case.subject, [])
            of_child.append(case.number)
            of_child.sort(key=self._places.__getitem__)
        self.cases[case.number] = case
        if case.proposals or case.number in self.proposed:
            forms = self.proposed.setdefault(case.number, {})
            forms.update({event.seq: event.secret for event in pen.events if event.kind == "proposed"})
            standing = {one.id for one in case.proposals}
            self.proposed[case.number] = {seq: form for seq, form in forms.items() if seq in standing}

    def _stand(self, case: Case, before: Case | None) -> None:
        """Count with which partner an open track stands, and where it stood until now."""
        if case.parent is not None:
            if before is not None and before.open and before.facts.get("addressee"):
                self._loads[before.facts["addressee"]] -= 1
            if case.open and case.facts.get("addressee"):
                self._loads[case.facts["addressee"]] += 1


def _at_units(duties: Iterable[Duty]) -> dict[str, tuple[Duty, ...]]:
    """Return duties by unit, in the order in which the database gives them: by rank."""
    found: dict[str, list[Duty]] = defaultdict(list)
    for duty in duties:
        found[duty.unit].append(duty)
    return {unit: tuple(sorted(held, key=lambda one: (one.rank, one.person, one.begins_at or _EVER))) for unit, held in found.items()}


def _listed(value: object) -> list[str]:
    return [str(one) for one in value] if isinstance(value, (list, tuple)) else [str(value)] if value else []
