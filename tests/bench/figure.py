"""One measured figure: its value, what else was seen, its line on the screen and in the file; medians and percentiles."""

from __future__ import annotations

import json
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FORM = 1
"""The form of the result file; a reader refuses another."""

_TENTHS, _WHOLES = 10, 100


@dataclass(frozen=True)
class Figure:
    """A figure of a run. `key` names it for table and chart; `extra` is what the line says after the value, in that order."""

    key: str
    title: str
    value: float
    unit: str
    extra: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)   # numbers that table and chart take, and the rounds

    @property
    def line(self) -> str:
        """The figure as one line: `sweep sqlite 100000 due: 12,345 /s, raw limit 107,000 /s, ratio 0.12`."""
        first = f"{self.title}: {shown(self.value)} {self.unit}".rstrip()
        return ", ".join([first, *(f"{name} {text}" for name, text in self.extra.items())])


def shown(value: float) -> str:
    """Return a number with three figures or more, thousands apart."""
    if value == 0 or abs(value) >= _WHOLES:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= _TENTHS else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"


def per_second(value: float) -> str:
    """Return a rate for a line."""
    return f"{shown(value)} /s"


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that one call took."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def median_of(work: Callable[[], object], runs: int) -> float:
    """Return the median seconds of several calls, after one that does not count."""
    work()
    return statistics.median(timed(work) for _run in range(runs))


def percentile(values: Iterable[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed. ValueError when there are none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("A percentile of nothing.")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def machine() -> dict[str, str]:
    """Return what a reader must know of the machine to compare figures."""
    return {
        "python": platform.python_version(), "system": f"{platform.system()} {platform.release()}", "cores": str(os.cpu_count()),
        "processor": _processor(), "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ"),
        "load_before": " ".join(f"{load:.2f}" for load in os.getloadavg()) if hasattr(os, "getloadavg") else "",
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def save(path: Path, figures: Sequence[Figure], where: Mapping[str, str], asked: Mapping[str, Any]) -> None:
    """Write the result file: the machine, what was asked for, every figure."""
    body = {"form": FORM, "machine": dict(where), "asked": dict(asked), "figures": [asdict(figure) for figure in figures]}
    path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def load(path: Path) -> tuple[dict[str, Figure], dict[str, str]]:
    """Return the figures of a result file by their keys, and the machine; SystemExit with a sentence when it is none of ours."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        figures = {one["key"]: Figure(**one) for one in body["figures"]}
        form, where = body["form"], dict(body["machine"])
    except FileNotFoundError:
        sys.exit(f"{path}: there is no such file. {_way_out(path)}")
    except (ValueError, KeyError, TypeError) as error:
        sys.exit(f"{path}: this is no result file of this benchmark ({type(error).__name__}: {error}). {_way_out(path)}")
    if form != FORM:
        sys.exit(f"{path}: its form is {form}, and this version reads {FORM}. {_way_out(path)}")
    return figures, where


def _way_out(path: Path) -> str:
    return f"Make one by: make bench ARGS='--json {path}'"
