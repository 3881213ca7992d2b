"""Every table as a SQLModel class, for the migrations and whoever reads the schema; rows go by SQL.

They have a MetaData of their own, and each name begins with `crisis_`: we live inside the databases of others.
Times are microseconds since the epoch, UTC. Enums are their values as text, with a CHECK.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, Integer, LargeBinary, Text, UniqueConstraint, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from crisis_engine.core.model import RISKS, TIERS, UNIT_KINDS

# SQLite counts rows by itself only in a column that is exactly INTEGER.
_ID = BigInteger().with_variant(Integer, "sqlite")


class Row(SQLModel, registry=registry()):
    """What all tables share: our own MetaData, which no host's migration sees."""


metadata = Row.metadata
"""Our tables, for Alembic and for the test that compares them with a migrated database."""


def _key() -> Any:  # noqa: ANN401 (what Field gives)
    return Field(default=None, primary_key=True, sa_type=_ID)


def _micros(*, null: bool = False) -> Any:  # noqa: ANN401
    return Field(default=None, sa_type=BigInteger, nullable=null)


def _case() -> Any:  # noqa: ANN401
    return Field(foreign_key="crisis_case.id", sa_type=_ID)


def _one_of(column: str, values: Iterable[str], name: str) -> CheckConstraint:
    listed = ", ".join(f"'{value}'" for value in values)
    return CheckConstraint(f"{column} IN ({listed})", name=name)


def _partial(name: str, *columns: str, where: str, unique: bool = False) -> Index:
    """Return an index of few rows: only those that a query looks for are in it."""
    return Index(name, *columns, unique=unique, sqlite_where=text(where), postgresql_where=text(where))


class CaseRow(Row, table=True):
    """A case as it stands now; `clocks` holds those that run, `state` what no query looks at, `head` the hash of the last event."""

    __tablename__ = "crisis_case"
    __table_args__ = (
        UniqueConstraint("number", name="crisis_case_number"),
        _one_of("tier", TIERS, "crisis_case_tier"),
        _one_of("risk", RISKS, "crisis_case_risk"),
        _one_of("peak", RISKS, "crisis_case_peak"),
        CheckConstraint("final IS NOT NULL OR (next_at IS NOT NULL AND clocks <> '[]')", name="crisis_case_clocked"),  # promise 1
        CheckConstraint(
            "final IS NULL OR (ended_by IS NOT NULL AND ended_by <> '' AND (final IN ('merged') OR NOT two"
            " OR (ended_second IS NOT NULL AND ended_second <> '' AND ended_by <> ended_second)))",
            name="crisis_case_two",
        ),
        _partial("crisis_case_sole", "workflow", "subject", where="final IS NULL AND sole AND subject IS NOT NULL", unique=True),
        _partial("crisis_case_next", "next_at", where="final IS NULL"),
        _partial("crisis_case_answers", "answers_unit", "due_at", where="final IS NULL AND tier NOT IN ('peer', 'class')"),
        _partial("crisis_case_unanswered", "id", where="final IS NULL AND answers IS NULL"),
        _partial("crisis_case_subject", "subject", where="subject IS NOT NULL"),
        _partial("crisis_case_parent", "parent", where="parent IS NOT NULL"),
        Index("crisis_case_unit", "unit"),
    )

    id: int | None = _key()
    number: str
    workflow: str
    procedure: str
    unit: str
    subject: str | None
    parent: str | None
    stage: str
    tier: str
    risk: str
    peak: str
    danger: bool
    lead: str | None
    final: str | None
    opened_at: int = _micros()
    closed_at: int | None = _micros(null=True)
    last_at: int = _micros()
    version: int
    answers_role: str
    answers_unit: str
    answers: str | None
    next_at: int | None = _micros(null=True)
    due_at: int | None = _micros(null=True)
    ended_by: str | None
    ended_second: str | None
    two: bool
    sole: bool
    head: bytes = Field(sa_type=LargeBinary)
    state: str = Field(sa_type=Text)
    clocks: str = Field(sa_type=Text)


