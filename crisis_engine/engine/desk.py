"""The desk: what operators do beside the cases: roster, absences, calendar, links, sandbox, the watch over the sweep itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import ENGINE, Actor
from crisis_engine.core.calendar import Calendar
from crisis_engine.core.decide import decide_calendar, decide_presence
from crisis_engine.core.errors import BadInput, NotFound, said
from crisis_engine.core.events import Linked
from crisis_engine.core.model import Absence, Duty, Person, Subject
from crisis_engine.core.network import Gap, gaps
from crisis_engine.core.pen import Pen
from crisis_engine.core.resolve import is_within
from crisis_engine.core.world import World
from crisis_engine.definitions import fingerprint, load_policy_doc
from crisis_engine.store import Tx

from .again import again
from .gate import refuse_own_duties, refuse_two_offices, touched_units
from .gather import actor_of
from .log import log
from .look import sane
from .place import follow_children
from .sweep import BATCH, Counts, change_of, decided, hand_over, units_of
from .view import ClockView, SweepReport, clock_view
from .watchers import tell_watchers
from .worlds import Worlds, held_case

if TYPE_CHECKING:
    from crisis_engine.core.procedure import Procedure
    from crisis_engine.notify import Channel
    from crisis_engine.roster import RosterSet

GAP = timedelta(minutes=10)
"""A sweep that comes so long after the one before is an outage of its own (D: our design)."""

_BEAT = timedelta(minutes=1)

HANDED = "handed"
"""The heartbeat of the last hand-over of ended presences (store/roster.py): a clock that is before it ran back."""

MACHINE = "operator"
"""Who imports a roster where nobody is named: whoever runs the machine, before anybody has a duty."""


class Desk(Worlds):
    """Operators' half of the face; `Engine` adds the cases' half."""

    # ---- roster -----------------------------------------------------------------------------------------------------

    def import_roster(self, roster: RosterSet, *, by: str = "operator") -> dict[str, int]:
        """Write units, persons, duties, absences, subjects and guardians; return counts by kind. The last import wins by id.

        A person who imports must be allowed to change the roster of every unit that the rows touch, and takes no new duty by it.
        Raises NotAllowed, and BadInput where one person would hold two offices that must be apart.
        """
        for policy in sorted({unit.policy for unit in roster.units if unit.policy}):
            load_policy_doc(policy)   # a policy that cannot be read must not turn a school's reports away later
        with self.store.writing(alone=True) as tx:
            if by != MACHINE:
                for unit in touched_units(tx, roster):
                    self._allow(tx, self.now(), by, "roster.change", unit=unit)
                refuse_own_duties(tx, roster, by)
            counts = tx.import_roster(roster, self.now())
            refuse_two_offices(tx, self._sources.access.separate)
            moved = self._look_again(tx) + follow_children(tx, self._sources, self.now())
        log("roster.imported", by=by, cases=moved, **counts)
        return counts

    def end_duty(self, *, role: str, unit: str, person: str, at: datetime | None = None, by: str) -> int:
        """End a duty at a time (now if None); whoever stands next takes its clocks over at that moment.

        Return how many cases were handed over that whoever ends it may list. Raises NotFound, NotAllowed.
        """
        if at is not None:
            sane(at)
        with self.store.writing(alone=True) as tx:
            now = self.now()
            self._allow(tx, now, by, "roster.change", unit=unit)
            if not tx.end_duty(role, unit, person, at or now):
                raise NotFound(f"{said(person)} holds no running duty {said(role)} at {said(unit)}.",
                               way_out="See `crisis roster show --unit`.")
            return self._hand_over(tx, now, by)

    def add_absence(self, *, person: str, begins_at: datetime, ends_at: datetime, by: str) -> int:
        """Record an absence, half-open; when it begins, whoever stands next takes over.

        Return how many cases were handed over now that whoever records it may list. Raises NotFound, NotAllowed.
        """
        if begins_at.tzinfo is None or ends_at.tzinfo is None or begins_at >= ends_at:
            raise BadInput("An absence needs two times with zone, the first before the second.", way_out="Write 2026-03-02T08:00+08:00.")
        sane(begins_at)
        sane(ends_at)
        with self.store.writing(alone=True) as tx:
            now = self.now()
            if tx.person(person) is None:
                raise NotFound(f"Nobody is known as {said(person)!r}.", way_out="See `crisis roster show`.")
            if person != by:
                for duty in tx.duties_of(person) or [Duty("", "", person)]:
                    self._allow(tx, now, by, "roster.change", unit=duty.unit)
            tx.add_absence(Absence(person, begins_at, ends_at))
            return self._hand_over(tx, now, by)

    def _hand_over(self, tx: Tx, now: datetime, by: str) -> int:
        counts = Counts(told=self._sight(tx, now, by, "case.list"))   # a number is a count too: of one class it points at a child
        while hand_over(tx, self._sources, now, counts):
            pass
        log("roster.handed_over", by=by, cases=counts.handed_over)
        return counts.handed_over

    def _look_again(self, tx: Tx) -> int:
        """After an import: clocks without a person, and those whose person went, look again at once."""
        counts = Counts()
        now = self.now()
        while hand_over(tx, self._sources, now, counts):
            pass
        return counts.handed_over + self._decide_all(tx, tx.unheld(), decide_presence)

    def _decide_all(self, tx: Tx, ids: list[int], decide: Callable[[World], Pen], actor: Actor | None = None) -> int:
        done = 0
        now = self.now()
        for start in range(0, len(ids), BATCH):
            tx.hold_cases(ids[start:start + BATCH])
            stored = [one for one in tx.cases(ids[start:start + BATCH]) if one.case.open]
            resolver = self._sources.resolver(tx, units_of(stored), now)

            changes = decided(tx, self._sources, resolver, stored, decide, Counts(), actor or Actor(ENGINE))

            tx.append(changes)
            done += len(changes)
        return done

    def roster(self, unit: str | None = None, *, subjects: bool = True, by: str | None = None) -> dict[str, Any]:
        """Return {units, duties, subjects} at and below a unit, as plain data without names or contacts.

        `by` is the person who reads it: that person gets the children of the own units alone, and whoever has no part in the work
        gets nothing (NotAllowed). Without it whoever runs the machine reads: an import, a check, a host.
        """
        with self.store.reading() as tx:
            if by is not None:
                self._allow(tx, self.now(), by, "roster.read")
            if unit is not None and unit not in tx.units({unit}):
                raise NotFound(f"There is no unit {said(unit)!r}.", way_out="See `crisis roster show` for all.")
            children = tx.subjects_under(unit) if subjects else ()
            if by is not None:
                own = self._places(tx, self.now(), by, "roster.read")
                children = (child for child in children if any(is_within(child.unit, place) for place in own))
            return {
                "units": [{"id": u.id, "kind": u.kind, "name": u.name, "parent": u.parent} for u in tx.units_under(unit)],
                "duties": [{"role": d.role, "unit": d.unit, "person": d.person} for d in tx.duties_under(unit)],
                "subjects": [{"id": s.ref, "unit": s.unit} for s in children],
            }

    def known_roster(self) -> RosterSet:
        """Return the units, persons and children that roster files may refer to, without names or contacts."""
        from crisis_engine.roster import RosterSet  # noqa: PLC0415 - an import of files is rare, a queue is not

        with self.store.reading() as tx:
            return RosterSet(
                units=tuple(tx.units_under()), persons=tuple(Person(person.id) for person in tx.persons()),
                duties=tuple(duty for duty in tx.duties_under() if duty.role in self._sources.access.separate),
                subjects=tuple(Subject("", subject.ref, subject.unit) for subject in tx.subjects_under()),
            )

    def roster_gaps(self) -> tuple[Gap, ...]:
        """Return the gaps of the four-level network as the roster stands now."""
        with self.store.reading() as tx:
            return gaps(tx.units_under(), tx.duties_under(), tx.absences(), self.now())

    # ---- calendar, links, sandbox -----------------------------------------------------------------------------------

    def publish_calendar(self, calendar: Calendar, *, by: str) -> int:
        """Take a newly published calendar and reckon provisional clocks anew, in the publisher's name. Return cases changed."""
        with self.store.writing(alone=True) as tx:
            self._allow(tx, self.now(), by, "calendar.publish")
            tx.put_calendar(calendar)
            changed = self._decide_all(tx, tx.provisional(), decide_calendar, actor_of(tx, by))
        log("calendar.published", by=by, until=calendar.published_until.isoformat(), cases=changed)
        return changed

    @again
    def link(self, number: str, other: str, *, by: str, relation: str = "related") -> None:
        """Link two cases (siblings: `related`; a group event: `part_of`). Nothing else is shared between them."""
        if relation not in {"related", "part_of"}:
            raise BadInput(f"{said(relation)!r} is no relation that people make.", way_out="Use related or part_of.")
        with self.store.writing() as tx:
            now = self.now()
            worlds = []
            for each in (number, other):
                stored = held_case(tx, each)
                worlds.append((self._world(tx, now, by, stored), stored, number if each == other else other))
                self._allow(tx, now, by, "case.link", stored=stored)
            if number == other:
                raise BadInput("A case is not linked with itself.", way_out="Give the number of the other case.")
            pens = []
            for world, stored, far in worlds:
                pen = Pen(stored.case, stored.case.number, world.procedure, world.resolver, by, world.now)
                pen.add(Linked, link=relation, other=far)
                pens.append(change_of(stored, pen))
            tx.append(pens)

    def mark_sandbox(self) -> None:
        """Mark a new database as a sandbox; refused once it holds a case."""
        with self.store.writing(alone=True) as tx:
            if tx.counts()["cases"]:
                raise BadInput("A database with cases cannot become a sandbox.",
                               way_out="Begin with `crisis init --sandbox` on a new file.")
            tx.set_meta("sandbox", "yes")

    # ---- the watch over the sweep -------------------------------------------------------------------------------------

    def _watch(self, now: datetime, report: SweepReport) -> None:
        """Keep the sweep's heartbeat, and notice a clock that ran back; the doctor reads both."""
        with self.store.reading() as tx:
            beats = tx.heartbeats()
        last, handed = beats.get("sweep"), beats.get(HANDED, now)
        back = handed > now or (last is not None and last > now)   # a step of seconds shows by the last presence that was handed over
        if last is not None and not back and now - last < _BEAT:
            return
        if back and max(handed, last or now) <= self.now():
            return   # another sweep began after this one and ended before it
        if last is not None and now - last > GAP:
            log("sweep.gap", since=last.isoformat(), until=now.isoformat(), fired=report.rungs)
        with self.store.writing(alone=back) as tx:
            tx.heartbeat("sweep", now)
            if back:
                tx.heartbeat(HANDED, now)
                log("sweep.clock_ran_back", since=max(handed, last or now).isoformat(), until=now.isoformat(),
                    presences=tx.forget_handed(now))
            if last is not None and now - last > GAP and report.rungs:
                tx.set_meta("last_gap", f"{last.isoformat()}/{now.isoformat()}")

    def reload(self) -> str:
        """Read definitions and rights again and go by them from now on; return their fingerprint.

        A file that cannot be used changes nothing: DefinitionError names it.
        """
        with self.store.reading() as tx:
            policies = tx.policies()
        fresh = self._sources.anew(policies)
        self._sources = fresh
        return fingerprint(policies)

    def remember(self, units: int) -> None:
        """Keep so many units with their people in memory (200,000 without): with more than these the cache begins anew."""
        self._sources.most_units = units

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What `deliver` sends by."""
        return self._channels

    def use_channels(self, channels: Sequence[Channel]) -> None:
        """Afterwards `deliver` sends by these."""
        self._channels = tuple(channels)

    def tell_operators(self, what: str, now: datetime, *, once_in: str = "", by: str = "") -> bool:
        """Owe the operators a notice about the machine itself, under the number of the case whose clock is next; whether there is one.

        A notice has no words of its own, and a city without an open case has nothing that could be late. `once_in` names a period:
        within it they are told once, however many daemons (`by`) would.
        """
        with self.store.writing() as tx:
            row = tx.nearest_case()
            if row is not None and (not once_in or tx.claim_job(what, once_in, by, now, now)):
                tell_watchers(tx, self._sources, now, {row}, what, ("operator",))
                if once_in:
                    tx.finish_job(what, once_in, by, now)
        return row is not None

    def trust_clock(self, *, by: str = MACHINE) -> datetime:
        """Keep that somebody looked at the machine's clock and found it right: daemons that wait for that go on. Return what it says.

        `by` stands on record for good; a person must be allowed to (`clock.trust`), whoever runs the machine is. Raises NotAllowed.
        """
        with self.store.writing() as tx:
            now = self.now()
            if by != MACHINE:
                self._allow(tx, now, by, "clock.trust")
            tx.set_meta("clock_trusted", now.isoformat())
            tx.put_clock_word(now, by)
        log("clock.trusted", now=now.isoformat(), by=by)
        return now

    def _ended(self, tx: Tx, row: int, procedure: Procedure) -> Iterator[ClockView]:
        for clock, status, ended_at in tx.ended_clocks(row):
            yield clock_view(clock, procedure, ended_at, status=status, ended_at=ended_at)
