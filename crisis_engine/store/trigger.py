"""Triggers that refuse: one text for each, spelled as SQLite knows it, and made of it what PostgreSQL needs for the same refusal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sqlalchemy import Connection

_TRIGGER = re.compile(
    r"\s*CREATE TRIGGER (?P<name>\w+) BEFORE (?P<event>INSERT|DELETE|UPDATE(?: OF [^()]*?)?) ON (?P<table>\w+)"
    r"(?:\s+WHEN\s+(?P<when>.*?))?\s*BEGIN SELECT RAISE\(\w+, '(?P<words>[^']*)'\); END\s*", re.DOTALL,
)
_REMARK = re.compile(r"--[^\n]*")
_SPELLINGS = (
    (re.compile(r" IS NOT (?!NULL)"), " IS DISTINCT FROM "),
    (re.compile(r"json_extract\(([\w.]+), '\$\.(\w+)'\)"), r"(\1::jsonb ->> '\2')"),
    (re.compile(r" AS INTEGER\)"), " AS BIGINT)"),
)
_ASKS = re.compile(r"\bSELECT\b")
# A row is put in the place of another by SQLite's INSERT OR REPLACE alone.
_NEEDLESS = re.compile(r"_never_replaced$")


def install(connection: Connection, triggers: Iterable[str]) -> None:
    """Afterwards the database refuses what these triggers refuse."""
    for trigger in triggers:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(trigger)
            continue
        for statement in spelled(trigger):
            connection.exec_driver_sql(statement.replace("%", "%%"))


def spelled(trigger: str) -> Iterator[str]:
    """Yield the statements that make a trigger on PostgreSQL: its function, itself, and one against TRUNCATE beside each against DELETE."""
    found = _TRIGGER.fullmatch(_REMARK.sub("", trigger))
    if found is None:
        raise ValueError(trigger)
    name, event, table, words = found["name"], found["event"], found["table"], found["words"]
    if _NEEDLESS.search(name):
        return
    condition = found["when"] or ""
    for pattern, other in _SPELLINGS:
        condition = pattern.sub(other, condition)
    when, inside = _divided(condition)
    refusal = f"RAISE EXCEPTION USING ERRCODE = '23000', MESSAGE = '{words}';"
    body = f"IF {inside} THEN {refusal} END IF; RETURN {'OLD' if event == 'DELETE' else 'NEW'};" if inside else refusal
    yield f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$ BEGIN {body} END $$"
    yield (f"CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {f'WHEN ({when}) ' if when else ''}"
           f"EXECUTE FUNCTION {name}()")
    if event == "DELETE" and name.endswith("_never_deleted"):
        emptied = name.replace("_never_deleted", "_never_emptied")
        yield (f"CREATE FUNCTION {emptied}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refusal} END $$")
        yield f"CREATE TRIGGER {emptied} BEFORE TRUNCATE ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {emptied}()"


def _divided(condition: str) -> tuple[str, str]:
    """Return what can be asked of the row alone, before any function is called, and the rest."""
    if not _ASKS.search(condition):
        return condition, ""
    parts = condition.split(" AND ")
    plain: list[str] = []
    while "(" not in parts[0] and " OR " not in parts[0]:
        plain.append(parts.pop(0))
    rest = " AND ".join(parts)
    return (" AND ".join(plain), rest) if " OR " not in re.sub(r"\(.*\)", "", rest, flags=re.DOTALL) else ("", condition)
