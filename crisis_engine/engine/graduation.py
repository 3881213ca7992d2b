"""Graduation (毕业、升学): a whole class leaves by one form; each child with a case is handed over, all move in the roster on one day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import Actor
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.check_track import HOMES
from crisis_engine.core.commands import Open
from crisis_engine.core.decide import Decision, decide_open
from crisis_engine.core.errors import BadInput, CommandRejected, said
from crisis_engine.core.form import check_fields
from crisis_engine.core.guard import refusals
from crisis_engine.core.model import Partner, Subject, Tier, Unit
from crisis_engine.core.move import make_move
from crisis_engine.core.resolve import Resolver
from crisis_engine.core.settle import settle
from crisis_engine.core.world import World
from crisis_engine.roster.fault import Faults
from crisis_engine.roster.leaver import LEAVES_CITY, UNKNOWN, Leaver
from crisis_engine.store.child_move import PlannedMove
from crisis_engine.words import say

from .gather import actor_of
from .log import log
from .once import Once
from .place import follow_children
from .worlds import Worlds, new_number

if TYPE_CHECKING:
    from crisis_engine.core.procedure import Procedure
    from crisis_engine.store import Stored, Tx

TRANSFER = "transfer_v1"
"""The workflow by which a child's case goes to another school."""

MOST = 5_000
"""Most children of one form: the leaving classes of a large school."""


@dataclass(frozen=True, slots=True)
class Graduation:
    """What a form about leaving classes comes to: how many children, how many of them move in the roster, which hand-overs began.

    `transfers` has the numbers of the cases that are handed over, as far as whoever asked may see them; the others began all the same.
    """

    children: int
    moves: int
    transfers: tuple[str, ...]
    begins: str
    dry_run: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"children": self.children, "moves": self.moves, "transfers": list(self.transfers), "begins": self.begins,
                "dry_run": self.dry_run}


@dataclass(frozen=True, slots=True)
class _Way:
    """One child with whereto it goes: a unit and its school, where these are known."""

    leaver: Leaver
    child: Subject
    unit: Unit | None
    school: Unit | None
    inside: bool      # from class to class of one school


class _Undone(Exception):
    """A dry run: all of it was done, and the transaction is undone."""

    def __init__(self, found: Graduation) -> None:
        self.found = found
        super().__init__()


