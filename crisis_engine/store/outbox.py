"""The outbox: notices that wait until they are shared out among the people whom they name, and who was reached on which channel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from crisis_engine.core.events import Notice
from crisis_engine.store.instant import instant, instant_or_none, micros
from crisis_engine.store.message import MessageRows
from crisis_engine.store.statement import AMONG, listed

# ruff: noqa: S608 - every piece of these statements is a constant of the store; values are bound

_ERROR_LENGTH = 200
SHARED_OUT = 2**62
"""The next try of a notice whose messages have their own: it still waits, and ends with the last of them."""

_ABOUT = " AND n.what = :what"
_URGENT = " AND (n.urgent OR n.what = 'danger' OR n.why IN ('danger', 'alarm'))"
_NOTICE = (
    "SELECT n.id, n.key, c.number, n.people, n.what, n.why, n.due_at, n.urgent, n.at, n.not_before, c.procedure"
    " FROM crisis_notice n JOIN crisis_case c ON c.id = n.case_id WHERE "
)


class WaitingNotice(NamedTuple):
    """A notice of the outbox, its row and the procedure that its case is pinned to."""

    id: int
    notice: Notice
    procedure: str


class OutboxRows(MessageRows):
    """Everything that reads and writes the outbox; notices enter it with the change that owes them."""

    def outbox_turn(self) -> None:
        """Wait for whoever shares out, claims or joins messages now: afterwards this transaction alone does, until its end."""
        self._run("INSERT INTO crisis_meta (name, value) VALUES ('outbox', '') ON CONFLICT (name) DO UPDATE SET value = excluded.value")

    def waiting_notices(self, now: datetime, limit: int, what: str = "") -> list[WaitingNotice]:
        """Return about so many notices that are due, the longest waiting first, and all others of their cases that are.

        Where more wait than that, the urgent ones come as well: none is behind a crowd. With `what` those of that kind alone.
        """
        which, binds = (_ABOUT, {"what": what}) if what else ("", {})
        ids = self._due_cases(which, now, limit, **binds)
        if len(ids) == limit and not what:
            ids += self._due_cases(_URGENT, now, limit)
        sql = (_NOTICE + "n.case_id " + AMONG.format("cases") + f" AND n.status = 'waiting' AND n.next_try_at <= :now{which}"
               " ORDER BY n.at, n.id")
        return [_waiting(row) for row in self._rows(sql, cases=listed(set(ids)), now=micros(now), **binds)] if ids else []

    def _due_cases(self, which: str, now: datetime, limit: int, **binds: str) -> list[int]:
        return [row[0] for row in self._rows(
            f"SELECT case_id FROM crisis_notice n WHERE n.status = 'waiting' AND n.next_try_at <= :now{which}"
            " ORDER BY n.next_try_at, n.id LIMIT :limit", now=micros(now), limit=limit, **binds)]

    def notices_of(self, messages: Collection[int]) -> dict[int, list[WaitingNotice]]:
        """Return the notices that each of these messages carries, in the order in which they were owed."""
        found: dict[int, list[WaitingNotice]] = {message: [] for message in messages}
        links = self._rows("SELECT message_id, notice_id FROM crisis_message_notice WHERE message_id " + AMONG.format("ids"),
                           ids=listed(messages))
        sql = _NOTICE + "n.id " + AMONG.format("ids") + " ORDER BY n.at, n.id"
        notices = {row[0]: _waiting(row) for row in self._rows(sql, ids=listed({notice for _, notice in links}))}
        order = {notice: place for place, notice in enumerate(notices)}
        for message, notice in sorted(links, key=lambda link: order.get(link[1], 0)):
            found[message].append(notices[notice])
        return found

    def recused_among(self, numbers: Collection[str]) -> set[tuple[str, str]]:
        """Return (case number, person) for whoever must not hear of one of these cases, today."""
        sql = ("SELECT c.number, r.person FROM crisis_case c JOIN crisis_recusal r ON r.case_id = c.id WHERE c.number "
               + AMONG.format("numbers"))
        return {(number, person) for number, person in self._rows(sql, numbers=listed(numbers))} if numbers else set()

    def recused_of(self, person: str) -> set[str]:
        """Return the numbers of the cases of which a person must not hear."""
        return {row[0] for row in self._rows(
            "SELECT c.number FROM crisis_recusal r JOIN crisis_case c ON c.id = r.case_id WHERE r.person = :person", person=person)}

    def owes(self, key: str, case_id: int) -> bool:
        """Whether a notice of the case stands in the outbox under that key, sent or not."""
        return self._value("SELECT 1 FROM crisis_notice WHERE case_id = :id AND key = :key", id=case_id, key=key) is not None

    def next_try_at(self) -> datetime | None:
        """Return when the next try of anything that waits is due."""
        found = [
            self._value("SELECT min(next_try_at) FROM crisis_notice WHERE status = 'waiting' AND next_try_at < :never", never=SHARED_OUT),
            *(self._value("SELECT min(next_try_at) FROM crisis_message WHERE status = 'waiting' AND urgent = :urgent", urgent=urgent)
              for urgent in (True, False)),
        ]
        return instant_or_none(min((one for one in found if one is not None), default=None))

    def outbox_size(self) -> int:
        """Return how many wait: notices that are not shared out yet, and messages to one person each."""
        waiting = "SELECT count(*) FROM crisis_notice WHERE status = 'waiting' AND next_try_at < :never"
        return int(self._value(waiting, never=SHARED_OUT)) + int(
            self._value("SELECT count(*) FROM crisis_message WHERE status = 'waiting'"))

    def share_out(self, ids: Sequence[int]) -> None:
        """Afterwards these notices wait for their messages."""
        self._bulk("UPDATE crisis_notice SET tries = tries + 1, next_try_at = ? WHERE id = ?", [(SHARED_OUT, row_id) for row_id in ids])

    def settle(self, ids: Collection[int], at: datetime) -> None:
        """End those of these notices whose messages have all ended: sent where everybody was reached, else dead.

        Whoever was recused meanwhile, or whose message an operator dropped, counts as reached: nobody is owed anything there.
        """
        if not ids:
            return
        among = AMONG.format("ids")
        waits = {row[0] for row in self._rows(
            "SELECT l.notice_id FROM crisis_message_notice l JOIN crisis_message m ON m.id = l.message_id"
            " WHERE m.status = 'waiting' AND l.notice_id " + among, ids=listed(ids))}
        lost = {row[0] for row in self._rows(
            "SELECT l.notice_id FROM crisis_message_notice l JOIN crisis_message m ON m.id = l.message_id"
            " WHERE m.status = 'dead' AND l.notice_id " + among
            + " AND NOT EXISTS (SELECT 1 FROM crisis_delivery d WHERE d.notice_id = l.notice_id AND d.person = m.person AND d.ok)",
            ids=listed(ids))}
        ended = [("dead" if row in lost else "sent", micros(at), row) for row in ids if row not in waits]
        self._bulk("UPDATE crisis_notice SET status = ?, ended_at = ? WHERE id = ? AND status IN ('waiting', 'dead')", ended)

    def reopen(self, messages: Collection[int]) -> None:
        """Let the notices of these messages wait again for their ends."""
        for of_message in self.notices_of(messages).values():
            self._bulk("UPDATE crisis_notice SET status = 'waiting', ended_at = NULL, next_try_at = ? WHERE id = ? AND status = 'dead'",
                       [(SHARED_OUT, one.id) for one in of_message])

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
        """Return the (person, channel) pairs that a notice has reached."""
        rows = self._rows("SELECT person, channel FROM crisis_delivery WHERE notice_id = :id AND ok", id=notice_id)
        return {(person, channel) for person, channel in rows}


def _waiting(row: tuple[Any, ...]) -> WaitingNotice:
    row_id, key, number, people, what, why, due_at, urgent, at, not_before, procedure = row
    notice = Notice(key, number, tuple(people.split(",")) if people else (), what, why, instant_or_none(due_at), bool(urgent),
                    instant(at), instant_or_none(not_before))
    return WaitingNotice(row_id, notice, procedure)
