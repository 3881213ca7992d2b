"""The chart of a run as SVG: bars of what is drained in a second, lines of what an idle sweep costs; readable in light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from .figure import Figure, shown

WIDTH, LEFT, RIGHT = 900, 340, 80
BAR, GAP, TOP = 20, 8, 64
LINES_HEIGHT = 190

STYLE = """
text { font: 13px system-ui, "Noto Sans CJK SC", "Microsoft YaHei", sans-serif; fill: #24292f }
.title { font-weight: 600; font-size: 15px } .small { font-size: 12px; fill: #57606a } .rule { stroke: #d0d7de }
.card { fill: #ffffff }
.ours { fill: #0969da } .raw { fill: #8c959f } .peer { fill: #bc4c00 }
.sqlite { stroke: #0969da; fill: #0969da } .postgresql { stroke: #8250df; fill: #8250df }
polyline { fill: none !important; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 } .small { fill: #9198a1 } .rule { stroke: #3d444d } .card { fill: #0d1117 }
.ours { fill: #4493f8 } .raw { fill: #656c76 } .peer { fill: #f0883e }
.sqlite { stroke: #4493f8; fill: #4493f8 } .postgresql { stroke: #ab7df8; fill: #ab7df8 }
}
"""

NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}
WORDS = {
    "en": {"drained": "Drained in a second: whole escalations of ours, jobs that do nothing of the others",
           "one": "crisis_engine, one process", "two": "crisis_engine, two processes", "raw": "the same rows, plain driver",
           "idle": "An idle sweep, by armed deadlines", "weaker": "not safe from a power cut",
           "what": "Benchmark of crisis_engine beside its peers"},
    "zh": {"drained": "每秒处理数：本引擎为完整升级，其他为空任务", "one": "crisis_engine，一个进程", "two": "crisis_engine，两个进程",
           "raw": "同样的行，驱动直接写入", "idle": "空转一次 sweep 的成本，按时限数量", "weaker": "断电可能丢失",
           "what": "crisis_engine 与同类的基准测试"},
}


@dataclass(frozen=True)
class Bar:
    """One bar: its label, its kind (a class of the style), its value."""

    label: str
    kind: str
    value: float


def bars(figures: Mapping[str, Figure], lang: str) -> list[Bar]:
    """Return the bars of a run, the longest first."""
    words, comma, found = WORDS[lang], ", " if lang == "en" else "，", []
    for database, name in NAMES.items():
        for count, word in ((1, words["one"]), (2, words["two"])):
            figure = figures.get(f"sweep.{database}.{count}")
            if figure is not None:
                found.append(Bar(f"{word}{comma}{name}", "ours", figure.value))
                if count == 1:
                    found.append(Bar(f"{words['raw']}{comma}{name}", "raw", float(figure.facts["raw"])))
        for key, figure in figures.items():
            parts = key.split(".")
            if parts[0] == "peer" and parts[1] != "ratio" and parts[2] == database:
                weaker = (f" ({words['weaker']})" if lang == "en" else f"（{words['weaker']}）") if figure.facts.get("weaker") else ""
                found.append(Bar(f"{parts[1].removesuffix('-normal')}{comma}{name}{weaker}", "peer", figure.value))
    return sorted(found, key=lambda bar: -bar.value)


def idle_lines(figures: Mapping[str, Figure]) -> dict[str, list[tuple[int, float]]]:
    """Return, by database, what an idle sweep costs in milliseconds for each number of armed deadlines."""
    found: dict[str, list[tuple[int, float]]] = {}
    for key, figure in figures.items():
        parts = key.split(".")
        if parts[0] == "growth" and len(parts) == 3:
            found.setdefault(parts[1], []).append((int(figure.facts["armed"]), float(figure.facts["idle_ms"])))
    return {database: sorted(points) for database, points in found.items()}


def chart(figures: Mapping[str, Figure], lang: str) -> str:
    """Return the chart of a run as SVG text."""
    words, drawn, lines = WORDS[lang], bars(figures, lang), idle_lines(figures)
    body: list[str] = []
    height = 20
    if drawn:
        body += _bars(drawn, words["drained"])
        height = TOP - 16 + len(drawn) * (BAR + GAP) + 20
    if lines:
        body += _lines(lines, words["idle"], height)
        height += LINES_HEIGHT
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img"'
            f' aria-label={quoteattr(words["what"])}>\n<title>{escape(words["what"])}</title>\n<style>{STYLE}</style>\n'
            # A viewer that knows no themes shows dark words: on a card of their own they are read on any page.
            f'<rect class="card" width="{WIDTH}" height="{height}" rx="6"/>\n'
            + "\n".join(body) + "\n</svg>\n")


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    shape = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{shape}>{escape(text)}</text>'


def _bars(drawn: Sequence[Bar], title: str) -> Iterator[str]:
    yield _text(16, 28, title, "title")
    most = max(bar.value for bar in drawn)
    for place, bar in enumerate(drawn):
        y = TOP - 16 + place * (BAR + GAP)
        width = max(1.0, (WIDTH - LEFT - RIGHT) * bar.value / most)
        yield _text(LEFT - 10, y + BAR - 5, bar.label, anchor="end")
        yield f'<rect class="{bar.kind}" x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"/>'
        yield _text(LEFT + width + 8, y + BAR - 5, shown(bar.value))


def _lines(lines: Mapping[str, Sequence[tuple[int, float]]], title: str, top: int) -> Iterator[str]:
    """Draw a line for each database: the number of deadlines on a scale of powers, the cost from nothing."""
    yield _text(16, top + 28, title, "title")
    sizes = sorted({size for points in lines.values() for size, _cost in points})
    most = max(cost for points in lines.values() for _size, cost in points) * 1.15
    low, high = math.log10(sizes[0]), math.log10(sizes[-1])
    floor, ceiling, left, right = top + LINES_HEIGHT - 34, top + 48, 70, WIDTH - 130

    def x_of(size: int) -> float:
        return left if high == low else left + (right - left) * (math.log10(size) - low) / (high - low)

    def y_of(cost: float) -> float:
        return floor - (floor - ceiling) * cost / most

    for cost in (0.0, most / 2, most):
        yield f'<line class="rule" x1="{left}" y1="{y_of(cost):.1f}" x2="{right}" y2="{y_of(cost):.1f}"/>'
        yield _text(left - 8, y_of(cost) + 4, f"{cost:.2f} ms", "small", "end")
    for size in sizes:
        yield _text(x_of(size), floor + 18, f"{size:,}", "small", "middle")
    ends: list[float] = []
    for database, points in lines.items():
        places = " ".join(f"{x_of(size):.1f},{y_of(cost):.1f}" for size, cost in points)
        yield f'<polyline class="{database}" points="{places}"/>'
        for size, cost in points:
            yield f'<circle class="{database}" cx="{x_of(size):.1f}" cy="{y_of(cost):.1f}" r="3"/>'
        y = y_of(points[-1][1]) + 4
        while any(abs(y - other) < 15 for other in ends):   # two lines that end together keep their names apart
            y -= 15
        ends.append(y)
        yield _text(x_of(points[-1][0]) + 10, y, NAMES.get(database, database))


def write(root: Path, figures: Mapping[str, Figure]) -> None:
    """Write the chart of each language into docs/."""
    for lang, name in (("en", "bench.svg"), ("zh", "bench.zh-CN.svg")):
        (root / "docs" / name).write_text(chart(figures, lang), encoding="utf-8")
