"""Many rows in one statement on PostgreSQL: COPY for new rows, one JSON text as a table for the others."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    import psycopg
    from sqlalchemy import Engine

    Driver = psycopg.Connection[tuple[Any, ...]]

_COPY_FROM = 100   # rows from which on COPY's own round trips are paid back
_INSERT = re.compile(r"INSERT (?:OR FAIL )?INTO (\w+) \(([^)]*)\) VALUES \([?, ]+\)(.*)", re.DOTALL)
_UPDATE = re.compile(r"UPDATE (\w+) SET (.*?) WHERE (.*)", re.DOTALL)
_GIVEN = re.compile(r'("?\w+"?) = \?')

_TYPES = (
    "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
    r" WHERE c.relname LIKE 'crisis\_%' AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped AND pg_table_is_visible(c.oid)"
)
_types_of: WeakKeyDictionary[Engine, dict[tuple[str, str], str]] = WeakKeyDictionary()


class Shape(NamedTuple):
    """One of our bulk statements, taken apart: the table, the columns that values are given for, and what is made of it."""

    table: str
    columns: tuple[str, ...]
    one: str     # for a single row
    copies: str  # COPY; empty where a row may meet another
    many: str              # for a set of rows, with {rows} where they stand; empty where rows of a set may meet each other


def write(driver: Driver, engine: Engine, sql: str, rows: list[tuple[Any, ...]]) -> int:
    """Write the rows and return how many were touched."""
    shape = _shape(sql)
    with driver.cursor() as cursor:
        if len(rows) == 1:
            return cursor.execute(shape.one, rows[0]).rowcount
        if shape.copies and len(rows) >= _COPY_FROM:
            try:
                with cursor.copy(shape.copies) as copy:
                    for row in rows:
                        copy.write_row(row)
            except UnicodeEncodeError:
                driver.close()   # the driver cannot say why it ends the COPY, and the server would wait for the rest of it
                raise
            return len(rows)
        if not shape.many:
            cursor.executemany(shape.one, rows)
            return cursor.rowcount
        return cursor.execute(_of_set(shape, _known(driver, engine, shape)), (_as_json(len(shape.columns), rows),)).rowcount


def _as_json(width: int, rows: list[tuple[Any, ...]]) -> str:
    names = tuple(f"c{place}" for place in range(width))
    return json.dumps([dict(zip(names, row, strict=True)) for row in rows], ensure_ascii=False, check_circular=False, default=_hex)


def _hex(value: bytes) -> str:
    return "\\x" + value.hex()


def _known(driver: Driver, engine: Engine, shape: Shape) -> tuple[str, ...]:
    """Return the types of a statement's columns, asked of the database once."""
    types = _types_of.get(engine)
    if types is None or any((shape.table, column) not in types for column in shape.columns):
        types = _types_of[engine] = {(table, column): kind for table, column, kind in driver.execute(_TYPES)}
    return tuple(types[shape.table, column] for column in shape.columns)


@cache
def _of_set(shape: Shape, types: tuple[str, ...]) -> str:
    columns = ", ".join(f"c{place} {kind}" for place, kind in enumerate(types))
    return shape.many.format(rows=f"json_to_recordset(%s::json) AS v({columns})")


@cache
def _shape(sql: str) -> Shape:
    one = sql.replace("%", "%%").replace("INSERT OR FAIL", "INSERT").replace("?", "%s")
    if inserts := _INSERT.fullmatch(sql):
        table, named, end = inserts.groups()
        columns = tuple(name.strip() for name in named.split(","))
        copies = f"COPY {table} ({named}) FROM STDIN" if not end else ""
        values = ", ".join(f"v.c{place}" for place in range(len(columns)))
        # Two rows of one set may mean the same row of the table, and the last is to win.
        many = "" if "DO UPDATE" in end else f"INSERT INTO {table} ({named}) SELECT {values} FROM {{rows}}{end}"  # noqa: S608 (constants)
        return Shape(table, tuple(map(_bare, columns)), one, copies, many)
    updates = _UPDATE.fullmatch(sql)
    if updates is None:
        raise ValueError(sql)
    table, sets, where = updates.groups()
    columns = tuple(_GIVEN.findall(sql))
    places = iter(range(len(columns)))
    given = [_GIVEN.sub(lambda found: f"{found[1]} = v.c{next(places)}", part) for part in (sets, where)]
    many = f"UPDATE {table} SET {given[0]} FROM {{rows}} WHERE {given[1]}"  # noqa: S608 (constants)
    return Shape(table, tuple(map(_bare, columns)), one, "", many)


def _bare(column: str) -> str:
    return column.strip('"')
