"""Attachments at rest: sealed under their case's key, padded, found by their record alone, and held against what the record says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from crisis_engine.core.attachment import Kept
from crisis_engine.core.errors import StoreError
from crisis_engine.store.key import CASE, KeyRows
from crisis_engine.store.prove import ATTACHED, Flaw
from crisis_engine.store.seal import DataKey, place, seal, unseal

_LENGTH_BYTES = 8
_LEAST = 1024
"""A small file is stored as one of so many bytes: most of them cannot be told apart."""

PUT = "INSERT INTO crisis_attachment (case_id, seq, n, at, size, content) VALUES (?, ?, ?, ?, ?, ?)"
_CONTENT = ("SELECT a.content FROM crisis_attachment a JOIN crisis_case c ON c.id = a.case_id"
            " WHERE c.number = :number AND a.seq = :seq AND a.n = :n")


def sealed_row(key: DataKey, number: str, case_id: int, at: int, one: Kept) -> tuple[Any, ...]:
    """Return the row of an attachment. Its envelope is bound to case, record and hash: nowhere else does it open."""
    envelope = seal(key, _padded(one.content), _at(number, one.seq, one.n, one.sha256))
    return case_id, one.seq, one.n, at, len(envelope), envelope


def _at(number: str, seq: int, n: int, digest: str) -> bytes:
    return place("crisis_attachment", "content", f"{number}/{seq}/{n}/" + digest)   # joined: a hash that was just opened formats as a mask


def _padded(content: bytes) -> bytes:
    """Return the content with its length before it and zeros behind it.

    Its exact length would tell whether two children's files are the same one, and which of a known set it is. Of a length of E bits
    only the first few are kept (Padmé, Nikitin and others 2019): at most 12 % is added.
    """
    body = len(content).to_bytes(_LENGTH_BYTES) + content
    return body + bytes(_round(len(body)) - len(body))


def _round(length: int) -> int:
    bits = max(length, _LEAST).bit_length() - 1
    low = (1 << bits - bits.bit_length()) - 1
    return (max(length, _LEAST) + low) & ~low


def _unpadded(body: bytes) -> bytes:
    length = int.from_bytes(body[:_LENGTH_BYTES])
    return body[_LENGTH_BYTES:_LENGTH_BYTES + length]


class AttachmentRows(KeyRows):
    """Everything that reads attachments; they are written with their record, by store/append.py."""

    def attachment(self, number: str, description: Mapping[str, Any]) -> bytes | None:
        """Return the content of what a record of the case describes; None where the case's key was shredded.

        StoreError where it is missing, or not what was attached: what is returned has the hash that the record committed to.
        """
        envelope = self._value(_CONTENT, number=number, seq=description["seq"], n=description["n"])
        key = self._key(CASE, number)
        if envelope is None and key is not None:
            raise StoreError("An attachment of this case is missing in the database.",
                             way_out="Run `crisis doctor`, then compare with a backup.")
        body = unseal(key, envelope, _at(number, description["seq"], description["n"], description["sha256"])) if envelope else None
        if body is None:
            return None
        content = _unpadded(body)
        if len(content) != description["size"] or sha256(content).hexdigest() != description["sha256"]:
            raise StoreError("An attachment in the database is not what was attached.",
                             way_out="Run `crisis doctor`, then compare with a backup.")
        return content

    def attachment_flaws(
        self, number: str, described: Iterable[Mapping[str, Any]], stored: Iterable[tuple[int, int, int, int]], *, whole: bool,
    ) -> Iterator[Flaw]:
        """Yield what is wrong with a case's attachments: those that its records describe, and those that are stored.

        `stored` has record, number, size and length of each row. With `whole` every secret of the case was open, so that a row
        which none describes is known for one that nobody attached. One content is in memory at a time.
        """
        rows = {(seq, n): (size, length) for seq, n, size, length in stored}
        known = {(one["seq"], one["n"]): one for one in described}
        for (seq, n), (size, length) in sorted(rows.items()):
            if size != length:
                yield Flaw(number, seq, ATTACHED, "an attachment was cut")
            elif whole and (seq, n) not in known:
                yield Flaw(number, seq, ATTACHED, "there is an attachment that no record names")
        for (seq, n), one in sorted(known.items()):
            if (seq, n) not in rows:
                yield Flaw(number, seq, ATTACHED, "an attachment is missing")
            elif rows[seq, n][0] == rows[seq, n][1] and not self._opens(number, one):
                yield Flaw(number, seq, ATTACHED, "an attachment is not what was attached")

    def _opens(self, number: str, description: Mapping[str, Any]) -> bool:
        try:
            return self.attachment(number, description) is not None
        except StoreError:
            return False
