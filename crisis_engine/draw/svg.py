"""A workflow's graph as SVG: one file that shows itself everywhere, with no script, no font of its own and nothing fetched."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from crisis_engine.draw.graph import Arrow, Graph, Node
from crisis_engine.draw.layout import GAP_X, GAP_Y, Box, Layout, Link, Size, lay_out
from crisis_engine.draw.measure import FONT, folded, width_of

TITLE, HEAD, LINE = 16.0, 14.0, 11.0
"""Font sizes."""

_PAD, _SPACE = 8.0, 1.45
_MOST_NODE, _MOST_LABEL, _LEAST_WIDTH = 330.0, 240.0, 860.0

INK, FAINT, WAY = "#1f2937", "#6b7280", "#c2410c"
_FILL = {"open": "#eff6ff", "final": "#f3f4f6", "many": "#ffffff"}
_EDGE = {"open": "#1d4ed8", "final": "#4b5563", "many": "#6b7280"}


class Words(NamedTuple):
    """Lines of text in a box: each with its font size and whether it is bold."""

    lines: tuple[tuple[str, float, bool], ...]

    @property
    def size(self) -> Size:
        """Width and height of the box that holds them."""
        wide = max(width_of(text, size * (1.08 if bold else 1.0)) for text, size, bold in self.lines)
        return Size(wide + 2 * _PAD, sum(size * _SPACE for _, size, _ in self.lines) + 2 * _PAD)

    def drawn(self, box: Box, colour: str = INK) -> list[str]:
        """Return the lines as text elements within a box."""
        found, y = [], box.y + _PAD
        for text, size, bold in self.lines:
            y += size * _SPACE
            weight = ' font-weight="bold"' if bold else ""
            found.append(f'<text x="{box.x + _PAD:.1f}" y="{y - size * 0.35:.1f}" font-size="{size:g}" fill="{colour}"{weight}>'
                         f"{escape(text)}</text>")
        return found


def words(title: str, lines: Sequence[str], most: float) -> Words:
    """Return a heading with lines under it, folded to a width."""
    head = [(line, HEAD, True) for line in folded(title, HEAD * 1.08, most)] if title else []
    return Words((*head, *((part, LINE, False) for line in lines for part in folded(line, LINE, most))))


class Placed(NamedTuple):
    """A graph with everything in its place: what an SVG draws, and what a test looks at."""

    layout: Layout
    nodes: dict[str, tuple[Node, Words]]
    labels: dict[str, tuple[Arrow, Words]]


def place(graph: Graph) -> Placed:
    """Lay a graph out."""
    nodes = {node.name: (node, words(node.title, node.lines, _MOST_NODE)) for node in graph.nodes}
    labels = {f"{arrow.source} > {arrow.target}": (arrow, words("", _said(arrow), _MOST_LABEL)) for arrow in graph.arrows}
    links = [Link(arrow.source, arrow.target, name) for name, (arrow, _) in labels.items()]
    layout = lay_out({name: each.size for name, (_, each) in nodes.items()}, links, {name: each.size for name, (_, each) in labels.items()})
    return Placed(layout, nodes, labels)


def _said(arrow: Arrow) -> tuple[str, ...]:
    steps = f"({', '.join(map(str, arrow.steps))}) " if arrow.steps else ""
    return (f"{steps}{arrow.lines[0]}", *arrow.lines[1:])


def svg_of(graph: Graph) -> str:
    """Return the drawing of a workflow."""
    placed = place(graph)
    width = max(placed.layout.width, _LEAST_WIDTH)
    top = TITLE * 2.5
    body: list[str] = []
    for name, (arrow, _) in placed.labels.items():
        body.append(_line(placed.layout.ways[name], walked=bool(arrow.steps)))
    for name, (arrow, each) in placed.labels.items():
        body += _label(placed.layout.boxes[name], each, walked=bool(arrow.steps))
    for name, (node, each) in placed.nodes.items():
        body += _node(placed.layout.boxes[name], node, each)
    notes, height = _notes(graph, width, placed.layout.height)
    picture = "\n".join([f'<g transform="translate(0 {top:g})">', *body, *notes, "</g>"])
    return document(graph.title, width, height + top, picture)


def document(title: str, width: float, height: float, body: str) -> str:
    """Return a whole SVG document with its title on top."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" height="{height:.0f}"'
        f' font-family="{FONT}" role="img">\n<title>{escape(title)}</title>\n'
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{FAINT}"/></marker>'
        '<marker id="way" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto">'
        f'<path d="M0 0L8 4L0 8z" fill="{WAY}"/></marker></defs>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n'
        f'<text x="{GAP_X:g}" y="{TITLE * 1.8:g}" font-size="{TITLE:g}" font-weight="bold" fill="{INK}">{escape(title)}</text>\n'
        f"{body}\n</svg>\n"
    )


def _line(points: Sequence[tuple[float, float]], *, walked: bool) -> str:
    """Return an arrow through its points: straight within a box's height, curved from row to row."""
    path = f"M{points[0][0]:.1f} {points[0][1]:.1f}"
    for (x, y), (to_x, to_y) in pairwise(points):
        bend = (to_y - y) / 2
        path += f"C{x:.1f} {y + bend:.1f} {to_x:.1f} {to_y - bend:.1f} {to_x:.1f} {to_y:.1f}"
    colour, width, end = (WAY, 3, "way") if walked else (FAINT, 1.2, "end")
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="{width:g}" marker-end="url(#{end})"/>'


def rect(box: Box, fill: str, stroke: str, *, width: float = 1.2, round_: float = 6.0, dashed: bool = False) -> str:
    """Return a box."""
    dash = ' stroke-dasharray="5 4"' if dashed else ""
    return (f'<rect x="{box.x:.1f}" y="{box.y:.1f}" width="{box.width:.1f}" height="{box.height:.1f}" rx="{round_:g}" fill="{fill}"'
            f' stroke="{stroke}" stroke-width="{width:g}"{dash}/>')


def _label(box: Box, each: Words, *, walked: bool) -> list[str]:
    frame = rect(box, "#ffffff", WAY if walked else "#d1d5db", width=1.6 if walked else 0.8, round_=3)
    return [frame, *each.drawn(box, WAY if walked else INK)]


def _node(box: Box, node: Node, each: Words) -> list[str]:
    stroke = WAY if node.visited else _EDGE[node.kind]
    fill = "#ffedd5" if node.here else _FILL[node.kind]
    wide = 3.0 if node.visited else 1.4
    found = [rect(box, fill, stroke, width=wide, dashed=node.kind == "many")]
    if node.kind == "final":
        inner = Box(box.x + 3, box.y + 3, box.width - 6, box.height - 6)
        found.append(rect(inner, "none", stroke, width=0.8, round_=4))
    return [*found, *each.drawn(box)]


def _notes(graph: Graph, width: float, y: float) -> tuple[list[str], float]:
    """Return the notes below the picture, and where they end."""
    found: list[str] = []
    for heading, lines in graph.notes:
        each = words(heading, lines, width - 2 * (GAP_X + _PAD))
        box = Box(GAP_X, y, *each.size)
        found += each.drawn(box)
        y += box.height
    return found, y + GAP_Y / 2
