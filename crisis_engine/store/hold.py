"""What a command locks before it decides, where others write beside it (PostgreSQL); SQLite has one writer, and these do nothing there."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from hashlib import sha256

from crisis_engine.store.instant import micros
from crisis_engine.store.statement import AMONG, Statements, listed

# ruff: noqa: S608 - every piece of these statements is a constant of this file
_FAMILY = (
    "SELECT c.id, c.subject FROM crisis_case c WHERE c.number = :number OR c.parent = :number"
    " OR c.number = (SELECT s.parent FROM crisis_case s WHERE s.number = :number)"
)
_OF_CHILDREN = f"SELECT id, subject FROM crisis_case WHERE subject {AMONG.format('subjects')}"
_LOCK = f"SELECT id FROM crisis_case WHERE id {AMONG.format('ids')} ORDER BY id FOR NO KEY UPDATE"
_CLAIM = (f"SELECT id FROM crisis_case WHERE id {AMONG.format('ids')} AND final IS NULL AND next_at <= :now"
          " ORDER BY id FOR NO KEY UPDATE SKIP LOCKED")
GATE = 0x637269736973   # "crisis": the advisory lock that ordinary writers share and a rare command takes for itself
_MOST_LOOKS = 5   # a family that grew while its lock was waited for is looked at again


class Holds(Statements):
    """Locks that end with the transaction: names first, then rows of cases, a parent before its track, several in the order of ids."""

    def enter(self, *, alone: bool) -> None:
        """Take the gate that the store's own transactions take at their begin, inside a host's: shared with other writers, or alone."""
        if self._holds:
            self._rows(f"SELECT pg_advisory_xact_lock{'' if alone else '_shared'}(:gate)", gate=GATE)

    def hold_name(self, kind: str, name: str) -> None:
        """Wait until no other command holds this name: an idempotency key, a child, a data key."""
        if self._holds:
            number = int.from_bytes(sha256(f"{kind}\0{name}".encode(errors="surrogatepass")).digest()[:8], signed=True)
            self._rows("SELECT pg_advisory_xact_lock(:number)", number=number)

    def hold_child(self, subject: str | None) -> None:
        """Afterwards no other command opens, moves or ends a case of this child before this one is done."""
        if self._holds and subject is not None:
            self.hold_name("child", subject)
            self._hold_all({subject}, ())

    def hold_case(self, number: str) -> None:
        """Afterwards no other command moves this case, its parent, its tracks, or any case of its child, before this one is done."""
        if not self._holds:
            return
        subjects = {str(subject) for _, subject in self._rows(_FAMILY, number=number) if subject is not None}
        for subject in sorted(subjects):
            self.hold_name("child", subject)
        self._hold_all(subjects, (number,))

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

    def _hold_all(self, subjects: Collection[str], numbers: Collection[str]) -> None:
        held: set[int] = set()
        for _ in range(_MOST_LOOKS):
            found = {row[0] for row in self._rows(_OF_CHILDREN, subjects=listed(sorted(subjects)))} if subjects else set()
            found |= {row[0] for number in numbers for row in self._rows(_FAMILY, number=number)}
            if found <= held:
                return
            self.hold_cases(found - held)
            held |= found
