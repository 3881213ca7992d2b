"""The architecture of DESIGN.md section 3 as a table: floors, doors, one clock, a pure core. What breaks it is named here."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "crisis_engine"
MAPPED = ("migrations", "policies", "workflows")  # beside the package in the clone, inside it once installed

# ----------------------------------------------------------------------------------------------------------------------------
# The tables. A room is a module without the leading "crisis_engine."; the package itself is "(face)". "x.*" is all inside x.
# A new module goes on the lowest floor on which it can stand. core is listed room by room, so that each one is thought of.
# ----------------------------------------------------------------------------------------------------------------------------

FLOORS: dict[int, tuple[str, ...]] = {
    7: ("(face)", "__main__", "cli", "cli.*", "web", "web.*"),
    6: ("author", "author.*", "daemon", "daemon.*", "demo", "demo.*", "doctor", "draw", "draw.*", "machine", "prover", "prover.*",
        "simulate", "simulate.*", "testing"),
    5: ("engine", "engine.*", "example", "example.*"),
    4: ("almanac", "clock", "definitions", "definitions.*", "dossier", "dossier.*", "migrations", "migrations.*", "notify", "notify.*",
        "print", "print.*", "roster", "roster.*", "store", "store.*"),
    3: ("core.decide", "core.explain", "core.glass", "core.hold", "core.migrate", "core.move", "core.replay", "core.rung", "core.settle",
        "core.track"),
    2: ("core.access", "core.check", "core.check_field", "core.check_track", "core.deadline", "core.evolve", "core.form", "core.guard",
        "core.network", "core.order", "core.parse_*", "core.pen", "core.policy", "core.procedure", "core.resolve", "core.retention", "core.screening",
        "core.stricter", "core.workflow", "core.world"),
    1: ("core", "core.attachment", "core.calendar", "core.case", "core.checkpoint", "core.commands", "core.document", "core.draft",
        "core.errors", "core.events", "core.merkle", "core.model", "core.secret", "core.spreadsheet", "core.tally", "refusals",
        "refusals.*", "words", "words.*", "policies", "workflows"),
}  # fmt: skip

# package -> the only rooms that may import it
DOORS: dict[str, tuple[str, ...]] = {
    "alembic": ("store", "store.*", "migrations", "migrations.*"),
    "apprise": ("notify", "notify.*"),
    "apscheduler": ("daemon.metronome",),
    "chinese_calendar": ("almanac",),
    "csv": ("roster", "roster.*"),   # it reads; whoever writes cells asks core.spreadsheet, which knows what a formula is
    "cryptography": ("store", "store.*"),
    "fastapi": ("web", "web.*"),
    "httpx": ("notify", "notify.*"),
    "sqlalchemy": ("store", "store.*", "migrations", "migrations.*"),
    "sqlite3": ("store", "store.*"),
    "sqlmodel": ("store", "store.*", "migrations", "migrations.*"),
    "starlette": ("web", "web.*"),
    "transitions": ("core.workflow",),
    "prometheus_client": ("daemon.meter",),
    "weasyprint": ("print.pdf",),
    "urllib.request": ("daemon.ping", "notify", "notify.*"),
}

# name -> the only rooms that may use it: the library never configures its host's logging
ENTRY_POINTS = ("__main__", "cli", "cli.*")
CONFIGURE: dict[str, tuple[str, ...]] = dict.fromkeys(
    ("structlog.configure", "structlog.configure_once", "logging.basicConfig", "logging.config.dictConfig"), ENTRY_POINTS
)

# Time is a parameter. The wall clock is read in one function, the database's clock nowhere, the stopwatch by the daemon alone.
WALL_CLOCK_AT = ("clock", "wall_clock")
WALL_CLOCK = frozenset(
    {"datetime.datetime.now", "datetime.datetime.utcnow", "datetime.datetime.today", "datetime.date.today"}
    | {f"time.{name}" for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime", "clock_gettime")}
    | {f"{package}.func.{name}" for package in ("sqlalchemy", "sqlmodel") for name in ("now", "current_timestamp")}
)
STOPWATCH: dict[str, tuple[str, ...]] = dict.fromkeys(
    (f"time.{name}" for name in ("monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")), ("daemon", "daemon.*")
)

# What a pure room may import beside its own floors. A list of what is allowed: nobody can list all that is not pure.
PURE_ROOMS = ("core", "core.*", "refusals", "refusals.*", "words", "words.*")
PURE_IMPORTS = frozenset({
    "__future__", "abc", "base64", "bisect", "collections", "contextlib", "copy", "dataclasses", "datetime", "decimal", "difflib",
    "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "itertools", "json", "math", "operator", "re",
    "statistics", "string", "textwrap", "transitions", "types", "typing", "unicodedata",
})  # fmt: skip
IMPURE_BUILTINS = frozenset({"open", "print", "input", "exec", "eval", "breakpoint"})

EMPTY_NAMES = frozenset({"util", "utils", "helper", "helpers", "common", "manager", "managers", "service", "services", "base"})
LONGEST = 400  # lines
ONE_FILE = frozenset({"dossier.verify"})  # a court runs it alone, so it cannot be divided

# ----------------------------------------------------------------------------------------------------------------------------
# The checks
# ----------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Room:
    """One source file: its name in the tables, its name for Python, its text."""

    name: str
    module: str
    is_package: bool
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source; a file that does not parse is an error of its own."""
        return ast.parse(self.source, filename=self.module)


