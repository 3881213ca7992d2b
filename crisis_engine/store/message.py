"""Messages: what one person is told over one channel; claimed by a lease, and marked by whoever holds the newest fence alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from crisis_engine.store.digest import DigestRows
from crisis_engine.store.forget import UNDER_HOLD
from crisis_engine.store.instant import instant, instant_or_none, micros
from crisis_engine.store.statement import AMONG, listed

_ERROR_LENGTH = 200
_COLUMNS = ("m.id, m.key, m.person, m.channel, m.urgent, m.digest_id, m.status, m.made_at, m.tries, m.next_try_at, m.lease_until, m.fence,"
            " m.unsure, m.passed_on, m.ended_at, m.error, m.answer, m.received_at")
_MESSAGE = f"SELECT {_COLUMNS} FROM crisis_message m WHERE "  # noqa: S608 (constants)
_FREE = "(m.lease_until IS NULL OR m.lease_until <= :now)"
_DUE = (
    _MESSAGE + "m.status = 'waiting' AND m.urgent = :urgent AND m.next_try_at <= :now AND " + _FREE + " AND NOT m.channel "
    + AMONG.format("but")
)
_ABOUT = (" AND EXISTS (SELECT 1 FROM crisis_message_notice l JOIN crisis_notice n ON n.id = l.notice_id WHERE l.message_id = m.id"
          " AND n.what = :what)")
_SOONEST = " ORDER BY m.next_try_at, m.id LIMIT :limit"
OPEN = (
    _MESSAGE + "m.person = :person AND m.channel = :channel AND m.made_at > :since AND m.status = 'waiting' AND NOT m.unsure"
    " AND m.digest_id IS NULL AND " + _FREE + " ORDER BY m.id"
)
_WANTED = (   # by a notice that is not at its end, or a legal hold
    "SELECT DISTINCT l.message_id FROM crisis_message_notice l JOIN crisis_notice n ON n.id = l.notice_id"  # noqa: S608 (constants)
    " JOIN crisis_case c ON c.id = n.case_id WHERE l.message_id " + AMONG.format("ids") + " AND (n.status IN ('waiting', 'dead') OR "
    + UNDER_HOLD + ")"
)
_LATELY = timedelta(days=3)   # an older one is left alone: years of a person's messages are not searched for each new one
_NOT_CONCERNED = (
    " AND NOT EXISTS (SELECT 1 FROM crisis_message_notice l JOIN crisis_notice n ON n.id = l.notice_id"
    " JOIN crisis_recusal r ON r.case_id = n.case_id WHERE l.message_id = m.id AND r.person = :reader)"
)


class MessageRow(NamedTuple):
    """A message as its row says it."""

    id: int
    key: str
    person: str
    channel: str
    urgent: bool
    digest: int | None
    status: str
    made_at: datetime
    tries: int
    next_try_at: datetime
    lease_until: datetime | None
    fence: int
    unsure: bool
    passed_on: bool
    ended_at: datetime | None
    error: str
    answer: str
    received_at: datetime | None


class MessageRows(DigestRows):
    """Everything that reads and writes messages; `outbox_turn` comes before whatever adds to them or claims them."""

    # ---- making ---------------------------------------------------------------------------------------------------------------

    def put_message(
        self, key: str, person: str, channel: str, notices: Collection[int], *, urgent: bool, now: datetime, next_try_at: datetime,
        digest: int | None = None, dead: str = "",
    ) -> int | None:
        """Owe a person a message; with `dead` it is one that nothing can carry. Return its row; None where it is owed already."""
        row = self._row(
            "INSERT INTO crisis_message (key, person, channel, urgent, digest_id, status, made_at, tries, next_try_at, fence, unsure,"
            " passed_on, ended_at, error, answer) VALUES (:key, :person, :channel, :urgent, :digest, :status, :now, 0, :next, 0, :no, :no,"
            " :ended, :error, '') ON CONFLICT (key, channel) DO NOTHING RETURNING id",
            key=key, person=person, channel=channel, urgent=urgent, digest=digest, status="dead" if dead else "waiting",
            now=micros(now), next=micros(next_try_at), no=False, ended=micros(now) if dead else None, error=dead,
        )
        if row is None:
            return None
        self.carry(row[0], notices)
        return int(row[0])

    def carry(self, message: int, notices: Collection[int]) -> None:
        """Afterwards the message carries these notices too."""
        self._bulk("INSERT INTO crisis_message_notice (message_id, notice_id) VALUES (?, ?) ON CONFLICT DO NOTHING",
                   [(message, notice) for notice in notices])

    def open_messages(self, person: str, channel: str, now: datetime) -> list[MessageRow]:
        """Return the person's waiting messages of late on a channel that may still be added to: no try of theirs may have come through."""
        return self._messages(OPEN, person=person, channel=channel, now=micros(now), since=micros(now - _LATELY))

    def hasten(self, message: int, at: datetime) -> None:
        """Afterwards the message is urgent and due by then."""
        self._run("UPDATE crisis_message SET urgent = :yes, next_try_at = CASE WHEN next_try_at > :at THEN :at ELSE next_try_at END"
                  " WHERE id = :id", id=message, at=micros(at), yes=True)

    def told_lately(self, person: str, channel: str, since: datetime) -> list[datetime]:
        """Return when the person's messages on a channel went out, or will, after `since`: what a limit for one person counts."""
        rows = self._rows(
            "SELECT CASE WHEN status = 'sent' THEN ended_at ELSE next_try_at END AS at FROM crisis_message WHERE person = :person"
            " AND channel = :channel AND made_at > :made AND ((status = 'sent' AND ended_at > :since) OR status = 'waiting') ORDER BY at",
            person=person, channel=channel, since=micros(since), made=micros(since - _LATELY))
        return [instant(at) for (at,) in rows]

    # ---- claiming -------------------------------------------------------------------------------------------------------------

    def claim_messages(
        self, now: datetime, limit: int, lease: timedelta, but: Collection[str] = (), what: str = "",
    ) -> list[MessageRow]:
        """Claim at most so many messages that are due, the urgent first; whoever comes later gets none of them before the lease ends.

        `but` are channels that are left alone for now; with `what` a message must carry a notice of that kind. The messages come with
        the fence of this claim.
        """
        due: list[MessageRow] = []
        sql, binds = (_DUE + _ABOUT + _SOONEST, {"what": what}) if what else (_DUE + _SOONEST, {})
        for urgent in (True, False):
            if len(due) < limit:
                due += self._messages(sql, urgent=urgent, now=micros(now), limit=limit - len(due), but=listed(but), **binds)
        claimed = []
        for message in due:
            taken = self._run(
                "UPDATE crisis_message SET lease_until = :until, fence = fence + 1, tries = tries + 1, unsure = :yes WHERE id = :id"
                " AND fence = :fence AND status = 'waiting' AND (lease_until IS NULL OR lease_until <= :now)",
                id=message.id, fence=message.fence, until=micros(now + lease), now=micros(now), yes=True)
            if taken:
                claimed.append(message._replace(fence=message.fence + 1, tries=message.tries + 1, lease_until=now + lease))
        return claimed

    def end_message(self, message: MessageRow, status: str, at: datetime, *, answer: str = "", error: str = "") -> bool:
        """End a claimed message as sent, dead or dropped; return whether the claim still held."""
        return bool(self._run(
            "UPDATE crisis_message SET status = :status, ended_at = :at, lease_until = NULL, answer = :answer, error = :error,"
            " passed_on = :passed WHERE id = :id AND fence = :fence AND status = 'waiting'",
            id=message.id, fence=message.fence, status=status, at=micros(at), answer=answer[:_ERROR_LENGTH], error=error[:_ERROR_LENGTH],
            passed=message.passed_on or status == "dead"))

    def put_back(
        self, message: MessageRow, next_try_at: datetime, *, error: str, unsure: bool, passed_on: bool, tried: bool = True,
    ) -> bool:
        """Let a claimed message wait for its next try; return whether the claim still held. Without `tried` the try counts for nothing."""
        return bool(self._run(
            "UPDATE crisis_message SET next_try_at = :next, lease_until = NULL, error = :error, unsure = :unsure, passed_on = :passed,"
            " tries = :tries WHERE id = :id AND fence = :fence AND status = 'waiting'",
            id=message.id, fence=message.fence, next=micros(next_try_at), error=error[:_ERROR_LENGTH], unsure=unsure, passed=passed_on,
            tries=message.tries - (not tried)))

    def turn_to(self, message: MessageRow, channel: str) -> bool:
        """Let a claimed message go by another channel, where none of its key went before; return whether it may."""
        there = self._value("SELECT 1 FROM crisis_message WHERE key = :key AND channel = :channel", key=message.key, channel=channel)
        return there is None and bool(self._run("UPDATE crisis_message SET channel = :channel WHERE id = :id AND fence = :fence",
                                                id=message.id, channel=channel, fence=message.fence))

    def rename(self, message: MessageRow, key: str) -> bool:
        """Let a claimed message go under another key; return whether the claim still holds."""
        return bool(self._run("UPDATE crisis_message SET key = :key WHERE id = :id AND fence = :fence",
                              id=message.id, key=key, fence=message.fence))

    # ---- clearing away --------------------------------------------------------------------------------------------------------

    def clear_messages(self, before: datetime, after: int, most: int) -> tuple[int, int]:
        """Delete, of a page of messages (by row, those after one), what was sent or dropped before then.

        What carries a notice that still waits or could not be delivered stays, and so does what is about a case under a legal hold.
        Return how many went and where the next page begins; 0 where nothing older is left.
        """
        rows = self._rows("SELECT id, made_at, status, ended_at FROM crisis_message WHERE id > :after ORDER BY id LIMIT :most",
                          after=after, most=most)
        old = {row[0] for row in rows if row[2] in {"sent", "dropped"} and row[3] < micros(before)}
        if old:
            old.difference_update(row[0] for row in self._rows(_WANTED, ids=listed(old)))
        for table, column in (("crisis_message_notice", "message_id"), ("crisis_message", "id")) if old else ():
            self._run(f"DELETE FROM {table} WHERE {column} " + AMONG.format("ids"), ids=listed(old))  # noqa: S608 (constants)
        return len(old), rows[-1][0] if any(row[1] < micros(before) for row in rows) else 0

    # ---- for operators and receivers -------------------------------------------------------------------------------------------

    def messages(self, statuses: Collection[str], reader: str, limit: int, after: int = 0) -> list[MessageRow]:
        """Return messages in these states, the oldest first, but those about a case that concerns the reader."""
        return self._messages(
            _MESSAGE + "m.status " + AMONG.format("statuses") + " AND m.id > :after" + _NOT_CONCERNED + " ORDER BY m.id LIMIT :limit",
            statuses=listed(statuses), reader=reader, limit=limit, after=after)

    def message(self, message: int, reader: str) -> MessageRow | None:
        """Return one message, unless it is about a case that concerns the reader."""
        return next(iter(self._messages(_MESSAGE + "m.id = :id" + _NOT_CONCERNED, id=message, reader=reader)), None)

    def revive(self, messages: Sequence[int], at: datetime) -> int:
        """Let dead messages, and those that wait, be tried at once; return how many."""
        return sum(self._run(
            "UPDATE crisis_message SET status = 'waiting', tries = 0, made_at = :at, next_try_at = :at, ended_at = NULL, passed_on = :no"
            " WHERE id = :id AND (status = 'dead' OR (status = 'waiting' AND (lease_until IS NULL OR lease_until <= :at)))",
            id=message, at=micros(at), no=False) for message in messages)

    def drop(self, messages: Sequence[int], at: datetime, by: str) -> int:
        """End dead or waiting messages that nobody is trying now; return how many."""
        return sum(self._run(
            "UPDATE crisis_message SET status = 'dropped', ended_at = :at, error = :by WHERE id = :id"
            " AND (status = 'dead' OR (status = 'waiting' AND (lease_until IS NULL OR lease_until <= :at)))",
            id=message, at=micros(at), by=f"dropped by {by}"[:_ERROR_LENGTH]) for message in messages)

    def receive(self, key: str, person: str, at: datetime) -> bool:
        """Note that the person has this message; return whether there is one that went out."""
        return bool(self._run(
            "UPDATE crisis_message SET received_at = coalesce(received_at, :at) WHERE key = :key AND person = :person"
            " AND (status = 'sent' OR unsure)", key=key, person=person, at=micros(at)))

    def _messages(self, sql: str, **binds: object) -> list[MessageRow]:
        return [_message(row) for row in self._rows(sql, **binds)]


def _message(row: tuple[Any, ...]) -> MessageRow:
    (row_id, key, person, channel, urgent, digest, status, made_at, tries, next_try_at, lease_until, fence, unsure, passed_on, ended_at,
     error, answer, received_at) = row
    return MessageRow(
        row_id, key, person, channel, bool(urgent), digest, status, instant(made_at), tries, instant(next_try_at),
        instant_or_none(lease_until), fence, bool(unsure), bool(passed_on), instant_or_none(ended_at), error, answer,
        instant_or_none(received_at),
    )
