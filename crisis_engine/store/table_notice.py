"""The tables of delivery: messages that are made from notices for one person each, and what went into a digest."""

from __future__ import annotations

from sqlalchemy import Index, Text, UniqueConstraint
from sqlmodel import Field

from crisis_engine.store.table import _ID, Row, _key, _micros, _one_of, _partial


class MessageRow(Row, table=True):
    """One message to one person over one channel; `key` is the same over every try and on every channel.

    `lease_until` and `fence` are the claim of whoever sends it now: only the own fence may mark it. `unsure` says that a try may have
    come through, so that nothing may be added to it any more.
    """

    __tablename__ = "crisis_message"
    __table_args__ = (
        UniqueConstraint("key", "channel", name="crisis_message_key"),
        _one_of("status", ("waiting", "sent", "dead", "dropped"), "crisis_message_status"),
        _partial("crisis_message_waiting", "urgent", "next_try_at", where="status = 'waiting'"),
        _partial("crisis_message_dead", "id", where="status = 'dead'"),
        Index("crisis_message_person", "person", "channel", "made_at"),
    )

    id: int | None = _key()
    key: str
    person: str
    channel: str
    urgent: bool
    digest_id: int | None = Field(default=None, foreign_key="crisis_digest.id", sa_type=_ID)
    status: str
    made_at: int = _micros()
    tries: int
    next_try_at: int = _micros()
    lease_until: int | None = _micros(null=True)
    fence: int
    unsure: bool
    passed_on: bool
    ended_at: int | None = _micros(null=True)
    error: str
    answer: str
    received_at: int | None = _micros(null=True)


class MessageNoticeRow(Row, table=True):
    """Which notices one message carries."""

    __tablename__ = "crisis_message_notice"
    __table_args__ = (Index("crisis_message_notice_notice", "notice_id"),)

    message_id: int = Field(foreign_key="crisis_message.id", primary_key=True, sa_type=_ID)
    notice_id: int = Field(foreign_key="crisis_notice.id", primary_key=True, sa_type=_ID)


class DigestRow(Row, table=True):
    """What one person is told once a day or week; `lines` are case numbers, names of clocks, times and counts, as JSON."""

    __tablename__ = "crisis_digest"
    __table_args__ = (
        UniqueConstraint("kind", "period", "person", name="crisis_digest_once"),
        _one_of("kind", ("daily", "weekly"), "crisis_digest_kind"),
        _partial("crisis_digest_waiting", "id", where="shared_at IS NULL"),
    )

    id: int | None = _key()
    kind: str
    period: str
    person: str
    at: int = _micros()
    lines: str = Field(sa_type=Text)
    shared_at: int | None = _micros(null=True)
