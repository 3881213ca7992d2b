"""Envelopes: how a secret stands in a column: one byte that names the algorithm, a nonce, and what only its data key opens."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType, ModuleType
from typing import Protocol

from crisis_engine.core.errors import BadInput, StoreError
from crisis_engine.core.secret import Secret

PLAIN = 0
"""The algorithm of an envelope that is not sealed: of a database from before there were keys, or of a body that was just opened."""

AES_256_GCM = 1

KEY_BYTES, NONCE_BYTES = 32, 12


class Cipher(Protocol):
    """An authenticated cipher with its key."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return ciphertext and tag."""

    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None) -> bytes:
        """Return the text, or raise InvalidTag."""


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key that is open in memory: its cipher, and the algorithm that its envelopes name."""

    algorithm: int
    cipher: Cipher


@cache
def _ciphers() -> ModuleType:
    from cryptography.hazmat.primitives.ciphers import aead  # noqa: PLC0415 (a sweep opens no secret and does not wait for it)

    return aead


ALGORITHMS: Mapping[int, str] = MappingProxyType({AES_256_GCM: "AESGCM"})
"""The ciphers of cryptography's `aead` by the byte that names them, each over keys of 32 bytes; an SM4-GCM would be a line here."""


def data_key(algorithm: int, secret: bytes) -> DataKey:
    """Return an open data key; StoreError for an algorithm of a later version."""
    try:
        return DataKey(algorithm, getattr(_ciphers(), ALGORITHMS[algorithm])(secret))
    except KeyError:
        raise _unknown() from None


def place(table: str, column: str, row: str) -> bytes:
    """Return what an envelope is bound to: at another table, column or row it does not open."""
    return f"{table}\0{column}\0{row}".encode("utf-8", "surrogatepass")


def seal(key: DataKey, body: bytes, at: bytes) -> bytes:
    """Return the envelope of a body at its place."""
    nonce = os.urandom(NONCE_BYTES)
    head = bytes((key.algorithm,))
    return head + nonce + key.cipher.encrypt(nonce, body, head + at)


def unseal(key: DataKey | None, envelope: bytes, at: bytes) -> bytes | None:
    """Return the body of an envelope at its place; None when its key is no more.

    StoreError when it was changed, cut, moved from another place or sealed under another key.
    """
    algorithm = envelope[0] if envelope else PLAIN
    if algorithm == PLAIN:
        return envelope[1:]
    if algorithm not in ALGORITHMS:
        raise _unknown()
    if key is None:
        return None
    sealed = 1 + NONCE_BYTES
    try:
        return key.cipher.decrypt(envelope[1:sealed], envelope[sealed:], envelope[:1] + at)
    except Exception:  # noqa: BLE001 (InvalidTag, or ValueError where it was cut; each cipher has its own)
        raise StoreError("A secret in the database was changed or moved; it does not open.",
                         way_out="Run `crisis doctor`, then compare with a backup.") from None


def seal_text(key: DataKey, text: str, at: bytes) -> bytes:
    """Return the envelope of a text; of an empty one nothing."""
    if not text:
        return b""
    try:
        return seal(key, text.encode(), at)
    except UnicodeEncodeError:
        raise BadInput("A text holds half a character.", way_out="Type that text anew.") from None


def unseal_text(key: DataKey | None, envelope: bytes, at: bytes) -> Secret:
    """Return the text of an envelope, as a secret to every log and sentence; an empty one when there is none or its key is no more."""
    if not envelope:
        return Secret()
    body = unseal(key, envelope, at)
    return Secret(body.decode()) if body is not None else Secret()


def _unknown() -> StoreError:
    return StoreError("A secret in the database is in a form that this version cannot open.", way_out="Use the newest crisis-engine.")
