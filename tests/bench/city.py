"""A city of any number of open cases, each with one armed clock, written set-wise from patterns of real cases.

Each case has its own number, times and hash chain: the rows are those that the store itself would write, so a proof of the log passes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import islice
from typing import Any

import crisis_engine as ce
from crisis_engine.core.model import Tier
from crisis_engine.core.resolve import Found
from crisis_engine.engine import Engine
from crisis_engine.engine.gather import Sources
from crisis_engine.example.city import generate_city
from crisis_engine.store.instant import micros
from crisis_engine.store.record import GENESIS
from crisis_engine.testing import SettableClock

from .database import Database, Session
from .life import case_at
from .screen import progress

DAY = timedelta(hours=24)
BATCH = 20_000
STRIDE = 7919   # neighbouring rows lie in different schools
_PATTERN_DUE = datetime(2001, 1, 1, 1, 1, 1, tzinfo=UTC)   # instants that occur nowhere else, so that they can be found in a row
_DUE_ISO, _AT_ISO = "2001-01-01T01:01:01+00:00", "2000-12-31T01:01:01+00:00"


class _NeverKept(Exception):
    """Ends the transaction in which the patterns were written and read back: nothing of them stays."""


@dataclass(frozen=True, slots=True)
class Made:
    """What fills a pattern: the case and its times, as rows and texts have them."""

    row: int
    number: str
    due: int
    at: int
    words: dict[str, str]


Filler = Callable[[Made, bytes, str, bytes], Any]   # made, previous hash, header, hash -> the value of a column


@dataclass(frozen=True)
class Line:
    """A row of a pattern: its values, the places that differ from case to case, and the header that is hashed."""

    values: tuple[Any, ...]
    fills: tuple[tuple[int, Filler], ...]
    header: str | None

    def row(self, made: Made, prev: bytes) -> tuple[tuple[Any, ...], bytes]:
        """Return the row of one case, and the hash after it."""
        header, digest = "", prev
        if self.header is not None:
            made.words["prev"] = prev.hex()
            header = self.header % made.words
            digest = sha256(prev + header.encode()).digest()
        values = list(self.values)
        for place, fill in self.fills:
            values[place] = fill(made, prev, header, digest)
        return tuple(values), digest


@dataclass(frozen=True)
class Pattern:
    """All rows of one case of one class, the case's own last, for it has the hash of the log's end."""

    events: tuple[Line, ...]
    deadlines: tuple[Line, ...]
    case: Line


class City:
    """The patterns of an engine's roster and definitions; it fills databases of the same schema."""

    def __init__(self, engine: Engine) -> None:
        roster = engine.roster(subjects=False)
        self.classes: list[str] = sorted(unit["id"] for unit in roster["units"] if unit["kind"] == "class")
        schools = {unit["id"] for unit in roster["units"] if unit["kind"] == "school"}
        self.teachers: dict[str, str] = {duty["unit"]: duty["person"] for duty in roster["duties"] if duty["role"] == "class_teacher"}
        counselors = {duty["unit"]: duty["person"] for duty in reversed(roster["duties"]) if duty["role"] == "counselor"}
        with engine.store.writing() as tx:
            procedure = Sources().procedure_for(tx, "school_crisis_v1", "xinyang")
        changes = []
        for place, unit in enumerate(self.classes):
            school = next(path for path in (unit.rsplit("/", 1)[0], unit.rsplit("/", 2)[0]) if path in schools)
            doer = Found("counselor", school, Tier.SCHOOL, counselors.get(school))
            changes.append(case_at(f"T{place:08}", unit, doer, self.teachers[unit], _PATTERN_DUE, procedure.hash))
        self.columns: dict[str, tuple[str, ...]] = {}
        self.patterns: list[Pattern] = []
        try:
            with engine.store.writing() as tx:
                tx.append(changes)
                self._read(tx.connection)
                raise _NeverKept  # noqa: TRY301 - it undoes the transaction that it leaves
        except _NeverKept:
            pass

    def unit_of(self, place: int) -> str:
        """Return the class of the case at a place."""
        return self.classes[place * STRIDE % len(self.classes)]

    def _read(self, connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's, whose door is the store
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for table, by in (("crisis_case", "id"), ("crisis_event", "case_id, seq"), ("crisis_deadline", "case_id, id")):
            where = "SELECT id FROM crisis_case WHERE substr(number, 1, 1) = 'T'"
            column = "id" if table == "crisis_case" else "case_id"
            found = connection.exec_driver_sql(f"SELECT * FROM {table} WHERE {column} IN ({where}) ORDER BY {by}")  # noqa: S608 - constants
            names = tuple(found.keys())
            kept = [place for place, name in enumerate(names) if name != "id" or table == "crisis_case"]
            self.columns[table] = tuple(names[place] for place in kept)
            rows[table] = [tuple(_plain(row[place]) for place in kept) for row in found]
        by_case = {table: self.columns[table].index("case_id") for table in ("crisis_event", "crisis_deadline")}
        sorted_rows: dict[str, dict[int, list[tuple[Any, ...]]]] = {table: {} for table in by_case}
        for table, place in by_case.items():
            for row in rows[table]:
                sorted_rows[table].setdefault(row[place], []).append(row)
        for case in rows["crisis_case"]:
            case_id = case[self.columns["crisis_case"].index("id")]
            self.patterns.append(Pattern(
                tuple(self._line("crisis_event", row, case) for row in sorted_rows["crisis_event"][case_id]),
                tuple(self._line("crisis_deadline", row, case) for row in sorted_rows["crisis_deadline"][case_id]),
                self._line("crisis_case", case, case),
            ))

    def _line(self, table: str, row: tuple[Any, ...], case: tuple[Any, ...]) -> Line:
        """Return what of a row is the same for each case, and how the rest is made."""
        names = self.columns["crisis_case"]
        case_id, number, due, at = case[names.index("id")], case[names.index("number")], micros(_PATTERN_DUE), micros(_PATTERN_DUE - DAY)
        fills: list[tuple[int, Filler]] = []
        header = None
        for place, (name, value) in enumerate(zip(self.columns[table], row, strict=True)):
            if name == "header":
                record = json.loads(value)
                header = _worded(value, number, due, at).replace(record["prev"], "%(prev)s")
                fills.append((place, lambda _made, _prev, text, _hash: text))
            elif name in {"hash", "head"}:
                fills.append((place, lambda _made, _prev, _text, digest: digest))
            elif name == "prev":
                fills.append((place, lambda _made, prev, _text, _hash: prev))
            elif value == number:
                fills.append((place, lambda made, *_rest: made.number))
            elif type(value) is int and value == case_id and name in {"id", "case_id"}:
                fills.append((place, lambda made, *_rest: made.row))
            elif type(value) is int and value == due:
                fills.append((place, lambda made, *_rest: made.due))
            elif type(value) is int and value == at:
                fills.append((place, lambda made, *_rest: made.at))
            elif isinstance(value, str) and (text := _worded(value, number, due, at)) != value.replace("%", "%%"):
                fills.append((place, lambda made, *_rest, text=text: text % made.words))
        return Line(row, tuple(fills), header)

    def fill(self, session: Session, dues: Sequence[datetime] | Iterable[datetime], *, prefix: str = "B") -> int:
        """Write a case for each due time, numbered by its place after the prefix; return how many there are."""
        first = 1 + (session.rows("SELECT coalesce(max(id), 0) FROM crisis_case")[0][0])
        known: dict[datetime, tuple[int, int, dict[str, str]]] = {}
        places = enumerate(dues)
        written = 0
        while chunk := list(islice(places, BATCH)):
            events, deadlines, cases = [], [], []
            for place, due_at in chunk:
                if due_at not in known:
                    due, at = micros(due_at), micros(due_at - DAY)
                    known[due_at] = due, at, {"due": str(due), "at": str(at), "due_iso": _iso(due_at), "at_iso": _iso(due_at - DAY)}
                due, at, words = known[due_at]
                number = f"{prefix}{place:08}"
                made = Made(first + place, number, due, at, {**words, "number": number})
                pattern, head = self.patterns[place * STRIDE % len(self.patterns)], GENESIS
                for line in pattern.events:
                    row, head = line.row(made, head)
                    events.append(row)
                deadlines += [line.row(made, head)[0] for line in pattern.deadlines]
                cases.append(pattern.case.row(made, head)[0])
            session.insert("crisis_case", self.columns["crisis_case"], cases)
            session.insert("crisis_deadline", self.columns["crisis_deadline"], deadlines)
            session.insert("crisis_event", self.columns["crisis_event"], events)
            written += len(chunk)
            progress(f"building the city: {written:,} cases")
        progress("")
        return written


def _plain(value: object) -> object:
    return bytes(value) if isinstance(value, memoryview | bytearray) else value


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _worded(text: str, number: str, due: int, at: int) -> str:
    """Return a text as a format with a word for all that differs from case to case."""
    text = text.replace("%", "%%")
    for found, word in ((number, "number"), (str(due), "due"), (str(at), "at"), (_DUE_ISO, "due_iso"), (_AT_ISO, "at_iso")):
        text = text.replace(found, f"%({word})s")
    return text


def due_times(base: datetime, cases: int, due: int, seed: int = 7) -> Iterator[datetime]:
    """Yield when each case is due: so many of them at the base, in random rows, the others spread over a day from two days later."""
    late = set(random.Random(seed).sample(range(cases), due))
    for place in range(cases):
        yield base if place in late else base + timedelta(days=2, seconds=place % 80_000)


def build(
    database: Database, base_name: str, base: datetime, cases: int, due: int, *, schools: int | None = None,
    times: Iterable[datetime] | None = None,
) -> City:
    """Afterwards there is a database with the whole roster of a city and its cases, `due` of them due at `base`, or each at its own time."""
    database.make(base_name)
    with ce.open_engine(database.url(base_name), clock=SettableClock(base - 2 * DAY)) as engine:
        engine.mark_sandbox()
        engine.import_roster(generate_city(seed=1) if schools is None else generate_city(seed=1, schools=schools, pupils=50 * schools))
        city = City(engine)
    with database.session(base_name, fill=True) as session:
        statements = session.bare()
        city.fill(session, times if times is not None else due_times(base, cases, due))
        session.restore(statements)
    database.settle(base_name)
    return city
