"""What a yearly audit asks of the database: readings, erasures, holds, keys and gaps of a year, without a fact or a name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from crisis_engine.store.instant import instant, instant_or_none, micros
from crisis_engine.store.statement import Statements


class Reading(NamedTuple):
    """One reading, without the case and without the words of its reason."""

    at: datetime
    who: str
    what: str
    tier: int
    reasoned: bool
    glass: bool
    bad: bool        # a proof that failed


class Erasure(NamedTuple):
    """An erasure by two; the case's number where it was a case."""

    kind: str
    number: str
    proposed_by: str
    proposed_at: datetime
    confirmed_by: str
    confirmed_at: datetime | None


class Hold(NamedTuple):
    """A legal hold."""

    kind: str
    number: str
    placed_by: str
    placed_at: datetime
    lifted_by: str
    lifted_at: datetime | None


class EvidenceReads(Statements):
    """Everything that a compliance pack reads beside the roster and the Merkle log. Times are half-open: since <= at < until."""

    def readings(self, since: datetime, until: datetime) -> Iterator[Reading]:
        """Yield every entry of the read log."""
        sql = ("SELECT at, who, what, tier, length(why) > 0, glass <> 0, what = 'audit.verify' AND length(why) > 0 FROM crisis_access_log"
               " WHERE at >= :since AND at < :until ORDER BY at, id")
        for at, who, what, tier, reasoned, glass, bad in self._stream(sql, since=micros(since), until=micros(until)):
            yield Reading(instant(at), who, what, tier, bool(reasoned), bool(glass), bool(bad))

    def broken_glasses(self, since: datetime, until: datetime) -> list[tuple[datetime, str]]:
        """Return when somebody broke the glass of which case."""
        rows = self._rows("SELECT e.at, c.number FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id WHERE e.kind = 'glass_broken'"
                          " AND e.at >= :since AND e.at < :until ORDER BY e.at, e.id", since=micros(since), until=micros(until))
        return [(instant(at), number) for at, number in rows]

    def numbers_concerning(self, person: str) -> frozenset[str]:
        """Return the numbers of the cases that concern a person, for whom they do not exist (回避)."""
        return frozenset(number for (number,) in self._rows(
            "SELECT c.number FROM crisis_recusal r JOIN crisis_case c ON c.id = r.case_id WHERE r.person = :person", person=person))

    def erasures_between(self, since: datetime, until: datetime) -> list[Erasure]:
        """Return what was proposed or confirmed to be erased; nothing where this database knows no erasing."""
        if not self._has("crisis_erasure"):
            return []
        rows = self._rows(
            "SELECT kind, CASE kind WHEN 'case' THEN ref ELSE '' END, proposed_by, proposed_at, coalesce(confirmed_by, ''), confirmed_at"
            " FROM crisis_erasure WHERE (proposed_at >= :since AND proposed_at < :until) OR (confirmed_at >= :since AND"
            " confirmed_at < :until) ORDER BY id", since=micros(since), until=micros(until))
        return [Erasure(kind, number, by, instant(at), second, instant_or_none(done)) for kind, number, by, at, second, done in rows]

    def holds_between(self, since: datetime, until: datetime) -> list[Hold]:
        """Return the legal holds that stood at any time of the span."""
        if not self._has("crisis_hold"):
            return []
        rows = self._rows(
            "SELECT kind, CASE kind WHEN 'case' THEN ref ELSE '' END, placed_by, placed_at, coalesce(lifted_by, ''), lifted_at"
            " FROM crisis_hold WHERE placed_at < :until AND (lifted_at IS NULL OR lifted_at >= :since) ORDER BY id",
            since=micros(since), until=micros(until))
        return [Hold(kind, number, by, instant(at), lifter, instant_or_none(done)) for kind, number, by, at, lifter, done in rows]

    def rotations(self, since: datetime, until: datetime) -> list[tuple[datetime, str, str]]:
        """Return what was done with the master key, when and by whom; nothing where this database has none."""
        if not self._has("crisis_key_log"):
            return []
        rows = self._rows('SELECT at, what, "by" FROM crisis_key_log WHERE at >= :since AND at < :until ORDER BY id',
                          since=micros(since), until=micros(until))
        return [(instant(at), what, by) for at, what, by in rows]

    def _has(self, table: str) -> bool:
        return self._sql.has_table(self.connection, table)
