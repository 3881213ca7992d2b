"""A database looked at from outside, past the code under test: plain questions in SQL, to a SQLite file or to a PostgreSQL server."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, Protocol

import psycopg

NEVER = {
    "a rung fired twice": "SELECT case_id, deadline, rung, times FROM crisis_event WHERE kind = 'rung_fired'"
    " GROUP BY 1, 2, 3, 4 HAVING count(*) > 1",
    "two notices under one key": "SELECT key FROM crisis_notice GROUP BY key HAVING count(*) > 1",
    "an open case without an armed clock of its own": "SELECT number FROM crisis_case c WHERE final IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM crisis_deadline d WHERE d.case_id = c.id AND d.status = 'armed' AND c.next_at IS NOT NULL)",
    "an ended case with an armed clock": "SELECT number FROM crisis_case c JOIN crisis_deadline d ON d.case_id = c.id"
    " WHERE final IS NOT NULL AND d.status = 'armed'",
    "a case that wakes later than its clocks": "SELECT number FROM crisis_case c WHERE final IS NULL AND next_at IS NOT"
    " (SELECT min(json_extract(k.value, '$[8]')) FROM json_each(c.clocks) k)",
    "a queue that does not hold the running clocks": "SELECT number FROM crisis_case c WHERE"
    " (SELECT json_group_array(p) FROM (SELECT json_array(d.name, d.n, d.role, d.unit, d.holder, d.due_at) AS p FROM crisis_deadline d"
    "  WHERE d.case_id = c.id AND d.status = 'armed' ORDER BY p)) IS NOT"
    " (SELECT json_group_array(p) FROM (SELECT json_array(json_extract(k.value, '$[0]'), json_extract(k.value, '$[1]'),"
    "  json_extract(k.value, '$[3]'), json_extract(k.value, '$[4]'), json_extract(k.value, '$[5]'), json_extract(k.value, '$[7]')) AS p"
    "  FROM json_each(c.clocks) k ORDER BY p))",
    "a clock that goes with the tier and does not": "SELECT number FROM crisis_case c JOIN crisis_deadline d ON d.case_id = c.id"
    " WHERE d.status = 'armed' AND d.at_tier AND (d.role, d.unit, d.holder) IS NOT (c.answers_role, c.answers_unit, c.answers)",
    "two open cases of one child": "SELECT workflow, subject FROM crisis_case WHERE final IS NULL AND sole AND subject IS NOT NULL"
    " GROUP BY 1, 2 HAVING count(*) > 1",
}
"""What no database may ever hold, as SQLite spells the question."""

_OTHERWISE = {
    "a case that wakes later than its clocks": "SELECT number FROM crisis_case c WHERE final IS NULL AND next_at IS DISTINCT FROM"
    " (SELECT min((k->>8)::bigint) FROM jsonb_array_elements(c.clocks::jsonb) k)",
    "a queue that does not hold the running clocks": "SELECT number FROM crisis_case c WHERE"
    " (SELECT array_agg(p ORDER BY p) FROM (SELECT jsonb_build_array(d.name, d.n, d.role, d.unit, d.holder, d.due_at)::text AS p"
    "  FROM crisis_deadline d WHERE d.case_id = c.id AND d.status = 'armed') armed) IS DISTINCT FROM"
    " (SELECT array_agg(p ORDER BY p) FROM (SELECT jsonb_build_array(k->0, k->1, k->3, k->4, k->5, k->7)::text AS p"
    "  FROM jsonb_array_elements(c.clocks::jsonb) k) running)",
}


class Outside(Protocol):
    """How a database is asked from outside."""

    never: dict[str, str]

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the answer to a question; a `?` stands for each value."""

    def stamp(self) -> int:
        """Return a number that changes when anybody commits anything at all."""

    def close(self) -> None:
        """Hang up."""


class SQLiteOutside:
    """A SQLite file."""

    never = NEVER

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def stamp(self) -> int:
        return int(self.rows("PRAGMA data_version")[0][0])

    def close(self) -> None:
        self._db.close()


class PostgresOutside:
    """A database of a PostgreSQL server. Nothing there counts commits at once, so the rows of every table are counted and dated."""

    def __init__(self, url: str) -> None:
        self._db = psycopg.connect(url, autocommit=True)
        self.never = {what: _OTHERWISE.get(what, sql.replace(" IS NOT (c.", " IS DISTINCT FROM (c.")) for what, sql in NEVER.items()}
        tables = [name for (name,) in self.rows("SELECT tablename FROM pg_tables WHERE tablename LIKE 'crisis_%' ORDER BY 1")]
        counted = "SELECT count(*) || '/' || coalesce(sum(xmin::text::bigint), 0) FROM {}"
        self._dated = "SELECT " + ", ".join(f"({counted.format(table)})" for table in tables)

    def rows(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        if not values:
            return self._db.execute(sql.encode()).fetchall()
        return self._db.execute(sql.replace("?", "%s").encode(), values).fetchall()

    def stamp(self) -> int:
        return hash(self.rows(self._dated)[0])

    def close(self) -> None:
        self._db.close()


def outside(where: Path | str) -> Outside:
    """Return a look at the file of this path, or at the server's database of this URL."""
    return PostgresOutside(where) if isinstance(where, str) else SQLiteOutside(where)
