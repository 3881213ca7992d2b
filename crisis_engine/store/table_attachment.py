"""The table of attachments: each a sealed file of one record of the log, and nothing in clear that says what it is."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, LargeBinary
from sqlmodel import Field

from crisis_engine.store.table import _ID, Row


class AttachmentRow(Row, table=True):
    """A file that came with record `seq` of a case, the `n`-th of that record; `size` is that of the envelope, as `content` has it."""

    __tablename__ = "crisis_attachment"
    __table_args__ = (CheckConstraint("size > 0 AND size = length(content)", name="crisis_attachment_whole"),)

    case_id: int = Field(foreign_key="crisis_case.id", primary_key=True, sa_type=_ID)
    seq: int = Field(primary_key=True)
    n: int = Field(primary_key=True)
    at: int = Field(sa_type=BigInteger)
    size: int = Field(sa_type=BigInteger)
    content: bytes = Field(sa_type=LargeBinary)
