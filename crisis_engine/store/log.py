"""The log read back: events for people and programs, raw records for proofs, and every broken link by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from crisis_engine.core.events import Event
from crisis_engine.store.attachment import AttachmentRows
from crisis_engine.store.key import CASE
from crisis_engine.store.prove import Walk
from crisis_engine.store.record import RawRecord, decode, unseal_envelope
from crisis_engine.store.seal import DataKey
from crisis_engine.store.statement import AMONG, listed

_RECORDS = (
    'SELECT c.number, e.seq, e.at, e.kind, e."by", e.second, e.two, e.header, e.commitment, e.secret, e.prev, e.hash, e.deadline,'
    " e.rung, e.times FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id WHERE e.case_id = :id ORDER BY e.seq"
)
_LOGS = f"SELECT case_id, header FROM crisis_event WHERE case_id {AMONG.format('ids')} ORDER BY case_id, seq"  # noqa: S608 (constants)


class LogReads(AttachmentRows):
    """Everything that reads the log."""

    def events(self, number: str) -> list[Event]:
        """Return the events of a case in order; empty for an unknown case. Where the case's key was shredded, secrets are empty."""
        rows = self._rows("SELECT e.seq, e.header, e.secret FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id"
                          " WHERE c.number = :number ORDER BY e.seq", number=number)
        key = self._key(CASE, number) if any(envelope for _, _, envelope in rows) else None
        return [decode(header, envelope and unseal_envelope(key, envelope, number, seq)) for seq, header, envelope in rows]

    def logs(self, ids: Iterable[int]) -> dict[int, list[Event]]:
        """Return the events of several cases by their row ids, in order, their secrets left closed."""
        found: dict[int, list[Event]] = {}
        for case_id, header in self._rows(_LOGS, ids=listed(ids)):
            found.setdefault(case_id, []).append(decode(header, None))
        return found

    def history(self, number: str) -> list[Event]:
        """Return the same as `events`."""
        return self.events(number)

    def records(self, number: str) -> Iterator[RawRecord]:
        """Yield the records of a case as they are stored, in order."""
        case_id = self._value("SELECT id FROM crisis_case WHERE number = :number", number=number)
        return map(RawRecord._make, self._rows(_RECORDS, id=case_id))

    def open_record(self, record: RawRecord) -> RawRecord:
        """Return a record with its secret opened; without one where the case's key was shredded. StoreError where it does not open."""
        if record.secret is None:
            return record
        return record._replace(secret=unseal_envelope(self._key_of(record.number), record.secret, record.number, record.seq))

    def _key_of(self, number: str) -> DataKey | None:
        """Return a case's key, asked for once for all records that follow one another."""
        if self._last is None or self._last[0] != number:
            self._last = number, self._key(CASE, number)
        return self._last[1]

    _last: tuple[str, DataKey | None] | None = None

    def last_case_id(self) -> int:
        """Return the highest row id of a case; 0 where there is none."""
        return int(self._value("SELECT max(id) FROM crisis_case") or 0)

    def last_event_id(self) -> int:
        """Return the highest row id of an event; 0 where there is none."""
        return int(self._value("SELECT max(id) FROM crisis_event") or 0)

    def walk(self) -> Walk:
        """Return the walk that proves cases one after another."""
        return Walk(self.connection, self.open_record, self.attachment_flaws)

    def verify(self, number: str | None = None) -> Iterator[str]:
        """Yield a sentence for each place where the log of one case, or of all, is not what was written; none when it is whole.

        Checked is all that store/prove.py checks of a case. The sentences name case and record, nothing of what they say.
        """
        walk = self.walk()
        for seen in walk.every() if number is None else walk.number(number):
            yield from map(str, seen.flaws)

