"""A workflow's graph as plain lines, for a terminal, a mail and a reader who hears the screen."""

from __future__ import annotations

from crisis_engine.draw.graph import Arrow, Graph, Node


def text_of(graph: Graph) -> str:
    """Return each stage with its clocks and where its moves lead; `*` marks where a case went, `>>` where it is."""
    titles = {node.name: node.title for node in graph.nodes}
    lines = [graph.title, ""]
    for node in graph.nodes:
        if node.kind != "many":
            lines += _node(node, [arrow for arrow in graph.arrows if arrow.source == node.name], titles)
    for node in graph.nodes:
        if node.kind == "many":
            lines += _node(node, [arrow for arrow in graph.arrows if arrow.source == node.name], titles)
    for heading, notes in graph.notes:
        lines += ["", heading, *(f"  {note}" for note in notes)]
    return "\n".join(lines) + "\n"


def _node(node: Node, arrows: list[Arrow], titles: dict[str, str]) -> list[str]:
    mark = ">> " if node.here else "*  " if node.visited else "   "
    lines = [f"{mark}[{node.title}]" if node.kind != "final" else f"{mark}(({node.title}))", *(f"       {line}" for line in node.lines)]
    for arrow in arrows:
        steps = f"  ({', '.join(map(str, arrow.steps))})" if arrow.steps else ""
        lines += [f"     -> {titles[arrow.target]}: {line}{steps}" for line in arrow.lines]
    return lines
