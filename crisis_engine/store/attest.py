"""The proof of the Merkle log: leaves against chains, tiles against leaves, checkpoints against roots, signatures against known keys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from crisis_engine.core.checkpoint import Checkpoint, Key, Signature, parse_checkpoint, parse_note
from crisis_engine.core.errors import FileError
from crisis_engine.core.merkle import HASH_BYTES, TILE_WIDTH, Frontier, Tile, leaf_hash, root, root_of
from crisis_engine.store.dialect import dialect_of
from crisis_engine.store.prove import Flaw
from crisis_engine.store.signature import signed_at
from crisis_engine.store.tree import COSIGNER, SEALER, Leaf, Verifier

if TYPE_CHECKING:
    from crisis_engine.store.open import Tx

SEALED = "sealed"
"""What is wrong with the Merkle log, or with a chain that it knows better."""

_LEAVES_AT_ONCE = 16 * TILE_WIDTH

# By number: a case whose row or log is gone has no hash beside its leaf.
_LEAVES = (
    "SELECT l.place, l.number, l.seq, l.head, e.hash, c.id IS NOT NULL FROM crisis_leaf l LEFT JOIN crisis_case c ON c.number = l.number"
    " LEFT JOIN crisis_event e ON e.case_id = c.id AND e.seq = l.seq WHERE l.place >= :start AND l.place < :end ORDER BY l.place"
)


@dataclass(slots=True)
class Attested:
    """What was found in the Merkle log: counts, and the flaws in the order of the leaves."""

    leaves: int = 0
    checkpoints: int = 0
    signatures: int = 0
    flaws: list[Flaw] = field(default_factory=list)


def attest(tx: Tx) -> Attested:
    """Check the whole Merkle log against the chains and against itself. It reads each leaf once and keeps none."""
    found = Attested()
    verifiers = _verifiers(tx, found)
    roots = _checkpoints(tx, found, verifiers)
    frontier = Frontier()
    below: list[bytes] = []   # the roots of the full tiles of level 0: what the tiles of level 1 hold
    start = 0
    while rows := _rows(tx, _LEAVES, start=start, end=start + _LEAVES_AT_ONCE):
        hashes: list[bytes] = []
        for place, number, seq, head, now, known in rows:
            if place != start + len(hashes):
                found.flaws.append(Flaw("", None, SEALED, f"leaf {start + len(hashes)} is missing"))
                return found
            if now != head:
                found.flaws.append(Flaw(_shown(number), seq, SEALED, _lost(now, known=known)))
            hashes.append(_hash(number, seq, head))
            frontier.add(hashes[-1])
            if frontier.size in roots and roots.pop(frontier.size) != frontier.root():
                found.flaws.append(Flaw("", None, SEALED, f"the checkpoint of {frontier.size} leaves has another root than its leaves"))
        found.leaves += len(hashes)
        found.flaws += _tiles(tx, 0, start // TILE_WIDTH, hashes)
        below += _full(hashes)
        start += len(hashes)
    found.flaws += [
        Flaw("", None, SEALED, f"the checkpoint of {size} leaves has more leaves than there are: {start}") for size in sorted(roots)
    ]
    level = 1
    while below:
        found.flaws += _tiles(tx, level, 0, below)
        level, below = level + 1, _full(below)
    found.flaws += _surplus(tx, start)
    found.flaws += _procedures(tx)
    return found


def compare(tx: Tx, text: str) -> Iterator[Flaw]:
    """Yield what speaks against a checkpoint kept elsewhere: a note with signatures, or its lines alone. FileError where it is none."""
    signatures: Sequence[Signature] = ()
    if "\n\n" in text:
        kept, signatures = parse_note(text)
    else:
        kept = parse_checkpoint(text)
    ours = tx.sealed()
    if ours is None or ours.checkpoint.origin != kept.origin:
        yield Flaw("", None, SEALED, f"the checkpoint that was kept is of another log: {kept.origin[:60]}")
    elif kept.size > tx.tree_size():
        size = tx.tree_size()
        yield Flaw("", None, SEALED, f"the checkpoint that was kept has {kept.size} leaves, the log only {size}: its end was cut off")
    elif _root(tx, kept.size) != kept.root:
        yield Flaw("", None, SEALED, f"the log does not begin with the {kept.size} leaves of the checkpoint that was kept")
    else:
        yield from _signed(kept, signatures, tx.verifiers())


def root_now(tx: Tx, checkpoint: Checkpoint) -> bool:
    """Whether the tree of that size has the root that the checkpoint says."""
    return checkpoint.size <= tx.tree_size() and _root(tx, checkpoint.size) == checkpoint.root


def signers(checkpoint: Checkpoint, signatures: Iterable[Signature], keys: Iterable[Key]) -> list[tuple[Signature, Key | None, int]]:
    """Return each signature with the key that made it (None where none of these did) and the second at which it says it did."""
    known = list(keys)
    found: list[tuple[Signature, Key | None, int]] = []
    for signature in signatures:
        made = ((key, signed_at(key, checkpoint.text, signature)) for key in known)
        found.append(next(((signature, key, at) for key, at in made if at is not None), (signature, None, 0)))
    return found


def _verifiers(tx: Tx, found: Attested) -> list[Verifier]:
    try:
        return tx.verifiers()
    except FileError as error:
        found.flaws.append(Flaw("", None, SEALED, f"a public key that is kept cannot be read: {error.message}"))
        return []


def _checkpoints(tx: Tx, found: Attested, verifiers: list[Verifier]) -> dict[int, bytes]:
    """Check every checkpoint but for its root, and return the roots by size."""
    roots: dict[int, bytes] = {}
    origin = ""
    for size, _, _ in _rows(tx, "SELECT size, at, note FROM crisis_checkpoint ORDER BY size"):
        try:
            sealed = tx.sealed(size)
        except (FileError, ValueError, AttributeError, TypeError):
            sealed = None
        if sealed is None:
            found.flaws.append(Flaw("", None, SEALED, f"the checkpoint of {size} leaves cannot be read"))
            continue
        checkpoint = sealed.checkpoint
        origin = origin or checkpoint.origin
        if checkpoint.origin != origin:
            found.flaws.append(Flaw("", None, SEALED, f"the checkpoint of {size} leaves is of another log: {checkpoint.origin[:60]}"))
        found.flaws += _signed(checkpoint, sealed.signatures, verifiers)
        roots[size] = checkpoint.root
        found.checkpoints += 1
        found.signatures += len(sealed.signatures)
    return roots


def _signed(checkpoint: Checkpoint, signatures: Sequence[Signature], verifiers: Sequence[Verifier]) -> Iterator[Flaw]:
    """Yield each line that no known key made, and say so when none of the sealer's is among them."""
    size, duties = checkpoint.size, {verifier.key: verifier.duty for verifier in verifiers}
    made = signers(checkpoint, signatures, duties)
    for signature, key, _ in made:
        if key is None:
            yield Flaw("", None, SEALED, f"the checkpoint of {size} leaves has a signature that no known key made: {signature.name[:60]}")
    if signatures and not any(key is not None and duties[key] == SEALER for _, key, _ in made):
        yield Flaw("", None, SEALED, f"the checkpoint of {size} leaves was not signed by the sealer")


