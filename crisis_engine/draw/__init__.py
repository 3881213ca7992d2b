"""Drawings of definitions: a workflow as a graph, its ladders as swim-lanes, a case's way over both; no binary, no picture library."""

from __future__ import annotations

from crisis_engine.draw.graph import Graph, Way, graph_of
from crisis_engine.draw.lane import Panel, panels_of
from crisis_engine.draw.lane_svg import svg_of_lanes
from crisis_engine.draw.lane_text import mermaid_of_lanes, text_of_lanes
from crisis_engine.draw.mermaid import mermaid_of
from crisis_engine.draw.plain import text_of
from crisis_engine.draw.svg import svg_of

__all__ = [
    "Graph", "Panel", "Way", "graph_of", "mermaid_of", "mermaid_of_lanes", "panels_of", "svg_of", "svg_of_lanes", "text_of",
    "text_of_lanes",
]
