"""Forgetting: what two people agreed to erase, what a hold keeps, and the ledger that outlives a restored backup."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from crisis_engine.core.errors import NotFound, StoreError
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.key import CASE, SUBJECT, KeyRows
from crisis_engine.store.seal import place, seal_text, unseal_text
from crisis_engine.store.shred import GENESIS, Shred, append_ledger, last_hash, read_ledger

RECEIPTS, READS = "receipts", "reads"
_HEAD = "shreds_head"

# ruff: noqa: S608 - every piece of these statements is a constant of this file
UNDER_HOLD = (
    "EXISTS (SELECT 1 FROM crisis_hold h WHERE h.lifted_at IS NULL AND ((h.kind = 'case' AND h.ref = c.number)"
    " OR (h.kind = 'subject' AND h.ref = c.subject)))"
)
"""Whether a legal hold keeps the case `c`."""
_OF_CASE = "SELECT id FROM crisis_case WHERE number = :ref"
_OLD_RECEIPTS = ("crisis_receipt WHERE made_at < :before AND NOT EXISTS"
                 f" (SELECT 1 FROM crisis_case c WHERE c.id = crisis_receipt.case_id AND {UNDER_HOLD})")
_OLD_READS = ("crisis_access_log WHERE at < :before AND NOT EXISTS"
              f" (SELECT 1 FROM crisis_case c WHERE c.number = crisis_access_log.number AND {UNDER_HOLD})")
_ERASURES = "SELECT id, kind, ref, seen, because, proposed_by, proposed_at, confirmed_by, confirmed_at FROM crisis_erasure"


class Erasure(NamedTuple):
    """An erasure that was proposed, and confirmed when `confirmed_at` says when."""

    id: int
    kind: str
    ref: str
    seen: int | None
    because: str
    proposed_by: str
    proposed_at: datetime
    confirmed_by: str | None
    confirmed_at: datetime | None


class Hold(NamedTuple):
    """A legal hold that is in force."""

    kind: str
    ref: str
    because: str
    placed_by: str
    placed_at: datetime


class ForgetRows(KeyRows):
    """Everything that reads and writes erasures, holds and the ledger."""

    # ---- what is due ------------------------------------------------------------------------------------------------

    def cases_due(self, before: datetime, limit: int) -> list[str]:
        """Return the numbers of cases that ended before then, still hold secrets and are under no hold."""
        rows = self._rows("SELECT c.number FROM crisis_case c WHERE c.final IS NOT NULL AND c.closed_at < :before"
                          " AND EXISTS (SELECT 1 FROM crisis_event e WHERE e.case_id = c.id AND e.secret IS NOT NULL)"
                          f" AND NOT {UNDER_HOLD} ORDER BY c.closed_at, c.id LIMIT :limit", before=micros(before), limit=limit)
        return [number for (number,) in rows]

    def subjects_due(self, before: datetime, limit: int) -> list[str]:
        """Return the random keys of children whom no roster named since then, and of whom no case is open, held or not yet erased."""
        rows = self._rows("SELECT s.id FROM crisis_subject s WHERE s.seen_at < :before"
                          " AND NOT EXISTS (SELECT 1 FROM crisis_hold h WHERE h.lifted_at IS NULL AND h.kind = 'subject' AND h.ref = s.id)"
                          " AND NOT EXISTS (SELECT 1 FROM crisis_case c WHERE c.subject = s.id AND (c.final IS NULL OR EXISTS"
                          f" (SELECT 1 FROM crisis_event e WHERE e.case_id = c.id AND e.secret IS NOT NULL) OR {UNDER_HOLD}))"
                          " ORDER BY s.seen_at, s.id LIMIT :limit", before=micros(before), limit=limit)
        return [child for (child,) in rows]

    def receipts_due(self, before: datetime) -> int:
        """Return how many receipts are older and of no case under hold."""
        return int(self._value(f"SELECT count(*) FROM {_OLD_RECEIPTS}", before=micros(before)))

    def reads_due(self, before: datetime) -> int:
        """Return how many entries of the read log are older and of no case under hold."""
        return int(self._value(f"SELECT count(*) FROM {_OLD_READS}", before=micros(before)))

    # ---- two people -------------------------------------------------------------------------------------------------

    def propose_erasure(self, kind: str, ref: str, seen: int | None, because: str, by: str, at: datetime) -> int:
        """Keep a proposal and return its id."""
        self._run(
            "INSERT INTO crisis_erasure (kind, ref, seen, because, proposed_by, proposed_at)"
            " VALUES (:kind, :ref, :seen, :because, :by, :at)",
            kind=kind, ref=ref, seen=seen, because=self._because("crisis_erasure", kind, ref, at, because), by=by, at=micros(at),
        )
        return int(self._value("SELECT max(id) FROM crisis_erasure"))

    def erasure(self, erasure_id: int) -> Erasure | None:
        """Return an erasure by its id."""
        return next(iter(self._erasures(" WHERE id = :id", id=erasure_id)), None)

    def open_erasures(self) -> list[Erasure]:
        """Return what was proposed and not confirmed yet."""
        return self._erasures(" WHERE confirmed_at IS NULL ORDER BY id")

    def erased(self, kind: str, ref: str) -> Erasure | None:
        """Return the erasure of a case or child, the last one, None when it was not erased."""
        return next(iter(self._erasures(" WHERE kind = :kind AND ref = :ref AND confirmed_at IS NOT NULL ORDER BY id DESC LIMIT 1",
                                        kind=kind, ref=ref)), None)

    def erasures(self) -> list[Erasure]:
        """Return everything that was erased, the oldest first."""
        return self._erasures(" WHERE confirmed_at IS NOT NULL ORDER BY id")

    def drop_erasure(self, erasure_id: int) -> None:
        """Afterwards the proposal is no more; the database refuses to drop what was confirmed."""
        self._run("DELETE FROM crisis_erasure WHERE id = :id", id=erasure_id)

    def erase(self, erasure_id: int, by: str, at: datetime) -> None:
        """Sign an erasure as the second person and do it: keys, receipts and rows go, the log and its hashes stay.

        The ledger has its line before anything is committed: what it says is done again when the machine stops in between. The
        database refuses one signer and whatever is under hold.
        """
        found = self.erasure(erasure_id)
        if found is None:
            raise NotFound
        last = self._value("SELECT last_at FROM crisis_case WHERE number = :ref", ref=found.ref)
        until = max(micros(at), last or 0)   # a clock that ran back must not leave the case's last words
        self._run("UPDATE crisis_erasure SET confirmed_by = :by, confirmed_at = :at WHERE id = :id", id=erasure_id, by=by, at=until)
        self._erase(found.kind, found.ref, until)
        self._note("erased", found.kind, found.ref, until, found.proposed_by, by)

    def _erase(self, kind: str, ref: str, until: int) -> None:
        """Delete what was made until then; what came later under the same name was never agreed on."""
        if kind == RECEIPTS:
            self._run(f"DELETE FROM {_OLD_RECEIPTS}", before=int(ref))
            self._run("DELETE FROM crisis_command_key WHERE made_at < :before", before=int(ref))
        elif kind == READS:
            self._run(f"DELETE FROM {_OLD_READS}", before=int(ref))
        else:
            self._run("DELETE FROM crisis_data_key WHERE kind = :kind AND ref = :ref AND (made_at IS NULL OR made_at <= :until)",
                      kind=kind, ref=ref, until=until)
        if kind == CASE:
            self._run(f"UPDATE crisis_event SET secret = NULL WHERE case_id = ({_OF_CASE}) AND secret IS NOT NULL AND at <= :until",
                      ref=ref, until=until)
            self._run(f"DELETE FROM crisis_receipt WHERE case_id = ({_OF_CASE}) AND made_at <= :until", ref=ref, until=until)
            self._run(f"DELETE FROM crisis_attachment WHERE case_id = ({_OF_CASE}) AND at <= :until", ref=ref, until=until)
        if kind == SUBJECT:
            self._run("DELETE FROM crisis_guardian WHERE subject = (SELECT ref_index FROM crisis_subject WHERE id = :ref)", ref=ref)
            self._run("DELETE FROM crisis_subject WHERE id = :ref", ref=ref)

    # ---- holds ------------------------------------------------------------------------------------------------------

    def held(self, kind: str, ref: str) -> bool:
        """Whether a hold keeps a case, by itself or by its child, or a child, by itself or by one of its cases."""
        direct = self._value("SELECT 1 FROM crisis_hold WHERE lifted_at IS NULL AND kind = :kind AND ref = :ref", kind=kind, ref=ref)
        column = "c.number" if kind == CASE else "c.subject"
        return bool(direct or self._value(f"SELECT 1 FROM crisis_case c WHERE {column} = :ref AND {UNDER_HOLD} LIMIT 1", ref=ref))

    def holds(self) -> list[Hold]:
        """Return the holds in force, the oldest first."""
        key = self._staff_key()
        return [
            Hold(kind, ref, unseal_text(key, because, _at("crisis_hold", kind, ref, at)), by, instant(at)) for kind, ref, because, by, at
            in self._rows("SELECT kind, ref, because, placed_by, placed_at FROM crisis_hold WHERE lifted_at IS NULL ORDER BY id")
        ]

    def place_hold(self, kind: str, ref: str, because: str, by: str, at: datetime) -> None:
        """Afterwards nothing of it is erased; the ledger knows it, for a backup may be older than the hold."""
        self._hold(kind, ref, self._because("crisis_hold", kind, ref, at, because), by, micros(at))
        self._note("held", kind, ref, micros(at), by, "")

    def lift_hold(self, kind: str, ref: str, by: str, at: datetime) -> bool:
        """Afterwards that hold is over; whether there was one."""
        lifted = self._lift(kind, ref, by, micros(at))
        if lifted:
            self._note("lifted", kind, ref, micros(at), by, "")
        return lifted

    def _hold(self, kind: str, ref: str, because: bytes, by: str, at: int) -> None:
        self._run("INSERT INTO crisis_hold (kind, ref, because, placed_by, placed_at) VALUES (:kind, :ref, :because, :by, :at)",
                  kind=kind, ref=ref, because=because, by=by, at=at)

    def _lift(self, kind: str, ref: str, by: str, at: int) -> bool:
        return bool(self._run("UPDATE crisis_hold SET lifted_by = :by, lifted_at = :at WHERE kind = :kind AND ref = :ref"
                              " AND lifted_at IS NULL AND placed_at <= :at", kind=kind, ref=ref, by=by, at=at))

    # ---- the ledger -------------------------------------------------------------------------------------------------

    def unreplayed(self) -> list[Shred]:
        """Return the lines of the ledger that this database does not know yet; all of them when it knows none of its ends."""
        if self.vault.ledger is None:
            return []
        head = self._value("SELECT value FROM crisis_meta WHERE name = :name", name=_HEAD)
        if head is not None and head == last_hash(self.vault.ledger):
            return []
        lines, _ = read_ledger(self.vault.ledger)
        known = next((place for place, line in enumerate(lines, start=1) if line.hash == head), 0)
        return lines[known:]

    def replay(self) -> int:
        """Do again, in their order, what those lines say; return how many there were."""
        waiting = self.unreplayed()
        for line in waiting:
            if line.what == "held" and not self._value("SELECT 1 FROM crisis_hold WHERE kind = :kind AND ref = :ref"
                                                       " AND (placed_at = :at OR lifted_at IS NULL)",
                                                       kind=line.kind, ref=line.ref, at=line.at):
                self._hold(line.kind, line.ref, b"", line.by, line.at)
            elif line.what == "lifted":
                self._lift(line.kind, line.ref, line.by, line.at)
            elif line.what == "erased":
                self._agree(line)
                self._erase(line.kind, line.ref, line.at)
        if waiting:
            self._set_head(waiting[-1].hash)
        return len(waiting)

    def _agree(self, line: Shred) -> None:
        """Write the two signatures of a line into the table, unless they stand there."""
        self._run("DELETE FROM crisis_erasure WHERE kind = :kind AND ref = :ref AND confirmed_at IS NULL", kind=line.kind, ref=line.ref)
        self._run(
            "INSERT INTO crisis_erasure (kind, ref, because, proposed_by, proposed_at, confirmed_by, confirmed_at)"
            " SELECT :kind, :ref, :because, :by, :at, :second, :at WHERE NOT EXISTS"
            " (SELECT 1 FROM crisis_erasure WHERE kind = :kind AND ref = :ref AND confirmed_at = :at)",
            kind=line.kind, ref=line.ref, because=b"", by=line.by, second=line.second, at=line.at,
        )

    def _note(self, what: str, kind: str, ref: str, at: int, by: str, second: str) -> None:
        """Append a line to the ledger, which a later opening compares with this database."""
        path = self.vault.ledger
        if path is None and self.vault.masters.homeless:
            raise StoreError("Nobody said where the shred ledger of this database lies; nothing was changed.",
                             way_out="Set CRISIS_HOME to a folder for its files, or CRISIS_SHREDS.")
        lines, broken = read_ledger(path) if path is not None else ([], 0)
        if broken:
            raise StoreError(f"The shred ledger is broken at line {broken}.", way_out="Restore the ledger from a copy; nothing was erased.")
        head = self._value("SELECT value FROM crisis_meta WHERE name = :name", name=_HEAD)
        line = Shred(what, kind, ref, at, by, second, lines[-1].hash if lines else head or GENESIS)
        if path is not None:
            append_ledger(path, line)
        self._set_head(line.hash)

    def _set_head(self, digest: str) -> None:
        self._run("INSERT INTO crisis_meta (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                  name=_HEAD, value=digest)

    # ---- rows to nouns ----------------------------------------------------------------------------------------------

    def _because(self, table: str, kind: str, ref: str, at: datetime, because: str) -> bytes:
        return seal_text(self._staff_key(), because, _at(table, kind, ref, micros(at)))

    def _erasures(self, where: str, **binds: object) -> list[Erasure]:
        rows = self._rows(_ERASURES + where, **binds)
        key = self._staff_key() if rows else None
        return [
            Erasure(row_id, kind, ref, seen, unseal_text(key, because, _at("crisis_erasure", kind, ref, proposed_at)), by,
                    instant(proposed_at), second, instant(confirmed_at) if confirmed_at is not None else None)
            for row_id, kind, ref, seen, because, by, proposed_at, second, confirmed_at in rows
        ]


def _at(table: str, kind: str, ref: str, at: int) -> bytes:
    return place(table, "because", f"{kind}/{at}/{ref}")