class DeadlineRow(Row, table=True):
    """One arming of one clock: whose queue it stands in while it runs, and how it ended. How it stands now is in the case's `clocks`."""

    __tablename__ = "crisis_deadline"
    __table_args__ = (
        _one_of("sort", ("safety", "paper"), "crisis_deadline_sort"),
        _one_of("status", ("armed", "met", "dropped"), "crisis_deadline_status"),
        _partial("crisis_deadline_armed", "case_id", where="status = 'armed'"),
        _partial("crisis_deadline_ended", "case_id", where="status <> 'armed'"),
        _partial("crisis_deadline_queue", "unit", "role", "due_at", where="status = 'armed' AND NOT at_tier"),
        _partial("crisis_deadline_unheld", "case_id", where="status = 'armed' AND holder IS NULL"),
        _partial("crisis_deadline_provisional", "case_id", where="status = 'armed' AND provisional"),
    )

    id: int | None = _key()
    case_id: int = _case()
    name: str
    n: int
    sort: str
    role: str
    unit: str
    holder: str | None
    armed_at: int = _micros()
    due_at: int = _micros()
    cap_at: int | None = _micros(null=True)
    provisional: bool
    at_tier: bool
    status: str
    ended_at: int | None = _micros(null=True)
    late: bool | None


class EventRow(Row, table=True):
    """One record of the append-only log; triggers refuse every change but of `secret`, which can be redacted or sealed anew."""

    __tablename__ = "crisis_event"
    __table_args__ = (
        ForeignKeyConstraint(["case_id"], ["crisis_case.id"], deferrable=True, initially="DEFERRED"),
        UniqueConstraint("case_id", "seq", name="crisis_event_seq"),
        CheckConstraint("kind <> 'danger_ended' OR two", name="crisis_event_danger_two"),
        CheckConstraint("NOT two OR (second IS NOT NULL AND second <> '' AND second <> \"by\")", name="crisis_event_two"),
        _partial("crisis_event_rung", "case_id", "deadline", "rung", "times", where="kind = 'rung_fired'", unique=True),
    )

    id: int | None = _key()
    case_id: int = Field(sa_type=_ID)
    seq: int
    at: int = _micros()
    kind: str
    by: str
    second: str | None
    two: bool
    header: str = Field(sa_type=Text)
    commitment: bytes | None = Field(sa_type=LargeBinary)
    secret: bytes | None = Field(sa_type=LargeBinary)
    prev: bytes = Field(sa_type=LargeBinary)
    hash: bytes = Field(sa_type=LargeBinary)
    deadline: str | None
    rung: int | None
    times: int | None


class LinkRow(Row, table=True):
    """A relation of a case to another."""

    __tablename__ = "crisis_link"
    case_id: int = Field(foreign_key="crisis_case.id", primary_key=True, sa_type=_ID)
    link: str = Field(primary_key=True)
    other: str = Field(primary_key=True)


class RecusalRow(Row, table=True):
    """A person whom a case concerns (回避)."""

    __tablename__ = "crisis_recusal"
    case_id: int = Field(foreign_key="crisis_case.id", primary_key=True, sa_type=_ID)
    person: str = Field(primary_key=True)


class ReceiptRow(Row, table=True):
    """What a reporter holds; `reporter` is a secret of its own, sealed under the case's key, and stands nowhere else."""

    __tablename__ = "crisis_receipt"
    token: str = Field(primary_key=True)
    case_id: int = _case()
    made_at: int = _micros()
    reporter: bytes = Field(sa_type=LargeBinary)


class CommandKeyRow(Row, table=True):
    """The answer to a command that came with an idempotency key, and a digest that tells another command under the same key."""

    __tablename__ = "crisis_command_key"
    key: str = Field(primary_key=True)
    digest: str
    answer: str = Field(sa_type=Text)
    made_at: int = _micros()


class NoticeRow(Row, table=True):
    """The outbox: who must be told what."""

    __tablename__ = "crisis_notice"
    __table_args__ = (
        UniqueConstraint("case_id", "key", name="crisis_notice_key"),  # a key begins with its case's number
        _one_of("status", ("waiting", "sent", "failed", "dead"), "crisis_notice_status"),
        _partial("crisis_notice_waiting", "next_try_at", where="status = 'waiting'"),
    )

    id: int | None = _key()
    key: str
    case_id: int = _case()
    people: str
    what: str
    why: str
    due_at: int | None = _micros(null=True)
    urgent: bool
    at: int = _micros()
    not_before: int | None = _micros(null=True)
    status: str
    tries: int
    next_try_at: int = _micros()
    ended_at: int | None = _micros(null=True)
    error: str


class DeliveryRow(Row, table=True):
    """Whether one person was reached on one channel."""

    __tablename__ = "crisis_delivery"
    notice_id: int = Field(foreign_key="crisis_notice.id", primary_key=True, sa_type=_ID)
    person: str = Field(primary_key=True)
    channel: str = Field(primary_key=True)
    at: int = _micros()
    ok: bool
    error: str


class UnitRow(Row, table=True):
    """A place in the tree; its id is its path."""

    __tablename__ = "crisis_unit"
    __table_args__ = (_one_of("kind", UNIT_KINDS, "crisis_unit_kind"),)

    id: str = Field(primary_key=True)
    kind: str
    name: str
    parent: str | None
    begins_at: int | None = _micros(null=True)
    ends_at: int | None = _micros(null=True)
    dismissal: str | None
    policy: str | None


