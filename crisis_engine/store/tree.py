"""The Merkle log in the database: what grew since the last batch, leaves and tiles, checkpoints with all their signatures, known keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from crisis_engine.core.checkpoint import Checkpoint, Key, Signature, note_of, parse_key, parse_note, parse_signature
from crisis_engine.core.errors import FileError, StaleVersion
from crisis_engine.core.merkle import Node, Tile, edge, grown, node_in, root
from crisis_engine.store.header import canonical
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.statement import AMONG, Statements, listed

SEALER, COSIGNER = "sealer", "cosigner"

_TILES_AT_HAND = 64
MOST_ID = 2**63 - 1


class Leaf(NamedTuple):
    """How far the log of a case had come: the hash of its record `seq`, which commits to all before it."""

    number: str
    seq: int
    head: bytes

    @property
    def data(self) -> bytes:
        """The bytes of the leaf: canonical JSON."""
        return f'{{"case":{canonical(self.number)},"head":"{self.head.hex()}","seq":{self.seq}}}'.encode()


@dataclass(frozen=True, slots=True)
class Sealed:
    """A checkpoint as it is kept: when it was made, and every line under it, the sealer's first."""

    checkpoint: Checkpoint
    at: datetime
    signatures: tuple[Signature, ...]

    @property
    def note(self) -> str:
        """The whole signed note."""
        return note_of(self.checkpoint.text, self.signatures)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key that is known here: what it may sign, who said so and when."""

    key: Key
    duty: str
    by: str
    at: datetime


class TreeRows(Statements):
    """Everything that reads and writes the Merkle log."""

    # ---- what is to be sealed ---------------------------------------------------------------------------------------

    def grew(self, events: int, until: int = MOST_ID) -> tuple[list[Leaf], int, int]:
        """Return a leaf for each case whose log grew by the next `events` events, the id of the last of these, and how many they were.

        Ids follow the order of the commits on SQLite, which has one writer at a time. Where a lower id may become visible after a
        higher one (PostgreSQL), `until` is the last id that was there at a moment in which nobody else wrote.
        """
        after = self.sealed_event()
        rows = self._rows("SELECT id, case_id, seq, hash FROM crisis_event WHERE id > :after AND id <= :until ORDER BY id LIMIT :events",
                          after=after, until=until, events=events)
        last = {case_id: (seq, head) for _, case_id, seq, head in rows}
        sealed = "(SELECT coalesce(max(l.seq), 0) FROM crisis_leaf l WHERE l.number = c.number)"
        sql = f"SELECT c.id, c.number, {sealed} FROM crisis_case c WHERE c.id {AMONG.format('ids')} ORDER BY c.id"  # noqa: S608 (constants)
        known = self._rows(sql, ids=listed(last))
        leaves = [Leaf(number, *last[case_id]) for case_id, number, sealed in known if last[case_id][0] > sealed]
        return leaves, rows[-1][0] if rows else after, len(rows)

    def ungrown(self, most: int) -> list[Leaf]:
        """Return a leaf for at most so many cases whose row is further than their last leaf: a full look at every case."""
        rows = self._rows(
            "SELECT c.number, c.version, c.head FROM crisis_case c WHERE c.version >"
            " coalesce((SELECT max(l.seq) FROM crisis_leaf l WHERE l.number = c.number), 0) ORDER BY c.id LIMIT :most", most=most)
        return [Leaf(*row) for row in rows]

    def sealed_event(self) -> int:
        """Return the id of the last event that a batch looked at."""
        return int(self._value("SELECT value FROM crisis_meta WHERE name = 'sealed_event'") or 0)

    def unsealed_events(self) -> int:
        """Return how many events came since."""
        return int(self._value("SELECT count(*) FROM crisis_event WHERE id > :after", after=self.sealed_event()))

    # ---- leaves and tiles -------------------------------------------------------------------------------------------

    def tree_size(self) -> int:
        """Return how many leaves there are."""
        return int(self._value("SELECT coalesce(max(place) + 1, 0) FROM crisis_leaf"))

    def leaves(self, start: int, end: int) -> list[Leaf]:
        """Return the leaves from place `start` up to, without, `end`."""
        rows = self._rows("SELECT number, seq, head FROM crisis_leaf WHERE place >= :start AND place < :end ORDER BY place",
                          start=start, end=end)
        return [Leaf(*row) for row in rows]

    def last_leaf(self, number: str, size: int) -> tuple[int, Leaf] | None:
        """Return the place and the newest leaf of a case among the first `size`."""
        row = self._row("SELECT place, number, seq, head FROM crisis_leaf WHERE number = :number AND place < :size"
                        " ORDER BY seq DESC LIMIT 1", number=number, size=size)
        return (row[0], Leaf(*row[1:])) if row else None

    def tile(self, tile: Tile) -> bytes:
        """Return the hashes of a tile; empty where there is none."""
        return bytes(self._value("SELECT hashes FROM crisis_tile WHERE level = :level AND place = :place", level=tile[0], place=tile[1])
                     or b"")

    def tiles(self) -> Iterator[tuple[Tile, bytes]]:
        """Yield every tile, level by level."""
        for level, place, hashes in self._stream("SELECT level, place, hashes FROM crisis_tile ORDER BY level, place"):
            yield (level, place), hashes

    def node(self) -> Node:
        """Return the reader of the tree's nodes, which keeps the tiles that it read last."""
        return node_in(lru_cache(_TILES_AT_HAND)(self.tile))

    # ---- checkpoints ------------------------------------------------------------------------------------------------

    def sealed(self, size: int | None = None) -> Sealed | None:
        """Return the checkpoint of that size, or the newest, with every signature under it."""
        which = "WHERE size = :size" if size is not None else "ORDER BY size DESC LIMIT 1"
        sql = f"SELECT size, at, note FROM crisis_checkpoint {which}"  # noqa: S608 (constants)
        row = self._row(sql, **({} if size is None else {"size": size}))
        return self._sealed(row) if row else None

    def all_sealed(self) -> Iterator[Sealed]:
        """Yield every checkpoint, the smallest first."""
        for row in self._rows("SELECT size, at, note FROM crisis_checkpoint ORDER BY size"):
            yield self._sealed(row)

    def _sealed(self, row: tuple[int, int, str]) -> Sealed:
        size, at, note = row
        checkpoint, signatures = parse_note(note)
        if checkpoint.size != size:
            raise FileError("A checkpoint is kept under another size than its own.", way_out="Run `crisis audit verify`.")
        lines = self._rows("SELECT line FROM crisis_cosignature WHERE size = :size ORDER BY at, name, key_id", size=size)
        return Sealed(checkpoint, instant(at), signatures + tuple(parse_signature(line) for (line,) in lines))

    def append_leaves(self, size: int, leaves: Sequence[Leaf], hashes: Sequence[bytes], event: int) -> bytes:
        """Append leaves with their hashes to a tree of `size`, tiles and all, and return the new root.

        `event` is the id of the last event that was looked at. StaleVersion when the tree is no longer of that size.
        """
        if self.tree_size() != size:
            raise StaleVersion("Somebody else sealed at this moment.", way_out="Seal again.")
        changed = grown({tile: self.tile(tile) for tile in edge(size)}, size, hashes)
        self._bulk("INSERT INTO crisis_leaf (place, number, seq, head) VALUES (?, ?, ?, ?)",
                   [(size + place, *leaf) for place, leaf in enumerate(leaves)])
        self._bulk("INSERT INTO crisis_tile (level, place, hashes) VALUES (?, ?, ?)"
                   " ON CONFLICT (level, place) DO UPDATE SET hashes = excluded.hashes",
                   [(*tile, hashes) for tile, hashes in sorted(changed.items())])
        self._run("INSERT INTO crisis_meta (name, value) VALUES ('sealed_event', :event)"
                  " ON CONFLICT (name) DO UPDATE SET value = excluded.value", event=str(event))
        return root(self.node(), size + len(leaves))

    def put_checkpoint(self, checkpoint: Checkpoint, signature: Signature, at: datetime) -> None:
        """Keep a checkpoint that the sealer signed."""
        self._run("INSERT INTO crisis_checkpoint (size, at, note) VALUES (:size, :at, :note)",
                  size=checkpoint.size, at=micros(at), note=note_of(checkpoint.text, [signature]))

    def put_cosignature(self, size: int, signature: Signature, by: str, at: datetime) -> None:
        """Keep a line under a checkpoint; one of the same key that is there stays."""
        self._run("INSERT INTO crisis_cosignature (size, key_id, name, line, by, at) VALUES (:size, :key_id, :name, :line, :by, :at)"
                  " ON CONFLICT DO NOTHING",
                  size=size, key_id=signature.key_id.hex(), name=signature.name, line=signature.line, by=by, at=micros(at))

    # ---- keys -------------------------------------------------------------------------------------------------------

    def verifiers(self) -> list[Verifier]:
        """Return the public keys that are known, in the order in which they came."""
        rows = self._rows("SELECT key, duty, by, at FROM crisis_verifier ORDER BY at, duty DESC, key")
        return [Verifier(parse_key(key), duty, by, instant(at)) for key, duty, by, at in rows]

    def put_verifier(self, key: Key, duty: str, by: str, at: datetime) -> None:
        """Know a public key from now on; one that is known stays as it is."""
        self._run("INSERT INTO crisis_verifier (key, duty, by, at) VALUES (:key, :duty, :by, :at) ON CONFLICT DO NOTHING",
                  key=key.text, duty=duty, by=by, at=micros(at))
