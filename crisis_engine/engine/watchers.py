"""Watchers: who is told of a case that the engine cannot move, or of the machine itself, under the number of a case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crisis_engine.core.events import Notice
from crisis_engine.store import Change, Tx

from .gather import Sources
from .log import log

WATCHERS = ("operator", "county_officer", "city_officer")
"""Who is told of a case that the engine cannot decide: its clocks stand, so people must look."""


def tell_watchers(
    tx: Tx, sources: Sources, now: datetime, rows: set[int], what: str, watchers: Sequence[str] = WATCHERS,
) -> None:
    """Tell the watchers of cases that cannot be moved, at every try, or of the one that an outage kept longest."""
    for row in sorted(rows):
        try:
            stored = tx.cases([row])[0]
        except Exception as error:  # noqa: BLE001 - a row that nobody can read has no number to tell; the log and the doctor name it
            log("sweep.row_unreadable", row=row, error=type(error).__name__)
            continue
        case = stored.case
        resolver = sources.resolver(tx, {case.unit}, now)
        people = tuple(dict.fromkeys(
            duty.person for place in resolver.chain(case.unit).values() for role in watchers
            for duty in resolver.holders(place, role, case.recused)
        ))
        if people:
            key = f"{case.number}-{what.replace('_', '-')}-{int(now.timestamp())}"
            if tx.owes(key, row):   # another sweeper met the same case in the same second
                continue
            notice = Notice(key, case.number, people, what, "alarm", case.due_at, urgent=True, at=now)
            tx.append([Change(before=stored, after=case, events=(), notices=(notice,), two=stored.two, sole=stored.sole)])
