"""The roster in the database: units, people, duties, absences, children, guardians; read by what asks and imported whole."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, NamedTuple, Protocol

from crisis_engine.core.model import Absence, Agreement, Duty, Guardian, Person, Subject, Unit
from crisis_engine.core.resolve import paths
from crisis_engine.store.child import CHUNK, UNDER
from crisis_engine.store.instant import instant, instant_or_none, micros, micros_or_none
from crisis_engine.store.partner import PUT_AGREEMENT, PUT_SORT, rows_of_agreements, rows_of_sorts
from crisis_engine.store.seal import DataKey, place, seal_text, unseal_text
from crisis_engine.store.sealing import PlainRows
from crisis_engine.store.statement import AMONG, listed, version_step


class RosterSet(Protocol):
    """A whole roster, or a part of one, as a loader hands it over."""

    @property
    def units(self) -> Collection[Unit]:
        """The places, parents before children or not."""

    @property
    def persons(self) -> Collection[Person]:
        """Who can hold a duty."""

    @property
    def duties(self) -> Collection[Duty]:
        """Who holds what, where, from when to when."""

    @property
    def absences(self) -> Collection[Absence]:
        """Who is away when."""

    @property
    def subjects(self) -> Collection[Subject]:
        """The children; one without an id is given a random one."""

    @property
    def guardians(self) -> Collection[Guardian]:
        """The guardians, by their child's ref."""

    @property
    def agreements(self) -> Collection[Agreement]:
        """What partners agreed to."""


class EndedPresence(NamedTuple):
    """A duty that ended, or an absence that began: the person's work has to go to somebody else."""

    kind: str   # "duty" or "absence"
    id: int
    person: str


_UNIT = (
    "INSERT INTO crisis_unit (id, kind, name, parent, begins_at, ends_at, dismissal, policy) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, name = excluded.name, parent = excluded.parent,"
    " begins_at = excluded.begins_at, ends_at = excluded.ends_at, dismissal = excluded.dismissal, policy = excluded.policy"
)
_PERSON = (
    "INSERT INTO crisis_person (id, name, contact, name_index) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET name = excluded.name, contact = excluded.contact, name_index = excluded.name_index"
)
# A duty whose end moved has to be handed over anew; one that is imported again as it was has not.
_DUTY = (
    "INSERT INTO crisis_duty (role, unit, person, begins_at, ends_at, rank, hours, on_call) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (unit, role, person, coalesce(begins_at, 0)) DO UPDATE SET rank = excluded.rank, hours = excluded.hours,"
    " on_call = excluded.on_call, ends_at = excluded.ends_at,"
    " handed_at = CASE WHEN coalesce(crisis_duty.ends_at, 0) = coalesce(excluded.ends_at, 0) THEN crisis_duty.handed_at END"
)
_ABSENCE = (
    "INSERT INTO crisis_absence (person, begins_at, ends_at) VALUES (?, ?, ?)"
    " ON CONFLICT (person, begins_at) DO UPDATE SET ends_at = excluded.ends_at,"
    " handed_at = CASE WHEN crisis_absence.ends_at = excluded.ends_at THEN crisis_absence.handed_at END"
)
_END_DUTIES = (
    "UPDATE crisis_duty SET ends_at = ?, handed_at = NULL WHERE (unit = ? OR (unit > ? AND unit < ?)) AND (ends_at IS NULL OR ends_at > ?)"
)
"""Whoever worked at a unit that is no more, or below it, has no duty there: what they held goes to somebody else at that moment."""
_UNITS = ("SELECT id, kind, name, parent, begins_at, ends_at, dismissal, policy, coalesce(sort, '')"
          " FROM crisis_unit LEFT JOIN crisis_partner ON unit = id")
