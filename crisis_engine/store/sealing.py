"""Sealing what an older version wrote in plain: roster, receipts and the log's secrets, step by step, while others work."""

from __future__ import annotations

from crisis_engine.core.model import Guardian, Subject
from crisis_engine.store.child import CHUNK, ChildRows
from crisis_engine.store.key import CASE, SUBJECT, blind_plain
from crisis_engine.store.record import seal_envelope
from crisis_engine.store.seal import place, seal_text, unseal_text

# ruff: noqa: S608 - every piece of these statements is a constant of this file
_IN_PLAIN = "substr({0}, 1, 1) = X'00'"
_PERSONS = f"crisis_person WHERE {_IN_PLAIN.format('name')} OR {_IN_PLAIN.format('contact')}"
_SUBJECTS = "crisis_subject WHERE ref_index < '1'"
_ORPHANS = "crisis_guardian WHERE subject < '1' AND subject > ''"
_RECEIPTS = f"crisis_receipt WHERE {_IN_PLAIN.format('reporter')}"
_EVENTS = f"crisis_event WHERE secret IS NOT NULL AND {_IN_PLAIN.format('secret')}"


class PlainRows(ChildRows):
    """Everything that is still to be sealed."""

    def unsealed(self) -> dict[str, int]:
        """Return how many rows of each kind hold a secret in plain."""
        kinds = {"persons": _PERSONS, "subjects": _SUBJECTS, "guardians": _ORPHANS, "receipts": _RECEIPTS, "events": _EVENTS}
        return {kind: int(self._value(f"SELECT count(*) FROM {rows}")) for kind, rows in kinds.items()}

    def seal_roster(self, limit: int | None = None) -> int:
        """Seal at most so many persons and so many children with their guardians, or all; return how many rows were sealed."""
        done = 0
        while step := self._seal_persons(limit or CHUNK) + self._seal_children(limit or CHUNK) + self._seal_orphans(limit or CHUNK):
            done += step
            if limit is not None:
                break
        return done

    def seal_receipts(self, limit: int) -> int:
        """Seal who reported in at most so many receipts; return how many."""
        rows = self._rows("SELECT r.token, r.reporter, r.made_at, c.number FROM crisis_receipt r JOIN crisis_case c ON c.id = r.case_id"
                          f" WHERE {_IN_PLAIN.format('r.reporter')} LIMIT :limit", limit=limit)
        sealed = []
        for token, reporter, made_at, number in rows:
            key = self._key_to_seal(CASE, number, made_at)
            sealed.append((seal_text(key, unseal_text(None, reporter, b""), place("crisis_receipt", "reporter", token)), token))
        self._bulk("UPDATE crisis_receipt SET reporter = ? WHERE token = ?", sealed)
        return len(rows)

    def seal_events(self, after: int, limit: int) -> tuple[int, int]:
        """Seal at most so many secrets of the log behind a row; return the last row and how many. Chain and commitments stay."""
        rows = self._rows("SELECT e.id, c.number, e.seq, e.at, e.secret FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id"
                          f" WHERE e.id > :after AND e.secret IS NOT NULL AND {_IN_PLAIN.format('e.secret')} ORDER BY e.id LIMIT :limit",
                          after=after, limit=limit)
        self._bulk("UPDATE crisis_event SET secret = ? WHERE id = ?", [
            (seal_envelope(self._key_to_seal(CASE, number, at), secret, number, seq), row_id) for row_id, number, seq, at, secret in rows
        ])
        return (rows[-1][0] if rows else after), len(rows)

    def _seal_persons(self, limit: int) -> int:
        rows = self._rows(f"SELECT id, name, contact FROM {_PERSONS} LIMIT :limit", limit=limit)
        sealed = []
        for person_id, *columns in rows:
            name, contact = (unseal_text(self._staff_key(), each, place("crisis_person", column, person_id))
                             for column, each in zip(("name", "contact"), columns, strict=True))
            sealed.append((seal_text(self._staff_key(), name, place("crisis_person", "name", person_id)),
                           seal_text(self._staff_key(), contact, place("crisis_person", "contact", person_id)),
                           self.blind_name(name), person_id))
        self._bulk("UPDATE crisis_person SET name = ?, contact = ?, name_index = ? WHERE id = ?", sealed)
        return len(rows)

    def _seal_children(self, limit: int) -> int:
        children = [Subject(child_id, unseal_text(None, ref, b""), unit, unseal_text(None, name, b"")) for child_id, ref, unit, name
                    in self._rows(f"SELECT id, ref, unit, name FROM {_SUBJECTS} LIMIT :limit", limit=limit)]
        if not children:
            return 0
        keys = self._make_keys(SUBJECT, [child.id for child in children], None)
        indexes = {child.id: self.blind("ref", child.ref) for child in children}
        guardians = [(child, row) for child in children for row in
                     self._rows("SELECT id, name, contact FROM crisis_guardian WHERE subject = :plain", plain=blind_plain(child.ref))]
        self._bulk("UPDATE crisis_guardian SET subject = ?, name = ?, contact = ? WHERE id = ?", [
            (*self._guardian_row(keys[child.id], indexes[child.id], Guardian(guardian_id, child.ref, *_plain(*texts)))[1:], guardian_id)
            for child, (guardian_id, *texts) in guardians
        ])
        rows = [self._subject_row(keys[child.id], child.id, indexes[child.id], child) for child in children]
        self._bulk("UPDATE crisis_subject SET ref = ?, unit = ?, name = ?, ref_index = ?, name_index = ? WHERE id = ?",
                   [(*row[1:], row[0]) for row in rows])
        return len(children) + len(guardians)

    def _seal_orphans(self, limit: int) -> int:
        """Seal guardians whose child is not in the roster under the staff's key; they belong to nobody until they are imported anew."""
        rows = self._rows("SELECT id, name, contact FROM crisis_guardian g WHERE g.subject < '1' AND g.subject > ''"
                          " AND NOT EXISTS (SELECT 1 FROM crisis_subject s WHERE s.ref_index = g.subject) LIMIT :limit", limit=limit)
        self._bulk("UPDATE crisis_guardian SET subject = ?, name = ?, contact = ? WHERE id = ?", [
            (*self._guardian_row(self._staff_key(), "", Guardian(guardian_id, "", *_plain(*texts)))[1:], guardian_id)
            for guardian_id, *texts in rows
        ])
        return len(rows)


def _plain(*envelopes: bytes) -> tuple[str, ...]:
    return tuple(unseal_text(None, envelope, b"") for envelope in envelopes)