class Graduations(Worlds):
    """Leaving classes."""

    def graduate(
        self, leavers: Sequence[Leaver] = (), *, begins: date, by: str, unit: str | None = None, file: str = "", key: str | None = None,
        dry_run: bool = False,
    ) -> Graduation:
        """Let the children of leaving classes go, all of them in one transaction or nothing.

        Each child with an open case gets a hand-over beside it: offered to the school of its new unit, waiting for the place until `begins`
        (`unknown`), or leaving the city; the case stays with the old school until the new one accepts. On `begins` (China's midnight)
        every child with a known unit is at home there in the roster. Between classes of one school it only moves, its case with it. `unit`
        in place of `leavers` stands for all children there, their next school unknown. `key` makes a repeated call harmless, `dry_run`
        changes nothing. A child whose hand-over runs already keeps it.

        Raises RosterError with `file` and line of each row that cannot be, BadInput, NotAllowed (whoever may not change the roster there).
        """
        if unit is not None and leavers:
            raise BadInput("A form names children, or a unit with all of them.", way_out="Give a file or --unit.")
        try:
            found = self._graduated(leavers, begins, by, unit, file, key, dry_run=dry_run)
        except _Undone as dry:
            return dry.found
        log("roster.graduated", by=by, children=found.children, moves=found.moves)   # how many have a case is a fact
        return found

    def _graduated(
        self, leavers: Sequence[Leaver], begins: date, by: str, unit: str | None, file: str, key: str | None, *, dry_run: bool,
    ) -> Graduation:
        at = datetime.combine(begins, time(), CHINA)
        with self.store.writing(alone=True) as tx:
            now = self.now()
            form = ["graduate", begins.isoformat(), unit, [[one.subject, one.to] for one in leavers]]
            once = Once(tx, by, None if dry_run else key, form)
            if once.answer is not None:
                return _answered(once.answer)
            if at + timedelta(days=1) <= now:
                raise BadInput(f"{begins.isoformat()} is over.", way_out="Name the day from which on the children are at their new school.")
            if unit is not None:
                self._allow(tx, now, by, "roster.change", unit=unit)
                leavers = [Leaver(child.ref, UNKNOWN) for child in tx.subjects_under(unit)]
            if not leavers or len(leavers) > MOST:
                raise BadInput(f"A form names between 1 and {MOST:,} children.", way_out="Send one form for each school.")
            ways = self._ways(tx, now, by, leavers, at, file)

            begun = self._hand_over_cases(tx, now, by, ways, begins)
            moves = [PlannedMove(way.child.id, way.unit.id) for way in ways if way.unit is not None]
            found = Graduation(len(ways), len(moves), tuple(begun), begins.isoformat(), dry_run)
            if dry_run:
                raise _Undone(found)
            tx.plan_moves(moves, at, by, now)
            if at <= now:
                for move in moves:
                    tx.move_child(move.subject, move.unit, now)
                follow_children(tx, self._sources, now)
            once.keep(found.to_json(), now)
        return found

    # ---- who goes whereto -----------------------------------------------------------------------------------------------------------

    def _ways(self, tx: Tx, now: datetime, by: str, leavers: Sequence[Leaver], at: datetime, file: str) -> list[_Way]:
        """Return each child with its new unit; every row that cannot be is named, with its line."""
        faults, ways, seen = Faults(), [], dict[str, int]()
        units = tx.units({one.to for one in leavers} - {UNKNOWN, LEAVES_CITY})
        children = [(one, tx.subject(one.subject)) for one in leavers]
        for old in sorted({child.unit for _one, child in children if child is not None}):
            self._allow(tx, now, by, "roster.change", unit=old)
        resolver = self._sources.resolver(tx, {*units, *(child.unit for _one, child in children if child is not None)}, now)
        schools = tx.units({_school(resolver, unit) for unit in units})
        for place, (one, child) in enumerate(children, start=1):
            line, unit = one.line or place, units.get(one.to)
            school = schools.get(_school(resolver, unit.id)) if unit is not None else None
            known = one.to in {UNKNOWN, LEAVES_CITY} or unit is not None
            wrong = (
                ("subject", f"there is no pupil {said(one.subject)!r}.", "Add it to subjects.csv first.") if child is None else
                ("subject", f"{said(one.subject)!r} stands already in line {seen[one.subject]}.", "Keep one row a pupil.")
                if one.subject in seen else
                ("to", f"there is no unit {said(one.to)!r}.", "Write a unit of the roster, unknown, or leaves_city.") if not known else
                ("to", *found) if unit is not None and (found := _unfit(unit, child, at) or (school and _unfit(school, None, at))) else None
            )
            seen.setdefault(one.subject, line)
            if wrong is not None:
                faults.add(wrong[1], file=file, line=line, key=wrong[0], way_out=wrong[2])
            elif child is not None:
                ways.append(_Way(one, child, unit, school, school is not None and school.id == _school(resolver, child.unit)))
        faults.finish()
        return ways

    # ---- cases ----------------------------------------------------------------------------------------------------------------------

    def _hand_over_cases(
        self, tx: Tx, now: datetime, by: str, ways: Sequence[_Way], begins: date,
    ) -> list[str]:
        """Open a hand-over beside each open case of a child who goes to another school; return those that whoever acts may see."""
        actor, sight = actor_of(tx, by), self._sight(tx, now, by, "case.list")
        seen: list[str] = []
        # in one order everywhere, as with every form about many children
        for way in sorted((way for way in ways if not way.inside), key=lambda way: way.child.id):
            for stored in tx.cases_of(way.child.id):
                procedure = self._sources.procedure_for(tx, TRANSFER, stored.case.unit) if stored.case.open else None
                if procedure is None or stored.case.workflow.rpartition("_v")[0] not in procedure.workflow.parents:
                    continue
                if any(other.workflow.name == procedure.workflow.name for _case, other in self._tracks(tx, stored)):
                    continue
                self._apply(tx, self._begun(tx, now, actor, stored, procedure, way, begins), stored)
                if sight.admits(stored.case):
                    seen.append(stored.case.number)
        return sorted(seen)

    def _begun(
        self, tx: Tx, now: datetime, actor: Actor, stored: Stored, procedure: Procedure, way: _Way, begins: date,
    ) -> Decision:
        """Return the hand-over beside one case, opened and brought to where the child's destination leads.

        Who lets a class go is asked for the right over its roster, not over each case: a case is handed over too of whose existence this
        person must not learn. Where the case concerns this person, the hand-over begins, and others say whereto.
        """
        case, workflow, school = stored.case, procedure.workflow, way.school
        units = {case.unit, *(duty.unit for duty in actor.duties)} | ({school.id} if school is not None else set())
        resolver = self._sources.resolver(tx, units, max(now, case.last_at))
        world = World(
            now=max(now, case.last_at), actor=actor, procedure=procedure, resolver=resolver, number=new_number(), subject=way.child,
            parent=case, parent_procedure=self._sources.pinned(tx, case.procedure), siblings=self._tracks(tx, stored),
            partners={school.id: Partner(school)} if school is not None else {},
        )
        decision = decide_open(world, Open(case.unit, case.subject, {}))
        pen = decision.pens[0]
        if actor.id in case.recused:
            return decision
        whereto = "unit" if school is not None else way.leaver.to
        move = workflow.moves[workflow.graduates[whereto]]
        known = {"to": school.id if school is not None else None, "begins": begins.isoformat(),
                 "state": say("graduate.state", self._lang), "authority": say("graduate.authority", self._lang)}
        fields = check_fields(move, {field.name: known[field.name] for field in move.fields if known.get(field.name)}, workflow,
                              procedure.policy)
        if reasons := refusals(world, pen.case, move.needs, fields):
            raise CommandRejected(f"{move.name} is not possible now: {'; '.join(reasons)}.", way_out="Name another unit, or unknown.")
        others, shows = make_move(world, pen, move, fields, Tier.SCHOOL, by=actor.id)
        settle(pen)
        return Decision((*decision.pens, *others), shows)


def _unfit(unit: Unit, child: Subject | None, at: datetime) -> tuple[str, str] | None:
    """Return why no child can be at home at a unit from that moment on, with the way out."""
    if unit.kind not in HOMES:
        return f"a {unit.kind} is no place for a pupil ({unit.id}).", "Name a class, a grade or a school."
    if unit.ends_at is not None and unit.ends_at <= at:
        return f"{unit.id} has ended by then.", "Name a unit that is there when the children come."
    if unit.begins_at is not None and unit.begins_at > at:
        return f"{unit.id} has not begun by then.", "Name a unit that is there when the children come."
    if child is not None and child.unit == unit.id:
        return f"the pupil is at {unit.id} already.", "Take the row out."
    return None


def _school(resolver: Resolver, unit: str) -> str:
    return resolver.chain(unit).get(Tier.SCHOOL, "")


def _answered(answer: Mapping[str, Any]) -> Graduation:
    return Graduation(answer["children"], answer["moves"], tuple(answer["transfers"]), answer["begins"])
