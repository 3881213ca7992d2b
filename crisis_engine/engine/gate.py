"""What an import of the roster must not do: reach beyond whoever brings it, or give one person two offices that must be apart."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from crisis_engine.core.errors import BadInput, NotAllowed

if TYPE_CHECKING:
    from crisis_engine.roster import RosterSet
    from crisis_engine.store import Tx


def touched_units(tx: Tx, roster: RosterSet) -> list[str]:
    """Return every unit that an import changes: where its rows stand, and where the people and children in them stood before."""
    units = {above for unit in roster.units for above in (unit.parent or unit.id, unit.id.rpartition("/")[0] or unit.id)}
    units |= {duty.unit for duty in roster.duties}
    people = {person.id for person in roster.persons} | {absence.person for absence in roster.absences}
    units |= {duty.unit for person in people for duty in tx.duties_of(person)}
    refs = {subject.ref for subject in roster.subjects} | {guardian.subject for guardian in roster.guardians}
    units |= {subject.unit for subject in roster.subjects}
    units |= {known.unit for ref in refs if (known := tx.subject(ref)) is not None}
    known_guardians = [found for guardian in roster.guardians if (found := tx.guardian(guardian.id)) is not None]
    units |= {child.unit for guardian in known_guardians if (child := tx.subject(guardian.subject)) is not None}
    return sorted(units)


def refuse_own_duties(tx: Tx, roster: RosterSet, by: str) -> None:
    """Refuse a roster in which whoever brings it is given a duty that this person does not hold just so already."""
    if {duty for duty in roster.duties if duty.person == by}.difference(tx.duties_of(by)):
        raise NotAllowed("Nobody gives themselves a duty.", way_out="Let somebody else import it.")


def refuse_two_offices(tx: Tx, separate: Collection[str]) -> None:
    """Refuse a roster in which one person holds two separate offices at one time."""
    for person, one, other in tx.two_offices(separate):
        raise BadInput(f"{person} would be {one} and {other} at once.", way_out="These offices check each other: name two people.")
