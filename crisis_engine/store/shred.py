"""The shred ledger: a file beside the database that says what was erased or held, so that a restored backup cannot bring it back."""

from __future__ import annotations

import json
import os
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from crisis_engine.core.errors import StoreError
from crisis_engine.store.header import canonical

GENESIS = "0" * 64
_FIELDS = ("what", "kind", "ref", "at", "by", "second", "prev")


class Shred(NamedTuple):
    """One line: `what` is erased, held or lifted; `at` in microseconds; `prev` the hash of the line before."""

    what: str
    kind: str
    ref: str
    at: int
    by: str
    second: str
    prev: str

    @property
    def line(self) -> str:
        """Return the canonical JSON of the line."""
        return canonical(self._asdict())

    @property
    def hash(self) -> str:
        """Return the hash that the next line names."""
        return sha256(self.line.encode()).hexdigest()


def ledger_of(database: str | None) -> Path | None:
    """Return the ledger of a SQLite database: the file that CRISIS_SHREDS names, else the one beside it; None for one in memory."""
    if not database or ":memory:" in database or "mode=memory" in database:
        return None
    name = database.removeprefix("file:").partition("?")[0] if database.startswith("file:") else database
    return Path(os.environ.get("CRISIS_SHREDS") or f"{name}.shreds")


def read_ledger(path: Path) -> tuple[list[Shred], int]:
    """Return the lines that follow each other, and the number of the first line that does not, 0 when all do.

    Half a line at the end is none: it was being written when the machine stopped, and what it says was not done.
    """
    found: list[Shred] = []
    for number, line in enumerate(_raw(path).split(b"\n")[:-1], start=1):
        shred = _shred(line)
        if shred is None or (found and shred.prev != found[-1].hash):
            return found, number
        found.append(shred)
    return found, 0


def last_hash(path: Path) -> str | None:
    """Return the hash of the last whole line, None when there is none: enough to see that nothing is new."""
    lines = _raw(path).rsplit(b"\n", 2)[-2:-1]
    return sha256(lines[0]).hexdigest() if lines else None


def append_ledger(path: Path, shred: Shred) -> None:
    """Append a line, on the disk before this returns; StoreError when that is not possible, and then nothing may be erased."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            raw = os.pread(handle, os.fstat(handle).st_size, 0)
            os.ftruncate(handle, raw.rfind(b"\n") + 1)   # half a line is none
            os.lseek(handle, 0, os.SEEK_END)
            data = shred.line.encode() + b"\n"
            if os.write(handle, data) != len(data):
                os.ftruncate(handle, raw.rfind(b"\n") + 1)
                raise StoreError("The shred ledger cannot be written: no space left.", way_out="Make room; nothing was erased.")
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StoreError(f"The shred ledger cannot be written: {error.strerror}.", way_out="Check the file; nothing was erased.") from None


def _raw(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StoreError(f"The shred ledger cannot be read: {error.strerror}.", way_out="Check the file and its rights.") from None


def _shred(line: bytes) -> Shred | None:
    try:
        values = json.loads(line)
        shred = Shred(**values)
    except (ValueError, TypeError):
        return None
    typed = type(shred.at) is int and all(type(getattr(shred, name)) is str for name in _FIELDS if name != "at")
    return shred if typed and shred.line.encode() == line else None
