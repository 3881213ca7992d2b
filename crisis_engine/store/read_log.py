"""The read log: who read what of which case, how secret, when and why; beside the chain, and never changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from crisis_engine.store.instant import instant, micros
from crisis_engine.store.key import CASE, KeyRows
from crisis_engine.store.seal import DataKey, place, seal_text, unseal_text
from crisis_engine.store.statement import AMONG, listed


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
_ERASED = (
    "SELECT ref, max(confirmed_at) FROM crisis_erasure WHERE kind = 'case' AND confirmed_at IS NOT NULL"  # noqa: S608 (constants)
    f" AND ref {AMONG.format('numbers')} GROUP BY ref"
)
_NEWEST = " ORDER BY l.at DESC, l.id DESC LIMIT :limit"


class ReadLogRows(KeyRows):
    """Everything that writes and reads the read log. A reason is sealed under its case's key and goes with it; later, under the staff's."""

    def log_read(self, entry: ReadEntry) -> None:
        """Keep that somebody read something; it stands before the content is given."""
        at = micros(entry.at)
        why = b""
        if entry.why:
            of_case = entry.number is not None and entry.number not in self._erased_at([entry.number])
            key = self._key_to_seal(CASE, entry.number or "", at) if of_case else self._staff_key()
            why = seal_text(key, entry.why, _place(entry.who, entry.number, at))
        self._run(
            "INSERT INTO crisis_access_log (who, what, number, at, why, tier, glass)"
            " VALUES (:who, :what, :number, :at, :why, :tier, :glass)",
            **{**entry._asdict(), "at": at, "why": why},
        )

    def reads_of(self, number: str, limit: int) -> list[ReadEntry]:
        """Return who read a case, the newest first."""
        return self._entries(self._rows(f"{_ENTRIES} WHERE l.number = :number{_NEWEST}", number=number, limit=limit))

    def reads_by(self, person: str, limit: int) -> list[ReadEntry]:
        """Return what a person read, the newest first, without the cases that have come to concern this person."""
        return self._entries(self._rows(f"{_ENTRIES} WHERE l.who = :person{_NOT_RECUSED}{_NEWEST}", person=person, limit=limit))

    def _entries(self, rows: Sequence[Sequence[Any]]) -> list[ReadEntry]:
        numbers = sorted({number for _, _, number, _, _, why, _ in rows if why and number})
        keys: dict[str | None, DataKey] = {}
        keys.update(self._keys(CASE, numbers))
        erased = self._erased_at(numbers)
        if erased or any(why and number is None for _, _, number, _, _, why, _ in rows):
            keys[None] = self._staff_key()
        found = []
        for who, what, number, at, tier, why, glass in rows:
            gone = number in erased and at <= erased[number]
            key = keys.get(None if number in erased else number)
            reason = unseal_text(key, b"" if gone else why, _place(who, number, at))
            found.append(ReadEntry(who, what, number, instant(at), tier, reason, glass))
        return found

    def _erased_at(self, numbers: Collection[str]) -> dict[str, int]:
        """Return until when reasons are gone, for those of the cases that were erased; later ones are sealed under the staff's key."""
        return dict(self._rows(_ERASED, numbers=listed(numbers)))


def _place(who: str, number: str | None, at: int) -> bytes:
    return place("crisis_access_log", "why", f"{number or ''}/{who}/{at}")
