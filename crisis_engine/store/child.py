"""Children and their guardians in the database: sealed under each child's own key, found by blind indexes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from secrets import token_hex
from typing import Any

from crisis_engine.core.errors import BadInput, StoreError
from crisis_engine.core.model import Guardian, Subject
from crisis_engine.store.key import SUBJECT, KeyRows, blind_plain
from crisis_engine.store.seal import DataKey, place, seal_text, unseal_text
from crisis_engine.store.statement import AMONG, listed

CHUNK = 50_000  # rows that are held in memory at once

# ruff: noqa: S608 - every piece of these statements is a constant of this file
_KEY_OF_CHILD = " LEFT JOIN crisis_data_key k ON k.kind = 'subject' AND k.ref = s.id"
_SUBJECTS = "SELECT s.id, s.ref, s.unit, s.name, k.wrapped, k.master, k.algorithm FROM crisis_subject s" + _KEY_OF_CHILD
_GUARDIANS = (
    "SELECT g.id, g.name, g.contact, s.id, s.ref, k.wrapped, k.master, k.algorithm FROM crisis_guardian g"
    " LEFT JOIN crisis_subject s ON s.ref_index = g.subject" + _KEY_OF_CHILD
)
# The random key stays: cases carry it.
_SUBJECT = (
    "INSERT INTO crisis_subject (id, ref, unit, name, ref_index, name_index, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (ref_index) DO UPDATE SET ref = excluded.ref, unit = excluded.unit, name = excluded.name,"
    " name_index = excluded.name_index, seen_at = coalesce(excluded.seen_at, crisis_subject.seen_at)"
)
_GUARDIAN = (
    "INSERT INTO crisis_guardian (id, subject, name, contact) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET subject = excluded.subject, name = excluded.name, contact = excluded.contact"
)
UNDER = " WHERE {0} = :unit OR ({0} > :unit || '/' AND {0} < :unit || '0')"  # "0" is the character after "/"


class ChildRows(KeyRows):
    """Everything that reads and writes children and guardians."""

    # ---- reading ----------------------------------------------------------------------------------------------

    def subject(self, ref: str) -> Subject | None:
        """Return the child of that ref, the school's own id."""
        row = self._row(_SUBJECTS + " WHERE s.ref_index IN (:sealed, :plain)", **self._both(ref))
        child = None if row is None else self._subject(row)
        if child is not None and child.ref not in {ref, ""}:   # empty: the key is gone
            raise StoreError("An index in the database was changed: it leads to another child.",
                             way_out="Run `crisis doctor`, then compare with a backup.")
        return child

    def subject_by_id(self, subject_id: str) -> Subject | None:
        """Return the child of that random key, which cases carry."""
        row = self._row(_SUBJECTS + " WHERE s.id = :id", id=subject_id)
        return None if row is None else self._subject(row)

    def subjects_named(self, name: str) -> list[Subject]:
        """Return the children of that name: the index narrows the search, the opened names decide."""
        rows = self._rows(_SUBJECTS + " WHERE s.name_index = :bucket ORDER BY s.id", bucket=self.blind_name(name))
        return [child for child in map(self._subject, rows) if child.name == name]

    def subjects_under(self, unit: str | None = None) -> Iterator[Subject]:
        """Yield the children of a unit and all under it, or all children, in the order of units and refs."""
        within, binds = ("", {}) if unit is None else (UNDER.format("s.unit"), {"unit": unit})
        rows = self._stream(_SUBJECTS + within + " ORDER BY s.unit", **binds)
        for _, children in groupby(map(self._subject, rows), key=lambda child: child.unit):
            yield from sorted(children, key=lambda child: child.ref)

    def guardian(self, guardian_id: str) -> Guardian | None:
        """Return the guardian of that id."""
        row = self._row(_GUARDIANS + " WHERE g.id = :id", id=guardian_id)
        return None if row is None else self._guardian(row)

    def guardians_of(self, ref: str) -> list[Guardian]:
        """Return the guardians of the child of that ref."""
        rows = self._rows(_GUARDIANS + " WHERE g.subject IN (:sealed, :plain) ORDER BY g.id", **self._both(ref))
        return [self._guardian(row) for row in rows]

    def guardian_ids(self, subject_id: str) -> tuple[str, ...]:
        """Return the ids of the guardians of the child of that random key; nothing sealed is opened for it."""
        rows = self._rows("SELECT g.id FROM crisis_subject s JOIN crisis_guardian g ON g.subject = s.ref_index WHERE s.id = :id"
                          " ORDER BY g.id", id=subject_id)
        return tuple(guardian for (guardian,) in rows)

    # ---- writing ----------------------------------------------------------------------------------------------

    def _import_subjects(self, subjects: Iterable[Subject], at: int | None) -> int:
        """Add children and bring known ones up to date by their ref; a new child gets a data key, and a random id if it has none."""
        written, rest = 0, iter(subjects)
        while chunk := list(islice(rest, CHUNK)):
            indexed = [(self.blind("ref", child.ref), child) for child in chunk]
            ids = self._ids_of([index for index, _ in indexed])
            for index, child in indexed:
                ids.setdefault(index, child.id or token_hex(8))
            keys = self._keys(SUBJECT, list(ids.values()))
            keys |= self._make_keys(SUBJECT, [child_id for child_id in ids.values() if child_id not in keys], at)
            self._bulk(_SUBJECT, [(*self._subject_row(keys[ids[index]], ids[index], index, child), at) for index, child in indexed])
            written += len(chunk)
        return written

    def _import_guardians(self, guardians: Iterable[Guardian]) -> int:
        """Add guardians and bring known ones up to date by their id."""
        written, rest = 0, iter(guardians)
        while chunk := list(islice(rest, CHUNK)):
            indexed = [(self.blind("ref", guardian.subject), guardian) for guardian in chunk]
            ids = self._ids_of([index for index, _ in indexed])
            if any(index not in ids for index, _ in indexed):
                raise BadInput("A guardian belongs to a child who is not in the roster.", way_out="Import the child first.")
            keys = self._keys(SUBJECT, list(ids.values()))
            self._bulk(_GUARDIAN, [self._guardian_row(keys[ids[index]], index, guardian) for index, guardian in indexed])
            written += len(chunk)
        return written

    def _ids_of(self, indexes: Sequence[str]) -> dict[str, str]:
        sql = f"SELECT ref_index, id FROM crisis_subject WHERE ref_index {AMONG.format('indexes')}"
        return dict(self._rows(sql, indexes=listed(indexes)))

    def _subject_row(self, key: DataKey, child_id: str, index: str, child: Subject) -> tuple[Any, ...]:
        return (child_id, seal_text(key, child.ref, _at_subject("ref", child_id)), child.unit,
                seal_text(key, child.name, _at_subject("name", child_id)), index, self.blind_name(child.name))

    def _guardian_row(self, key: DataKey, index: str, guardian: Guardian) -> tuple[Any, ...]:
        return (guardian.id, index, seal_text(key, guardian.name, _at_guardian("name", guardian.id)),
                seal_text(key, guardian.contact, _at_guardian("contact", guardian.id)))

    # ---- rows to nouns ----------------------------------------------------------------------------------------

    def _both(self, ref: str) -> dict[str, str]:
        """Return what a row of this ref may be indexed by, sealed or not yet."""
        return {"sealed": self.blind("ref", ref), "plain": blind_plain(ref)}

    def _subject(self, row: Sequence[Any]) -> Subject:
        child_id, ref, unit, name, *key = row
        opened = self._opened(*key)
        return Subject(child_id, unseal_text(opened, ref, _at_subject("ref", child_id)), unit,
                       unseal_text(opened, name, _at_subject("name", child_id)))

    def _guardian(self, row: Sequence[Any]) -> Guardian:
        guardian_id, name, contact, child_id, ref, *key = row
        opened = self._opened(*key) if child_id is not None else self._staff_key()
        return Guardian(
            guardian_id, unseal_text(opened, ref, _at_subject("ref", child_id)) if child_id is not None else "",
            unseal_text(opened, name, _at_guardian("name", guardian_id)),
            unseal_text(opened, contact, _at_guardian("contact", guardian_id)),
        )


def _at_subject(column: str, child_id: str) -> bytes:
    return place("crisis_subject", column, child_id)


def _at_guardian(column: str, guardian_id: str) -> bytes:
    return place("crisis_guardian", column, guardian_id)
