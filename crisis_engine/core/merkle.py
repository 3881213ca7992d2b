"""The Merkle tree of RFC 6962 (and RFC 9162): root, inclusion and consistency proofs, and what checks them; stored by tiles.

A tree of n leaves is known by its complete subtrees: `node(level, index)` is the hash over the 2**level leaves from
index * 2**level on. They are kept as tiles of C2SP tlog-tiles: tile (t, i) holds up to 256 hashes of level 8 * t, so that
appending n leaves writes some n / 256 tiles and a root is found in a few of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha256

HASH_BYTES = 32
TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT

Node = Callable[[int, int], bytes]
"""Gives the hash of a complete subtree by level and index."""

Tile = tuple[int, int]
"""Where a tile stands: its level among tiles, its place there."""

EMPTY_ROOT = sha256().digest()
"""The root of a tree without leaves."""


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of a leaf (RFC 6962 section 2.1)."""
    return sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees under one."""
    return sha256(b"\1" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over these leaf hashes, computed from nothing else."""
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [sha256(b"\1" + left + right).digest() for left, right in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]


def root(node: Node, size: int) -> bytes:
    """Return the root of the tree of the first `size` leaves."""
    return _subtree(node, 0, size) if size else EMPTY_ROOT


def inclusion(node: Node, index: int, size: int) -> list[bytes]:
    """Return the audit path of a leaf in the tree of `size` leaves, from the leaf up (RFC 6962 section 2.1.1)."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among {size}")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, start, middle))
            start = middle
    return path[::-1]


def consistency(node: Node, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` leaves begins with that of `old` (RFC 6962 section 2.1.2)."""
    if not 0 < old <= new:
        raise ValueError(f"no tree of {new} leaves grew from one of {old}")
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(_subtree(node, middle, end))
            end = middle
        else:
            path.append(_subtree(node, start, middle))
            start, whole = middle, False
    if not whole:
        path.append(_subtree(node, start, end))
    return path[::-1]


def is_included(leaf: bytes, index: int, size: int, path: Sequence[bytes], top: bytes) -> bool:
    """Whether the path leads from a leaf's hash at `index` to the root `top` of a tree of `size` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    place, last, found = index, size - 1, leaf
    for step in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            found = node_hash(step, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, step)
        place, last = place >> 1, last >> 1
    return last == 0 and found == top


def is_consistent(old: int, new: int, old_top: bytes, new_top: bytes, path: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree `new` begins with the tree `old` (RFC 9162 section 2.1.4.2); all begin with none."""
    if old in {0, new}:
        return not path and old_top == (new_top if old == new else EMPTY_ROOT)
    if not 0 < old < new or not path:
        return False
    steps = list(path)
    if old & (old - 1) == 0:
        steps.insert(0, old_top)
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    was = now = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            was, now = node_hash(step, was), node_hash(step, now)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            now = node_hash(now, step)
        place, last = place >> 1, last >> 1
    return last == 0 and was == old_top and now == new_top


class Frontier:
    """A tree that only grows at its end, as the few complete subtrees that it consists of: a root after each leaf costs their number."""

    def __init__(self) -> None:
        self.size = 0
        self._subtrees: list[bytes] = []   # the largest first; one for each bit of the size that is set

    def add(self, leaf: bytes) -> None:
        """Append a leaf's hash."""
        place, subtrees = self.size, self._subtrees
        while place & 1:
            leaf = sha256(b"\1" + subtrees.pop() + leaf).digest()
            place >>= 1
        subtrees.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the root as it is now."""
        if not self._subtrees:
            return EMPTY_ROOT
        *left, found = self._subtrees
        for subtree in reversed(left):
            found = node_hash(subtree, found)
        return found


# ---- tiles ------------------------------------------------------------------------------------------------------------------


def edge(size: int) -> list[Tile]:
    """Return the tiles that are not full in a tree of `size` leaves: those that the next leaves grow."""
    tiles = []
    level = 0
    while size >> (TILE_HEIGHT * level):
        entries = size >> (TILE_HEIGHT * level)
        if entries % TILE_WIDTH:
            tiles.append((level, entries // TILE_WIDTH))
        level += 1
    return tiles


def grown(unfilled: Mapping[Tile, bytes], size: int, new: Sequence[bytes]) -> dict[Tile, bytes]:
    """Return the tiles that change when leaf hashes are appended to a tree of `size` whose `edge` tiles are given."""
    changed: dict[Tile, bytes] = {}
    level, rising = 0, list(new)
    while rising:
        entries = size >> (TILE_HEIGHT * level)
        place = entries // TILE_WIDTH
        hashes = unfilled[level, place] if entries % TILE_WIDTH else b""
        above: list[bytes] = []
        for start in _chunks(len(rising), TILE_WIDTH - entries % TILE_WIDTH):
            hashes += b"".join(rising[start])
            changed[level, place] = hashes
            if len(hashes) == TILE_WIDTH * HASH_BYTES:
                above.append(root_of(hashes_of(hashes)))
                place, hashes = place + 1, b""
        level, rising = level + 1, above
    return changed


def hashes_of(tile: bytes) -> list[bytes]:
    """Return the hashes that a tile holds."""
    return [tile[start:start + HASH_BYTES] for start in range(0, len(tile), HASH_BYTES)]


def node_in(tiles: Callable[[Tile], bytes]) -> Node:
    """Return the reader of nodes over stored tiles; it asks for each tile as often as it needs it."""

    def node(level: int, index: int) -> bytes:
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        tile = tiles((tile_level, first // TILE_WIDTH))
        start = first % TILE_WIDTH * HASH_BYTES
        part = tile[start:start + (HASH_BYTES << height)]
        if len(part) != HASH_BYTES << height:
            raise ValueError(f"tile {tile_level}/{first // TILE_WIDTH} is cut short")
        return root_of(hashes_of(part))

    return node


def _subtree(node: Node, start: int, end: int) -> bytes:
    """Return the hash over the leaves from start to end, which begins where a subtree of its size may."""
    size = end - start
    if size & (size - 1) == 0:
        level = size.bit_length() - 1
        return node(level, start >> level)
    middle = start + _split(size)
    return node_hash(_subtree(node, start, middle), _subtree(node, middle, end))


def _split(size: int) -> int:
    """Return the largest power of two below a size."""
    return 1 << ((size - 1).bit_length() - 1)


def _chunks(length: int, first: int) -> Iterable[slice]:
    """Yield slices of TILE_WIDTH, the first of them of another length."""
    start, end = 0, first
    while start < length:
        yield slice(start, end)
        start, end = end, end + TILE_WIDTH
