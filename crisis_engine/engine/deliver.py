"""Deliver: the outbox goes to the channels, at least once, always under one key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from crisis_engine.core.model import Person
from crisis_engine.core.workflow import Label
from crisis_engine.notify import Channel, DeliveryFailed, compose
from crisis_engine.store import Store, Tx
from crisis_engine.store.outbox import WaitingNotice

from .gather import Sources
from .host import HostStore
from .log import log
from .view import DeliverReport

BATCH = 200
FIRST_RETRY = timedelta(minutes=1)
LONGEST_RETRY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A batch of the outbox with all that its messages are made of."""

    notices: tuple[WaitingNotice, ...]
    people: Mapping[str, Person]
    labels: Mapping[str, Label | None]
    reached: Mapping[int, set[tuple[str, str]]]
    recused: Mapping[str, frozenset[str]]      # by case number: who must not hear of it, today


@dataclass(frozen=True, slots=True)
class Try:
    """What came of sending one notice: each (person, channel) with nothing or the reason of its failure."""

    notice: WaitingNotice
    results: tuple[tuple[str, str, str | None], ...]

    @property
    def error(self) -> str:
        """The last reason of a failure; empty when everybody was reached."""
        return next((reason for _person, _channel, reason in reversed(self.results) if reason is not None), "")


def deliver(
    store: Store | HostStore, sources: Sources, channels: Sequence[Channel], now: datetime, *, lang: str, link: str, limit: int | None,
) -> DeliverReport:
    """Send what waits. A message is marked after it was taken: a crash in between sends it again under the same key.

    Without a channel nothing is marked: a notice that nobody carried stays in the outbox.
    """
    sent = failed = 0
    reason = ""
    while channels and (limit is None or sent + failed < limit):
        with store.reading() as tx:
            waiting = _gather(tx, sources, now, BATCH if limit is None else min(BATCH, limit - sent - failed))
        if not waiting.notices:
            break

        tries = [_send(notice, waiting, channels, lang, link) for notice in waiting.notices]

        with store.writing() as tx:
            _mark(tx, tries, now)
        lost = sum(1 for one in tries if one.error)
        reason = next((one.error for one in reversed(tries) if one.error), reason)
        failed += lost
        sent += len(tries) - lost
    with store.reading() as tx:
        left = tx.outbox_size()
    if sent or failed:
        log("deliver.finished", sent=sent, failed=failed, waiting=left)
    return DeliverReport(sent, failed, left, reason)


def _gather(tx: Tx, sources: Sources, now: datetime, limit: int) -> Waiting:
    notices = tuple(tx.waiting_notices(now, limit))
    found = [tx.person(person) for person in {person for one in notices for person in one.notice.people}]
    labels: dict[str, Label | None] = {}
    recused: dict[str, frozenset[str]] = {}
    for one in notices:
        stored = tx.case(one.notice.case)
        recused[one.notice.case] = stored.case.recused if stored is not None else frozenset()
        clocks = sources.pinned(tx, stored.case.procedure).workflow.clocks if stored is not None else {}
        labels[one.notice.key] = clocks[one.notice.what].label if one.notice.what in clocks else None
    return Waiting(notices, {person.id: person for person in found if person is not None}, labels,
                   {one.id: tx.reached(one.id) if one.tries else set() for one in notices}, recused)


def _send(one: WaitingNotice, waiting: Waiting, channels: Sequence[Channel], lang: str, link: str) -> Try:
    results: list[tuple[str, str, str | None]] = []
    notice = one.notice
    for person in notice.people:
        if person in waiting.recused[notice.case]:   # recused while the notice waited: it must not reach this person any more
            continue
        message = compose(notice, waiting.people.get(person), person, waiting.labels.get(notice.key), lang, link)
        for channel in channels:
            if (person, channel.name) in waiting.reached[one.id]:
                continue
            try:
                channel.send(message)
                results.append((person, channel.name, None))
            except DeliveryFailed as error:
                results.append((person, channel.name, _without_address(error.message, message.address)[:200]))
    return Try(one, tuple(results))


def _without_address(reason: str, address: str) -> str:
    """Return a channel's reason without the person's address: it is kept and logged, and contacts are secrets."""
    for part in (address, address.partition(":")[2]):
        reason = reason.replace(part, "…") if part else reason
    return reason


def _mark(tx: Tx, tries: Sequence[Try], now: datetime) -> None:
    for one in tries:
        for person, channel, reason in one.results:
            tx.put_delivery(one.notice.id, person, channel, now, reason)
        if one.error:
            tx.mark_failed(one.notice.id, now + min(FIRST_RETRY * 2 ** min(one.notice.tries, 10), LONGEST_RETRY), one.error)
    tx.mark_sent([one.notice.id for one in tries if not one.error], now)
