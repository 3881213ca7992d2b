"""A workflow's graph as mermaid text, for a page that draws mermaid itself."""

from __future__ import annotations

from crisis_engine.draw.graph import Arrow, Graph, Node

_CLASSES = (
    "classDef final fill:#f3f4f6,stroke:#4b5563",
    "classDef many fill:#ffffff,stroke:#6b7280,stroke-dasharray:5 4",
    "classDef visited stroke:#c2410c,stroke-width:3px",
    "classDef here fill:#ffedd5,stroke:#c2410c,stroke-width:3px",
)


def mermaid_of(graph: Graph) -> str:
    """Return a flowchart; what stands below an SVG stands here as comments."""
    ids = {node.name: f"n{place}" for place, node in enumerate(graph.nodes)}
    lines = ["flowchart TD", f"  %% {plain(graph.title)}"]
    lines += [f"  {ids[node.name]}{_shape(node)}" for node in graph.nodes]
    for arrow in graph.arrows:
        lines.append(f"  {ids[arrow.source]} {'==>' if arrow.steps else '-->'}|{quoted(_said(arrow))}| {ids[arrow.target]}")
    lines += [f"  {each}" for each in _CLASSES]
    for node in graph.nodes:
        kinds = [node.kind] * (node.kind != "open") + ["here" if node.here else "visited"] * node.visited
        lines += [f"  class {ids[node.name]} {kind}" for kind in kinds]
    for heading, notes in graph.notes:
        lines += [f"  %% {plain(heading)}", *(f"  %%   {plain(note)}" for note in notes)]
    return "\n".join(lines) + "\n"


def _shape(node: Node) -> str:
    text = quoted("<br/>".join(plain(line) for line in (node.title, *node.lines)))
    return f"([{text}])" if node.kind == "final" else f"[{text}]"


def _said(arrow: Arrow) -> str:
    steps = f"({', '.join(map(str, arrow.steps))}) " if arrow.steps else ""
    return steps + "<br/>".join(plain(line) for line in arrow.lines)


def plain(text: str) -> str:
    """Return a text that can end neither a label nor a comment: marks of mermaid's own become entities, and no line breaks."""
    for mark, entity in (("#", "#35;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;"), ("%%", "#37;#37;")):
        text = text.replace(mark, entity)
    return " ".join(text.split())


def quoted(text: str) -> str:
    """Return a label in quotes."""
    return f'"{text}"'
