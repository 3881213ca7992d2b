"""The whole roster held against itself and against what the database has: the tree, the duties, the references."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from crisis_engine.core.model import Absence, Agreement, Duty, Guardian, Person, Subject, Unit
from crisis_engine.core.network import ROLE_LEVEL
from crisis_engine.definitions import load_access
from crisis_engine.roster.column import Record
from crisis_engine.roster.fault import Faults, did_you_mean
from crisis_engine.roster.sheet import Sheet

PARENT_KINDS: dict[str, tuple[str, ...]] = {
    "city": (),
    "county": ("city",),
    "school": ("county", "city"),
    "grade": ("school",),
    "class": ("grade", "school"),
    "partner": ("city", "county", "school"),
}
"""What a unit may hang under: a school directly under the city is 市直, a class directly under a school has no grade."""

ROOT_KINDS = ("city", "county", "school")
"""What may stand alone: a county or a school may keep its own database."""

PUPIL_KINDS = ("class", "grade", "school")
"""Where a pupil may be at home."""


@dataclass(frozen=True, slots=True)
class RosterSet:
    """What a set of roster files says, in the order of the files. `Subject.id` is "" until the store has given a key."""

    units: tuple[Unit, ...] = ()
    persons: tuple[Person, ...] = ()
    duties: tuple[Duty, ...] = ()
    absences: tuple[Absence, ...] = ()
    subjects: tuple[Subject, ...] = ()
    guardians: tuple[Guardian, ...] = ()
    agreements: tuple[Agreement, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A record and the row that it came from."""

    record: Record
    sheet: Sheet
    line: int


@dataclass(slots=True)
class Gathered:
    """The records of all files; `spoiled` names the ids of rows with a fault, so that one fault does not cause others."""

    entries: dict[str, list[Entry]] = field(default_factory=dict)
    spoiled: dict[str, set[str]] = field(default_factory=dict)

    def roster(self) -> RosterSet:
        """Return the records without their places."""
        return RosterSet(**{kind: tuple(entry.record for entry in entries) for kind, entries in self.entries.items()})  # type: ignore[arg-type]  # each kind holds its own record: column.LAYOUTS


def check_roster(gathered: Gathered, known: RosterSet, faults: Faults) -> None:
    """Add a fault for each row that contradicts another or refers to nothing; a row may replace a known one."""
    new = gathered.roster()
    known_kinds = {unit.id: unit.kind for unit in known.units}
    units = {unit.id: unit for unit in (*known.units, *new.units)}
    persons = {person.id for person in (*known.persons, *new.persons)}
    refs = {subject.ref for subject in (*known.subjects, *new.subjects)}
    check = _Check(faults, gathered.spoiled)
    check.doubles(gathered.entries)
    for entry in gathered.entries["units"]:
        check.unit(entry, units, known_kinds)
    for entry in gathered.entries["duties"]:
        check.reference(entry, "person", "persons", persons)
        if check.reference(entry, "unit", "units", units):
            check.role(entry, units)
    check.offices(gathered.entries["duties"], known.duties)
    for entry in gathered.entries["absences"]:
        check.reference(entry, "person", "persons", persons)
    for entry in gathered.entries["subjects"]:
        if check.reference(entry, "unit", "units", units):
            check.home(entry, units)
    for entry in gathered.entries["guardians"]:
        check.reference(entry, "subject", "subjects", refs)
    for entry in gathered.entries["agreements"]:
        if check.reference(entry, "partner", "units", units):
            check.partner(entry, units)
        check.reference(entry, "place", "units", units)


