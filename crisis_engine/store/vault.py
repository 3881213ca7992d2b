"""What opens sealed rows: master keys unwrap data keys (AES-KW), and the open ones are kept in memory for the next row."""

from __future__ import annotations

import hmac
from functools import cache
from pathlib import Path
from types import ModuleType

from crisis_engine.core.errors import KeyFault, StoreError
from crisis_engine.store.master import MasterKey, Masters
from crisis_engine.store.seal import KEY_BYTES, DataKey, data_key

_MOST_OPEN = 5_000


class Vault:
    """What opens sealed rows: the master keys, and in memory the data keys that were unwrapped under them.

    A data key is found again only by its wrapped bytes as they were just read: one whose row is gone is never used.
    """

    def __init__(self, masters: Masters, ledger: Path | None = None, seal: Path | None = None) -> None:
        self.masters = masters
        self.seal = seal          # the file of the sealer's key
        self.ledger = ledger      # where it is written down what must never open again
        self._open: dict[bytes, DataKey] = {}
        self._derived: dict[tuple[bytes, str], hmac.HMAC] = {}

    def open(self, wrapped: bytes, master: str, algorithm: int) -> DataKey:
        """Return the data key of a row. KeyFault when its master key is not at hand."""
        found = self._open.get(wrapped)
        if found is None:
            found = data_key(algorithm, self.unwrap(wrapped, master))
            if len(self._open) >= _MOST_OPEN:
                self._open.clear()
            self._open[wrapped] = found
        return found

    def unwrap(self, wrapped: bytes, master: str) -> bytes:
        """Return the bytes of a data key (RFC 3394)."""
        key = self.masters.named(master)
        if key is None:
            raise KeyFault("A secret is sealed under a master key that is not among those given.",
                           way_out="A rotation is not finished: give the old key too, beside the present one.",
                           master=master)
        try:
            return bytes(_keywrap().aes_key_unwrap(key.secret, wrapped))
        except (_keywrap().InvalidUnwrap, ValueError):
            raise StoreError("A key in the database was changed.", way_out="Run `crisis doctor`, then compare with a backup.") from None

    def wrap(self, secret: bytes, master: MasterKey) -> bytes:
        """Return a data key wrapped under a master key (RFC 3394)."""
        return bytes(_keywrap().aes_key_wrap(master.secret, secret))

    def mac(self, wrapped: bytes, master: str, use: str) -> hmac.HMAC:
        """Return an HMAC-SHA-256 to copy, under the key for one use that HKDF-SHA-256 derives from the index key of a row."""
        found = self._derived.get((wrapped, use))
        if found is None:
            from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 (see above)
            from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415

            secret = self.unwrap(wrapped, master)
            derived = HKDF(SHA256(), KEY_BYTES, None, f"crisis_engine index {use}".encode()).derive(secret)
            found = self._derived[wrapped, use] = hmac.new(derived, digestmod="sha256")
        return found


@cache
def _keywrap() -> ModuleType:
    from cryptography.hazmat.primitives import keywrap  # noqa: PLC0415 (a sweep opens no secret and does not wait for it)

    return keywrap
