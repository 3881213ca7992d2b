"""The tables of the proof over all chains: leaves and tiles of the Merkle log, signed checkpoints, cosignatures, known public keys."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, LargeBinary, Text
from sqlmodel import Field

from crisis_engine.store.table import Row

# Exactly INTEGER: then SQLite finds a row by it without an index of its own.
_COUNT = BigInteger().with_variant(Integer, "sqlite")


class LeafRow(Row, table=True):
    """One leaf of the Merkle log: how far the log of a case had come when a batch was sealed; triggers refuse every change."""

    __tablename__ = "crisis_leaf"
    __table_args__ = (
        CheckConstraint("place >= 0 AND seq > 0 AND length(head) = 32", name="crisis_leaf_whole"),
        Index("crisis_leaf_number", "number", "seq", unique=True),
    )

    place: int = Field(primary_key=True, sa_type=_COUNT, sa_column_kwargs={"autoincrement": False})
    number: str
    seq: int
    head: bytes = Field(sa_type=LargeBinary)


class TileRow(Row, table=True):
    """Up to 256 hashes of the tree, side by side; the database lets a tile only grow at its end."""

    __tablename__ = "crisis_tile"
    __table_args__ = (CheckConstraint("length(hashes) % 32 = 0 AND length(hashes) BETWEEN 32 AND 8192", name="crisis_tile_whole"),)

    level: int = Field(primary_key=True)
    place: int = Field(primary_key=True, sa_type=_COUNT)
    hashes: bytes = Field(sa_type=LargeBinary)


class CheckpointRow(Row, table=True):
    """A signed checkpoint, one a batch: the note as the sealer signed it."""

    __tablename__ = "crisis_checkpoint"
    size: int = Field(primary_key=True, sa_type=_COUNT, sa_column_kwargs={"autoincrement": False})
    at: int = Field(sa_type=BigInteger)
    note: str = Field(sa_type=Text)


class CosignatureRow(Row, table=True):
    """A further line under a checkpoint, by the key of a county or city."""

    __tablename__ = "crisis_cosignature"
    size: int = Field(foreign_key="crisis_checkpoint.size", primary_key=True, sa_type=_COUNT)
    key_id: str = Field(primary_key=True)
    name: str = Field(primary_key=True)
    line: str
    by: str
    at: int = Field(sa_type=BigInteger)


class VerifierRow(Row, table=True):
    """A public key that checks signatures, and who said that it may: `sealer` signs checkpoints, `cosigner` cosigns them."""

    __tablename__ = "crisis_verifier"
    __table_args__ = (CheckConstraint("duty IN ('sealer', 'cosigner')", name="crisis_verifier_duty"),)

    key: str = Field(primary_key=True)
    duty: str
    by: str
    at: int = Field(sa_type=BigInteger)
