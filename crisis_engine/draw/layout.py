"""A layered layout: nodes in rows along the arrows, what an arrow says as a node of its own, so that no two boxes ever overlap.

The steps are those of Sugiyama, Tagawa and Toda (1981): arrows that run back are turned, rows given by the longest path, long
arrows led through each row that they cross, rows ordered by the middle of their neighbours, then moved apart and towards them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

GAP_X, GAP_Y = 26.0, 34.0
THREAD = 10.0
"""How wide the way of a long arrow is where it passes a row."""

_ROUNDS = 12
_MIDDLE = 0.5


class Size(NamedTuple):
    """Width and height of a box."""

    width: float
    height: float


class Link(NamedTuple):
    """An arrow from one node to another, by way of a box with what it says."""

    source: str
    target: str
    label: str   # the name of its box


class Box(NamedTuple):
    """Where a box came to lie: its left upper corner and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> float:
        """The middle between left and right."""
        return self.x + self.width / 2

    def overlaps(self, other: Box) -> bool:
        """Whether the two share any area."""
        return (
            self.x < other.x + other.width and other.x < self.x + self.width
            and self.y < other.y + other.height and other.y < self.y + self.height
        )


@dataclass(slots=True)
class Layout:
    """Where everything lies: boxes by name, and for each arrow the points that it passes, from its source on."""

    boxes: dict[str, Box]
    ways: dict[str, list[tuple[float, float]]]     # by the name of the arrow's label
    width: float
    height: float


@dataclass(slots=True)
class _Rows:
    """The graph in rows; a thread is a node without a box that leads a long arrow past a row."""

    rank: dict[str, int]
    sizes: dict[str, Size]
    chains: dict[str, list[str]]                   # by label: the nodes that its arrow passes, downwards
    turned: set[str]                               # labels whose arrow runs upwards
    rows: list[list[str]] = field(default_factory=list)
    near: dict[str, list[str]] = field(default_factory=dict)


def lay_out(nodes: Mapping[str, Size], links: Sequence[Link], labels: Mapping[str, Size]) -> Layout:
    """Return the layout of nodes (the first one on top) and links; both keep their order wherever nothing speaks against it."""
    rows = _ranked(nodes, links, labels)
    _order(rows)
    lefts = _columns(rows)
    boxes: dict[str, Box] = {}
    spans: dict[str, tuple[float, float]] = {}
    y = GAP_Y
    for row in rows.rows:
        tall = max(rows.sizes[name].height for name in row)
        for name in row:
            width, height = rows.sizes[name]
            own = height if name in nodes or name in labels else tall
            boxes[name] = Box(lefts[name], y + (tall - own) / 2, width, own)
            spans[name] = y, y + tall
        y += tall + GAP_Y
    ways = {label: _way(chain, boxes, spans, turned=label in rows.turned) for label, chain in rows.chains.items()}
    real = {name: box for name, box in boxes.items() if name in nodes or name in labels}
    return Layout(real, ways, max(box.x + box.width for box in boxes.values()) + GAP_X, y)


def _ranked(nodes: Mapping[str, Size], links: Sequence[Link], labels: Mapping[str, Size]) -> _Rows:
    turned = _turned(nodes, links)
    down = [(link.target, link.source) if link.label in turned else (link.source, link.target) for link in links]
    rank = dict.fromkeys(nodes, 0)
    for _ in nodes:   # at most one round for each node of the longest path
        for source, target in down:
            rank[target] = max(rank[target], rank[source] + 2)   # the row between is for what the arrow says
    reached = {target for _, target in down}
    for name in list(nodes)[1:]:   # what nothing leads to stands just above what it leads to
        if name not in reached:
            rank[name] = max(0, min((rank[target] - 2 for source, target in down if source == name), default=0))
    found = _Rows(rank, {**nodes, **labels}, {}, turned)
    for (source, target), link in zip(down, links, strict=True):
        chain = [source]
        for row in range(rank[source] + 1, rank[target]):
            at_label = row == (rank[target] - 1 if link.label in turned else rank[source] + 1)
            name = link.label if at_label else f"{link.label} {row}"
            rank[name] = row
            found.sizes.setdefault(name, Size(THREAD, 1.0))
            chain.append(name)
        found.chains[link.label] = [*chain, target]
    found.rows = [[] for _ in range(max(rank.values()) + 1)]
    for name, row in rank.items():
        found.rows[row].append(name)
    for chain in found.chains.values():
        for one, other in pairwise(chain):
            found.near.setdefault(one, []).append(other)
            found.near.setdefault(other, []).append(one)
    return found


