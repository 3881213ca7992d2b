"""The tables of forgetting: what two people agreed to erase, and what must not be erased because a court or an inquiry asked."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, LargeBinary
from sqlmodel import Field

from crisis_engine.store.table import Row, _key, _micros, _one_of, _partial


class ErasureRow(Row, table=True):
    """An erasure: proposed by one, confirmed by another. `because` is sealed under the staff's key; `seen` is the case's version then.

    `ref` is a case's number, a child's random key, or the instant before which receipts or the read log go.
    """

    __tablename__ = "crisis_erasure"
    __table_args__ = (
        _one_of("kind", ("case", "subject", "receipts", "reads"), "crisis_erasure_kind"),
        CheckConstraint(
            "proposed_by <> '' AND (confirmed_by IS NULL) = (confirmed_at IS NULL)"
            " AND (confirmed_by IS NULL OR (confirmed_by <> '' AND confirmed_by <> proposed_by))",
            name="crisis_erasure_two",
        ),
        _partial("crisis_erasure_open", "kind", "ref", where="confirmed_at IS NULL", unique=True),
        _partial("crisis_erasure_done", "kind", "ref", where="confirmed_at IS NOT NULL"),
    )

    id: int | None = _key()
    kind: str
    ref: str
    seen: int | None
    because: bytes = Field(sa_type=LargeBinary)
    proposed_by: str
    proposed_at: int = _micros()
    confirmed_by: str | None
    confirmed_at: int | None = _micros(null=True)


class HoldRow(Row, table=True):
    """A legal hold (司法保全、调查留存) on a case or on a child and all its cases: nothing of it is erased until it is lifted."""

    __tablename__ = "crisis_hold"
    __table_args__ = (
        _one_of("kind", ("case", "subject"), "crisis_hold_kind"),
        _partial("crisis_hold_active", "kind", "ref", where="lifted_at IS NULL", unique=True),
    )

    id: int | None = _key()
    kind: str
    ref: str
    because: bytes = Field(sa_type=LargeBinary)
    placed_by: str
    placed_at: int = _micros()
    lifted_by: str | None
    lifted_at: int | None = _micros(null=True)
