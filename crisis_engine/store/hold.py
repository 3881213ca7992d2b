"""What a command locks before it decides, where others write beside it (PostgreSQL); SQLite has one writer, and these do nothing there."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from hashlib import sha256

from crisis_engine.store.instant import micros
from crisis_engine.store.statement import AMONG, Statements, listed

# ruff: noqa: S608 - every piece of these statements is a constant of this file
_FAMILY = (
    "SELECT id FROM crisis_case WHERE number = :number UNION SELECT id FROM crisis_case WHERE number = :parent"
    " UNION SELECT id FROM crisis_case WHERE parent = :number UNION SELECT id FROM crisis_case WHERE subject = :subject"
)
_LOCK_FAMILY = f"SELECT id FROM crisis_case WHERE id IN ({_FAMILY}) ORDER BY id FOR NO KEY UPDATE"
_LOCK_CHILD = "SELECT id FROM crisis_case WHERE subject = :subject ORDER BY id FOR NO KEY UPDATE"
_LOCK = f"SELECT id FROM crisis_case WHERE id {AMONG.format('ids')} ORDER BY id FOR NO KEY UPDATE"
_CLAIM = (f"SELECT id FROM crisis_case WHERE id {AMONG.format('ids')} AND final IS NULL AND next_at <= :now"
          " ORDER BY id FOR NO KEY UPDATE SKIP LOCKED")
GATE = 0x637269736973   # "crisis": the advisory lock that ordinary writers share and a rare command takes for itself


class Holds(Statements):
    """Locks that end with the transaction: names first, then rows of cases, a parent before its track, several in the order of ids."""

    def enter(self, *, alone: bool) -> None:
        """Take the gate that the store's own transactions take at their begin, inside a host's: shared with other writers, or alone."""
        if self._holds:
            self._rows(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}(:gate)", gate=GATE)

    def hold_name(self, kind: str, *names: str) -> None:
        """Wait until no other command holds these names: an idempotency key, a child or family of cases, a data key."""
        if self._holds and names:
            numbers = {f"n{place}": number for place, number in enumerate(sorted({_number(kind, name) for name in names}))}
            self._rows(f"SELECT {', '.join(f'pg_advisory_xact_lock(:{bind})' for bind in numbers)}", **numbers)

    def hold_child(self, subject: str | None) -> None:
        """Afterwards no other command opens, moves or ends a case of this child before this one is done."""
        if self._holds and subject is not None:
            self.hold_name("kin", subject)
            self._rows(_LOCK_CHILD, subject=subject)

    def hold_family(self, number: str, parent: str | None, subject: str | None) -> None:
        """Afterwards no other command moves this case, its parent, its tracks, or any case of its child, before this one is done.

        Names come first: whoever adds to the family holds them, so that nobody is missing among the rows that are locked then.
        """
        if self._holds:
            self.hold_name("kin", parent or number, *([subject] if subject is not None else []))
            self._rows(_LOCK_FAMILY, number=number, parent=parent, subject=subject)

    def hold_cases(self, ids: Collection[int]) -> None:
        """Afterwards no other command moves these cases, by their row ids, before this one is done."""
        if self._holds and ids:
            self._rows(_LOCK, ids=listed(sorted(ids)))

    def claim(self, ids: Collection[int], now: datetime, *, wait: bool = False) -> list[int]:
        """Return which of these cases this sweeper has to itself: still due, and in nobody's hands; with `wait` after their holders."""
        if not self._holds:
            return list(ids)
        if wait:
            self.hold_cases(ids)
        return [row[0] for row in self._rows(_CLAIM, ids=listed(ids), now=micros(now))]


def _number(kind: str, name: str) -> int:
    return int.from_bytes(sha256(f"{kind}\0{name}".encode(errors="surrogatepass")).digest()[:8], signed=True)
