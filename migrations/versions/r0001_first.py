"""The first schema: cases and their clocks, the append-only log, the outbox, the roster, and what the rules stand on."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

from crisis_engine.store.trigger import install

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# The log is append-only. Only `secret` may change: redaction empties it, a new key seals it anew; the commitment stays.
_TRIGGERS = (
    """
    CREATE TRIGGER crisis_event_kept BEFORE UPDATE OF case_id, seq, at, kind, "by", second, two, header, commitment,
        prev, hash, deadline, rung, times ON crisis_event
    BEGIN SELECT RAISE(ABORT, 'crisis_event is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_event_never_renumbered BEFORE UPDATE ON crisis_event WHEN NEW.id IS NOT OLD.id  -- also by the name rowid
    BEGIN SELECT RAISE(ABORT, 'crisis_event is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_event_never_deleted BEFORE DELETE ON crisis_event
    BEGIN SELECT RAISE(ABORT, 'crisis_event is append-only'); END
    """,
    # INSERT OR REPLACE deletes without a delete trigger where a connection did not ask for recursive ones: so it is met before.
    # FAIL, not ABORT: to be able to undo a statement that aborts, SQLite would copy every page before each record that is written.
    """
    CREATE TRIGGER crisis_event_never_replaced BEFORE INSERT ON crisis_event
    WHEN EXISTS (SELECT 1 FROM crisis_event WHERE case_id = NEW.case_id AND seq = NEW.seq) OR NEW.id IN (SELECT id FROM crisis_event)
    BEGIN SELECT RAISE(FAIL, 'crisis_event is append-only: crisis_event.case_id, crisis_event.seq'); END
    """,
    # Promise 4: what lowers a risk from red or orange was signed by two; which risk it was stands in the last record that set one.
    """
    CREATE TRIGGER crisis_event_lowered_by_two BEFORE INSERT ON crisis_event
    WHEN NEW.kind = 'risk_lowered' AND NOT NEW.two AND (
        SELECT json_extract(header, '$.risk') FROM crisis_event
        WHERE case_id = NEW.case_id AND seq < NEW.seq AND kind IN ('opened', 'risk_raised', 'risk_lowered') ORDER BY seq DESC LIMIT 1
    ) IN ('red', 'orange')
    BEGIN SELECT RAISE(FAIL, 'crisis_event_two'); END
    """,
    # Promise 1: an open case keeps an armed clock of its own. A case row is written before its clocks, so an ending passes.
    """
    CREATE TRIGGER crisis_deadline_last_kept BEFORE UPDATE OF status, case_id ON crisis_deadline
    WHEN OLD.status = 'armed' AND (NEW.status <> 'armed' OR NEW.case_id <> OLD.case_id)
        AND EXISTS (SELECT 1 FROM crisis_case WHERE id = OLD.case_id AND final IS NULL)
        AND NOT EXISTS (SELECT 1 FROM crisis_deadline WHERE case_id = OLD.case_id AND status = 'armed' AND id <> OLD.id)
    BEGIN SELECT RAISE(ABORT, 'crisis_case_clocked'); END
    """,
    """
    CREATE TRIGGER crisis_deadline_never_deleted BEFORE DELETE ON crisis_deadline
    BEGIN SELECT RAISE(ABORT, 'crisis_case_clocked'); END
    """,
    """
    CREATE TRIGGER crisis_case_never_deleted BEFORE DELETE ON crisis_case
    BEGIN SELECT RAISE(ABORT, 'crisis_case is append-only'); END
    """,
    """
    CREATE TRIGGER crisis_case_rules_kept BEFORE UPDATE OF two, sole ON crisis_case WHEN NEW.two <> OLD.two OR NEW.sole <> OLD.sole
    BEGIN SELECT RAISE(ABORT, 'crisis_case is append-only'); END
    """,
)


def upgrade() -> None:
    _case()
    _absence()
    _access_log()
    _calendar_day()
    _command_key()
    _daemon()
    _definition()
    _duty()
    _guardian()
    _meta()
    _person()
    _subject()
    _unit()
    _vacation()
    _deadline()
    _event()
    _link()
    _notice()
    _receipt()
    _recusal()
    _delivery()
    install(op.get_bind(), _TRIGGERS)


def downgrade() -> None:
    for table in (
        "crisis_delivery",
        "crisis_recusal",
        "crisis_receipt",
        "crisis_notice",
        "crisis_link",
        "crisis_event",
        "crisis_deadline",
        "crisis_vacation",
        "crisis_unit",
        "crisis_subject",
        "crisis_person",
        "crisis_meta",
        "crisis_guardian",
        "crisis_duty",
        "crisis_definition",
        "crisis_daemon",
        "crisis_command_key",
        "crisis_case",
        "crisis_calendar_day",
        "crisis_access_log",
        "crisis_absence",
    ):
        op.drop_table(table)


def _where(condition: str) -> dict[str, Any]:
    """Return what makes an index partial, for each database that knows such."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _absence() -> None:
    op.create_table(
        "crisis_absence",
        sa.Column("id", _ID, nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=False),
        sa.Column("ends_at", sa.BigInteger(), nullable=False),
        sa.Column("handed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("person", "begins_at", name="crisis_absence_begin"),
    )
    op.create_index("crisis_absence_begins", "crisis_absence", ["begins_at"], **_where("handed_at IS NULL"))


def _access_log() -> None:
    op.create_table(
        "crisis_access_log",
        sa.Column("id", _ID, nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=True),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_access_log_number", "crisis_access_log", ["number", "at"])


def _calendar_day() -> None:
    op.create_table(
        "crisis_calendar_day",
        sa.Column("date", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.CheckConstraint("kind IN ('off', 'work')", name="crisis_calendar_day_kind"),
        sa.PrimaryKeyConstraint("date"),
    )


def _case() -> None:
    op.create_table(
        "crisis_case",
        sa.Column("id", _ID, nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("workflow", sa.String(), nullable=False),
        sa.Column("procedure", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("tier", sa.String(), nullable=False),
        sa.Column("risk", sa.String(), nullable=False),
        sa.Column("peak", sa.String(), nullable=False),
        sa.Column("danger", sa.Boolean(), nullable=False),
        sa.Column("lead", sa.String(), nullable=True),
        sa.Column("final", sa.String(), nullable=True),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("closed_at", sa.BigInteger(), nullable=True),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("answers_role", sa.String(), nullable=False),
        sa.Column("answers_unit", sa.String(), nullable=False),
        sa.Column("answers", sa.String(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_second", sa.String(), nullable=True),
        sa.Column("two", sa.Boolean(), nullable=False),
        sa.Column("sole", sa.Boolean(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("clocks", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "final IS NULL OR (ended_by IS NOT NULL AND ended_by <> '' AND (final IN ('merged') OR NOT two"
            " OR (ended_second IS NOT NULL AND ended_second <> '' AND ended_by <> ended_second)))",
            name="crisis_case_two",
        ),
        sa.CheckConstraint("peak IN ('unrated', 'blue', 'yellow', 'orange', 'red')", name="crisis_case_peak"),
        sa.CheckConstraint("risk IN ('unrated', 'blue', 'yellow', 'orange', 'red')", name="crisis_case_risk"),
        sa.CheckConstraint("tier IN ('peer', 'class', 'grade', 'school', 'county', 'city')", name="crisis_case_tier"),
        sa.CheckConstraint("final IS NOT NULL OR (next_at IS NOT NULL AND clocks <> '[]')", name="crisis_case_clocked"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number", name="crisis_case_number"),
    )
    op.create_index("crisis_case_answers", "crisis_case", ["answers_unit", "due_at"],
                    **_where("final IS NULL AND tier NOT IN ('peer', 'class')"))
    op.create_index("crisis_case_unanswered", "crisis_case", ["id"], **_where("final IS NULL AND answers IS NULL"))
    op.create_index("crisis_case_next", "crisis_case", ["next_at"], **_where("final IS NULL"))
    op.create_index("crisis_case_parent", "crisis_case", ["parent"], **_where("parent IS NOT NULL"))
    op.create_index(
        "crisis_case_sole", "crisis_case", ["workflow", "subject"], unique=True,
        **_where("final IS NULL AND sole AND subject IS NOT NULL"),
    )
    op.create_index("crisis_case_subject", "crisis_case", ["subject"], **_where("subject IS NOT NULL"))
    op.create_index("crisis_case_unit", "crisis_case", ["unit"])


def _command_key() -> None:
    op.create_table(
        "crisis_command_key",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key"),
    )


def _daemon() -> None:
    op.create_table(
        "crisis_daemon",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _definition() -> None:
    op.create_table(
        "crisis_definition",
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("hash"),
    )


def _duty() -> None:
    op.create_table(
        "crisis_duty",
        sa.Column("id", _ID, nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("begins_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("hours", sa.String(), nullable=False),
        sa.Column("on_call", sa.Boolean(), nullable=False),
        sa.Column("handed_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_duty_ends", "crisis_duty", ["ends_at"], **_where("handed_at IS NULL AND ends_at IS NOT NULL"))
    op.create_index("crisis_duty_person", "crisis_duty", ["person"])
    op.create_index(
        "crisis_duty_post", "crisis_duty", ["unit", "role", "person", sa.text("coalesce(begins_at, 0)")], unique=True,
    )


def _guardian() -> None:
    op.create_table(
        "crisis_guardian",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_guardian_subject", "crisis_guardian", ["subject"])


def _meta() -> None:
    op.create_table(
        "crisis_meta",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def _person() -> None:
    op.create_table(
        "crisis_person",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _subject() -> None:
    op.create_table(
        "crisis_subject",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("ref", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("ref", name="crisis_subject_ref"),
    )
    op.create_index("crisis_subject_unit", "crisis_subject", ["unit"])


def _unit() -> None:
    op.create_table(
        "crisis_unit",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("parent", sa.String(), nullable=True),
        sa.Column("begins_at", sa.BigInteger(), nullable=True),
        sa.Column("ends_at", sa.BigInteger(), nullable=True),
        sa.Column("dismissal", sa.String(), nullable=True),
        sa.Column("policy", sa.String(), nullable=True),
        sa.CheckConstraint("kind IN ('city', 'county', 'school', 'grade', 'class', 'partner')", name="crisis_unit_kind"),
        sa.PrimaryKeyConstraint("id"),
    )


def _vacation() -> None:
    op.create_table(
        "crisis_vacation",
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("first", sa.String(), nullable=False),
        sa.Column("last", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "first"),
    )


def _deadline() -> None:
    op.create_table(
        "crisis_deadline",
        sa.Column("id", _ID, nullable=False),
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("sort", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("unit", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=True),
        sa.Column("armed_at", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("cap_at", sa.BigInteger(), nullable=True),
        sa.Column("provisional", sa.Boolean(), nullable=False),
        sa.Column("at_tier", sa.Boolean(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=True),
        sa.CheckConstraint("sort IN ('safety', 'paper')", name="crisis_deadline_sort"),
        sa.CheckConstraint("status IN ('armed', 'met', 'dropped')", name="crisis_deadline_status"),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("crisis_deadline_armed", "crisis_deadline", ["case_id"], **_where("status = 'armed'"))
    op.create_index("crisis_deadline_ended", "crisis_deadline", ["case_id"], **_where("status <> 'armed'"))
    op.create_index("crisis_deadline_unheld", "crisis_deadline", ["case_id"], **_where("status = 'armed' AND holder IS NULL"))
    op.create_index("crisis_deadline_provisional", "crisis_deadline", ["case_id"], **_where("status = 'armed' AND provisional"))
    op.create_index("crisis_deadline_queue", "crisis_deadline", ["unit", "role", "due_at"], **_where("status = 'armed' AND NOT at_tier"))


def _event() -> None:
    op.create_table(
        "crisis_event",
        sa.Column("id", _ID, nullable=False),
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("second", sa.String(), nullable=True),
        sa.Column("two", sa.Boolean(), nullable=False),
        sa.Column("header", sa.Text(), nullable=False),
        sa.Column("commitment", sa.LargeBinary(), nullable=True),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("prev", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("deadline", sa.String(), nullable=True),
        sa.Column("rung", sa.Integer(), nullable=True),
        sa.Column("times", sa.Integer(), nullable=True),
        sa.CheckConstraint("kind <> 'danger_ended' OR two", name="crisis_event_danger_two"),
        sa.CheckConstraint("NOT two OR (second IS NOT NULL AND second <> '' AND second <> \"by\")", name="crisis_event_two"),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"], deferrable=True, initially="DEFERRED"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_id", "seq", name="crisis_event_seq"),
    )
    op.create_index(
        "crisis_event_rung", "crisis_event", ["case_id", "deadline", "rung", "times"], unique=True,
        **_where("kind = 'rung_fired'"),
    )


def _link() -> None:
    op.create_table(
        "crisis_link",
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.Column("other", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"]),
        sa.PrimaryKeyConstraint("case_id", "link", "other"),
    )


def _notice() -> None:
    op.create_table(
        "crisis_notice",
        sa.Column("id", _ID, nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("people", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=True),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("not_before", sa.BigInteger(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("next_try_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("error", sa.String(), nullable=False),
        sa.CheckConstraint("status IN ('waiting', 'sent', 'failed', 'dead')", name="crisis_notice_status"),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"]),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("case_id", "key", name="crisis_notice_key"),
    )
    op.create_index("crisis_notice_waiting", "crisis_notice", ["next_try_at"], **_where("status = 'waiting'"))


def _receipt() -> None:
    op.create_table(
        "crisis_receipt",
        sa.Column("token", sa.String(), nullable=False),
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("made_at", sa.BigInteger(), nullable=False),
        sa.Column("reporter", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"]),
        sa.PrimaryKeyConstraint("token"),
    )


def _recusal() -> None:
    op.create_table(
        "crisis_recusal",
        sa.Column("case_id", _ID, nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["crisis_case.id"]),
        sa.PrimaryKeyConstraint("case_id", "person"),
    )


def _delivery() -> None:
    op.create_table(
        "crisis_delivery",
        sa.Column("notice_id", _ID, nullable=False),
        sa.Column("person", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("ok", sa.Boolean(), nullable=False),
        sa.Column("error", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["notice_id"], ["crisis_notice.id"]),
        sa.PrimaryKeyConstraint("notice_id", "person", "channel"),
    )