class Import(NamedTuple):
    """One imported name: where, the full dotted name, the name it binds here and what that name then means."""

    line: int
    full: str
    local: str
    means: str


def room(name: str, source: str, *, is_package: bool = False) -> Room:
    """Make the room of this name in the tables."""
    return Room(name, PACKAGE if name == "(face)" else f"{PACKAGE}.{name}", is_package, source)


@cache
def rooms() -> tuple[Room, ...]:
    """All source files of the package, those of the mapped folders included."""
    found = []
    for folder in (PACKAGE, *MAPPED):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder if folder == PACKAGE else ROOT).with_suffix("").parts
            is_package = parts[-1] == "__init__"
            name = ".".join(parts[:-1] if is_package else parts) or "(face)"
            found.append(room(name, path.read_text(encoding="utf-8"), is_package=is_package))
    return tuple(found)


def lives_in(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether the room of this name is one of those that the table's patterns mean."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def floor_of(name: str) -> int | None:
    """The floor of a room, None when the table does not know it."""
    return next((floor for floor, patterns in FLOORS.items() if lives_in(name, patterns)), None)


def imports_of(of: Room) -> Iterator[Import]:
    """Every import, wherever it stands: type-only, late and dynamic ones count too."""
    for node in ast.walk(of.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield Import(node.lineno, alias.name, alias.asname or top, alias.name if alias.asname else top)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                home = of.module.split(".") + ["__init__"] * of.is_package
                base = ".".join(home[: -node.level] + ([base] if base else []))
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield Import(node.lineno, full, alias.asname or alias.name, full)
        elif isinstance(node, ast.Call) and dotted(node.func) in {"importlib.import_module", "import_module", "__import__"}:
            yield from (Import(node.lineno, str(each.value), "", "") for each in node.args[:1] if isinstance(each, ast.Constant))


def dotted(node: ast.expr) -> str:
    """`a.b.c` as written; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (left := dotted(node.value)):
        return f"{left}.{node.attr}"
    return ""


def uses_of(of: Room) -> Iterator[tuple[int, str, str]]:
    """Every name that is used, by its full dotted name: (line, name, innermost function around it)."""
    imported = {each.local: each.means for each in imports_of(of)}

    def walk(node: ast.AST, function: str) -> Iterator[tuple[int, str, str]]:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            function = node.name
        if isinstance(node, ast.Attribute | ast.Name) and (written := dotted(node)):
            head, dot, rest = written.partition(".")
            yield node.lineno, imported.get(head, head) + dot + rest, function
            return
        for child in ast.iter_child_nodes(node):
            yield from walk(child, function)

    yield from walk(of.tree, "")


def own_target(full: str, known: frozenset[str]) -> str | None:
    """The room of ours that an import reaches, None for another's package: `from a import b` means a.b where that is a module."""
    if full.partition(".")[0] != PACKAGE:
        return None
    name = full.partition(".")[2]
    while name and name not in known:
        name = name.rpartition(".")[0]
    return name or "(face)"


def known_rooms() -> frozenset[str]:
    """The names of all rooms on the disk."""
    return frozenset(each.name for each in rooms())


def wrong_floor(of: Room, known: frozenset[str]) -> list[str]:
    """Imports that point up, and rooms that the table does not know."""
    own = floor_of(of.name)
    if own is None:
        return [f"{of.name}: say on which floor this room is (FLOORS in tests/test_floors.py)"]
    wrong = []
    for line, full, *_ in imports_of(of):
        target = own_target(full, known)
        floor = floor_of(target) if target else None
        if target and floor is not None and floor > own:
            wrong.append(f"{of.name}:{line}: floor {own} imports {target} of floor {floor}; imports only point down")
    return wrong


def wrong_door(of: Room) -> list[str]:
    """Packages imported past their one door."""
    return [
        f"{of.name}:{line}: {package} is imported only in {', '.join(allowed)}"
        for line, full, *_ in imports_of(of)
        for package, allowed in DOORS.items()
        if f"{full}.".startswith(f"{package}.") and not lives_in(of.name, allowed)
    ]


def wrong_clock(of: Room) -> list[str]:
    """Clocks read in place, and logging configured, outside their one room."""
    wrong = []
    for line, name, function in uses_of(of):
        if name in WALL_CLOCK and (of.name, function) != WALL_CLOCK_AT:
            wrong.append(f"{of.name}:{line}: {name}: `now` is a parameter; the clock is read only in {'.'.join(WALL_CLOCK_AT)}")
        allowed = (STOPWATCH | CONFIGURE).get(name)
        if allowed and not lives_in(of.name, allowed):
            wrong.append(f"{of.name}:{line}: {name} is used only in {', '.join(allowed)}")
    return wrong


def impure(of: Room) -> list[str]:
    """What a pure room may neither import nor call."""
    if not lives_in(of.name, PURE_ROOMS):
        return []
    wrong = []
    for line, full, *_ in imports_of(of):
        top = full.partition(".")[0]
        if top != PACKAGE and top not in PURE_IMPORTS:
            wrong.append(f"{of.name}:{line}: imports {top}; a pure room has no file, clock, log, chance or network")
    wrong += [
        f"{of.name}:{line}: uses {name}; a pure room reads and writes nothing"
        for line, name, _ in uses_of(of)
        if name in IMPURE_BUILTINS
    ]
    return wrong


def in_circle(arrows: dict[str, set[str]]) -> list[str]:
    """The rooms of one import circle, empty when there is none."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return [str(name) for name in error.args[1]]
    return []


# ----------------------------------------------------------------------------------------------------------------------------
# The house keeps the rules
# ----------------------------------------------------------------------------------------------------------------------------


def test_every_room_stands_on_a_floor_and_imports_only_downwards() -> None:
    assert [complaint for each in rooms() for complaint in wrong_floor(each, known_rooms())] == []


def test_no_room_stands_on_two_floors() -> None:
    for each in rooms():
        homes = [floor for floor, patterns in FLOORS.items() if lives_in(each.name, patterns)]
        assert len(homes) <= 1, f"{each.name} stands on the floors {homes}"


def test_no_rooms_import_each_other_in_a_circle() -> None:
    arrows = {
        each.name: {target for arrow in imports_of(each) if (target := own_target(arrow.full, known_rooms()))} - {each.name}
        for each in rooms()
    }
    assert in_circle(arrows) == []


def test_each_package_has_one_door() -> None:
    assert [complaint for each in rooms() for complaint in wrong_door(each)] == []


def test_the_clock_is_read_in_one_function_and_logging_configured_by_entry_points() -> None:
    assert [complaint for each in rooms() for complaint in wrong_clock(each)] == []


def test_the_core_is_pure() -> None:
    assert [complaint for each in rooms() for complaint in impure(each)] == []


def test_no_room_has_an_empty_name() -> None:
    empty = [each.name for each in rooms() if EMPTY_NAMES & set(each.name.replace(".", "_").split("_"))]
    assert empty == [], "name a room for the noun that lives in it"


def test_no_room_is_longer_than_one_sitting() -> None:
    lengths = {each.name: len(each.source.splitlines()) for each in rooms()
               if not each.name.startswith("migrations.versions.") and each.name not in ONE_FILE}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_every_file_begins_with_a_sentence_of_purpose() -> None:
    silent = [each.name for each in rooms() if not each.source.startswith('"""') or not ast.get_docstring(each.tree)]
    assert silent == []


# ----------------------------------------------------------------------------------------------------------------------------
# The rules can fail: each is shown a room that breaks it
# ----------------------------------------------------------------------------------------------------------------------------

KNOWN = frozenset({"core", "core.model", "core.decide", "engine", "store", "store.rows", "(face)"})


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("core.model", "from crisis_engine.core.decide import decide"),
        ("core.model", "from crisis_engine.core import decide"),
        ("core.model", "from .decide import decide"),
        ("core.model", "from . import decide"),
        ("core.decide", "def late():\n    import crisis_engine.store.rows"),
        ("store.rows", "from ..engine import Engine"),
        ("store.rows", "if TYPE_CHECKING:\n    from crisis_engine.engine import Engine"),
        ("engine", "import crisis_engine"),
        ("engine", "import importlib\nimportlib.import_module('crisis_engine')"),
        ("core.novelty", ""),
    ],
)
def test_an_arrow_that_points_up_is_named(name: str, source: str) -> None:
    assert len(wrong_floor(room(name, source), KNOWN)) == 1


