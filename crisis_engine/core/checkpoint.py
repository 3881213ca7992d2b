"""Checkpoints of the log of all chains: the text of C2SP tlog-checkpoint, the signature lines of C2SP signed-note, keys by their ids.

A checkpoint says that a log of this origin has so many leaves under this root. The sealer signs it (algorithm 1, Ed25519 over the
text); a county or a city cosigns it (algorithm 4, C2SP tlog-cosignature: Ed25519 over a time and the text), each by a line of its own
under the same text. What is parsed here is strict: a note that could be read in two ways is refused.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from .errors import FileError
from .merkle import HASH_BYTES

SIGNS, COSIGNS = 1, 4
"""How a key signs: the note itself, or a time and the note."""

DASH = "\u2014"
"""What every signature line begins with."""

_KEY_ID_BYTES, _PUBLIC_BYTES, _SIGNATURE_BYTES, _TIME_BYTES = 4, 32, 64, 8
_LEAST_LINES = 3
_LONGEST = 1_000_000


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """So many leaves, under this root, in the log of this origin; further lines say what the origin wants."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The lines that are signed."""
        return "".join(f"{line}\n" for line in (self.origin, str(self.size), b64encode(self.root).decode(), *self.more))

    @property
    def short(self) -> str:
        """The size and the beginning of the root, for a line on paper: a changed log shows another."""
        return f"{self.size}:{self.root.hex()[:16]}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One line under a note: whose key, by name and id, and what it signed with."""

    name: str
    key_id: bytes
    signature: bytes

    @property
    def line(self) -> str:
        """The line without its end."""
        return f"{DASH} {self.name} {b64encode(self.key_id + self.signature).decode()}"


@dataclass(frozen=True, slots=True)
class Key:
    """A public key that checks signatures, known by a name."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256 over name, algorithm and key: a hint, no proof."""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:_KEY_ID_BYTES]

    @property
    def text(self) -> str:
        """The key on one line (a vkey of C2SP signed-note), to be kept by whoever checks."""
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"


def note_of(text: str, signatures: Sequence[Signature]) -> str:
    """Return the signed note of a text and its signature lines."""
    return text + "\n" + "".join(f"{signature.line}\n" for signature in signatures)


def parse_note(note: str) -> tuple[Checkpoint, tuple[Signature, ...]]:
    """Return the checkpoint and the signatures of a signed note; FileError where it is anything else, FileError without a signature."""
    text, blank, below = note.rpartition("\n\n")
    if not blank or not below.endswith("\n") or len(note) > _LONGEST:
        raise FileError("This is no checkpoint: it has no blank line with signature lines below it.",
                        way_out="Take the whole text, as `crisis audit checkpoint` prints it.")
    return parse_checkpoint(text + "\n"), tuple(map(parse_signature, below.removesuffix("\n").split("\n")))


def parse_checkpoint(text: str) -> Checkpoint:
    """Return the checkpoint of the signed lines; FileError where a line is missing or not as it would be written."""
    lines = text.split("\n")
    if len(lines) <= _LEAST_LINES or lines.pop() or "" in lines or any(char < " " for line in lines for char in line):
        raise FileError("This is no checkpoint: it needs a line each for origin, size and root.",
                        way_out="Take the whole text, as `crisis audit checkpoint` prints it.")
    origin, size, root, *more = lines
    if not (size.isascii() and size.isdecimal() and str(int(size[:20])) == size):
        raise FileError("This is no checkpoint: its second line is no size.",
                        way_out="Take the whole text, as `crisis audit checkpoint` prints it.")
    found = _decoded(root)
    if found is None or len(found) != HASH_BYTES:
        raise FileError("This is no checkpoint: its third line is no root.",
                        way_out="Take the whole text, as `crisis audit checkpoint` prints it.")
    return Checkpoint(origin, int(size), found, tuple(more))


def parse_key(text: str) -> Key:
    """Return the public key of one line; FileError where it is none, or its id is not its own."""
    name, _, rest = text.strip().partition("+")
    key_id, _, body = rest.partition("+")
    found = _decoded(body)
    if not is_name(name) or found is None or len(found) != 1 + _PUBLIC_BYTES or found[0] not in {SIGNS, COSIGNS}:
        raise FileError("This is no public key of a sealer or cosigner.", way_out="Take the line that `crisis audit keygen` printed.")
    key = Key(name, found[0], found[1:])
    if key.key_id.hex() != key_id:
        raise FileError("The public key does not fit its own id: a letter of it is wrong.",
                        way_out="Take the line that `crisis audit keygen` printed.")
    return key


def is_name(name: str) -> bool:
    """Whether a key or an origin may be called so: not empty, no blank, no plus."""
    return bool(name) and "+" not in name and not any(char.isspace() or char < " " for char in name)


def message_of(text: str, kind: int, at: int = 0) -> bytes:
    """Return the bytes that a signature of this kind covers; `at` is the second since 1970 at which somebody cosigned."""
    return (f"cosignature/v1\ntime {at}\n{text}" if kind == COSIGNS else text).encode()


def split_signature(signature: bytes, kind: int) -> tuple[int, bytes] | None:
    """Return the second at which it was made (0 for the sealer's own) and the Ed25519 signature; None where its length is another."""
    if kind == SIGNS:
        return (0, signature) if len(signature) == _SIGNATURE_BYTES else None
    if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES:
        return None
    return int.from_bytes(signature[:_TIME_BYTES]), signature[_TIME_BYTES:]


def joined_signature(at: int, signature: bytes, kind: int) -> bytes:
    """Return what stands in the line of a signature."""
    return signature if kind == SIGNS else at.to_bytes(_TIME_BYTES) + signature


def parse_signature(line: str) -> Signature:
    """Return the signature of one line; FileError where it is none."""
    parts = line.split(" ")
    found = _decoded(parts[-1])
    shaped = len(parts) == 3 and parts[0] == DASH and is_name(parts[1])  # noqa: PLR2004 (dash, name, body)
    if not shaped or found is None or len(found) <= _KEY_ID_BYTES:
        raise FileError("This is no checkpoint: a line below the blank one is no signature.",
                        way_out="Take the whole text, as `crisis audit checkpoint` prints it.")
    return Signature(parts[1], found[:_KEY_ID_BYTES], found[_KEY_ID_BYTES:])


def _decoded(text: str) -> bytes | None:
    """Return the bytes of base64; None for anything that base64 would not have written."""
    try:
        found = b64decode(text, validate=True)
    except ValueError:
        return None
    return found if b64encode(found).decode() == text else None
