"""What the doctor asks of the machine below a database: who keeps its lock, and whether the clocks of all who write agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

from crisis_engine.core.calendar import CHINA
from crisis_engine.store import Store, Tx

if TYPE_CHECKING:
    from crisis_engine.engine.host import HostStore

APART, AHEAD = 2.0, 5.0
"""Seconds that this machine's clock may be away from the database's, and a record ahead of it (D: our design)."""

Answer = tuple[int, dict[str, str]]
"""Whether something is wrong (0 or 1), and what its sentence says beside."""


def keeps_lock(store: Store | HostStore, _tx: Tx, _clock: datetime) -> Answer:
    """Name the process that keeps SQLite's write lock: it may stand still, and nobody else can write."""
    keeper = store.lock_holder(keeps=True) if isinstance(store, Store) else None
    if keeper is None:
        return 0, {}
    return 1, {"pid": str(keeper.pid), "at": keeper.wrote_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")}


def is_apart(store: Store | HostStore, tx: Tx, clock: datetime) -> Answer:
    """Compare this machine's clock with that of the database's server; a sandbox goes by a clock that somebody set."""
    if not isinstance(store, Store) or store.dialect == "sqlite" or _is_sandbox(tx):
        return 0, {}
    off = (clock - store.database_now()).total_seconds()
    return int(abs(off) >= APART), {"seconds": f"{off:+.0f}"}


def is_behind(_store: Store | HostStore, tx: Tx, clock: datetime) -> Answer:
    """Compare this machine's clock with the log's newest record: one that is ahead was written by a faster clock, or this one ran back."""
    latest = tx.latest_record()
    ahead = (latest - clock).total_seconds() if latest is not None and not _is_sandbox(tx) else 0.0
    return int(ahead >= AHEAD), {"seconds": f"{ahead:.0f}"}


def _is_sandbox(tx: Tx) -> bool:
    return tx.meta("sandbox") == "yes"


CHECKS: Mapping[str, Callable[[Store | HostStore, Tx, datetime], Answer]] = MappingProxyType(
    {"lock": keeps_lock, "apart": is_apart, "behind": is_behind})

WORDS: Mapping[str, tuple[int, *tuple[str, ...]]] = MappingProxyType({
    "lock": (2,
        "没有进程一直占着写锁。", "No process keeps the write lock.",
        "进程 {pid} 一直占着写锁，别人无法写入；最近一次写入在 {at}。",
        "Process {pid} keeps the write lock, so that nobody else can write; the last write was at {at}."),
    "apart": (9,
        "本机时钟与数据库服务器一致。", "This machine's clock is that of the database's server.",
        "本机时钟与数据库服务器相差 {seconds} 秒。", "This machine's clock is {seconds} s away from that of the database's server."),
    "behind": (9,
        "没有记录晚于本机时钟。", "No record is ahead of this machine's clock.",
        "最新记录比本机时钟晚 {seconds} 秒：写入者的时钟快了，或本机慢了。",
        "The newest record is {seconds} s ahead of this machine's clock: whoever wrote it has a fast clock, or this one is slow."),
})  # fmt: skip
"""The promise and the sentences of each check, as the doctor's own are."""
