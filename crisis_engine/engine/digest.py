"""Digests: each duty holder once a day what runs for them, leaders once a week what is overdue below; once a period and person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import places_of, rights_of, sight_of
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import BadInput, said
from crisis_engine.core.resolve import is_within
from crisis_engine.core.tally import merged

from .gather import Sources, actor_of
from .log import log
from .look import local
from .view import DigestReport

if TYPE_CHECKING:
    from crisis_engine.core.access import Actor
    from crisis_engine.store import Store, Tx
    from crisis_engine.store.digest import OwnClock

    from .host import HostStore

KINDS = ("daily", "weekly")

LEADERS = ("vice_principal", "leading_group", "county_officer", "city_officer", "city_leading_group")
"""Who is told weekly what is overdue below (D: our design)."""

MOST = 30
"""Lines of one digest; what is more is seen on the console (D: our design)."""

CHUNK = 100
"""People whose digests are made in one transaction: memory does not grow with the city."""


def period_of(kind: str, now: datetime) -> str:
    """Return China's day, or its week by ISO 8601."""
    day = now.astimezone(CHINA).date()
    week = day.isocalendar()
    return day.isoformat() if kind == "daily" else f"{week.year}-W{week.week:02d}"


@dataclass(frozen=True, slots=True)
class Contents:
    """What one digest says; empty where there is nothing to say."""

    clocks: tuple[OwnClock, ...] = ()
    more: bool = False
    units: tuple[tuple[str, int | None], ...] = ()

    def as_lines(self) -> dict[str, Any]:
        """Return plain data: no name, no child, no fact."""
        return {"clocks": [[one.number, one.procedure, one.clock, local(one.due_at)] for one in self.clocks], "more": self.more,
                "units": [list(unit) for unit in self.units]}


def digest(store: Store | HostStore, sources: Sources, kind: str, now: datetime) -> DigestReport:
    """Owe everybody their digest of this period who has something to be told and had none yet. Several daemons may do so at once."""
    if kind not in KINDS:
        raise BadInput(f"{said(kind)!r} is no kind of digest.", way_out="Use daily or weekly.")
    period, after = period_of(kind, now), ""
    made = before = quiet = 0
    while True:
        with store.reading() as tx:
            people = tx.duty_holders(after, CHUNK, now)
            had = tx.digested(kind, period, people)
            contents = {person: _contents(tx, sources, kind, person, now) for person in people if person not in had}
        if not people:
            break
        after = people[-1]
        told = {person: one for person, one in contents.items() if one.clocks or one.units}
        first = 0
        if told:
            with store.writing() as tx:
                first = sum(tx.put_digest(kind, period, person, now, one.as_lines()) for person, one in told.items())
        made += first
        before += len(had) + len(told) - first
        quiet += len(contents) - len(told)
    if made:
        log("digest.made", kind=kind, period=period, made=made)
    return DigestReport(kind, period, made, before, quiet)


def _contents(tx: Tx, sources: Sources, kind: str, person: str, now: datetime) -> Contents:
    actor = actor_of(tx, person)
    if kind == "daily":
        posts = {(duty.role, duty.unit) for duty in actor.duties if _runs(duty.begins_at, duty.ends_at, now)}
        clocks = tx.own_clocks(person, posts, MOST + 1)
        return Contents(tuple(clocks[:MOST]), len(clocks) > MOST)
    return _of_leader(tx, sources, actor, now)


def _of_leader(tx: Tx, sources: Sources, actor: Actor, now: datetime) -> Contents:
    """Return the overdue cases that a leader may list, and how many there are in each place below, small ones merged."""
    resolver = sources.resolver(tx, {duty.unit for duty in actor.duties}, now)
    rights = rights_of(sources.access, actor, resolver)
    counted = places_of(sources.access, "case.count", actor, resolver)
    places = _highest([duty.unit for duty in rights.duties if duty.role in LEADERS and duty.unit in counted])
    if not places or (rights.apart and sources.access.actions["case.list"].separate):
        return Contents()
    clocks = tx.overdue(sight_of(sources.access, "case.list", actor, resolver), now, MOST + 1)
    cells: dict[str, int] = {}
    for place in places:
        for unit, many in tx.overdue_under(place, actor.id, now):
            below = "/".join(unit.split("/")[:place.count("/") + 2])
            cells[below] = cells.get(below, 0) + many
    return Contents(tuple(clocks[:MOST]), len(clocks) > MOST, tuple(merged(cells, sources.access.least_count)))


def _highest(units: Sequence[str]) -> list[str]:
    """Return the units that lie under none of the others: what is below is counted once."""
    return [unit for unit in dict.fromkeys(units) if not any(unit != other and is_within(unit, other) for other in units)]


def _runs(begins_at: datetime | None, ends_at: datetime | None, now: datetime) -> bool:
    return (begins_at is None or begins_at <= now) and (ends_at is None or ends_at > now)
