"""Who keeps SQLite's one write lock, as the kernel says: a process that stands still with it keeps every other writer out."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import NamedTuple

WRITE_LOCK = 120
"""The byte of the file `-shm` that a writer locks (sqlite.org/walformat.html, WAL locks). It may only be asked for through /proc: whoever
opens and closes that file in a process that uses the database gives up all locks of that process."""

LOOKS, BETWEEN = 10, 0.1
"""How often the lock is looked at before somebody is said to keep it, and the seconds between: a command has it for some milliseconds."""

# Of who waits for a lock an arrow stands before the kind.
_LOCK = re.compile(r"\d+: POSIX +ADVISORY +WRITE +(?P<pid>\d+) +\S+:(?P<inode>\d+) +(?P<begin>\d+) +(?P<end>\d+|EOF)")


class Holder(NamedTuple):
    """A process that holds the write lock; `stopped` where somebody has stopped it, `wrote_at` when anybody wrote last."""

    pid: int
    stopped: bool
    wrote_at: datetime


def holder_of(path: Path, proc: Path = Path("/proc")) -> Holder | None:
    """Return who holds the write lock of this database now; None where nobody does, or the system does not tell (only Linux does).

    A process of another container has the number 0.
    """
    try:
        inode = str(Path(f"{path}-shm").stat().st_ino)
        wrote_at = datetime.fromtimestamp(Path(f"{path}-wal").stat().st_mtime, UTC)
        lines = (proc / "locks").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    for line in lines:
        found = _LOCK.match(line)
        if found is not None and found["inode"] == inode and _within(found["begin"], found["end"]):
            return Holder(int(found["pid"]), _is_stopped(proc / found["pid"] / "stat"), wrote_at)
    return None


def keeper_of(path: Path, *, looks: int = LOOKS) -> Holder | None:
    """Return who keeps the write lock: the same process at each look, and nothing was written between. A moment's holder is none."""
    first = found = holder_of(path)
    for _look in range(looks):
        if first is None or found is None or (found.pid, found.wrote_at) != (first.pid, first.wrote_at):
            return None
        Event().wait(BETWEEN)
        found = holder_of(path)
    return found


def _within(begin: str, end: str) -> bool:
    return int(begin) <= WRITE_LOCK and (end == "EOF" or int(end) >= WRITE_LOCK)


def _is_stopped(stat: Path) -> bool:
    try:
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] in {"T", "t"}
    except (OSError, IndexError):
        return False
