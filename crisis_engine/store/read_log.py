"""The read log: who read what of which case, how secret, when and why; beside the chain, and never changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from crisis_engine.store.instant import instant, micros
from crisis_engine.store.statement import Statements


class ReadEntry(NamedTuple):
    """One reading; `tier` is the highest secrecy that was shown, `glass` the event that broke the glass for it, 0 for none."""

    who: str
    what: str
    number: str | None
    at: datetime
    tier: int = 0
    why: str = ""
    glass: int = 0


_ENTRIES = "SELECT l.who, l.what, l.number, l.at, l.tier, l.why, l.glass FROM crisis_access_log l"
_NOT_RECUSED = (
    " AND NOT EXISTS (SELECT 1 FROM crisis_recusal r JOIN crisis_case c ON c.id = r.case_id"
    " WHERE c.number = l.number AND r.person = :person)"
)
_NEWEST = " ORDER BY l.at DESC, l.id DESC LIMIT :limit"


class ReadLogRows(Statements):
    """Everything that writes and reads the read log."""

    def log_read(self, entry: ReadEntry) -> None:
        """Keep that somebody read something; it stands before the content is given."""
        self._run(
            "INSERT INTO crisis_access_log (who, what, number, at, why, tier, glass)"
            " VALUES (:who, :what, :number, :at, :why, :tier, :glass)",
            **{**entry._asdict(), "at": micros(entry.at)},
        )

    def reads_of(self, number: str, limit: int) -> list[ReadEntry]:
        """Return who read a case, the newest first."""
        return [_entry(row) for row in self._rows(f"{_ENTRIES} WHERE l.number = :number{_NEWEST}", number=number, limit=limit)]

    def reads_by(self, person: str, limit: int) -> list[ReadEntry]:
        """Return what a person read, the newest first, without the cases that have come to concern this person."""
        return [_entry(row) for row in self._rows(
            f"{_ENTRIES} WHERE l.who = :person{_NOT_RECUSED}{_NEWEST}", person=person, limit=limit,
        )]


def _entry(row: Sequence[Any]) -> ReadEntry:
    who, what, number, at, tier, why, glass = row
    return ReadEntry(who, what, number, instant(at), tier, why, glass)
