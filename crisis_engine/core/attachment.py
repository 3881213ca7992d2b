"""An attachment (附件): a file that somebody puts into a form. Its name and content are secrets, and it is what its name says."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Any, NamedTuple, TypeGuard

from .secret import MASK, Secret

MOST_BYTES = 10 * 1024 * 1024
"""Most bytes of an attachment, unless its field says otherwise (D: our design: a scan of some pages, a photo, minutes of speech)."""

BYTES_LIMIT = 50 * 1024 * 1024
"""The most that a field may ask for: it is sealed and proven in one piece."""

NAME_MOST = 120


@dataclass(frozen=True, slots=True, repr=False)
class Attachment:
    """A file for a form's field of the type `attachment`: its name and its bytes. To every log and sentence it is a mask.

    What a form takes of it is checked when the move is made: see `core/form.py`. Of a name with path parts the last one is kept.
    """

    name: str
    content: bytes

    def __post_init__(self) -> None:
        """Make the name a secret, as every text of a form."""
        if isinstance(self.name, str):
            object.__setattr__(self, "name", Secret(self.name))

    def __repr__(self) -> str:
        return MASK

    @property
    def sort(self) -> str:
        """What the name says that it is, as `pdf`; empty where that is none of SORTS."""
        return sort_of(self.name)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return len(self.content)

    @property
    def sha256(self) -> str:
        """The hash of its content, in hex."""
        return sha256(self.content).hexdigest()


class Kept(NamedTuple):
    """An attachment on its way into the store: the record that it came with, its place there, its hash and its content."""

    seq: int
    n: int
    sha256: str
    content: bytes


# ---- what an event keeps of it ----------------------------------------------------------------------------------------------

_KEYS = frozenset({"n", "name", "seq", "sha256", "size", "sort"})


def described(attachment: Attachment, seq: int, n: int) -> dict[str, Any]:
    """Return what stands of it in the sealed part of an event, so that the event's commitment proves the content.

    `seq` and `n` say where the content lies: the record that it came with, and the how manieth of that record it is.
    """
    return {"n": n, "name": attachment.name, "seq": seq, "sha256": attachment.sha256, "size": attachment.size, "sort": attachment.sort}


def is_description(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value of an event's secret is what `described` gave; nothing that a form takes from a person looks so."""
    return isinstance(value, Mapping) and set(value) == _KEYS


def descriptions(secret: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what an event's secret keeps of its attachments."""
    return (value for value in secret.values() if is_description(value))


def kept(secret: Mapping[str, Any], seq: int) -> tuple[Mapping[str, Any], tuple[Kept, ...]]:
    """Return an event's secret with each attachment in it described, and the attachments for the store."""
    attached = {name: value for name, value in secret.items() if isinstance(value, Attachment)}
    if not attached:
        return secret, ()
    numbered = list(enumerate(attached.items(), start=1))
    return (
        {**secret, **{name: described(one, seq, n) for n, (name, one) in numbered}},
        tuple(Kept(seq, n, one.sha256, one.content) for n, (_name, one) in numbered),
    )


# ---- names ------------------------------------------------------------------------------------------------------------------

_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})   # control characters, turns of the direction, halves, ends of lines


def kept_name(name: str) -> str | None:
    """Return a file's name as it is kept: the last part of a path; None where it cannot be kept.

    Refused is what is empty or longer than NAME_MOST, and what nobody sees: control characters and turns of the direction, by which
    a name reads as another.
    """
    last = unicodedata.normalize("NFC", str(name)).replace("\\", "/").rpartition("/")[2].strip()
    if not last.rpartition(".")[0] or len(last) > NAME_MOST or any(unicodedata.category(char) in _UNSEEN for char in last):
        return None
    return last


def sort_of(name: str) -> str:
    """Return the sort that a name's end says, as `pdf`; empty where it says none that is known."""
    end = str(name).rpartition(".")[2].lower()
    end = _ALSO.get(end, end)
    return end if end in SORTS else ""


_ALSO: Mapping[str, str] = MappingProxyType({"jpeg": "jpg", "jpe": "jpg"})


# ---- what content is of a sort ----------------------------------------------------------------------------------------------


def _pdf(content: bytes) -> bool:
    return content[:5] == b"%PDF-" and content[5:6].isdigit()