def _turned(nodes: Iterable[str], links: Sequence[Link]) -> set[str]:
    """Return the labels of the arrows that run back to where the walk came from, so that the rest has no circle."""
    out: dict[str, list[Link]] = {}
    for link in links:
        out.setdefault(link.source, []).append(link)
    turned: set[str] = set()
    done: set[str] = set()

    def walk(node: str, path: tuple[str, ...]) -> None:
        done.add(node)
        for link in out.get(node, ()):
            if link.target == node or link.target in path:
                turned.add(link.label)
            elif link.target not in done:
                walk(link.target, (*path, link.target))

    for node in nodes:
        if node not in done:
            walk(node, (node,))
    return turned


def _order(rows: _Rows) -> None:
    """Order each row by the middle of its neighbours, down and up in turn: fewer arrows cross."""
    for turn in range(_ROUNDS):
        place = {name: (number + _MIDDLE) / len(row) for row in rows.rows for number, name in enumerate(row)}
        for row in rows.rows if turn % 2 == 0 else reversed(rows.rows):
            wanted = {name: _mean([place[other] for other in rows.near.get(name, ())], place[name]) for name in row}
            row.sort(key=lambda name: wanted[name])
            place.update({name: (number + _MIDDLE) / len(row) for number, name in enumerate(row)})


def _columns(rows: _Rows) -> dict[str, float]:
    """Return where each node begins from the left: near the middle of its neighbours, never closer than the gap to the next."""
    lefts: dict[str, float] = {}
    for row in rows.rows:
        x = 0.0
        for name in row:
            lefts[name] = x
            x += rows.sizes[name].width + GAP_X
    for turn in range(_ROUNDS * 2):
        for row in rows.rows if turn % 2 == 0 else reversed(rows.rows):
            wanted = [
                _mean([lefts[other] + rows.sizes[other].width / 2 for other in rows.near.get(name, ())],
                      lefts[name] + rows.sizes[name].width / 2) - rows.sizes[name].width / 2
                for name in row
            ]
            lefts.update(zip(row, _apart(wanted, [rows.sizes[name].width for name in row]), strict=True))
    least = min(lefts.values()) - GAP_X
    return {name: left - least for name, left in lefts.items()}


def _apart(wanted: Sequence[float], widths: Sequence[float]) -> list[float]:
    """Return places as near to the wanted ones as can be, in their order and a gap apart (pool adjacent violators)."""
    before = 0.0
    pools: list[tuple[float, list[float]]] = []   # where the first of a group begins, and how far behind it each of them does
    for want, width in zip(wanted, widths, strict=True):
        value, shifts = want - before, [before]
        before += width + GAP_X
        while pools and pools[-1][0] > value:
            other, earlier = pools.pop()
            value = (other * len(earlier) + value * len(shifts)) / (len(earlier) + len(shifts))
            shifts = earlier + shifts
        pools.append((value, shifts))
    return [value + shift for value, shifts in pools for shift in shifts]


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _way(
    chain: Sequence[str], boxes: Mapping[str, Box], spans: Mapping[str, tuple[float, float]], *, turned: bool,
) -> list[tuple[float, float]]:
    """Return the points of an arrow: straight down within each row, so that it meets no other box of the row, aslant only between rows."""
    points: list[tuple[float, float]] = []
    for place, name in enumerate(chain):
        box, (top, bottom) = boxes[name], spans[name]
        if place:
            points += [(box.middle, top), (box.middle, box.y)]
        if place < len(chain) - 1:
            points += [(box.middle, box.y + box.height), (box.middle, bottom)]
    return points[::-1] if turned else points
