"""Ladders as mermaid and as plain lines."""

from __future__ import annotations

from collections.abc import Sequence

from crisis_engine.draw.lane import Panel
from crisis_engine.draw.mermaid import plain, quoted
from crisis_engine.words import say


def mermaid_of_lanes(panels: Sequence[Panel], lang: str) -> str:
    """Return a flowchart with a box for each ladder, its rungs from left to right."""
    lines = ["flowchart LR"]
    for number, panel in enumerate(panels):
        lines.append(f"  subgraph l{number}[{quoted(plain(panel.title))}]")
        for place, step in enumerate(panel.steps):
            lane = [say(f"tier.{step.lane.value}", lang)] if step.lane is not None else []
            text = "<br/>".join(plain(line) for line in (step.when, *lane, *step.lines, *([step.fired] if step.fired else [])))
            lines.append(f"    l{number}s{place}[{quoted(text)}]")
        lines += [f"    l{number}s{place} --> l{number}s{place + 1}" for place in range(len(panel.steps) - 1)]
        lines += ["  end", *(f"  style l{number}s{place} stroke:#c2410c,stroke-width:3px"
                             for place, step in enumerate(panel.steps) if step.fired)]
    return "\n".join(lines) + "\n"


def text_of_lanes(title: str, panels: Sequence[Panel], lang: str) -> str:
    """Return each ladder, one rung a line."""
    lines = [title]
    for panel in panels:
        lines += ["", panel.title, *([f"  {say('draw.climbed_by', lang, clocks=', '.join(panel.clocks))}"] if panel.clocks else [])]
        for step in panel.steps:
            fired = f"  * {say('draw.fired', lang, when=step.fired)}" if step.fired else ""
            lines.append(f"    {step.when}: {'; '.join(step.lines)}{fired}")
    return "\n".join(lines) + "\n"