def _jpg(content: bytes) -> bool:
    return content[:3] == b"\xff\xd8\xff" and len(content) > len(b"\xff\xd8\xff")


def _png(content: bytes) -> bool:
    return content[:8] == b"\x89PNG\r\n\x1a\n" and content[12:16] == b"IHDR"


def _txt(content: bytes) -> bool:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return all(char in "\t\n\r\f" or unicodedata.category(char) != "Cc" for char in text)


def _mp3(content: bytes) -> bool:
    return content[:3] == b"ID3" or (content[:1] == b"\xff" and content[1:2] >= b"\xe2" and content[1] & 0x06 == _LAYER_3)


def _m4a(content: bytes) -> bool:
    return content[4:8] == b"ftyp" and content[8:12] in {b"M4A ", b"M4B ", b"mp41", b"mp42", b"isom", b"iso2", b"dash", b"3gp4", b"3gp5"}


def _wav(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WAVE"


def _office(folder: str) -> Callable[[bytes], bool]:
    """Return whether content is an office document whose parts lie in this folder, without macros."""
    def check(content: bytes) -> bool:
        names = _names_in_zip(content)
        own = [name for name in names if name.startswith(f"{folder}/")]
        return "[Content_Types].xml" in names and bool(own) and not any(name.lower().endswith("vbaproject.bin") for name in names)

    return check


_LAYER_3 = 0x02
_END, _ENTRY = b"PK\x05\x06", b"PK\x01\x02"
_END_BYTES, _ENTRY_BYTES, _COMMENT_MOST = 22, 46, 65_535


def _names_in_zip(content: bytes) -> frozenset[str]:
    """Return the names in a zip's directory; none where there is no whole one. Nothing is unpacked."""
    end = content.rfind(_END, max(0, len(content) - _END_BYTES - _COMMENT_MOST))
    if content[:4] != b"PK\x03\x04" or end < 0 or len(content) < end + _END_BYTES:
        return frozenset()
    place, found = int.from_bytes(content[end + 16:end + 20], "little"), []
    for _ in range(int.from_bytes(content[end + 10:end + 12], "little")):
        if content[place:place + 4] != _ENTRY:
            return frozenset()
        name, extra, comment = (int.from_bytes(content[place + at:place + at + 2], "little") for at in (28, 30, 32))
        found.append(content[place + _ENTRY_BYTES:place + _ENTRY_BYTES + name].decode("utf-8", "replace"))
        place += _ENTRY_BYTES + name + extra + comment
    return frozenset(found)


SORTS: Mapping[str, Callable[[bytes], bool]] = MappingProxyType({
    "pdf": _pdf, "jpg": _jpg, "png": _png, "docx": _office("word"), "xlsx": _office("xl"), "txt": _txt, "mp3": _mp3, "m4a": _m4a,
    "wav": _wav,
})
"""The sorts of file that are taken, each with what its content must be. Old office files and whatever runs are not among them."""


# ---- a tiny one of each sort ------------------------------------------------------------------------------------------------


def sample(sorts: Iterable[str] = ()) -> Attachment:
    """Return a tiny attachment of the first of these sorts, of `txt` where none is named: for whoever tries forms out."""
    sort = next(iter(sorts), "txt")
    return Attachment(f"x.{sort}", _SAMPLES.get(sort) or _tiny_zip("[Content_Types].xml", {"docx": "word/x", "xlsx": "xl/x"}[sort]))


def _tiny_zip(*names: str) -> bytes:
    entries = b"".join(_ENTRY + bytes(24) + len(name).to_bytes(2, "little") + bytes(16) + name.encode() for name in names)
    head = b"PK\x03\x04" + bytes(26)
    count = len(names).to_bytes(2, "little")
    sizes = len(entries).to_bytes(4, "little") + len(head).to_bytes(4, "little")
    return head + entries + _END + bytes(4) + count + count + sizes + bytes(2)


_SAMPLES: Mapping[str, bytes] = MappingProxyType({
    "pdf": b"%PDF-1.4\n%%EOF\n", "jpg": b"\xff\xd8\xff\xd9", "png": b"\x89PNG\r\n\x1a\n" + bytes(4) + b"IHDR", "txt": b"x",
    "mp3": b"ID3\x04", "m4a": bytes(4) + b"ftypM4A ", "wav": b"RIFF" + bytes(4) + b"WAVE",
})