_DUTIES = "SELECT role, unit, person, begins_at, ends_at, rank, hours, on_call FROM crisis_duty"
_ABSENCES = "SELECT person, begins_at, ends_at FROM crisis_absence"
_BY_RANK = " ORDER BY unit, role, rank, person, begins_at"
_PERSONS = "SELECT id, name, contact FROM crisis_person"
_TWO_OFFICES = (
    "SELECT DISTINCT a.person, a.role, b.role FROM crisis_duty a JOIN crisis_duty b"  # noqa: S608 (constants)
    " ON b.person = a.person AND b.role > a.role"
    " WHERE a.role " + AMONG.format("roles") + " AND b.role " + AMONG.format("roles")
    + " AND coalesce(a.ends_at, :ever) > coalesce(b.begins_at, 0) AND coalesce(b.ends_at, :ever) > coalesce(a.begins_at, 0)"
    " ORDER BY a.person"
)
_EVER = 2**62   # microseconds: a duty that has no end outlasts every other


class RosterRows(PlainRows):
    """Everything that reads and writes the roster."""

    # ---- reading ----------------------------------------------------------------------------------------------

    def units(self, ids: Collection[str]) -> dict[str, Unit]:
        """Return the units of these ids that exist, by id."""
        return {row[0]: _unit(row) for row in self._rows(_UNITS + " WHERE id " + AMONG.format("ids"), ids=listed(ids))}

    def duties_at(self, units: Collection[str]) -> dict[str, tuple[Duty, ...]]:
        """Return all duties at these units by unit, those past and to come too; rank 1 stands before rank 2."""
        found: defaultdict[str, list[Duty]] = defaultdict(list)
        sql = _DUTIES + " WHERE unit " + AMONG.format("units") + " ORDER BY rank, person, begins_at"
        for row in self._rows(sql, units=listed(units)):
            found[row[1]].append(_duty(row))
        return {unit: tuple(duties) for unit, duties in found.items()}

    def duties_of(self, person: str) -> list[Duty]:
        """Return all duties of a person, those past and to come too."""
        return [_duty(row) for row in self._rows(_DUTIES + " WHERE person = :person" + _BY_RANK, person=person)]

    def absences_of(self, persons: Collection[str]) -> dict[str, tuple[Absence, ...]]:
        """Return all absences of these people by person, in order of time."""
        found: defaultdict[str, list[Absence]] = defaultdict(list)
        sql = _ABSENCES + " WHERE person " + AMONG.format("persons") + " ORDER BY begins_at"
        for person, begins_at, ends_at in self._rows(sql, persons=listed(persons)):
            found[person].append(Absence(person, instant(begins_at), instant(ends_at)))
        return {person: tuple(absences) for person, absences in found.items()}

    def person(self, person_id: str) -> Person | None:
        """Return the person of that id."""
        row = self._row(_PERSONS + " WHERE id = :id", id=person_id)
        return None if row is None else _person(self._staff_key(), row)

    def persons(self) -> list[Person]:
        """Return everybody who can hold a duty."""
        key = self._staff_key()
        return [_person(key, row) for row in self._rows(_PERSONS + " ORDER BY id")]

    def persons_named(self, name: str) -> list[Person]:
        """Return the people of that name: the index narrows the search, the opened names decide."""
        key, rows = self._staff_key(), self._rows(_PERSONS + " WHERE name_index = :bucket ORDER BY id", bucket=self.blind_name(name))
        return [person for person in (_person(key, row) for row in rows) if person.name == name]

    def units_under(self, unit: str | None = None) -> list[Unit]:
        """Return a unit and all under it, or all units, in the order of their paths."""
        return [_unit(row) for row in self._rows(_UNITS + _within("id", unit) + " ORDER BY id", **_named(unit))]

    def duties_under(self, unit: str | None = None) -> list[Duty]:
        """Return the duties at a unit and all under it, or all duties."""
        return [_duty(row) for row in self._rows(_DUTIES + _within("unit", unit) + _BY_RANK, **_named(unit))]

    def two_offices(self, roles: Collection[str]) -> list[tuple[str, str, str]]:
        """Return (person, role, role) for each person with duties of two of these roles at one time."""
        return [(person, one, other) for person, one, other in self._rows(_TWO_OFFICES, roles=listed(roles), ever=_EVER)]

    def absences(self) -> list[Absence]:
        """Return all absences, those past too."""
        rows = self._rows(_ABSENCES + " ORDER BY begins_at, person")
        return [Absence(person, instant(begins_at), instant(ends_at)) for person, begins_at, ends_at in rows]

    def roster_version(self) -> int:
        """Return a number that each write to the roster makes greater."""
        return int(self._value("SELECT value FROM crisis_meta WHERE name = 'roster_version'") or 0)

    # ---- writing ----------------------------------------------------------------------------------------------

    def import_roster(self, roster: RosterSet, at: datetime | None = None) -> dict[str, int]:
        """Write what a loader read: new rows are added, known ones brought up to date, nothing is deleted; return rows by kind.

        A unit, person and guardian is known by its id, a child by its ref (and keeps its random key), a duty by role, unit,
        person and begin, an absence by person and begin. `at` is when the keys of new children were made.
        """
        with self.whole():
            self.seal_roster()   # rows of an older database: a child is known by its sealed index alone
            staff = self._staff_key()
            counts = {
                "units": self._import(_UNIT, ((
                    unit.id, unit.kind, unit.name, unit.parent, micros_or_none(unit.begins_at), micros_or_none(unit.ends_at),
                    unit.dismissal, unit.policy,
                ) for unit in roster.units)),
                "persons": self._import(_PERSON, (self._person_row(staff, person) for person in roster.persons)),
                "duties": self._import(_DUTY, ((
                    duty.role, duty.unit, duty.person, micros_or_none(duty.begins_at), micros_or_none(duty.ends_at), duty.rank,
                    duty.hours, duty.on_call,
                ) for duty in roster.duties)),
                "absences": self._import(_ABSENCE, (
                    (absence.person, micros(absence.begins_at), micros(absence.ends_at)) for absence in roster.absences
                )),
                "subjects": self._import_subjects(roster.subjects, micros_or_none(at)),
                "guardians": self._import_guardians(roster.guardians),
                "agreements": self._import(PUT_AGREEMENT, iter(rows_of_agreements(roster.agreements))),
            }
            self._import(PUT_SORT, iter(rows_of_sorts(roster.units)))
            places = {path for duty in roster.duties for path in paths(duty.unit)}   # a duty that is brought to a unit that ended
            self._import(_END_DUTIES, (
                (micros(unit.ends_at), unit.id, f"{unit.id}/", f"{unit.id}0", micros(unit.ends_at))   # "0" is the character after "/"
                for unit in {**self.units(places), **{unit.id: unit for unit in roster.units}}.values() if unit.ends_at
            ))
            self._touch("roster_version")
        return counts

    def end_duty(self, role: str, unit: str, person: str, at: datetime) -> int:
        """End the duties of a person in a role at a unit at that instant; return how many were still to run beyond it."""
        ended = self._run(
            "UPDATE crisis_duty SET ends_at = :at, handed_at = NULL WHERE role = :role AND unit = :unit AND person = :person"
            " AND (ends_at IS NULL OR ends_at > :at)",
            role=role, unit=unit, person=person, at=micros(at),
        )
        self._touch("roster_version")
        return ended

    def add_absence(self, absence: Absence) -> None:
        """Add an absence, or move the end of the one that begins then."""
        self._bulk(_ABSENCE, [(absence.person, micros(absence.begins_at), micros(absence.ends_at))])
        self._touch("roster_version")

    # ---- presences that ended ---------------------------------------------------------------------------------

    def ended_presences(self, now: datetime, limit: int) -> list[EndedPresence]:
        """Return at most so many duties that ended and absences that began by now and were not handed over, the oldest first."""
        rows = self._rows(
            "SELECT 'duty' AS kind, id, person, ends_at AS at FROM crisis_duty"
            " WHERE handed_at IS NULL AND ends_at IS NOT NULL AND ends_at <= :now UNION ALL"
            " SELECT 'absence', id, person, begins_at FROM crisis_absence WHERE handed_at IS NULL AND begins_at <= :now"
            " ORDER BY at, kind, id LIMIT :limit",
            now=micros(now), limit=limit,
        )
        return [EndedPresence(kind, row_id, person) for kind, row_id, person, _ in rows]

    def mark_handed(self, presences: Iterable[EndedPresence], at: datetime) -> None:
        """Afterwards these ended presences are handed over and `ended_presences` no longer names them.

        The roster's version is another then: who decided before and writes after must look again who is there.
        """
        ended = list(presences)
        self._touch("roster_version")
        for kind, sql in (
            ("duty", "UPDATE crisis_duty SET handed_at = ? WHERE id = ?"),
            ("absence", "UPDATE crisis_absence SET handed_at = ? WHERE id = ?"),
        ):
            self._bulk(sql, [(micros(at), each.id) for each in ended if each.kind == kind])
        if ended:   # `_watch` of the engine sees by it that a clock ran back
            self._run("INSERT INTO crisis_heartbeat (name, at) VALUES ('handed', :at) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
                      at=micros(at))

    def forget_handed(self, now: datetime) -> int:
        """Afterwards an end that was handed over in a future that the clock left again counts as still to come; return how many."""
        return sum(
            self._run(f"UPDATE {table} SET handed_at = NULL WHERE handed_at > :now", now=micros(now))  # noqa: S608 (two constants)
            for table in ("crisis_duty", "crisis_absence")
        )

    def next_presence_end(self) -> datetime | None:
        """Return when the next duty ends or absence begins that is not yet handed over."""
        return instant_or_none(self._value(
            "SELECT min(at) FROM (SELECT min(ends_at) AS at FROM crisis_duty WHERE handed_at IS NULL AND ends_at IS NOT NULL"
            " UNION ALL SELECT min(begins_at) FROM crisis_absence WHERE handed_at IS NULL) AS ends",
        ))

    def _import(self, sql: str, rows: Iterator[tuple[Any, ...]]) -> int:
        written = 0
        while chunk := list(islice(rows, CHUNK)):
            self._bulk(sql, chunk)
            written += len(chunk)
        return written

    def _person_row(self, key: DataKey, person: Person) -> tuple[Any, ...]:
        return (person.id, seal_text(key, person.name, _at("name", person.id)), seal_text(key, person.contact, _at("contact", person.id)),
                self.blind_name(person.name))

    def _touch(self, version: str) -> None:
        """Make a version in the notes about the database greater."""
        self._run("INSERT INTO crisis_meta (name, value) VALUES (:name, :step) ON CONFLICT (name)"
                  " DO UPDATE SET value = CAST(CAST(crisis_meta.value AS BIGINT) + CAST(excluded.value AS BIGINT) AS VARCHAR)",
                  name=version, step=str(version_step()))


def _within(column: str, unit: str | None) -> str:
    return "" if unit is None else UNDER.format(column)


def _named(unit: str | None) -> dict[str, str]:
    return {} if unit is None else {"unit": unit}


def _at(column: str, person_id: str) -> bytes:
    return place("crisis_person", column, person_id)


def _person(key: DataKey, row: Sequence[Any]) -> Person:
    person_id, name, contact = row
    return Person(person_id, unseal_text(key, name, _at("name", person_id)), unseal_text(key, contact, _at("contact", person_id)))


def _unit(row: Sequence[Any]) -> Unit:
    unit_id, kind, name, parent, begins_at, ends_at, dismissal, policy, sort = row
    return Unit(unit_id, kind, name, parent, instant_or_none(begins_at), instant_or_none(ends_at), dismissal, policy, sort)


def _duty(row: Sequence[Any]) -> Duty:
    role, unit, person, begins_at, ends_at, rank, hours, on_call = row
    return Duty(role, unit, person, instant_or_none(begins_at), instant_or_none(ends_at), rank, hours, bool(on_call))
