"""What the store hands out and takes back by token: a reporter's receipts, and answers under an idempotency key."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from crisis_engine.core.errors import NotFound, StaleVersion
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.key import CASE, KeyRows
from crisis_engine.store.seal import place, seal_text, unseal_text


class Receipt(NamedTuple):
    """What stands behind a reporter's token; `reporter` is a secret of its own, and empty once its case's key was shredded."""

    number: str
    made_at: datetime
    reporter: str


class ReceiptRows(KeyRows):
    """Everything that is found again by a token or a key."""

    def put_receipt(self, token: str, number: str, at: datetime, reporter: str) -> None:
        """Keep a receipt for a report that went into that case, whether it opened the case or not."""
        sealed = seal_text(self._key_to_seal(CASE, number, micros(at)), reporter, _at_reporter(token))
        written = self._run(
            "INSERT INTO crisis_receipt (token, case_id, made_at, reporter)"
            " SELECT :token, id, :at, :reporter FROM crisis_case WHERE number = :number",
            token=token, number=number, reporter=sealed, at=micros(at),
        )
        if not written:
            raise NotFound

    def receipt(self, token: str) -> Receipt | None:
        """Return what stands behind a token."""
        row = self._row("SELECT c.number, r.made_at, r.reporter, k.wrapped, k.master, k.algorithm FROM crisis_receipt r"
                        " JOIN crisis_case c ON c.id = r.case_id LEFT JOIN crisis_data_key k ON k.kind = 'case' AND k.ref = c.number"
                        " WHERE r.token = :token", token=token)
        if row is None:
            return None
        number, made_at, reporter, *key = row
        return Receipt(number, instant(made_at), unseal_text(self._opened(*key), reporter, _at_reporter(token)))

    def put_command(self, key: str, digest: str, answer: str, at: datetime) -> None:
        """Keep the answer to a command under its key; StaleVersion if another command took the key in the meantime."""
        written = self._run(
            "INSERT INTO crisis_command_key (key, digest, answer, made_at) VALUES (:key, :digest, :answer, :at)"
            " ON CONFLICT DO NOTHING",
            key=key, digest=digest, answer=answer, at=micros(at),
        )
        if not written:
            raise StaleVersion("Another command was sent under the same key.", way_out="Read the case again.")

    def command(self, key: str) -> tuple[str, str] | None:
        """Return digest and answer of the command that came under a key."""
        row = self._row("SELECT digest, answer FROM crisis_command_key WHERE key = :key", key=key)
        return None if row is None else (row[0], row[1])


def _at_reporter(token: str) -> bytes:
    return place("crisis_receipt", "reporter", token)
