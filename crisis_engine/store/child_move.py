"""Where children are at home from when on, in the database: at once with their case, or planned for the begin of a term."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from crisis_engine.store.instant import micros
from crisis_engine.store.statement import Statements

_PLAN = (
    'INSERT INTO crisis_child_move (subject, unit, at, "by", made_at) VALUES (?, ?, ?, ?, ?)'
    ' ON CONFLICT (subject) DO UPDATE SET unit = excluded.unit, at = excluded.at, "by" = excluded."by", made_at = excluded.made_at,'
    " done_at = NULL"
)
_STRAYED = (
    "SELECT c.id, s.unit FROM crisis_case c JOIN crisis_subject s ON s.id = c.subject"
    " WHERE c.final IS NULL AND c.unit <> s.unit ORDER BY c.id"
)


class PlannedMove(NamedTuple):
    """A child by its random key, and the unit at which it is at home from a moment on."""

    subject: str
    unit: str


class ChildMoveRows(Statements):
    """Everything that says where a child is at home, beside an import of the roster."""

    def move_child(self, subject: str, unit: str, at: datetime) -> None:
        """Afterwards the child is at home at this unit; what was planned for later is overtaken by it."""
        self._run("UPDATE crisis_subject SET unit = :unit WHERE id = :subject", unit=unit, subject=subject)
        self._run("UPDATE crisis_child_move SET done_at = :at WHERE subject = :subject AND done_at IS NULL", at=micros(at), subject=subject)

    def plan_moves(self, moves: Iterable[PlannedMove], at: datetime, by: str, now: datetime) -> None:
        """Afterwards each child goes to its unit at that instant; a plan that was made for it before is replaced."""
        self._bulk(_PLAN, [(one.subject, one.unit, micros(at), by, micros(now)) for one in moves])

    def due_moves(self, now: datetime, limit: int) -> list[PlannedMove]:
        """Return at most so many planned moves whose moment has come, the oldest first."""
        rows = self._rows("SELECT subject, unit FROM crisis_child_move WHERE done_at IS NULL AND at <= :now ORDER BY at, subject"
                          " LIMIT :limit", now=micros(now), limit=limit)
        return [PlannedMove(*row) for row in rows]

    def planned_move(self, subject: str) -> str | None:
        """Return the unit to which a child is still to go."""
        row = self._row("SELECT unit FROM crisis_child_move WHERE subject = :subject AND done_at IS NULL", subject=subject)
        return None if row is None else str(row[0])

    def strayed(self) -> dict[int, str]:
        """Return the open cases that do not stand where their child is at home by the roster, by row id, with that unit."""
        return {int(row): str(unit) for row, unit in self._rows(_STRAYED)}
