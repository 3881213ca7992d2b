"""Data keys: one a case, one a child, one for staff; each wrapped under a master key. Whoever deletes the row shreds what it sealed."""

from __future__ import annotations

import base64
import hmac
import os
import unicodedata
from collections.abc import Collection, Iterable
from typing import Any

from crisis_engine.core.errors import KeyFault
from crisis_engine.store.hold import Holds
from crisis_engine.store.master import MasterKey
from crisis_engine.store.seal import AES_256_GCM, DataKey, data_key
from crisis_engine.store.seal import KEY_BYTES as DATA_KEY_BYTES
from crisis_engine.store.statement import AMONG, listed

MASTER, CHECK = "master_key", "master_key_check"
"""The notes in crisis_meta that say which master key is the present one, and by what it is known again."""

CASE, SUBJECT, STAFF, INDEX = "case", "subject", "staff", "index"
WHOLE = "whole"
"""The one scope of keys that are no child's and no case's: the whole roster."""

_NAME_BUCKETS = 4096

_PUT = "INSERT INTO crisis_data_key (kind, ref, wrapped, master, algorithm, made_at) VALUES (?, ?, ?, ?, ?, ?)"
_GET = "SELECT wrapped, master, algorithm FROM crisis_data_key WHERE kind = :kind AND ref = :ref"
_GET_MANY = f"SELECT ref, wrapped, master, algorithm FROM crisis_data_key WHERE kind = :kind AND ref {AMONG.format('refs')}"  # noqa: S608 (constants)


class KeyRows(Holds):
    """Everything that reads and makes data keys and blind indexes."""

    def begin_keys(self) -> None:
        """Make what a new database needs: the note of its master key, the key for staff, the key of the blind indexes."""
        if self._value("SELECT 1 FROM crisis_meta WHERE name = :name", name=MASTER) is None:
            key = self.vault.masters.keys()[0]
            self.name_master(key)
            self._make_keys(STAFF, [WHOLE], None)
            self._make_keys(INDEX, [WHOLE], None)

    def name_master(self, key: MasterKey) -> None:
        """Afterwards this is the present master key, under which new data keys are wrapped."""
        self._bulk("INSERT INTO crisis_meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                   [(MASTER, key.id), (CHECK, key.check())])

    def master(self) -> MasterKey:
        """Return the present master key. KeyFault when it is not at hand, or another database's was given."""
        notes = dict(self._rows("SELECT name, value FROM crisis_meta WHERE name IN (:id, :check)", id=MASTER, check=CHECK))
        if MASTER not in notes:
            raise KeyFault("The database has no master key yet.", way_out="Run `crisis init`.")
        key = self.vault.masters.named(notes[MASTER])
        if key is None or not hmac.compare_digest(key.check(), notes.get(CHECK, "")):
            raise self._wrong()
        return key

    def _wrong(self) -> KeyFault:
        """Return what to say of keys among which the present one is not."""
        used = {master for (master,) in self._rows("SELECT master FROM crisis_key_log")}
        given = self.vault.masters.keys()
        if used & {key.id for key in given}:
            return KeyFault("The master key that was given was rotated away.", way_out="Give the present one.")
        return KeyFault("The master key that was given is not the key of this database.",
                        way_out="Give the key it was made with or last rotated to; an old backup needs the key of its time.")

    def opens(self) -> bool:
        """Whether the master key is at hand, so that secrets can be opened."""
        try:
            self.master()
        except KeyFault:
            return False
        return True

    # ---- data keys --------------------------------------------------------------------------------------------------

    def _key(self, kind: str, ref: str) -> DataKey | None:
        """Return a data key, None when it was never made or was shredded."""
        row = self._row(_GET, kind=kind, ref=ref)
        return None if row is None else self._opened(*row)

    def _keys(self, kind: str, refs: Collection[str]) -> dict[str, DataKey]:
        """Return those of many data keys that there are, by ref."""
        rows = self._rows(_GET_MANY, kind=kind, refs=listed(refs))
        return {ref: self._unlocked(wrapped, master, algorithm) for ref, wrapped, master, algorithm in rows}

    def _make_keys(self, kind: str, refs: Iterable[str], at: int | None) -> dict[str, DataKey]:
        """Make random data keys, one for each ref, and return them."""
        master = self.master()
        secrets = {ref: os.urandom(DATA_KEY_BYTES) for ref in refs}
        self._bulk(_PUT, [(kind, ref, self.vault.wrap(secret, master), master.id, AES_256_GCM, at) for ref, secret in secrets.items()])
        return {ref: data_key(AES_256_GCM, secret) for ref, secret in secrets.items()}

    def _key_to_seal(self, kind: str, ref: str, at: int | None) -> DataKey:
        """Return a data key, made now if there is none yet."""
        found = self._key(kind, ref)
        if found is None:
            self.hold_name("key", f"{kind}/{ref}")   # two readers of one case may both be the first who have something to seal
            found = self._key(kind, ref) if self._holds else None
        return found or self._make_keys(kind, [ref], at)[ref]

    def _staff_key(self) -> DataKey:
        found = self._key(STAFF, WHOLE)
        if found is None:
            raise KeyFault("The database has no master key yet.", way_out="Run `crisis init`.")
        return found

    def _opened(self, wrapped: bytes | None, master: str | None, algorithm: int | None) -> DataKey | None:
        """Return the data key of joined columns, None where the row had none."""
        return None if wrapped is None or master is None or algorithm is None else self._unlocked(wrapped, master, algorithm)

    def _unlocked(self, wrapped: bytes, master: str, algorithm: int) -> DataKey:
        try:
            return self.vault.open(wrapped, master, algorithm)
        except KeyFault as fault:
            raise self._named(fault) from None

    def _named(self, fault: KeyFault) -> KeyFault:
        """Return the fault with its right name: the vault knows which key is missing, the notes know whether it is the present one."""
        if "master" in fault.data and fault.data["master"] == self._value("SELECT value FROM crisis_meta WHERE name = :name", name=MASTER):
            return self._wrong()
        return fault

    # ---- blind indexes ----------------------------------------------------------------------------------------------

    def blind(self, use: str, text: str) -> str:
        """Return what stands for a text where it is looked for but must not be read: HMAC-SHA-256 under the database's index key."""
        return f"{AES_256_GCM}:{base64.urlsafe_b64encode(self._mac(use, text)).decode().rstrip('=')}"

    def blind_name(self, name: str) -> int | None:
        """Return the bucket of a name: cut to twelve bits, so that it narrows a search and does not tell who is called alike."""
        if not name:
            return None
        plain = "".join(unicodedata.normalize("NFKC", name).split()).casefold()
        return int.from_bytes(self._mac("name", plain)[:4]) % _NAME_BUCKETS

    def _mac(self, use: str, text: str) -> bytes:
        if self._index_row is None:
            self._index_row = self._row(_GET, kind=INDEX, ref=WHOLE)
            if self._index_row is None:
                raise KeyFault("The database has no master key yet.", way_out="Run `crisis init`.")
        try:
            mac = self.vault.mac(self._index_row[0], self._index_row[1], use).copy()
        except KeyFault as fault:
            raise self._named(fault) from None
        mac.update(text.encode("utf-8", "surrogatepass"))
        return mac.digest()

    _index_row: tuple[Any, ...] | None = None
    """The row of the index key as this transaction read it."""


def blind_plain(ref: str) -> str:
    """Return what stands for a ref in a row that was not sealed yet."""
    return "0:" + ref   # joined, not formatted: a ref that was just opened is a secret, and formats as a mask
