"""Load: in how many open cases somebody is a member or holds a clock, as far as whoever asks may know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING

from crisis_engine.core.access import Filter, sight_of
from crisis_engine.core.guard import candidates, roles_named
from crisis_engine.core.workflow import MoveDef

if TYPE_CHECKING:
    from crisis_engine.core.events import Event
    from crisis_engine.core.procedure import Procedure
    from crisis_engine.core.world import World
    from crisis_engine.store import Tx

    from .gather import Sources

MEMBERS = "members"
"""The field of a form that names the people of a team."""


def loads_of(tx: Tx, sources: Sources, people: Collection[str], places: Iterable[str], sight: Filter) -> dict[str, int]:
    """Return in how many open cases each of these people is a member or holds a clock, of those that the reader may list.

    A case that the reader must not know of is not counted: a number is a word about it too.
    """
    found: defaultdict[str, set[int]] = defaultdict(set)
    for person in people:
        found[person].update(tx.armed_for(person))
    for place in places:
        naming = {digest: moves for digest in tx.open_procedures(place) if (moves := _naming(sources.pinned(tx, digest)))}
        for stored in tx.open_cases_under(place, naming) if naming else ():
            for person in _named(tx.events(stored.case.number), naming[stored.case.procedure]):
                if person in found:
                    found[person].add(stored.id)
    seen = {stored.id for stored in tx.cases(sorted({row for rows in found.values() for row in rows})) if sight.admits(stored.case)}
    return {person: len(found[person] & seen) for person in people}


def _naming(procedure: Procedure) -> frozenset[str]:
    """Return the moves of a procedure that name members who must hold a duty."""
    return frozenset(move.name for move in procedure.workflow.moves.values() if roles_named(move))


def _named(events: Iterable[Event], moves: frozenset[str]) -> Iterator[str]:
    """Yield whom the last of these moves named."""
    last: Iterable[str] = ()
    for event in events:
        if getattr(event, "move", "") in moves and MEMBERS in event.secret:
            last = event.secret[MEMBERS]
    yield from last


def loads_for(tx: Tx, sources: Sources, world: World, moves: Iterable[MoveDef]) -> dict[str, int]:
    """Return the load of everybody who can be named in these moves; nothing where none of them looks at it."""
    roles = {role for move in moves for role in roles_named(move, "load_below")}
    if not roles or world.case is None:
        return {}
    people = {duty.person: duty for role in sorted(roles) for duty in candidates(world, world.case, role)}
    return loads_of(tx, sources, people, {duty.unit for duty in people.values()}, listed_by(world))


def listed_by(world: World) -> Filter:
    """Return the cases that whoever acts may list."""
    return sight_of(world.resolver.access, "case.list", world.actor, world.resolver)
