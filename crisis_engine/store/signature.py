"""Keys that sign: Ed25519 by the `cryptography` package, kept in files of their own beside or far from the database.

A key file holds one line, the private form of C2SP signed-note keys, and is readable by its owner alone. Public keys and signature
lines are core/checkpoint.py's; here they meet the private half.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from crisis_engine.core.checkpoint import Key, Signature, is_name, joined_signature, message_of, parse_key, split_signature
from crisis_engine.core.errors import BadInput, FileError, StoreError

_PRIVATE = "PRIVATE+KEY+"
_LONGEST = 1_000  # no key file is longer


class SigningKey:
    """A private key with its name; `public` is what others check by."""

    def __init__(self, name: str, kind: int, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public = Key(name, kind, private.public_key().public_bytes_raw())

    @classmethod
    def new(cls, name: str, kind: int) -> SigningKey:
        """Make a key by the machine's own randomness; BadInput where nothing can be called so."""
        if not is_name(name):
            raise BadInput("A key needs a name without blanks or plus signs.", way_out="Name it such as example.org/shihe-county.")
        return cls(name, kind, Ed25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """Return the key of a file; StoreError when it cannot be read, FileError when it holds no key."""
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(_LONGEST).strip()
        except OSError:
            raise StoreError("The key file cannot be read.", way_out="Check its name, and who may read it.") from None
        except UnicodeDecodeError:
            text = ""
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        key_id, _, body = rest.partition("+")
        with suppress(ValueError):
            held = b64decode(body, validate=True)
            key = cls(name, held[0] if held else 0, Ed25519PrivateKey.from_private_bytes(held[1:]))
            if text.startswith(_PRIVATE) and key_id == key.public.key_id.hex() and parse_key(key.public.text) == key.public:
                return key
        raise FileError("The key file holds no key that signs.", way_out="Give the file that `crisis audit keygen` wrote.")

    def write(self, path: Path) -> None:
        """Write the key into a new file that only its owner may read; StoreError when it exists or cannot be written."""
        body = b64encode(bytes([self.public.kind]) + self._private.private_bytes_raw()).decode()
        write_key(path, f"{_PRIVATE}{self.public.name}+{self.public.key_id.hex()}+{body}")

    def sign(self, text: str, at: int = 0) -> Signature:
        """Return the signature line under a note's text; `at` is the second since 1970 at which a cosigner signs."""
        public = self.public
        made = self._private.sign(message_of(text, public.kind, at))
        return Signature(public.name, public.key_id, joined_signature(at, made, public.kind))


def signed_at(key: Key, text: str, signature: Signature) -> int | None:
    """Return when the key signed this text (0 where the signature does not say); None where it did not sign it."""
    if (signature.name, signature.key_id) != (key.name, key.key_id):
        return None
    parts = split_signature(signature.signature, key.kind)
    if parts is None:
        return None
    at, made = parts
    try:
        Ed25519PublicKey.from_public_bytes(key.public).verify(made, message_of(text, key.kind, at))
    except (InvalidSignature, ValueError):
        return None
    return at


def write_key(path: Path, line: str) -> None:
    """Write a private key, one line, into a new file that only its owner may read; StoreError when it exists or cannot be written."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise StoreError("There is a key file of that name already.",
                         way_out="Choose another name; no key is ever written over.") from None
    except OSError:
        raise StoreError("The key file cannot be written.", way_out="Check its folder, and who may write there.") from None
