"""Envelopes: which person gets which notices in one message over which channel, and when it may go; made under one lock."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from crisis_engine.core.access import BLIND
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Person
from crisis_engine.core.resolve import Resolver
from crisis_engine.notify import Channel
from crisis_engine.notify.rule import rule_of
from crisis_engine.store import Change, Tx
from crisis_engine.store.digest import digest_key
from crisis_engine.store.message import MessageRow
from crisis_engine.store.outbox import WaitingNotice

from .gather import Sources
from .log import log

NOWHERE = "-"
"""The channel of a message that none can carry."""

MOST_IN_ONE = 20
"""Cases that one message lists (D: our design); what is more goes with another."""

OPERATORS = ("operator",)
_LAST_RESORT = ("operator", "county_officer", "city_officer")
_OF_DELIVERY = frozenset({"delivery_failed", "no_address"})
"""Notices about notices: of one that fails too nobody is told by another, only the log and the doctor say it."""


def is_urgent(notice: Notice) -> bool:
    """Whether a notice is never held back: it says so, or it is about danger, or nobody answers."""
    return notice.urgent or notice.what == "danger" or notice.why in {"danger", "alarm"}


@dataclass(frozen=True, slots=True)
class Mailroom:
    """Who can be told how, as one transaction sees it."""

    tx: Tx
    sources: Sources
    channels: Sequence[Channel]
    now: datetime
    people: dict[str, Person | None]
    roles: dict[str, frozenset[str]]

    # ---- ways to a person -------------------------------------------------------------------------------------------------------

    def person(self, person: str) -> Person | None:
        """Return the person, as far as the roster knows."""
        if person not in self.people:
            self.people[person] = self.tx.person(person)
        return self.people[person]

    def ways(self, person: str, *, urgent: bool, fallback: bool = False) -> list[Channel]:
        """Return the channels that serve this person, in order: those always used, or the ones to fall back on."""
        known = self.person(person)
        contact = str(known.contact) if known is not None else ""
        if person not in self.roles:
            self.roles[person] = frozenset(
                duty.role for duty in self.tx.duties_of(person) if duty.ends_at is None or duty.ends_at > self.now)
        return [
            channel for channel in self.channels if (rule := rule_of(channel)).fallback is fallback
            and rule.takes(self.roles[person], urgent=urgent) and rule.reaches(contact)
        ]

    # ---- sharing out ------------------------------------------------------------------------------------------------------------

    def share_out(self, limit: int, about: str = "") -> int:
        """Make messages of the notices and digests that are due; return of how many. Nothing here is lost by a crash: all or nothing.

        With `about` notices of that kind alone.
        """
        self.tx.outbox_turn()
        notices = self.tx.waiting_notices(self.now, limit, about)
        recused = self.tx.recused_among({one.notice.case for one in notices})
        by_person: dict[str, list[WaitingNotice]] = {}
        for one in notices:
            for person in one.notice.people:
                if (one.notice.case, person) not in recused:   # recused while the notice waited: it must not reach this person any more
                    by_person.setdefault(person, []).append(one)
        self.tx.share_out([one.id for one in notices])
        for person, of_person in by_person.items():
            self._to_person(person, of_person)
        self.tx.settle([one.id for one in notices], self.now)
        digests = self.tx.waiting_digests(limit) if not about else []
        for digest in digests:
            self._digest(digest.id, digest_key(digest.kind, digest.period, digest.person), digest.person)
        self.tx.mark_shared([digest.id for digest in digests], self.now)
        return len(notices) + len(digests)

    def _to_person(self, person: str, notices: Sequence[WaitingNotice]) -> None:
        by_case: dict[str, list[WaitingNotice]] = {}
        for one in notices:
            by_case.setdefault(one.notice.case, []).append(one)
        calm: list[WaitingNotice] = []
        for of_case in by_case.values():
            if any(is_urgent(one.notice) for one in of_case):
                self._owe(person, of_case, urgent=True)
            else:
                calm += of_case
        cases = list(dict.fromkeys(one.notice.case for one in calm))
        for start in range(0, len(cases), MOST_IN_ONE):
            some = set(cases[start:start + MOST_IN_ONE])
            self._owe(person, [one for one in calm if one.notice.case in some], urgent=False)

    def _owe(self, person: str, notices: Sequence[WaitingNotice], *, urgent: bool) -> None:
        """Let the person's channels carry these notices: with a message that waits already where that can be, else with a new one."""
        ids = [one.id for one in notices]
        ways = self.ways(person, urgent=urgent) or self.ways(person, urgent=urgent, fallback=True)[:1]
        key = f"{notices[0].notice.key}:{person}"
        if not ways:
            self.tx.put_message(key, person, NOWHERE, ids, urgent=urgent, now=self.now, next_try_at=self.now, dead="no address")
            for one in notices:
                self.tx.put_delivery(one.id, person, NOWHERE, self.now, "no address")
            self.next_person(person, notices, "no_address")
        for channel in ways:
            rule = rule_of(channel)
            lately = self.tx.told_lately(person, channel.name, self.now - rule.within) if rule.most and not urgent else []
            at = rule.hold(self.now, lately, urgent=urgent)
            joined = self._open(person, channel.name, {one.notice.case for one in notices}, urgent=urgent)
            if joined is None:
                self.tx.put_message(key, person, channel.name, ids, urgent=urgent, now=self.now, next_try_at=at)
                continue
            self.tx.carry(joined.id, ids)
            if urgent:
                self.tx.hasten(joined.id, self.now)

    def _open(self, person: str, channel: str, cases: set[str], *, urgent: bool) -> MessageRow | None:
        """Return a waiting message that may carry these too: of the same one case, or a list of calm ones that is not full.

        What is urgent joins none that was passed on already: it would not be passed on with it.
        """
        waiting = self.tx.open_messages(person, channel, self.now)
        carried = self.tx.notices_of([message.id for message in waiting])
        for message in waiting:
            if urgent and message.passed_on:
                continue
            there = {one.notice.case for one in carried[message.id]}
            if there == cases or (not urgent and not message.urgent and len(there | cases) <= MOST_IN_ONE):
                return message
        return None

    def _digest(self, digest: int, key: str, person: str) -> None:
        ways = self.ways(person, urgent=False)[:1] or self.ways(person, urgent=False, fallback=True)[:1]
        for channel in ways:
            at = rule_of(channel).hold(self.now, (), urgent=False)
            self.tx.put_message(key, person, channel.name, (), urgent=False, now=self.now, next_try_at=at, digest=digest)
        if not ways:
            log("digest.no_way", digest=digest)

    # ---- when it cannot be delivered --------------------------------------------------------------------------------------------

    def fall_back(self, message: MessageRow, notices: Sequence[WaitingNotice]) -> None:
        """Send what one channel could not deliver by the next one, and where there is none tell the next person."""
        ids = [one.id for one in notices]
        for channel in self.ways(message.person, urgent=message.urgent, fallback=True):
            if channel.name != message.channel and self.tx.put_message(
                message.key, message.person, channel.name, ids, urgent=message.urgent, now=self.now,
                next_try_at=rule_of(channel).hold(self.now, (), urgent=message.urgent), digest=message.digest,
            ) is not None:
                return
        self.next_person(message.person, notices, "delivery_failed")

    def next_person(self, person: str, notices: Iterable[WaitingNotice], what: str) -> None:
        """Tell whoever stands next at the person's posts, and the operators, that this person was not reached about a case."""
        for number in dict.fromkeys(one.notice.case for one in notices if one.notice.what not in _OF_DELIVERY):
            try:
                stored = self.tx.case(number)
            except Exception as error:  # noqa: BLE001 - else what was sent beside it is never marked, and goes again; the doctor names the row
                log("deliver.case_unreadable", error=type(error).__name__)
                continue
            if stored is None:
                continue
            case = stored.case
            resolver = self.sources.resolver(self.tx, {case.unit}, self.now)
            places = resolver.chain(case.unit).values()
            roles = self.sources.access.roles   # who teaches beside, and reads no case, must not hear of one
            posts = {(duty.role, duty.unit) for duty in self.tx.duties_of(person) if duty.role in roles and roles[duty.role].reads != BLIND}
            wanted = [(place, role) for place in places for role, unit in posts if unit == place]
            wanted += [(place, role) for place in places for role in OPERATORS]
            people = _holders(resolver, wanted, case.recused, person) or _holders(
                resolver, [(place, role) for place in places for role in _LAST_RESORT], case.recused, person)
            key = f"{number}-{what.replace('_', '-')}-t{int(self.now.timestamp())}x"
            while self.tx.owes(key, stored.id):
                key += "x"
            log("deliver.not_reached", case=number, why=what)
            if people:
                notice = Notice(key, number, people, what, "alarm", None, urgent=True, at=self.now)
                self.tx.append([Change(before=stored, after=case, events=(), notices=(notice,), two=stored.two, sole=stored.sole)])


def _holders(resolver: Resolver, wanted: Iterable[tuple[str, str]], recused: frozenset[str], but: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(
        duty.person for place, role in wanted for duty in resolver.holders(place, role, recused)
        if duty.person != but
    ))


def mailroom(tx: Tx, sources: Sources, channels: Sequence[Channel], now: datetime) -> Mailroom:
    """Return the mailroom of a transaction."""
    return Mailroom(tx, sources, channels, now, {}, {})
