"""The tables of partners (协作单位): of what sort each is, and what it agreed to."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index
from sqlmodel import Field

from crisis_engine.store.table import Row


class PartnerRow(Row, table=True):
    """Of what sort a unit of kind `partner` is."""

    __tablename__ = "crisis_partner"
    unit: str = Field(primary_key=True)
    sort: str


class AgreementRow(Row, table=True):
    """One agreement: a partner takes children of a place, from when to when, so many at one time."""

    __tablename__ = "crisis_agreement"
    __table_args__ = (
        CheckConstraint("ends_at > begins_at", name="crisis_agreement_term"),
        CheckConstraint("capacity IS NULL OR capacity > 0", name="crisis_agreement_capacity"),
        Index("crisis_agreement_partner", "partner"),
    )
    id: str = Field(primary_key=True)
    partner: str
    place: str
    begins_at: int = Field(sa_type=BigInteger)
    ends_at: int = Field(sa_type=BigInteger)
    capacity: int | None = None