def test_an_arrow_that_points_down_or_stays_on_its_floor_is_fine() -> None:
    package = room("store", "from . import rows\nfrom .rows import CaseRow\nfrom ..core.model import Tier", is_package=True)
    assert wrong_floor(package, KNOWN) == []
    assert wrong_floor(room("engine", "from crisis_engine.store.rows import CaseRow\nimport json"), KNOWN) == []


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("engine", "from sqlalchemy.orm import Session"),
        ("cli.queue", "def late():\n    import sqlmodel as sql"),
        ("core.decide", "from transitions import Machine"),
        ("roster", "from urllib.request import urlopen"),
        ("roster", "from urllib import request"),
    ],
)
def test_a_package_past_its_door_is_named(name: str, source: str) -> None:
    assert len(wrong_door(room(name, source))) == 1


def test_a_package_through_its_door_is_fine() -> None:
    assert wrong_door(room("store.rows", "from sqlmodel import SQLModel\nimport sqlalchemy as sa")) == []
    assert wrong_door(room("core.workflow", "from transitions import Machine")) == []
    assert wrong_door(room("engine", "import sqlalchemy_like")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from datetime import datetime\nnow = datetime.now(UTC)",
        "import datetime\nfield(default_factory=datetime.datetime.utcnow)",
        "import datetime as dt\ndt.date.today()",
        "from time import time\ntime()",
        "import time as t\nt.time_ns()",
        "import time\ntime.monotonic()",
        "import sqlalchemy as sa\nsa.func.now()",
        "from sqlmodel import func\nfunc.now()",
        "import structlog\nstructlog.configure()",
        "from logging import config\nconfig.dictConfig({})",
        "import logging.config\nlogging.config.dictConfig({})",
    ],
)
def test_a_clock_read_in_place_and_a_configured_log_are_named(source: str) -> None:
    assert len(wrong_clock(room("engine", source))) == 1


def test_the_wall_clock_is_free_in_its_one_function_only() -> None:
    source = "from datetime import UTC, datetime\ndef {}():\n    return datetime.now(UTC)"
    assert wrong_clock(room("clock", source.format("wall_clock"))) == []
    assert len(wrong_clock(room("clock", source.format("another")))) == 1
    assert wrong_clock(room("engine", "def step(now, time):\n    return time(now), now.time()")) == []


@pytest.mark.parametrize(
    "source", ["import os", "from pathlib import Path", "import random", "import structlog", "open('x')", "print(1)"]
)
def test_a_core_that_touches_the_world_is_named(source: str) -> None:
    assert len(impure(room("core.model", source))) == 1
    assert impure(room("engine", source)) == []


def test_a_circle_is_named() -> None:
    assert set(in_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})) == {"a", "b", "c"}
    assert in_circle({"a": {"b", "c"}, "b": {"c"}}) == []


def test_what_pure_rooms_may_import_is_known_to_python() -> None:
    assert PURE_IMPORTS - {"transitions"} <= sys.stdlib_module_names