class PersonRow(Row, table=True):
    """Somebody who can hold a duty; name and contact are sealed under the staff's key."""

    __tablename__ = "crisis_person"
    __table_args__ = (_partial("crisis_person_name", "name_index", where="name_index IS NOT NULL"),)

    id: str = Field(primary_key=True)
    name: bytes = Field(sa_type=LargeBinary)
    contact: bytes = Field(sa_type=LargeBinary)
    name_index: int | None


class DutyRow(Row, table=True):
    """Who holds which role where (岗位职责); `handed_at` says when a sweep handed its work over after it ended."""

    __tablename__ = "crisis_duty"
    __table_args__ = (
        Index("crisis_duty_post", "unit", "role", "person", text("coalesce(begins_at, 0)"), unique=True),
        Index("crisis_duty_person", "person"),
        _partial("crisis_duty_ends", "ends_at", where="handed_at IS NULL AND ends_at IS NOT NULL"),
    )

    id: int | None = _key()
    role: str
    unit: str
    person: str
    begins_at: int | None = _micros(null=True)
    ends_at: int | None = _micros(null=True)
    rank: int
    hours: str
    on_call: bool
    handed_at: int | None = _micros(null=True)


class AbsenceRow(Row, table=True):
    """When a person is not there; `handed_at` says when a sweep handed the work over after it began."""

    __tablename__ = "crisis_absence"
    __table_args__ = (
        UniqueConstraint("person", "begins_at", name="crisis_absence_begin"),
        _partial("crisis_absence_begins", "begins_at", where="handed_at IS NULL"),
    )

    id: int | None = _key()
    person: str
    begins_at: int = _micros()
    ends_at: int = _micros()
    handed_at: int | None = _micros(null=True)


class SubjectRow(Row, table=True):
    """A child: the random key that cases carry; its ref and name are sealed under a key of its own and found by blind indexes."""

    __tablename__ = "crisis_subject"
    __table_args__ = (UniqueConstraint("ref_index", name="crisis_subject_ref"), Index("crisis_subject_unit", "unit"),
                      _partial("crisis_subject_name", "name_index", where="name_index IS NOT NULL"))

    id: str = Field(primary_key=True)
    ref: bytes = Field(sa_type=LargeBinary)
    unit: str
    name: bytes = Field(sa_type=LargeBinary)
    ref_index: str
    name_index: int | None
    seen_at: int | None = _micros(null=True)


class GuardianRow(Row, table=True):
    """A guardian (监护人), sealed under the child's key; `subject` is the blind index of the child's ref."""

    __tablename__ = "crisis_guardian"
    __table_args__ = (Index("crisis_guardian_subject", "subject"),)

    id: str = Field(primary_key=True)
    subject: str
    name: bytes = Field(sa_type=LargeBinary)
    contact: bytes = Field(sa_type=LargeBinary)


class CalendarDayRow(Row, table=True):
    """A day that is off on a weekday or worked at a weekend (调休), as an ISO date."""

    __tablename__ = "crisis_calendar_day"
    __table_args__ = (_one_of("kind", ("off", "work"), "crisis_calendar_day_kind"),)

    date: str = Field(primary_key=True)
    kind: str


class VacationRow(Row, table=True):
    """A school vacation (寒假、暑假) of a unit and all under it, both days included."""

    __tablename__ = "crisis_vacation"
    unit: str = Field(primary_key=True)
    first: str = Field(primary_key=True)
    last: str


class DefinitionRow(Row, table=True):
    """The flattened text of a procedure that a case is pinned to."""

    __tablename__ = "crisis_definition"
    hash: str = Field(primary_key=True)
    kind: str
    name: str
    body: str = Field(sa_type=Text)


class MetaRow(Row, table=True):
    """Facts about the database itself: when it was made, whether it is a sandbox, versions of roster and calendar."""

    __tablename__ = "crisis_meta"
    name: str = Field(primary_key=True)
    value: str


class AccessLogRow(Row, table=True):
    """Who read what of which case, how secret, and why; it stands beside the chain, and triggers keep it from being changed."""

    __tablename__ = "crisis_access_log"
    __table_args__ = (Index("crisis_access_log_number", "number", "at"), Index("crisis_access_log_who", "who", "at"))

    id: int | None = _key()
    who: str
    what: str
    number: str | None
    at: int = _micros()
    why: bytes = Field(sa_type=LargeBinary)
    tier: int
    glass: int
