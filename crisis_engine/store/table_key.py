"""The tables of secrecy: wrapped data keys, and who changed a master key when."""

from __future__ import annotations

from sqlmodel import Field

from crisis_engine.store.table import Row, _key, _micros, _one_of

DATA_KEY_KINDS = ("case", "subject", "staff", "index")


class DataKeyRow(Row, table=True):
    """A data key, wrapped under the master key of that id; deleting the row shreds all that it sealed."""

    __tablename__ = "crisis_data_key"
    __table_args__ = (_one_of("kind", DATA_KEY_KINDS, "crisis_data_key_kind"),)

    kind: str = Field(primary_key=True)
    ref: str = Field(primary_key=True)
    wrapped: bytes
    master: str
    algorithm: int
    made_at: int | None = _micros(null=True)


class KeyLogRow(Row, table=True):
    """What was done with the master key: begun and finished rotations, by whom and when."""

    __tablename__ = "crisis_key_log"

    id: int | None = _key()
    at: int = _micros()
    by: str
    what: str
    master: str
