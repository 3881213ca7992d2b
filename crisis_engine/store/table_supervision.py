"""The tables of supervision (督导): zero reports (零报告), and which order a rule opened about what."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from crisis_engine.store.table import Row, _key, _micros


class ZeroReportRow(Row, table=True):
    """Somebody said for a unit that there was nothing to report in a month; said again, it is one more row."""

    __tablename__ = "crisis_zero_report"
    __table_args__ = (Index("crisis_zero_report_month", "unit", "month"),)
    id: int | None = _key()
    unit: str
    month: str
    by: str
    at: int = _micros()


class OccasionRow(Row, table=True):
    """A rule of a policy opened a case about a unit, for what began at that instant: once, whoever looks how often."""

    __tablename__ = "crisis_occasion"
    rule: str = Field(primary_key=True)
    unit: str = Field(primary_key=True)
    since: int = Field(primary_key=True, sa_type=BigInteger)
    number: str
    at: int = _micros()
