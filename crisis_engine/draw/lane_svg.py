"""Ladders as SVG: a panel for each, its lanes from the city down, its rungs from left to right in the order of time."""

from __future__ import annotations

from collections.abc import Sequence

from crisis_engine.core.model import Tier
from crisis_engine.draw.lane import LANES, Panel, Step
from crisis_engine.draw.layout import GAP_X, Box
from crisis_engine.draw.measure import width_of
from crisis_engine.draw.svg import FAINT, TITLE, WAY, Words, document, rect, words
from crisis_engine.words import say

_MOST, _GAP, _STRIPE = 190.0, 14.0, ("#f8fafc", "#eef2f7")


def svg_of_lanes(title: str, panels: Sequence[Panel], lang: str) -> str:
    """Return the drawing of ladders."""
    body: list[str] = []
    y = width = 0.0
    for panel in panels:
        drawn, boxes, bottom = place(panel, y, lang)
        body += drawn
        width = max(width, *(box.x + box.width for box in boxes))
        y = bottom + GAP_X
    top = TITLE * 2.5
    return document(title, max(width + GAP_X, width_of(title, TITLE * 1.08) + 2 * GAP_X, 480), y + top, "\n".join(
        [f'<g transform="translate(0 {top:g})">', *body, "</g>"]))


def place(panel: Panel, y: float, lang: str) -> tuple[list[str], list[Box], float]:
    """Return a panel as elements, every box of text in it, and where it ends."""
    names = {lane: words("", [say(f"tier.{lane.value}", lang)], _MOST) for lane in LANES}
    names_wide = max(each.size.width for each in names.values())
    texts = [words("", [step.when, *step.lines, *([say("draw.fired", lang, when=step.fired)] if step.fired else [])], _MOST)
             for step in panel.steps]
    head = words(panel.title, [say("draw.climbed_by", lang, clocks=", ".join(panel.clocks))] if panel.clocks else [], 900)
    head_box = Box(GAP_X, y, *head.size)
    drawn, boxes = head.drawn(head_box), [head_box]
    y += head_box.height
    lanes = _lanes(panel)
    height = {lane: max([names[lane].size.height, *(
        text.size.height for at, text in zip(lanes, texts, strict=True) if at is lane)]) + _GAP for lane in LANES}
    tops: dict[Tier, float] = {}
    right = GAP_X + names_wide + _GAP + sum(text.size.width + 2 * _GAP for text in texts)
    for place_, lane in enumerate(LANES):
        tops[lane] = y
        drawn.append(rect(Box(GAP_X, y, right - GAP_X, height[lane]), _STRIPE[place_ % 2], "#e5e7eb", width=0.6, round_=0))
        name_box = Box(GAP_X, y + (height[lane] - names[lane].size.height) / 2, *names[lane].size)
        drawn += names[lane].drawn(name_box)
        boxes.append(name_box)
        y += height[lane]
    x, before = GAP_X + names_wide + _GAP, None
    for step, text, lane in zip(panel.steps, texts, lanes, strict=True):
        box = Box(x, tops[lane] + (height[lane] - text.size.height) / 2, *text.size)
        drawn += _step(step, text, box, before)
        boxes.append(box)
        before, x = box, x + box.width + 2 * _GAP
    return drawn, boxes, y


def _lanes(panel: Panel) -> list[Tier]:
    """Return in which lane each step is drawn; one that names none stays where the last was, at first with the class."""
    found: list[Tier] = []
    last = Tier.CLASS
    for step in panel.steps:
        last = step.lane or last
        found.append(last)
    return found


def _step(step: Step, text: Words, box: Box, before: Box | None) -> list[str]:
    colour = WAY if step.fired else "#1d4ed8"
    drawn = []
    if before is not None:
        x, y, to_y = before.x + before.width, before.y + before.height / 2, box.y + box.height / 2
        middle = (x + box.x) / 2
        end, wide = ("way", 2.4) if step.fired else ("end", 1.2)
        drawn.append(f'<path d="M{x:.1f} {y:.1f}H{middle:.1f}V{to_y:.1f}H{box.x:.1f}" fill="none"'
                     f' stroke="{WAY if step.fired else FAINT}" stroke-width="{wide:g}" marker-end="url(#{end})"/>')
    return [*drawn, rect(box, "#ffedd5" if step.fired else "#ffffff", colour), *text.drawn(box)]
