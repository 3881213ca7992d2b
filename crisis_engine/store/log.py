"""The log read back: events for people and programs, raw records for proofs, and every broken link by name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from crisis_engine.core.errors import KeyFault, StoreError
from crisis_engine.core.events import Event
from crisis_engine.store.key import CASE, KeyRows
from crisis_engine.store.record import GENESIS, RawRecord, decode, flaws, unseal_envelope

_RECORDS = (
    'SELECT c.number, e.seq, e.at, e.kind, e."by", e.second, e.two, e.header, e.commitment, e.secret, e.prev, e.hash, e.deadline,'
    " e.rung, e.times FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id WHERE e.case_id = :id ORDER BY e.seq"
)


class LogReads(KeyRows):
    """Everything that reads the log."""

    def events(self, number: str) -> list[Event]:
        """Return the events of a case in order; empty for an unknown case. Where the case's key was shredded, secrets are empty."""
        rows = self._rows("SELECT e.seq, e.header, e.secret FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id"
                          " WHERE c.number = :number ORDER BY e.seq", number=number)
        key = self._key(CASE, number) if any(envelope for _, _, envelope in rows) else None
        return [decode(header, envelope and unseal_envelope(key, envelope, number, seq)) for seq, header, envelope in rows]

    def history(self, number: str) -> list[Event]:
        """Return the same as `events`."""
        return self.events(number)

    def records(self, number: str) -> Iterator[RawRecord]:
        """Yield the records of a case as they are stored, in order."""
        case_id = self._value("SELECT id FROM crisis_case WHERE number = :number", number=number)
        return map(_record, self._rows(_RECORDS, id=case_id))

    def open_record(self, record: RawRecord) -> RawRecord:
        """Return a record with its secret opened; without one where the case's key was shredded. StoreError where it does not open."""
        if record.secret is None:
            return record
        return replace(record, secret=unseal_envelope(self._key(CASE, record.number), record.secret, record.number, record.seq))

    def verify(self, number: str | None = None) -> Iterator[str]:
        """Yield a sentence for each place where the log of one case, or of all, is not what was written; none when it is whole.

        Checked are the chain, each commitment, gaps, the columns against the header and the case row's head and version. The
        sentences name case and record, nothing of what they say.
        """
        one = " WHERE number = :number" if number is not None else ""
        sql = f"SELECT id, number, version, head FROM crisis_case{one} ORDER BY id"  # noqa: S608 (a constant)
        for case_id, name, version, head in self._stream(sql, **({} if number is None else {"number": number})):
            prev, seq = GENESIS, 0
            try:
                rows = self._rows(_RECORDS, id=case_id)
            except StoreError as error:  # bytes that are no text any more: the other cases are still to be checked
                yield f"case {name}: {error.message}"
                continue
            for row in rows:
                record = _record(row)
                try:
                    found = flaws(self.open_record(record), prev, seq + 1)
                except KeyFault:     # a copy without its key: all but the secrets can be checked
                    found = flaws(replace(record, secret=None), prev, seq + 1)
                except StoreError:
                    found = chain(["secret and commitment do not fit"], flaws(replace(record, secret=None), prev, seq + 1))
                for flaw in found:
                    yield f"case {name}, record {record.seq}: {flaw}"
                prev, seq = record.hash, record.seq
            if seq != version:
                yield f"case {name}: the row says version {version}, the log ends at {seq}"
            elif prev != head:
                yield f"case {name}: the row's head is not the last record's hash"


def _record(row: Sequence[Any]) -> RawRecord:
    number, seq, at, kind, by, second, two, *rest = row
    return RawRecord(number, seq, at, kind, by, second, bool(two), *rest)
