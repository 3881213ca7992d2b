"""The outbox: notices that wait, what came of each try, and who was reached on which channel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from crisis_engine.core.events import Notice
from crisis_engine.store.instant import instant, instant_or_none, micros, micros_or_none
from crisis_engine.store.statement import Statements

_ERROR_LENGTH = 200


class WaitingNotice(NamedTuple):
    """A notice that is due for a try; `tries` says how many came before."""

    id: int
    notice: Notice
    tries: int


class OutboxRows(Statements):
    """Everything that reads and writes the outbox; notices enter it with the change that owes them."""

    def waiting_notices(self, now: datetime, limit: int) -> list[WaitingNotice]:
        """Return at most so many notices whose next try is due, the longest waiting first."""
        rows = self._rows(
            "SELECT n.id, n.key, c.number, n.people, n.what, n.why, n.due_at, n.urgent, n.at, n.not_before, n.tries"
            " FROM crisis_notice n JOIN crisis_case c ON c.id = n.case_id WHERE n.status = 'waiting' AND n.next_try_at <= :now"
            " ORDER BY n.next_try_at, n.id LIMIT :limit",
            now=micros(now), limit=limit,
        )
        return [
            WaitingNotice(
                row_id,
                Notice(key, number, tuple(people.split(",")) if people else (), what, why, instant_or_none(due_at), bool(urgent),
                       instant(at), instant_or_none(not_before)),
                tries,
            )
            for row_id, key, number, people, what, why, due_at, urgent, at, not_before, tries in rows
        ]

    def owes(self, key: str, case_id: int) -> bool:
        """Whether a notice of the case stands in the outbox under that key, sent or not."""
        return self._value("SELECT 1 FROM crisis_notice WHERE case_id = :id AND key = :key", id=case_id, key=key) is not None

    def next_try_at(self) -> datetime | None:
        """Return when the next try of any waiting notice is due."""
        return instant_or_none(self._value("SELECT min(next_try_at) FROM crisis_notice WHERE status = 'waiting'"))

    def outbox_size(self) -> int:
        """Return how many notices wait."""
        return int(self._value("SELECT count(*) FROM crisis_notice WHERE status = 'waiting'"))

    def mark_sent(self, ids: Sequence[int], at: datetime) -> None:
        """Afterwards these notices are sent: everybody named was reached by then."""
        sql = "UPDATE crisis_notice SET status = 'sent', tries = tries + 1, error = '', ended_at = ? WHERE id = ?"
        self._bulk(sql, [(micros(at), row_id) for row_id in ids])

    def mark_failed(self, notice_id: int, next_try_at: datetime | None, error: str) -> None:
        """Afterwards the notice waits for its next try, or is dead when there is to be none; the error is kept, shortened."""
        self._run(
            "UPDATE crisis_notice SET tries = tries + 1, error = :error, next_try_at = coalesce(:at, next_try_at),"
            " status = CASE WHEN :at IS NULL THEN 'dead' ELSE 'waiting' END WHERE id = :id",
            id=notice_id, at=micros_or_none(next_try_at), error=error[:_ERROR_LENGTH],
        )

    def put_delivery(self, notice_id: int, person: str, channel: str, at: datetime, error: str | None = None) -> None:
        """Keep what came of a try to reach a person on a channel; without an error the person was reached, and stays so."""
        self._run(
            "INSERT INTO crisis_delivery (notice_id, person, channel, at, ok, error)"
            " VALUES (:notice, :person, :channel, :at, :ok, :error) ON CONFLICT (notice_id, person, channel)"
            " DO UPDATE SET at = excluded.at, ok = excluded.ok, error = excluded.error"
            " WHERE NOT crisis_delivery.ok",
            notice=notice_id, person=person, channel=channel, at=micros(at), ok=error is None,
            error=(error or "")[:_ERROR_LENGTH],
        )

    def reached(self, notice_id: int) -> set[tuple[str, str]]:
        """Return the (person, channel) pairs that a notice has reached: a next try passes them over."""
        rows = self._rows("SELECT person, channel FROM crisis_delivery WHERE notice_id = :id AND ok", id=notice_id)
        return {(person, channel) for person, channel in rows}
