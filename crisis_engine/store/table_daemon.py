"""The tables of the daemon: heartbeats by name, the daemons that live on all machines, and the periodic jobs that one of them does."""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlmodel import Field

from crisis_engine.store.table import Row, _key


class HeartbeatRow(Row, table=True):
    """When a sweep last showed life, whoever called it."""

    __tablename__ = "crisis_heartbeat"
    name: str = Field(primary_key=True)
    at: int = Field(sa_type=BigInteger)


class DaemonRow(Row, table=True):
    """One running daemon. `definitions_at` is when its definitions were first seen here: later ones are newer."""

    __tablename__ = "crisis_daemon"
    id: str = Field(primary_key=True)
    host: str
    pid: int
    version: str
    revision: str
    definitions: str
    definitions_at: int = Field(sa_type=BigInteger)
    started_at: int = Field(sa_type=BigInteger)
    beat_at: int = Field(sa_type=BigInteger)
    round_at: int | None = Field(default=None, sa_type=BigInteger)
    success_at: int | None = Field(default=None, sa_type=BigInteger)
    state: str


class ClockWordRow(Row, table=True):
    """Somebody's word that a machine's clock is right, and what that clock said then; triggers refuse change and deletion."""

    __tablename__ = "crisis_clock_word"
    id: int | None = _key()
    at: int = Field(sa_type=BigInteger)
    by: str


class JobRow(Row, table=True):
    """A periodic job in one period: claimed by one daemon, and done unless it died."""

    __tablename__ = "crisis_job"
    job: str = Field(primary_key=True)
    period: str = Field(primary_key=True)
    daemon: str
    at: int = Field(sa_type=BigInteger)
    done_at: int | None = Field(default=None, sa_type=BigInteger)