def _lost(now: bytes | None, *, known: bool) -> str:
    if not known:
        return "was sealed, and the case is gone"
    return "was sealed, and its log is shorter now" if now is None else "was sealed with another hash: the chain was written anew"


def _hash(number: Any, seq: Any, head: Any) -> bytes:  # noqa: ANN401 (whatever stands in the columns)
    try:
        return leaf_hash(Leaf(number, seq, head).data)
    except (AttributeError, UnicodeEncodeError):
        return bytes(HASH_BYTES)


def _shown(number: object) -> str:
    return str(number).encode("ascii", "replace").decode()[:40]


def _full(hashes: list[bytes]) -> list[bytes]:
    """Return the roots of the full tiles that these hashes make."""
    return [root_of(hashes[start:start + TILE_WIDTH]) for start in range(0, len(hashes) - TILE_WIDTH + 1, TILE_WIDTH)]


def _tiles(tx: Tx, level: int, place: int, hashes: list[bytes]) -> Iterator[Flaw]:
    """Compare stored tiles of a level, from `place` on, with the hashes that they should hold."""
    rows = _rows(tx, "SELECT place, hashes FROM crisis_tile WHERE level = :level AND place >= :place AND place <= :last",
                 level=level, place=place, last=place + (len(hashes) - 1) // TILE_WIDTH)
    stored: dict[int, Any] = dict(rows)
    for start in range(0, len(hashes), TILE_WIDTH):
        own = place + start // TILE_WIDTH
        if stored.get(own) != b"".join(hashes[start:start + TILE_WIDTH]):
            yield Flaw("", None, SEALED, f"tile {level}/{own} does not hold the hashes below it")


def _surplus(tx: Tx, size: int) -> Iterator[Flaw]:
    """Yield tiles that a tree of this size does not have."""
    wanted: dict[int, int] = {}
    level, entries = 0, size
    while entries:
        wanted[level] = (entries - 1) // TILE_WIDTH
        level, entries = level + 1, entries // TILE_WIDTH
    for level, place in _rows(tx, "SELECT level, place FROM crisis_tile ORDER BY level, place"):
        tile: Tile = (level, place)
        if not 0 <= place <= wanted.get(level, -1):
            yield Flaw("", None, SEALED, f"tile {tile[0]}/{tile[1]} belongs to no tree of {size} leaves")


def _procedures(tx: Tx) -> Iterator[Flaw]:
    """Yield the cases whose pinned procedure is not there, or is not what it was: nothing says what their rows must ask for."""
    sound = {digest for digest, body in _rows(tx, "SELECT hash, body FROM crisis_definition")
             if sha256(str(body).encode(errors="surrogateescape")).hexdigest() == digest}
    for number, digest in _rows(tx, "SELECT min(number), procedure FROM crisis_case GROUP BY procedure ORDER BY 1"):
        if digest not in sound:
            yield Flaw(_shown(number), None, "rules", "its procedure is not in the database, or not what it was")


def _root(tx: Tx, size: int) -> bytes | None:
    """Return the root of the first leaves by the stored tiles; None where a tile is cut short."""
    try:
        return root(tx.node(), size)
    except ValueError:
        return None


def _rows(tx: Tx, sql: str, **binds: object) -> list[tuple[Any, ...]]:
    return dialect_of(tx.connection).fetch_bytes(tx.connection, sql, binds)


__all__ = ["COSIGNER", "SEALED", "SEALER", "Attested", "attest", "compare", "root_now", "signers"]
