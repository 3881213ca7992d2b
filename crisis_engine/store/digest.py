"""Digests in the database: what each person is told once a day or week, and the clocks and counts that it is made of."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from crisis_engine.core.access import Filter
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.register import where_of
from crisis_engine.store.statement import AMONG, Statements, listed


class OwnClock(NamedTuple):
    """A running clock: the case's number, its procedure, the clock's name, when it is due."""

    number: str
    procedure: str
    clock: str
    due_at: datetime


class WaitingDigest(NamedTuple):
    """A digest that is not shared out yet, or that a message carries."""

    id: int
    kind: str
    period: str
    person: str
    at: datetime
    lines: Mapping[str, Any]


def digest_key(kind: str, period: str, person: str) -> str:
    """Return the key under which a digest goes out, on every channel."""
    return f"digest-{kind}-{period}:{person}"


_AT_POST = (
    "SELECT c.number, c.procedure, d.name, d.due_at FROM crisis_deadline d JOIN crisis_case c ON c.id = d.case_id"
    " WHERE d.status = 'armed' AND NOT d.at_tier AND d.unit = :unit AND d.role = :role AND d.holder = :person AND c.final IS NULL"
    " AND NOT EXISTS (SELECT 1 FROM crisis_recusal r WHERE r.case_id = c.id AND r.person = :person) ORDER BY d.due_at LIMIT :limit"
)
# What goes with the tier has no place in the queue of a post: the case's own indexes lead to it, of a class by the case's unit.
_AT_TIER = (
    "SELECT c.number, c.procedure, d.name, d.due_at FROM crisis_case c JOIN crisis_deadline d ON d.case_id = c.id"
    " WHERE d.status = 'armed' AND d.at_tier AND c.final IS NULL AND c.answers_unit = :unit AND c.answers_role = :role"
    " AND c.answers = :person AND NOT EXISTS (SELECT 1 FROM crisis_recusal r WHERE r.case_id = c.id AND r.person = :person){tier}"
    " ORDER BY d.due_at LIMIT :limit"
)
_SQL = (_AT_POST, _AT_TIER.format(tier=" AND c.tier NOT IN ('peer', 'class')"),
        _AT_TIER.format(tier=" AND c.unit = :unit AND c.tier IN ('peer', 'class')"))
_CARRIED = "SELECT key FROM crisis_message WHERE key " + AMONG.format("keys")   # noqa: S608 (constants)
_CLEAR = "DELETE FROM crisis_digest WHERE id " + AMONG.format("ids")   # noqa: S608 (constants)
_PLACE = "(c.unit = :place OR (c.unit > :place || '/' AND c.unit < :place || '0'))"   # "0" follows "/"


class DigestRows(Statements):
    """Everything that reads and writes digests."""

    def duty_holders(self, after: str, limit: int, now: datetime) -> list[str]:
        """Return at most so many people who hold a duty now, in the order of their ids, those after one."""
        rows = self._rows(
            "SELECT DISTINCT person FROM crisis_duty WHERE person > :after AND (begins_at IS NULL OR begins_at <= :now)"
            " AND (ends_at IS NULL OR ends_at > :now) ORDER BY person LIMIT :limit", after=after, now=micros(now), limit=limit)
        return [row[0] for row in rows]

    def own_clocks(self, person: str, posts: Collection[tuple[str, str]], limit: int) -> list[OwnClock]:
        """Return the clocks that a person holds at these posts (role, unit), the soonest due first, at most so many a post."""
        found = {
            row for role, unit in posts for sql in _SQL for row in self._rows(sql, person=person, role=role, unit=unit, limit=limit)
        }
        return [OwnClock(number, procedure, clock, instant(due)) for number, procedure, clock, due in sorted(found, key=lambda row: row[3])]

    def overdue(self, sight: Filter, now: datetime, limit: int) -> list[OwnClock]:
        """Return the cases that the filter admits and of which a clock is late, the longest late first; the clock is left blank."""
        where, binds = where_of(sight)
        sql = f"SELECT c.number, c.procedure, c.due_at FROM crisis_case c WHERE {where}"  # noqa: S608 (constants; every value is bound)
        rows = self._rows(sql + " AND c.final IS NULL AND c.due_at <= :now ORDER BY c.due_at LIMIT :limit",
                          **binds, now=micros(now), limit=limit)
        return [OwnClock(number, procedure, "", instant(due_at)) for number, procedure, due_at in rows]

    def overdue_under(self, place: str, person: str, now: datetime) -> list[tuple[str, int]]:
        """Return (unit, how many open cases there have a late clock) at and below a place, without those that concern the person."""
        sql = (
            f"SELECT c.unit, count(*) FROM crisis_case c WHERE {_PLACE} AND c.final IS NULL AND c.due_at <= :now"  # noqa: S608 (constants)
            " AND NOT EXISTS (SELECT 1 FROM crisis_recusal r WHERE r.case_id = c.id AND r.person = :person) GROUP BY c.unit"
        )
        return [(unit, many) for unit, many in self._rows(sql, place=place, person=person, now=micros(now))]

    def put_digest(self, kind: str, period: str, person: str, at: datetime, lines: Mapping[str, Any]) -> bool:
        """Owe a person a digest; return whether it is the first of that kind and period."""
        return bool(self._run(
            "INSERT INTO crisis_digest (kind, period, person, at, lines) VALUES (:kind, :period, :person, :at, :lines)"
            " ON CONFLICT (kind, period, person) DO NOTHING",
            kind=kind, period=period, person=person, at=micros(at), lines=json.dumps(lines, ensure_ascii=False)))

    def digested(self, kind: str, period: str, people: Sequence[str]) -> set[str]:
        """Return those of these people who have had a digest of that kind and period."""
        found = set()
        for person in people:
            if self._value("SELECT 1 FROM crisis_digest WHERE kind = :kind AND period = :period AND person = :person",
                           kind=kind, period=period, person=person):
                found.add(person)
        return found

    def waiting_digests(self, limit: int) -> list[WaitingDigest]:
        """Return at most so many digests that are not shared out yet."""
        return [_digest(row) for row in self._rows(
            "SELECT id, kind, period, person, at, lines FROM crisis_digest WHERE shared_at IS NULL ORDER BY id LIMIT :limit", limit=limit)]

    def digest(self, row_id: int) -> WaitingDigest:
        """Return one digest."""
        return _digest(self._rows("SELECT id, kind, period, person, at, lines FROM crisis_digest WHERE id = :id", id=row_id)[0])

    def mark_shared(self, digests: Sequence[int], at: datetime) -> None:
        """Afterwards these digests have their messages."""
        self._bulk("UPDATE crisis_digest SET shared_at = ? WHERE id = ?", [(micros(at), digest) for digest in digests])

    def clear_digests(self, before: datetime, after: int, most: int) -> tuple[int, int]:
        """Delete, of a page of digests (by row, those after one), what was shared out, is older and has no message left.

        Return how many went and where the next page begins; 0 where nothing older is left.
        """
        rows = self._rows("SELECT id, kind, period, person, at, shared_at FROM crisis_digest WHERE id > :after ORDER BY id LIMIT :most",
                          after=after, most=most)
        old = {digest_key(kind, period, person): row_id for row_id, kind, period, person, at, shared in rows
               if shared is not None and at < micros(before)}
        if old:
            for (key,) in self._rows(_CARRIED, keys=listed(old)):
                old.pop(key, None)
        gone = self._run(_CLEAR, ids=listed(old.values())) if old else 0
        return gone, rows[-1][0] if any(row[4] < micros(before) for row in rows) else 0


def _digest(row: tuple[Any, ...]) -> WaitingDigest:
    row_id, kind, period, person, at, lines = row
    return WaitingDigest(row_id, kind, period, person, instant(at), json.loads(lines))
