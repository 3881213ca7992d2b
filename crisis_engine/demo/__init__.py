"""The demo: School H's day three ways, one case's whole life, four queues. All it says is read from the engine's answers."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from crisis_engine.engine import open_engine
from crisis_engine.example import example_roster
from crisis_engine.notify import RecordingChannel
from crisis_engine.testing import SettableClock

from .day import CLASS, TUESDAY_END, WAYS, live
from .life import ROLES, Afternoon, Life, live_through, look_around
from .page import Page
from .text import tell
from .watch import Day, Sandbox

__all__ = ["WAYS", "Afternoon", "Day", "Life", "commands", "play", "run"]

_LINK = "https://crisis.example.invalid/case"
_KEY = bytes(32)   # nothing here is a secret: the people are invented, and their database is gone afterwards


def run(*, lang: str, console: Console | None = None) -> int:
    """Play the demo and print it part by part; return 0. It needs no database: its own live in a folder that is gone afterwards.

    `console` is where to print; by default standard output, in colour at a terminal only and at most 100 columns wide.
    """
    page = Page(console or Console(highlight=False, markup=False, emoji=False), lang, _roles())
    page.opening(f"{TUESDAY_END:%Y-%m-%d}")
    for part in play(lang):
        if isinstance(part, Day):
            page.day(part)
        elif isinstance(part, Life):
            page.life(part)
        else:
            page.afternoon(part, ROLES)
    page.ending(commands(lang))
    return 0


def play(lang: str = "zh") -> Iterator[Day | Life | Afternoon]:
    """Yield the parts of the demo as they are done: three days, a life, an afternoon."""
    with tempfile.TemporaryDirectory(prefix="crisis-demo-") as folder:
        template = Path(folder) / "city.db"
        with _sandbox(template, lang) as sandbox:
            sandbox.engine.mark_sandbox()
            sandbox.engine.import_roster(example_roster())
        for way in WAYS:
            with _sandbox(_copy(template, way), lang) as sandbox:
                day = live(sandbox, way)
            yield day
        with _sandbox(_copy(template, "life"), lang) as sandbox:
            yield live_through(sandbox)
            yield look_around(sandbox)


def commands(lang: str) -> tuple[str, str, str]:
    """Return the three commands to try next; each works when it is pasted, one after the other."""
    return (
        "crisis init --db demo.db --sandbox --example xinyang",
        f"""crisis report --db demo.db --as p-71 --unit {CLASS} \\
  --subject stu-42 --cue suicide_words --facts "{tell('facts', lang)}\"""",
        "crisis queue --db demo.db --as p-11",
    )


@contextmanager
def _sandbox(path: Path, lang: str) -> Iterator[Sandbox]:
    clock, channel = SettableClock(), RecordingChannel()
    with open_engine(f"sqlite:///{path}", clock=clock, channels=[channel], lang=lang, link=_LINK, master_key=_KEY) as engine:
        yield Sandbox(engine, clock, channel)


def _copy(template: Path, name: str) -> Path:
    path = template.with_name(f"{name}.db")
    shutil.copyfile(template, path)
    return path


def _roles() -> dict[str, str]:
    """Return the first role of each person of the example."""
    roles: dict[str, str] = {}
    for duty in example_roster().duties:
        roles.setdefault(duty.person, duty.role)
    return roles
