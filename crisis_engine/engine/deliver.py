"""Deliver: the outbox goes to the channels, at least once, always under one key, by one deliverer at a time for each message."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import BadInput, CrisisError
from crisis_engine.core.model import Person
from crisis_engine.core.workflow import ClockDef, Label
from crisis_engine.notify import Channel, DeliveryFailed, Message
from crisis_engine.notify.message import compose_all, line_of
from crisis_engine.notify.rule import Rule, rule_of
from crisis_engine.store import Store, Tx
from crisis_engine.store.digest import WaitingDigest
from crisis_engine.store.message import MessageRow
from crisis_engine.store.outbox import WaitingNotice

from .brief import brief
from .envelope import NOWHERE, Mailroom, is_urgent, mailroom
from .gather import Sources
from .host import HostStore
from .log import log
from .view import DeliverReport

BATCH = 200
"""Notices that are shared out in one transaction."""

CLAIM = 50
"""Messages that one deliverer claims together."""

LEASE = timedelta(minutes=5)
"""How long a claim holds (D: our design): a message that could not be sent well before its end is given back unsent."""

FEWEST_TRIES = 3
"""However long a message waited, one bad moment of a gateway is no reason to give it up: after an outage everything is that old (D)."""

MOST_FAILED = 3
"""Failures in a row after which a channel is left alone until the next call: a gateway that hangs must not keep the others waiting."""

_MOST_KEPT = 200
_LONGEST = timedelta(seconds=30)
_REST = timedelta(seconds=10)

chance: Callable[[], float] = random.SystemRandom().random


@dataclass(frozen=True, slots=True)
class Letter:
    """A claimed message with all that it is made of."""

    row: MessageRow
    notices: tuple[WaitingNotice, ...]     # without those of which the person must not hear …
    carries: tuple[int, ...]               # … the rows of them all
    person: Person | None
    labels: Mapping[int, Label | None]     # of each notice
    digest: WaitingDigest | None
    digest_labels: Mapping[tuple[str, str], Label]
    hidden: frozenset[str]                 # numbers of cases that a digest must not name to this person


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one letter: sent with the gateway's answer, failed, or not tried."""

    letter: Letter
    answer: str = ""
    failure: DeliveryFailed | None = None
    tried: bool = True
    rests_until: datetime | None = None    # it fell into quiet hours while it waited
    at: datetime | None = None             # when this try began


