"""What the databases can do without us: the same rows written set-wise by the plain driver, and the smallest durable transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import crisis_engine as ce

from .database import Database, Session
from .figure import timed

ADDED = ("crisis_event", "crisis_deadline", "crisis_notice")
"""Tables that a rung adds rows to."""

BATCH = 2_500


@dataclass(frozen=True)
class Work:
    """What a sweep came to: the rows it added and changed, case by case in the order in which it wrote them."""

    order: list[int]
    changed: tuple[list[str], dict[int, tuple[Any, ...]]]              # columns of crisis_case that differ, by the row
    added: dict[str, tuple[list[str], dict[int, list[tuple[Any, ...]]]]]


def work_of(database: Database, before: str, after: str) -> Work:
    """Return what was written between a database and its copy that was swept."""
    added: dict[str, tuple[list[str], dict[int, list[tuple[Any, ...]]]]] = {}
    with database.session(before) as old, database.session(after) as new:
        order: dict[int, None] = {}
        for table in ADDED:
            last = old.rows(f"SELECT coalesce(max(id), 0) FROM {table}")[0][0]  # noqa: S608 - our own names
            names, rows = new.table(f"SELECT * FROM {table} WHERE id > {last} ORDER BY id")  # noqa: S608
            case, number = names.index("case_id"), names.index("id")
            by_case: dict[int, list[tuple[Any, ...]]] = {}
            for row in rows:
                by_case.setdefault(row[case], []).append((*row[:number], *row[number + 1:]))
                order.setdefault(row[case])
            added[table] = names[:number] + names[number + 1:], by_case
        names, swept = _cases(new, list(order))
        number = names.index("id")
        was = {row[number]: row for row in _cases(old, list(order))[1]}
    differ = [place for place in range(len(names)) if any(row[place] != was[row[number]][place] for row in swept)]
    changed = {row[number]: tuple(row[place] for place in differ) for row in swept}
    return Work(list(order), ([names[place] for place in differ], changed), added)


def _cases(session: Session, ids: Sequence[int]) -> tuple[list[str], list[tuple[Any, ...]]]:
    names, rows = session.table("SELECT * FROM crisis_case LIMIT 0")
    for start in range(0, len(ids), 5_000):
        listed = ", ".join(map(str, ids[start:start + 5_000]))
        rows += session.rows(f"SELECT * FROM crisis_case WHERE id IN ({listed}) ORDER BY id")  # noqa: S608 - numbers
    return names, rows


def raw_limit(database: Database, before: str, work: Work) -> float:
    """Return how many cases of that work a second the plain driver writes into a fresh copy, in batches, each one durable."""
    with database.copied(before, f"{before}_raw") as url, ce.open_engine(url) as engine:
        return len(work.order) / timed(lambda: write_raw(database, engine, work))


def write_raw(database: Database, engine: ce.Engine, work: Work) -> None:
    """Write the work by the plain driver, on a connection with the settings of our store."""
    writer = _sqlite_batch if database.name == "sqlite" else _postgres_batch
    for start in range(0, len(work.order), BATCH):
        with _driver(engine) as cursor:
            writer(cursor, work, work.order[start:start + BATCH])


@contextmanager
def _driver(engine: ce.Engine) -> Iterator[Any]:
    """Give a cursor of the plain driver inside one durable transaction of the store."""
    with engine.store.writing() as tx:
        raw: Any = tx.connection.connection.driver_connection
        yield raw.cursor()


def _sqlite_batch(cursor: Any, work: Work, ids: Sequence[int]) -> None:  # noqa: ANN401 - the driver's
    names, rows = work.changed
    sets = ", ".join(f'"{name}" = ?' for name in names)
    cursor.executemany(f"UPDATE crisis_case SET {sets} WHERE id = ?", [(*rows[one], one) for one in ids])  # noqa: S608 - our own names
    for table, (columns, by_case) in work.added.items():
        listed, marks = ", ".join(f'"{name}"' for name in columns), ", ".join("?" * len(columns))
        cursor.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks})", [row for one in ids for row in by_case.get(one, ())])  # noqa: S608


def _postgres_batch(cursor: Any, work: Work, ids: Sequence[int]) -> None:  # noqa: ANN401 - the driver's
    names, rows = work.changed
    listed, sets = ", ".join(f'"{name}"' for name in names), ", ".join(f'"{name}" = stage."{name}"' for name in names)
    cursor.execute(f"CREATE TEMP TABLE stage ON COMMIT DROP AS SELECT id, {listed} FROM crisis_case LIMIT 0")  # noqa: S608 - our own names
    with cursor.copy(f"COPY stage (id, {listed}) FROM STDIN") as copy:
        for one in ids:
            copy.write_row((one, *rows[one]))
    cursor.execute(f"UPDATE crisis_case SET {sets} FROM stage WHERE crisis_case.id = stage.id")  # noqa: S608 - our own names
    for table, (columns, by_case) in work.added.items():
        quoted = ", ".join(f'"{name}"' for name in columns)
        with cursor.copy(f"COPY {table} ({quoted}) FROM STDIN") as copy:
            for one in ids:
                for row in by_case.get(one, ()):
                    copy.write_row(row)


def durable_limit(database: Database, count: int) -> float:
    """Return how many transactions a second the plain driver makes durable, one row each: the ceiling over `engine.act`."""
    base = "crisis_bench_raw"
    database.make(base)
    try:
        with ce.open_engine(database.url(base)) as engine:
            with _driver(engine) as cursor:
                cursor.execute("CREATE TABLE bench (id INTEGER PRIMARY KEY, header TEXT)")
            mark = "?" if database.name == "sqlite" else "%s"

            def write() -> None:
                for place in range(count):
                    with _driver(engine) as cursor:
                        cursor.execute(f"INSERT INTO bench VALUES ({mark}, {mark})", (place, "x" * 400))  # noqa: S608 - a mark

            return count / timed(write)
    finally:
        database.drop(base)
