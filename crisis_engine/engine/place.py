"""Where children are at home: a case follows its child to another class of the school, and what was planned comes true on its day."""

from __future__ import annotations

from datetime import datetime

from crisis_engine.core.decide import decide_home
from crisis_engine.core.pen import Pen
from crisis_engine.core.world import World
from crisis_engine.store import Store, Tx

from .gather import Sources
from .host import HostStore
from .log import log
from .sweep import BATCH, Counts, decided, units_of

_MOVES = 1_000
"""Children who go to their new unit together."""


def follow_children(tx: Tx, sources: Sources, now: datetime) -> int:
    """Let each open case go to the class at which its child is at home by the roster, within one school; return how many went.

    A case goes to another school by a hand-over alone, whatever the roster says.
    """
    strayed = tx.strayed()
    ids, went = sorted(strayed), 0
    for start in range(0, len(ids), BATCH):
        tx.hold_cases(ids[start:start + BATCH])
        stored = [one for one in tx.cases(ids[start:start + BATCH]) if one.case.open]
        unit_of = {one.case.number: strayed[one.id] for one in stored}
        resolver = sources.resolver(tx, units_of(stored) | set(unit_of.values()), now)

        def home(world: World, unit_of: dict[str, str] = unit_of) -> Pen:
            return decide_home(world, unit_of[world.case.number] if world.case is not None else "")

        changes = decided(tx, sources, resolver, stored, home, Counts())

        tx.append(changes)
        went += len(changes)
    return went


def make_moves(store: Store | HostStore, sources: Sources, now: datetime) -> bool:
    """Let the children whose day has come be at home at their new units; False where that failed, and is tried again with the next sweep.

    All go or none. Whatever fails here keeps no rung from firing: the sweep comes after it.
    """
    try:
        _make(store, sources, now)
    except Exception as error:  # noqa: BLE001 - a move that cannot be made must not stop the alarms of all; operators are told
        log("roster.moves_failed", error=type(error).__name__)
        return False
    return True


def _make(store: Store | HostStore, sources: Sources, now: datetime) -> None:
    with store.reading() as tx:
        if not tx.due_moves(now, 1):
            return
    moved = 0
    with store.writing(alone=True) as tx:
        while moves := tx.due_moves(now, _MOVES):
            for one in moves:
                tx.move_child(one.subject, one.unit, now)
            moved += len(moves)
        cases = follow_children(tx, sources, now)
    log("roster.children_moved", children=moved, cases=cases)
