"""Sealed packets: a file that only its receiver opens, by a key of theirs; for what leaves the city. The `cryptography` package does it.

A packet is, byte after byte: the 8 letters `CRISISP1`; 32 bytes, SHA-256 of the receiver's public key; 32 bytes, an X25519 public key that
was made for this packet alone; 12 bytes of nonce; the content under AES-256-GCM, its tag of 16 bytes at the end. The AES key is
HKDF-SHA256 of the X25519 secret, with both public keys (the packet's, then the receiver's) as salt and the 8 letters as info. All before
the content is authenticated with it. docs/tracks.md has a program of a few lines that opens one without us.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from crisis_engine.core.errors import BadInput, FileError
from crisis_engine.store.signature import write_key

MAGIC = b"CRISISP1"
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 32, 12, 16
_HEAD = len(MAGIC) + 2 * KEY_BYTES + NONCE_BYTES
_PUBLIC, _PRIVATE = "crisis-recipient-1 ", "CRISIS-RECIPIENT-PRIVATE-1 "
_LONGEST = 1_000
LARGEST = 500_000_000
"""Bytes of the largest packet that is read: dossiers are a few megabytes."""


class Recipient:
    """The public key of whoever is to open packets."""

    def __init__(self, public: bytes) -> None:
        self.public = public

    @classmethod
    def parse(cls, text: str) -> Recipient:
        """Return the key of a line `crisis-recipient-1 …`; BadInput when it is none."""
        try:
            body = b64decode(text.strip().removeprefix(_PUBLIC.strip()).strip(), validate=True)
        except ValueError:
            body = b""
        if not text.strip().startswith(_PUBLIC.strip()) or len(body) != KEY_BYTES:
            raise _no_key()
        return cls(body)

    @property
    def text(self) -> str:
        """The line by which the key is given to others."""
        return _PUBLIC + b64encode(self.public).decode()

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key: what two persons compare over another way than the one by which the key came."""
        return sha256(self.public).hexdigest()

    def seal(self, content: bytes) -> bytes:
        """Return the packet of a content: other bytes each time."""
        once = X25519PrivateKey.generate()
        made = once.public_key().public_bytes_raw()
        head = MAGIC + sha256(self.public).digest() + made + os.urandom(NONCE_BYTES)
        try:
            secret = once.exchange(X25519PublicKey.from_public_bytes(self.public))
        except ValueError:   # a key that leaves no secret at all
            raise _no_key() from None
        return head + AESGCM(_derived(secret, made + self.public)).encrypt(head[-NONCE_BYTES:], content, head)


class RecipientKey:
    """The private half, in a file that its owner alone may read."""

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private
        self.public = Recipient(private.public_key().public_bytes_raw())

    @classmethod
    def new(cls) -> RecipientKey:
        """Make a key by the machine's own randomness."""
        return cls(X25519PrivateKey.generate())

    @classmethod
    def read(cls, path: Path) -> RecipientKey:
        """Return the key of a file; FileError when it cannot be read or holds none."""
        try:
            with path.open(encoding="utf-8") as file:
                text = file.read(_LONGEST).strip()
            body = b64decode(text.removeprefix(_PRIVATE.strip()).strip(), validate=True)
        except OSError:
            raise FileError("The key file cannot be read.", way_out="Check its name, and who may read it.") from None
        except ValueError:
            text, body = "", b""
        if not text.startswith(_PRIVATE.strip()) or len(body) != KEY_BYTES:
            raise FileError("The key file holds no key that opens packets.", way_out="Give the file that `crisis transfer keygen` wrote.")
        return cls(X25519PrivateKey.from_private_bytes(body))

    def write(self, path: Path) -> None:
        """Write the key into a new file that only its owner may read; StoreError when it exists or cannot be written."""
        body = b64encode(self._private.private_bytes_raw()).decode()
        write_key(path, f"{_PRIVATE}{body}")

    def open(self, packet: bytes) -> bytes:
        """Return the content of a packet; FileError for what is none, for another receiver's, and for one that was cut or changed."""
        if not packet.startswith(MAGIC) or len(packet) < _HEAD + TAG_BYTES:
            raise FileError("This is no sealed packet, or one that was cut off.",
                            way_out="Ask the sender for it again, and compare the hash.")
        named = packet[len(MAGIC):len(MAGIC) + KEY_BYTES]
        if named != sha256(self.public.public).digest():
            raise FileError("This packet is for another key.", way_out=f"It was sealed for the key with the fingerprint {named.hex()}.")
        made = packet[len(MAGIC) + KEY_BYTES:len(MAGIC) + 2 * KEY_BYTES]
        try:
            secret = self._private.exchange(X25519PublicKey.from_public_bytes(made))
            cipher, nonce = AESGCM(_derived(secret, made + self.public.public)), packet[_HEAD - NONCE_BYTES:_HEAD]
            return cipher.decrypt(nonce, packet[_HEAD:], packet[:_HEAD])
        except (InvalidTag, ValueError):
            raise FileError("This packet was changed or cut off on the way.",
                            way_out="Ask the sender for it again, and compare the hash.") from None


def _no_key() -> BadInput:
    return BadInput("This is no key of a receiver.", way_out="Give the line that the receiver's `crisis transfer keygen` printed.")


def _derived(secret: bytes, salt: bytes) -> bytes:
    return HKDF(SHA256(), KEY_BYTES, salt, MAGIC).derive(secret)


def read_packet(path: Path) -> bytes:
    """Return the bytes of a packet's file; FileError when it cannot be read, or is too large to be one."""
    try:
        with path.open("rb") as file:
            packet = file.read(LARGEST + 1)
    except OSError:
        raise FileError("The packet cannot be read.", way_out="Check its name, and who may read it.") from None
    if len(packet) > LARGEST:
        raise FileError("The file is too large for a packet.", way_out="Give the file that `crisis transfer seal` wrote.")
    return packet
