"""The Merkle tree: the published test leaves of RFC 6962's reference code, and properties over any tree."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.core.merkle import (
    EMPTY_ROOT,
    TILE_WIDTH,
    Node,
    Tile,
    consistency,
    edge,
    grown,
    inclusion,
    is_consistent,
    is_included,
    leaf_hash,
    node_hash,
    node_in,
    root,
    root_of,
)

# The leaves and roots with which the reference implementation of RFC 6962 is tested.
LEAVES = [bytes.fromhex(text) for text in (
    "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
)]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = {
    (0, 8): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
             "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (0, 1): [],
}
HASHES = [leaf_hash(leaf) for leaf in LEAVES]


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """RFC 6962 section 2.1, written down as it stands there."""
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(naive_root(hashes[:split]), naive_root(hashes[split:]))


def nodes_of(hashes: Sequence[bytes]) -> Node:
    """A reader of complete subtrees that computes each from the leaves."""
    return lambda level, index: naive_root(hashes[index << level:(index + 1) << level])


def made(count: int) -> list[bytes]:
    """The hashes of so many different leaves."""
    return [leaf_hash(str(place).encode()) for place in range(count)]


def test_the_published_roots_are_ours() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    for size, expected in enumerate(ROOTS, 1):
        assert root_of(HASHES[:size]).hex() == root(nodes_of(HASHES), size).hex() == expected


@pytest.mark.parametrize("place", PATHS, ids=str)
def test_the_published_audit_paths_are_ours(place: tuple[int, int]) -> None:
    index, size = place
    path = inclusion(nodes_of(HASHES), index, size)
    assert [step.hex() for step in path] == PATHS[place]
    assert is_included(HASHES[index], index, size, path, bytes.fromhex(ROOTS[size - 1]))


def test_the_example_of_rfc_6962_section_2_1_3_has_the_paths_that_it_names() -> None:
    # Its tree of seven leaves d0 … d6: a-f and j are leaf hashes, g, h, i, k, l their parents.
    a, b, c, d, e, f, j = hashes = made(7)
    g, h, i = node_hash(a, b), node_hash(c, d), node_hash(e, f)
    k, l = node_hash(g, h), node_hash(i, j)  # noqa: E741 (the RFC's names)
    node = nodes_of(hashes)
    assert root(node, 7) == node_hash(k, l)
    assert inclusion(node, 0, 7) == [b, h, l]
    assert inclusion(node, 3, 7) == [c, g, l]
    assert inclusion(node, 4, 7) == [f, j, k]
    assert inclusion(node, 6, 7) == [i, k]
    assert consistency(node, 3, 7) == [c, d, g, l]
    assert consistency(node, 4, 7) == [l]
    assert consistency(node, 6, 7) == [i, j, k]


@given(st.data(), st.integers(1, 70))
def test_every_leaf_is_proven_and_no_other_place_root_or_path_is(data: st.DataObject, size: int) -> None:
    hashes = made(size)
    index = data.draw(st.integers(0, size - 1))
    path, top = inclusion(nodes_of(hashes), index, size), root_of(hashes)
    assert top == naive_root(hashes)
    assert is_included(hashes[index], index, size, path, top)
    assert not any(is_included(hashes[index], other, size, path, top) for other in range(-1, size + 1) if other != index)
    assert not is_included(hashes[index], index, size, path, leaf_hash(top))
    assert not is_included(leaf_hash(b"other"), index, size, path, top)
    assert not is_included(hashes[index], index, size, [*path, top], top)
    assert not path or not is_included(hashes[index], index, size, path[:-1], top)


@given(st.data(), st.integers(1, 70))
def test_a_tree_that_grew_is_consistent_and_one_that_was_changed_is_not(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    hashes = made(new)
    path = consistency(nodes_of(hashes), old, new)
    assert is_consistent(old, new, root_of(hashes[:old]), root_of(hashes), path)
    changed = data.draw(st.integers(0, old - 1))
    other = [*hashes[:changed], leaf_hash(b"other"), *hashes[changed + 1:]]
    assert not is_consistent(old, new, root_of(hashes[:old]), root_of(other), consistency(nodes_of(other), old, new))
    assert not is_consistent(old, new, root_of(other[:old]), root_of(hashes), path)
    assert not is_consistent(old, new, root_of(hashes[:old]), root_of(hashes), [*path, path[0] if path else EMPTY_ROOT])


def test_every_tree_grew_from_the_empty_one_and_none_shrinks() -> None:
    hashes = made(5)
    assert is_consistent(0, 5, EMPTY_ROOT, root_of(hashes), [])
    assert not is_consistent(0, 5, root_of(hashes), root_of(hashes), [])
    assert not is_consistent(5, 3, root_of(hashes), root_of(hashes[:3]), consistency(nodes_of(hashes), 3, 5))
    for wrong in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="grew"):
            consistency(nodes_of(hashes), *wrong)
    with pytest.raises(ValueError, match="among"):
        inclusion(nodes_of(hashes), 5, 5)


@given(st.lists(st.integers(0, 700), min_size=1, max_size=5))
def test_tiles_grown_batch_by_batch_hold_the_whole_tree(batches: list[int]) -> None:
    tiles: dict[Tile, bytes] = {}
    hashes = made(sum(batches))
    size = 0
    for batch in batches:
        unfilled = {tile: tiles[tile] for tile in edge(size)}
        changed = grown(unfilled, size, hashes[size:size + batch])
        assert all(changed[tile].startswith(before) for tile, before in unfilled.items() if tile in changed)
        tiles |= changed
        size += batch
    node = node_in(tiles.__getitem__)
    assert root(node, size) == root_of(hashes)
    for index in range(0, size, 97):
        assert is_included(hashes[index], index, size, inclusion(node, index, size), root_of(hashes))
    assert all(len(tile) <= TILE_WIDTH * 32 for tile in tiles.values())


def test_a_tile_that_is_cut_short_is_named() -> None:
    tiles = grown({}, 0, made(10))
    with pytest.raises(ValueError, match="cut short"):
        node_in({(0, 0): tiles[0, 0][:-1]}.__getitem__)(0, 9)


def test_a_large_tree_has_tiles_of_three_levels() -> None:
    tiles = grown({}, 0, made(TILE_WIDTH * TILE_WIDTH + 1))
    assert {level for level, _ in tiles} == {0, 1, 2}
    assert len(tiles) == TILE_WIDTH + 1 + 1 + 1
    assert edge(TILE_WIDTH * TILE_WIDTH + 1) == [(0, TILE_WIDTH), (2, 0)]
