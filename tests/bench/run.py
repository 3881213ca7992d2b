"""A run: what was asked for, the databases, the city that its parts share, and processes as an installation starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from .city import build
from .database import Database

CITY = "crisis_bench_city"
MASTER_KEY = "aa" * 32
"""Sealed secrets of the benchmark are none."""


@dataclass
class Run:
    """All that a part needs to know."""

    folder: Path
    databases: Sequence[Database]
    keep: Path | None = None
    cases: int = 1_000_000
    due: int = 100_000
    rounds: int = 3
    lives: int = 25_000
    moved: int = 100_000            # open cases that another policy takes over
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    growth_due: int = 5_000
    peer_due: int = 2_000
    peer_future: int = 18_000
    rate: int = 50
    seconds: int = 60
    schools: int | None = None      # a smaller city, for the tests of this benchmark
    base: datetime = field(init=False)   # the instant at which `due` cases are due

    def __post_init__(self) -> None:
        self.base = next_monday(datetime.now(UTC))
        if self.keep is None or not self._note.exists():
            self.clear()   # what a run left that was broken off is of another week
            return
        kept = json.loads(self._note.read_text(encoding="utf-8"))
        if {name: kept.get(name) for name in self._size} != self._size:
            sys.exit(f"{self.keep} keeps a city of {kept['cases']:,} cases, {kept['due']:,} due. Ask for these, or empty the folder.")
        self.base = datetime.fromisoformat(kept["base"])

    def clear(self) -> None:
        """Afterwards no database has the city."""
        for database in self.databases:
            database.drop(CITY)

    @property
    def _size(self) -> dict[str, int | None]:
        return {"cases": self.cases, "due": self.due, "schools": self.schools}

    @property
    def _note(self) -> Path:
        return (self.keep or self.folder) / f"{CITY}.json"

    @property
    def now(self) -> datetime:
        """A second after they became due: what the sweeps take for the present."""
        return self.base + timedelta(seconds=1)

    def city(self, database: Database) -> str:
        """Return the name of the city's database, which is built when nobody asked before. It is copied, never changed."""
        if not database.exists(CITY):
            build(database, CITY, self.base, self.cases, self.due, schools=self.schools)
            if self.keep is not None:
                self._note.write_text(json.dumps({**self._size, "base": self.base.isoformat()}), encoding="utf-8")
        return CITY


def next_monday(now: datetime) -> datetime:
    """Return 09:00 in Beijing on the next Monday that is at least a day away: nothing of the city is due by the wall clock."""
    day = (now + timedelta(days=1)).replace(hour=1, minute=0, second=0, microsecond=0)
    while day.weekday() != 0 or day - now < timedelta(days=1):
        day += timedelta(days=1)
    return day


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a process that finds its bytecode, as an installation does."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE" and not name.startswith("CRISIS_")}
    return {**kept, "CRISIS_MASTER_KEY": MASTER_KEY, "CRISIS_HOME": os.environ.get("CRISIS_HOME", tempfile.gettempdir()), **(more or {})}


def crisis(*arguments: str) -> list[str]:
    """Return the command line of a whole `crisis` process."""
    return [sys.executable, "-m", "crisis_engine", *arguments]


def start(command: Sequence[str], more: Mapping[str, str] | None = None, *, stderr: int | None = None) -> subprocess.Popen[str]:
    """Start a process whose output is read."""
    return subprocess.Popen(command, env=environment(more), stdout=subprocess.PIPE, stderr=stderr, text=True)
