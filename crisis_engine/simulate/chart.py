"""The chart of a rehearsal as one SVG file: notices by day above, the share of missed deadlines by clock below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import NamedTuple

from crisis_engine.simulate.measure import Tally, day_of

_WIDE, _LEFT, _RIGHT, _TOP, _BARS = 960, 150, 60, 46, 180
_ROW = 20
_FONT = 'font-family="sans-serif" font-size="12" fill="#333"'


class Heads(NamedTuple):
    """The chart's words, in the reader's language."""

    title: str
    by_day: str
    missed: str
    clocks: Mapping[str, str]


def draw(tally: Tally, heads: Heads) -> str:
    """Return the SVG; the same tally gives the same text."""
    missed = [(name, share.deadlines, share.share) for (by, name), share in sorted(tally.missed.items()) if by == "clock"]
    height = _TOP + _BARS + 70 + _ROW * max(1, len(missed)) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDE} {height}" role="img">',
        f"<title>{escape(heads.title)}</title>",
        f'<rect width="{_WIDE}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="22" {_FONT} font-weight="bold">{escape(heads.title)}</text>',
        *_days(tally.per_day(), heads.by_day),
        *_shares(missed, heads, _TOP + _BARS + 60),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _days(days: Mapping[int, int], head: str) -> list[str]:
    """Return one bar a day, months named below."""
    parts = [f'<text x="16" y="{_TOP}" {_FONT}>{escape(head)}</text>']
    if not days:
        return parts
    first, last, most = min(days), max(days), max(days.values())
    room = _WIDE - _LEFT - _RIGHT
    step = room / max(1, last - first + 1)
    floor = _TOP + _BARS
    for day, count in days.items():
        tall = round(_BARS * 0.9 * count / most, 1)
        x = round(_LEFT + (day - first) * step, 1)
        parts.append(f'<rect x="{x}" y="{round(floor - tall, 1)}" width="{max(round(step * 0.85, 1), 0.6)}" height="{tall}" fill="#3b6ea5">'
                     f"<title>{day_of(day)}: {count}</title></rect>")
    parts.append(f'<line x1="{_LEFT}" y1="{floor}" x2="{_WIDE - _RIGHT}" y2="{floor}" stroke="#999"/>')
    parts.append(f'<text x="{_LEFT - 8}" y="{round(floor - _BARS * 0.9 + 10, 1)}" {_FONT} text-anchor="end">{most}</text>')
    marks = [first, *(day for before, day in pairwise(range(first, last + 1)) if day_of(before)[:7] != day_of(day)[:7])]
    ends = -100.0
    for day in marks:
        x = round(_LEFT + (day - first) * step, 1)
        if x - ends > 62:  # noqa: PLR2004 - pixels that a month's name takes
            parts.append(f'<text x="{x}" y="{floor + 18}" {_FONT}>{day_of(day)[:7]}</text>')
            ends = x
    return parts


def _shares(missed: Sequence[tuple[str, int, float]], heads: Heads, top: int) -> list[str]:
    """Return one bar for each clock: grey the whole, red what was missed."""
    parts = [f'<text x="16" y="{top - 12}" {_FONT}>{escape(heads.missed)}</text>']
    room = _WIDE - _LEFT - _RIGHT - 60
    for place, (name, deadlines, share) in enumerate(missed):
        y = top + place * _ROW
        label = escape(heads.clocks.get(name, name))
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 13}" {_FONT} text-anchor="end">{label}</text>',
            f'<rect x="{_LEFT}" y="{y + 3}" width="{room}" height="13" fill="#e4e4e4"/>',
            f'<rect x="{_LEFT}" y="{y + 3}" width="{round(room * share, 1)}" height="13" fill="#b3372f"/>',
            f'<text x="{_LEFT + room + 8}" y="{y + 13}" {_FONT}>{share:.1%} / {deadlines}</text>',
        ]
    return parts