@dataclass(frozen=True, slots=True)
class _Check:
    """The single rules; each adds its fault where the row stands."""

    faults: Faults
    spoiled: Mapping[str, set[str]]

    def doubles(self, entries: Mapping[str, Iterable[Entry]]) -> None:
        """Refuse two rows that say the same thing twice, or two things under one id."""
        for kind, rows in entries.items():
            seen: dict[object, Entry] = {}
            for entry in rows:
                identity, column = _identity(entry.record)
                first = seen.setdefault((kind, identity), entry)
                if first is not entry:
                    where = f"line {first.line}" if first.sheet is entry.sheet else f"{first.sheet.file}:{first.line}"
                    name = identity if isinstance(identity, str) else "this row"
                    self._fault(entry, column, f"{name} stands already in {where}.", _WAY_OUT_DOUBLE[kind])

    def unit(self, entry: Entry, units: Mapping[str, Unit], known_kinds: Mapping[str, str]) -> None:
        """Refuse a unit that does not hang where its id and its kind say."""
        unit = entry.record
        assert isinstance(unit, Unit)  # noqa: S101 (the reader put it under "units")
        if known_kinds.get(unit.id, unit.kind) != unit.kind:
            was = known_kinds[unit.id]
            self._fault(entry, "kind", f"{unit.id} is a {was} in the database.", "End that unit and give this one another id.")
        elif unit.sort and unit.kind != "partner":
            self._fault(entry, "sort", f"a {unit.kind} has no sort of partner.", "Leave the cell empty, or make the unit a partner.")
        elif unit.parent is None:
            if "/" in unit.id:
                above = unit.id.rpartition("/")[0]
                self._fault(entry, "parent", f"{unit.id} has no parent.", f'Write "{above}", or an id without a slash.')
            elif unit.kind not in ROOT_KINDS:
                may = " or a ".join(PARENT_KINDS[unit.kind])
                self._fault(entry, "parent", f"a {unit.kind} must hang under a {may}.", "Name its parent.")
        elif _is_cyclic(unit, units):
            message = f"{unit.id} is its own ancestor: the tree is cyclic."
            self._fault(entry, "parent", message, "Name a parent that is nearer to the city.")
        elif self.reference(entry, "parent", "units", units):
            parent = units[unit.parent]
            above, _, segment = unit.id.rpartition("/")
            if above != parent.id or not segment:
                way_out = f'Write an id such as "{parent.id}/{segment or "name"}".'
                self._fault(entry, "id", f"{unit.id} is not one step below {parent.id}.", way_out)
            elif parent.kind not in PARENT_KINDS[unit.kind]:
                may = " or a ".join(PARENT_KINDS[unit.kind])
                rule = f"It hangs under a {may}." if may else "It hangs under nothing."
                self._fault(entry, "kind", f"a {unit.kind} cannot hang under a {parent.kind} ({parent.id}).", rule)

    def reference(self, entry: Entry, column: str, kind: str, names: Mapping[str, object] | set[str]) -> bool:
        """Return whether the row's `column` names something that is known, and refuse what is not."""
        name = getattr(entry.record, column)
        if name in names:
            return True
        if name not in self.spoiled.get(kind, ()):
            noun = {"persons": "person", "units": "unit", "subjects": "pupil"}[kind]
            way_out = did_you_mean(name, names, f"Add it to {kind}.csv.")
            self._fault(entry, column, f'there is no {noun} "{name}".', way_out)
        return False

    def role(self, entry: Entry, units: Mapping[str, Unit]) -> None:
        """Refuse a role at a unit of another kind than the network has it."""
        duty = entry.record
        assert isinstance(duty, Duty)  # noqa: S101 (the reader put it under "duties")
        unit, level = units[duty.unit], ROLE_LEVEL[duty.role]
        if unit.kind != level:
            message = f"{duty.role} is held at a {level}, and {unit.id} is a {unit.kind}."
            self._fault(entry, "role", message, f"Name a {level}, or another role.")

    def offices(self, entries: Iterable[Entry], known: Iterable[Duty]) -> None:
        """Refuse a person who would hold two offices that must be apart (operator, security officer, auditor) at one time."""
        separate = load_access().separate
        rows = [(entry, entry.record) for entry in entries if isinstance(entry.record, Duty) and entry.record.role in separate]
        replaced = {_identity(duty)[0] for _entry, duty in rows}
        held = [duty for duty in known if _identity(duty)[0] not in replaced]
        for entry, duty in rows:
            for other in held:
                if other.person == duty.person and other.role != duty.role and _meet(duty, other):
                    message = f"{duty.person} would be {other.role} and {duty.role} at once."
                    self._fault(entry, "role", message, "These offices check each other: name two people.")
            held.append(duty)

    def home(self, entry: Entry, units: Mapping[str, Unit]) -> None:
        """Refuse a pupil who is at home in an office."""
        subject = entry.record
        assert isinstance(subject, Subject)  # noqa: S101 (the reader put it under "subjects")
        unit = units[subject.unit]
        if unit.kind not in PUPIL_KINDS:
            self._fault(entry, "unit", f"{unit.id} is a {unit.kind}: no pupil is at home there.", "Name the class.")

    def partner(self, entry: Entry, units: Mapping[str, Unit]) -> None:
        """Refuse an agreement with a unit that is no partner."""
        agreement = entry.record
        assert isinstance(agreement, Agreement)  # noqa: S101 (the reader put it under "agreements")
        unit = units[agreement.partner]
        if unit.kind != "partner":
            self._fault(entry, "partner", f"{unit.id} is a {unit.kind}: it agrees to nothing.", "Name a unit of kind partner.")

    def _fault(self, entry: Entry, column: str, message: str, way_out: str) -> None:
        key = entry.sheet.header(column)
        self.faults.add(message, file=entry.sheet.file, line=entry.line, key=key, way_out=way_out)


_WAY_OUT_DOUBLE = {
    "units": "Keep one row a unit.",
    "persons": "Keep one row a person.",
    "duties": "Keep one row for the same role, unit, person and begin.",
    "absences": "Keep one row for the same absence.",
    "subjects": "Use numbers that are unique among all schools, such as the 学籍号.",
    "guardians": "Keep one row a guardian.",
    "agreements": "Keep one row an agreement.",
}


def _identity(record: Record) -> tuple[object, str]:
    """Return what must not come twice, and the column to name if it does."""
    match record:
        case Duty():
            return (record.role, record.unit, record.person, record.begins_at), "person"
        case Absence():
            return (record.person, record.begins_at, record.ends_at), "person"
        case Subject():
            return record.ref, "ref"
        case _:
            return record.id, "id"


def _meet(one: Duty, other: Duty) -> bool:
    """Whether two duties run at one time at any moment."""
    return (one.ends_at is None or other.begins_at is None or other.begins_at < one.ends_at) and (
        other.ends_at is None or one.begins_at is None or one.begins_at < other.ends_at)


def _is_cyclic(unit: Unit, units: Mapping[str, Unit]) -> bool:
    """Return whether the walk up from `unit` comes back to it.

    A step that shortens the id cannot be part of a circle on its own, so only units that break that rule are walked: the check
    of 30,000 sound units costs one comparison each.
    """
    if unit.parent is None or unit.id.startswith(f"{unit.parent}/"):
        return False
    seen: set[str] = set()
    above = units.get(unit.parent)
    while above is not None and above.id not in seen and above.id != unit.id:
        seen.add(above.id)
        above = units.get(above.parent) if above.parent else None
    return above is not None and above.id == unit.id
