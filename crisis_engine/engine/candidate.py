"""Candidates: who can be named in a move whose members must hold a duty, and how many open cases each of them has already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crisis_engine.core.decide import find_move, permit
from crisis_engine.core.guard import candidates, roles_named

from .load import listed_by, loads_of
from .worlds import Worlds, stored_case


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who can be named: by which duty, at which unit, and in how many open cases, of those that the reader may list, already."""

    person: str
    role: str
    unit: str
    load: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"person": self.person, "role": self.role, "unit": self.unit, "load": self.load}


class Candidates(Worlds):
    """Who can be named."""

    def candidates(self, number: str, move: str, *, by: str) -> list[Candidate]:
        """Return who can be named as members in a move of a case, those with the fewest open cases first.

        Whoever is away, or whom the case concerns, is not among them, and nothing says why. Only who may make the move may ask.
        Raises NotFound, NotAllowed, BadInput (there is no such move). A move that names nobody by duty has none.
        """
        with self.store.reading() as tx:
            stored = stored_case(tx, number)
            world = self._world_of_act(tx, self.now(), by, stored, "", {})
            made = find_move(world, move)
            permit(world, stored.case, made)

            people = {duty.person: duty for role in roles_named(made) for duty in candidates(world, stored.case, role)}
            loads = loads_of(tx, self._sources, people, {duty.unit for duty in people.values()}, listed_by(world))

            found = [Candidate(person, duty.role, duty.unit, loads[person]) for person, duty in people.items()]
            return sorted(found, key=lambda one: (one.load, one.person))
