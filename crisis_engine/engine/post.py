"""The post: digests, and what operators do about messages that did not arrive: look, try again, drop; and a receiver's receipt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from crisis_engine.core.errors import BadInput, NotFound, said
from crisis_engine.store import Tx
from crisis_engine.store.message import MessageRow

from .digest import digest
from .log import log
from .view import DeliverReport, DigestReport, MessageView
from .worlds import Worlds

_MOST, _LAST = 1_000, 2**63 - 1
STATUSES = ("waiting", "sent", "dead", "dropped")


class Post(Worlds):
    """What is done about messages by hand."""

    def digest(self, *, kind: str = "daily", now: datetime | None = None) -> DigestReport:
        """Owe everybody the digest of this day or week who has something to be told: once a (kind, period, person).

        `deliver` sends them. Call it as often as you like, from as many daemons as you like.
        """
        return digest(self.store, self._sources, kind, now or self.now())

    def deliver_about(self, what: str, now: Callable[[], datetime], go_on: Callable[[], bool]) -> DeliverReport:
        """Send notices of one kind alone, by another clock than the engine's: whoever does not believe its clock must still say so."""
        from .deliver import Delivery  # noqa: PLC0415 - the channels are needed here alone

        return Delivery(self.store, self._sources, self._channels, now, self._lang, self._link, go_on, what).run(None)

    def notices(self, *, by: str, statuses: Sequence[str] = ("dead", "waiting"), limit: int = 50, after: int = 0) -> list[MessageView]:
        """Return messages in these states, the oldest first; none about a case that concerns the reader. Raises NotAllowed."""
        wrong = [status for status in statuses if status not in STATUSES]
        if wrong:
            raise BadInput(f"{said(wrong[0])!r} is no state of a message.", way_out="Use waiting, sent, dead or dropped.")
        if not 1 <= limit <= _MOST:
            raise BadInput(f"A page has 1 to {_MOST} lines.", way_out="Give such a limit.")
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "notice.manage")
            return self._shown(tx, tx.messages(statuses, by, limit, after))

    def dead_notices(self, *, by: str, limit: int = 50) -> list[MessageView]:
        """Return the messages that were given up, the oldest first. Raises NotAllowed."""
        return self.notices(by=by, statuses=("dead",), limit=limit)

    def notice(self, message: int, *, by: str) -> MessageView:
        """Return one message. Raises NotAllowed, NotFound."""
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "notice.manage")
            return self._shown(tx, [_one(tx, message, by)])[0]

    def retry_notices(self, messages: Sequence[int] | None = None, *, by: str) -> int:
        """Let these messages, or all that are dead, be tried again at once; return how many. Raises NotAllowed, NotFound."""
        with self.store.writing() as tx:
            now = self.now()
            self._allow(tx, now, by, "notice.manage")
            rows = self._chosen(tx, messages, by)
            done = tx.revive([row.id for row in rows], now)
            tx.reopen([row.id for row in rows if row.status == "dead"])
        log("notices.retried", by=by, messages=done)
        return done

    def drop_notices(self, messages: Sequence[int], *, by: str) -> int:
        """Give these messages up for good, with whoever decided it on record; return how many. Raises NotAllowed, NotFound."""
        with self.store.writing() as tx:
            now = self.now()
            self._allow(tx, now, by, "notice.manage")
            rows = self._chosen(tx, messages, by)
            done = tx.drop([row.id for row in rows], now, by)
            tx.settle([one.id for notices in tx.notices_of([row.id for row in rows]).values() for one in notices], now)
        log("notices.dropped", by=by, messages=done)
        return done

    def confirm_receipt(self, key: str, *, by: str) -> None:
        """Note that a person has a message that was sent to them. Raises NotFound where none under that key went to them."""
        with self.store.writing() as tx:
            if not tx.receive(key, by, self.now()):
                raise NotFound("No such message went to this person.", way_out="Give the key that came with the message.")

    def _chosen(self, tx: Tx, messages: Sequence[int] | None, by: str) -> list[MessageRow]:
        tx.outbox_turn()
        if messages is None:
            return tx.messages(("dead",), by, 10_000)
        return [_one(tx, message, by) for message in messages]

    def _shown(self, tx: Tx, rows: Sequence[MessageRow]) -> list[MessageView]:
        carried = tx.notices_of([row.id for row in rows])
        return [
            MessageView(
                row.id, row.key, tuple(dict.fromkeys(one.notice.case for one in carried[row.id])),
                tuple(dict.fromkeys(one.notice.what for one in carried[row.id])), row.person, row.channel, row.urgent,
                "digest" if row.digest is not None else "notice", row.status, row.made_at, row.tries,
                row.next_try_at if row.status == "waiting" else None, row.ended_at, row.error, row.answer, row.received_at,
            )
            for row in rows
        ]


def _one(tx: Tx, message: int, by: str) -> MessageRow:
    found = tx.message(message, by) if 0 < message <= _LAST else None
    if found is None:
        raise NotFound(f"There is no message {message}.", way_out="See `crisis notices list`.")
    return found