@dataclass(slots=True)
class Delivery:
    """One call of deliver."""

    store: Store | HostStore
    sources: Sources
    channels: Sequence[Channel]
    clock: Callable[[], datetime]
    lang: str
    link: str
    go_on: Callable[[], bool] = lambda: True
    about: str = ""                        # notices of this kind alone
    stopped: bool = False
    jitter: Callable[[], float] = field(default_factory=lambda: chance)
    sent: int = 0
    failed: int = 0
    dead: int = 0
    reason: str = ""
    failures: dict[str, int] = field(default_factory=dict)

    def run(self, limit: int | None) -> DeliverReport:
        """Share out what is due and send it until nothing is, or until `limit` messages were tried."""
        now = self.clock()
        while self.channels and not self.stopped:
            with self.store.writing() as tx:
                shared = self._mailroom(tx, now).share_out(BATCH, self.about)
            before = self.sent + self.failed
            while not self.stopped and (limit is None or self.sent + self.failed < limit):
                if not self._send_some(CLAIM if limit is None else min(CLAIM, limit - self.sent - self.failed)):
                    break
            if (not shared and self.sent + self.failed == before) or (limit is not None and self.sent + self.failed >= limit):
                break
        with self.store.reading() as tx:
            left = tx.outbox_size()
        if self.sent or self.failed:
            log("deliver.finished", sent=self.sent, failed=self.failed, dead=self.dead, waiting=left)
        return DeliverReport(self.sent, self.failed, left, self.reason, self.dead)

    def _mailroom(self, tx: Tx, now: datetime) -> Mailroom:
        return mailroom(tx, self.sources, self.channels, now)

    def _send_some(self, most: int) -> bool:
        """Claim, send and mark some messages; return whether there may be more."""
        tired = [name for name, times in self.failures.items() if times >= MOST_FAILED]
        with self.store.writing() as tx:
            now = self.clock()
            tx.outbox_turn()
            lease = max([LEASE, *(2 * _longest(channel) for channel in self.channels)])   # else a slow channel would never be tried
            letters = self._open(tx, now, tx.claim_messages(now, most, lease, tired, self.about))
        if not letters:
            return False

        outcomes = [self._send(letter) if not self.stopped else Outcome(letter, tried=False) for letter in letters]

        with self.store.writing() as tx:
            tx.outbox_turn()
            room = self._mailroom(tx, self.clock())
            for outcome in outcomes:
                self._mark(room, outcome)
            tx.settle({notice for outcome in outcomes if outcome.tried for notice in outcome.letter.carries}, room.now)
        return any(outcome.tried for outcome in outcomes)

    # ---- gather -----------------------------------------------------------------------------------------------------------------

    def _open(self, tx: Tx, now: datetime, rows: Sequence[MessageRow]) -> list[Letter]:
        carried = tx.notices_of([row.id for row in rows])
        recused = tx.recused_among({one.notice.case for notices in carried.values() for one in notices})
        room = self._mailroom(tx, now)
        letters = []
        for row in rows:
            notices = tuple(one for one in carried[row.id] if (one.notice.case, row.person) not in recused)
            digest = tx.digest(row.digest) if row.digest is not None else None
            letters.append(Letter(
                self._unnamed(tx, self._routed(room, row), recused), notices, tuple(one.id for one in carried[row.id]),
                room.person(row.person), {one.id: self._label(tx, one) for one in notices}, digest, self._digest_labels(tx, digest),
                frozenset(tx.recused_of(row.person)) if digest is not None else frozenset(),
            ))
        return letters

    def _routed(self, room: Mailroom, row: MessageRow) -> MessageRow:
        """Return the message on a channel that is configured: one that was renamed or never found goes by another."""
        if any(channel.name == row.channel for channel in self.channels):
            return row
        for channel in room.ways(row.person, urgent=row.urgent) + room.ways(row.person, urgent=row.urgent, fallback=True):
            if room.tx.turn_to(row, channel.name):
                return row._replace(channel=channel.name)
        return row

    def _unnamed(self, tx: Tx, row: MessageRow, recused: Collection[tuple[str, str]]) -> MessageRow:
        """Return the message under a key that names no case of which the person must not hear, where none can have gone under the old."""
        if row.unsure or not any(person == row.person and row.key.startswith(f"{number}-") for number, person in recused):
            return row
        key = f"{hashlib.sha256(row.key.encode()).hexdigest()[:24]}:{row.person}"
        return row._replace(key=key) if tx.rename(row, key) else row

    def _label(self, tx: Tx, one: WaitingNotice) -> Label | None:
        clocks = self._clocks(tx, one.procedure)
        return clocks[one.notice.what].label if one.notice.what in clocks else None

    def _clocks(self, tx: Tx, procedure: str) -> Mapping[str, ClockDef]:
        """Return the clocks of a procedure; none where it cannot be read: its cases' notices go out all the same."""
        try:
            return self.sources.pinned(tx, procedure).workflow.clocks
        except CrisisError as error:
            log("deliver.no_labels", error=type(error).__name__)
            return {}

    def _digest_labels(self, tx: Tx, digest: WaitingDigest | None) -> dict[tuple[str, str], Label]:
        found = {}
        for procedure, clock in {(line[1], line[2]) for line in digest.lines["clocks"]} if digest is not None else ():
            clocks = self._clocks(tx, procedure)
            if clock in clocks:
                found[procedure, clock] = clocks[clock].label
        return found

    # ---- send -------------------------------------------------------------------------------------------------------------------

    def _send(self, letter: Letter) -> Outcome:
        """Send one letter, outside any transaction; what cannot be tried within the lease is not."""
        row = letter.row
        channel = next((one for one in self.channels if one.name == row.channel), None)
        if channel is None:
            return Outcome(letter, failure=DeliveryFailed("no address" if row.channel == NOWHERE else "no such channel", final=True))
        now = self.clock()
        letter = self._today(letter)
        if not letter.notices and letter.digest is None:
            return Outcome(letter)   # whoever it was for is recused by now: there is nothing to send
        failure: DeliveryFailed | None
        ends = row.lease_until or now
        rule = rule_of(channel)
        if not row.urgent and rule.quiet is not None and (rests := rule.quiet.until(now)) is not None:
            return Outcome(letter, tried=False, rests_until=rests)
        if self.failures.get(channel.name, 0) >= MOST_FAILED or now + _longest(channel) >= ends:
            return Outcome(letter, tried=False)
        try:
            answer = channel.send(self._composed(letter, rule, now))
        except DeliveryFailed as error:
            failure = error
        except BadInput as error:
            failure = DeliveryFailed(error.message, final=True)   # a notice that says more than it may goes nowhere
        except Exception as error:  # noqa: BLE001 - a channel of the host's own that breaks must not hold up the others
            log("deliver.channel_broke", channel=channel.name, error=type(error).__name__)
            failure = DeliveryFailed("the channel broke.", unsure=True)
        else:
            failure = None
        self.stopped = not self.go_on()
        if failure is not None:
            self.failures[channel.name] = self.failures.get(channel.name, 0) + (not failure.final)
            return Outcome(letter, failure=failure)
        self.failures.pop(channel.name, None)
        return Outcome(letter, answer=answer or "", at=now)

    def _today(self, letter: Letter) -> Letter:
        """Return the letter without what its person must not hear of by now: the messages before it may have taken minutes."""
        with self.store.reading() as tx:
            recused = tx.recused_among({one.notice.case for one in letter.notices})
            hidden = frozenset(tx.recused_of(letter.row.person)) if letter.digest is not None else letter.hidden
        notices = tuple(one for one in letter.notices if (one.notice.case, letter.row.person) not in recused)
        return replace(letter, notices=notices, hidden=hidden)

    def _composed(self, letter: Letter, rule: Rule, now: datetime) -> Message:
        row, lang = letter.row, rule.lang or self.lang
        if letter.digest is not None:
            message = brief(letter.digest, letter.person, row.key, letter.digest_labels, letter.hidden, lang, self.link)
        else:
            lines = [
                line_of(replace(one.notice, urgent=is_urgent(one.notice)), letter.labels.get(one.id), lang, self.link)
                for one in letter.notices
            ]
            message = compose_all(lines, letter.person, row.person, row.key, lang, rule.wording)
        return replace(message, urgent=row.urgent, at=now.astimezone(CHINA), fence=row.fence)

    # ---- apply ------------------------------------------------------------------------------------------------------------------

    def _mark(self, room: Mailroom, outcome: Outcome) -> None:
        """Write down what came of a letter, where the claim still holds: after its lease somebody else may have sent it."""
        tx, now, letter = room.tx, room.now, outcome.letter
        row, failure = letter.row, outcome.failure
        ids = [one.id for one in letter.notices]
        if not outcome.tried:
            again = outcome.rests_until or (now + _REST if row.channel in self.failures else row.next_try_at)
            tx.put_back(row, again, error=row.error, unsure=row.unsure, passed_on=row.passed_on, tried=False)
            return
        if failure is None:
            nothing = not letter.notices and letter.digest is None
            if not tx.end_message(row, "dropped" if nothing else "sent", now, answer=_kept(outcome.answer, letter.person)):
                log("deliver.claim_lost", message=row.id)
                return
            for one in ids:
                tx.put_delivery(one, row.person, row.channel, outcome.at or now)
            self.sent += not nothing
        else:
            self._failed(room, letter, failure)

    def _failed(self, room: Mailroom, letter: Letter, failure: DeliveryFailed) -> None:
        tx, now, row = room.tx, room.now, letter.row
        rule = next((rule_of(one) for one in self.channels if one.name == row.channel), Rule())
        reason = _kept(failure.message, letter.person)
        waited = now - row.made_at
        unsure = failure.unsure or row.unsure
        dead = failure.final or row.tries >= rule.tries or (waited >= rule.give_up and row.tries >= FEWEST_TRIES)
        again = rule.next_try(now, row.tries, self.jitter(), failure.retry_after, urgent=row.urgent)
        late = row.urgent and (waited >= rule.pass_on or (failure.retry_after is not None and again - row.made_at >= rule.pass_on))
        if dead:
            held = tx.end_message(row, "dead", now, error=reason)
        else:
            held = tx.put_back(row, again, error=reason, unsure=unsure, passed_on=row.passed_on or late)
        if not held:
            log("deliver.claim_lost", message=row.id)
            return
        self.failed += 1
        self.dead += dead
        self.reason = reason
        for one in letter.notices:
            tx.put_delivery(one.id, row.person, row.channel, now, reason)
        if (dead or late) and not row.passed_on:
            room.fall_back(row, letter.notices)


def _longest(channel: Channel) -> timedelta:
    found = getattr(channel, "longest", _LONGEST)
    return found if isinstance(found, timedelta) else _LONGEST


def _kept(words: str, person: Person | None) -> str:
    """Return what a channel said as it may be kept and logged: on one line, without the person's address, for contacts are secrets.

    Others wrote it: half a character would be refused by the database, and the message sent again for ever.
    """
    shown = "".join(char if char.isprintable() else " " for char in words)
    address = str(person.contact) if person is not None else ""
    for part in (address, address.partition(":")[2]):
        shown = shown.replace(part, "…") if part else shown
    return shown[:_MOST_KEPT]
