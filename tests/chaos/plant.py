"""Planted bugs: each breaks the library in one place while it is in force, and the harness must then turn red."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from itertools import count
from threading import get_ident
from typing import Any
from unittest.mock import patch

from crisis_engine.core import pen
from crisis_engine.core.case import Clock
from crisis_engine.core.deadline import Steps
from crisis_engine.core.errors import StoreError
from crisis_engine.engine import face, sweep
from crisis_engine.engine.deliver import LEASE, Delivery, Outcome
from crisis_engine.engine.once import Once
from crisis_engine.notify import Message
from crisis_engine.store import Change, Tx, append, prepare
from crisis_engine.store.append import Batch, CaseWrites
from crisis_engine.store.message import MessageRow, MessageRows
from tests.chaos.seam import Gateway, Seam


def no_version_check(stack: ExitStack) -> None:
    """The case row is written whatever its version is by then, and the log takes the next free number."""
    for name in ("_TICK", "_CHANGE", "_NOTE", "_RAISE"):
        stack.enter_context(patch.object(append, name, getattr(append, name).replace("AND version = ?", "AND ? IS NOT NULL")))
    usual = CaseWrites.write

    def write(tx: CaseWrites, batch: Batch, *, whole: bool = True) -> None:
        for place, row in enumerate(batch.logged):   # else UNIQUE(case_id, seq) would still refuse it: the second net
            last = int(tx._value("SELECT coalesce(max(seq), 0) FROM crisis_event WHERE case_id = :id", id=row[0]))  # noqa: SLF001 - a saboteur
            batch.logged[place] = (row[0], max(row[1], last + 1 + place), *row[2:])
        usual(tx, batch, whole=whole)

    stack.enter_context(patch.object(CaseWrites, "write", write))


def commit_before_outbox(stack: ExitStack) -> None:
    """The notices are written in a transaction of their own, after the one that owes them."""
    later: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    owed, writing = CaseWrites._owed, Seam.writing  # noqa: SLF001 - a saboteur

    def none_owed(tx: CaseWrites, batch: Batch) -> list[tuple[Any, ...]]:
        later[get_ident()] += owed(tx, batch)
        return []

    @contextmanager
    def then_owe(seam: Seam, **kind: Any) -> Iterator[Tx]:  # noqa: ANN401 - whatever the store takes
        later[get_ident()] = []
        with writing(seam, **kind) as tx:
            yield tx
        if rows := later.pop(get_ident()):
            with writing(seam) as tx:
                tx._bulk(append._OWE, rows)  # noqa: SLF001 - a saboteur

    stack.enter_context(patch.object(CaseWrites, "_owed", none_owed))
    stack.enter_context(patch.object(Seam, "writing", then_owe))


def fire_before_claim(stack: ExitStack) -> None:
    """A sweep tells people as soon as it has decided, and only then asks whether the case is still as it was."""
    mine: dict[int, Gateway] = {}
    made = Gateway.__init__

    def noted(gateway: Gateway, *given: Any) -> None:  # noqa: ANN401 - whatever a gateway takes
        made(gateway, *given)
        mine[get_ident()] = gateway

    def tell_first(changes: Sequence[Change], first_id: int = 0) -> Batch:
        for change in changes:
            for notice in change.notices:
                for person in notice.people:
                    mine[get_ident()].send(Message(f"{notice.key}:{person}", person, "", "", notice.case, urgent=True))
        return prepare(changes, first_id)

    stack.enter_context(patch.object(Gateway, "__init__", noted))
    stack.enter_context(patch.object(sweep, "prepare", tell_first))


def mark_before_send(stack: ExitStack) -> None:
    """A message is marked as sent before it goes out."""

    def send_some(delivery: Delivery, most: int) -> bool:
        with delivery.store.writing() as tx:
            now = delivery.clock()
            letters = delivery._open(tx, now, tx.claim_messages(now, most, LEASE))  # noqa: SLF001 - a saboteur
            room = delivery._mailroom(tx, now)  # noqa: SLF001 - a saboteur
            for letter in letters:
                delivery._mark(room, Outcome(letter))  # noqa: SLF001 - a saboteur
        return [delivery._send(letter) for letter in letters] != []  # noqa: SLF001 - a saboteur

    stack.enter_context(patch.object(Delivery, "_send_some", send_some))


def new_key_for_each_try(stack: ExitStack) -> None:
    """A message that is sent again goes under a key of its own."""
    number, usual = count(), Delivery._composed  # noqa: SLF001 - a saboteur

    def anew(delivery: Delivery, *given: Any) -> Message:  # noqa: ANN401 - whatever it is made of
        message = usual(delivery, *given)
        return replace(message, key=f"{message.key}.{next(number)}")

    stack.enter_context(patch.object(Delivery, "_composed", anew))


def lease_ignored(stack: ExitStack) -> None:
    """Whoever delivers takes also what another has claimed."""
    usual = MessageRows.claim_messages

    def claim(tx: MessageRows, *given: Any) -> list[MessageRow]:  # noqa: ANN401 - whatever a claim takes
        tx._run("UPDATE crisis_message SET lease_until = NULL")  # noqa: SLF001 - a saboteur
        return usual(tx, *given)

    stack.enter_context(patch.object(MessageRows, "claim_messages", claim))


def key_not_checked(stack: ExitStack) -> None:
    """A command that comes again under its key is done again."""

    class Never(Once):
        def __init__(self, tx: Tx, by: str, key: str | None, content: Sequence[Any]) -> None:
            super().__init__(tx, by, None if key else key, content)

    stack.enter_context(patch.object(face, "Once", Never))


def acknowledged_before_commit(stack: ExitStack) -> None:
    """Whoever gave a command is told that it is done although its commit failed."""
    writing = Seam.writing

    @contextmanager
    def deaf(seam: Seam, **kind: Any) -> Iterator[Tx]:  # noqa: ANN401 - whatever the store takes
        done = False
        try:
            with writing(seam, **kind) as tx:
                yield tx
                done = True
        except StoreError:
            if not done:
                raise

    stack.enter_context(patch.object(Seam, "writing", deaf))


def rung_passed_over(stack: ExitStack) -> None:
    """After a rung the one after the next comes."""
    usual = Steps.after

    def after(steps: Steps, clock: Clock, step: int, times: int, now: datetime) -> tuple[int, int, datetime]:
        following, count_, when = usual(steps, clock, step, times, now)
        return min(following + 1, steps.last) if following > len(steps.remind) else following, count_, when

    stack.enter_context(patch.object(Steps, "after", after))


def roster_claim_ignored(stack: ExitStack) -> None:
    """A sweep writes what it decided although the roster has changed since: whoever left in between is given a clock."""
    stack.enter_context(patch.object(sweep, "_refuse_other", lambda _tx, _seen: None))


def time_runs_back(stack: ExitStack) -> None:
    """An event takes the machine's clock as it is, also where the case has seen a later one."""
    stack.enter_context(patch.object(pen, "max", lambda now, _last: now, create=True))


PLANTS: dict[Callable[[ExitStack], None], str] = {
    no_version_check: r"row and log differ|columns and header|flaws|not the next|== \[\]",
    commit_before_outbox: r"was not told|nobody was alarmed",
    fire_before_claim: r"nobody owes this message|within the lease",
    mark_before_send: r"never arrived",
    new_key_for_each_try: r"nobody owes this message",
    lease_ignored: r"within the lease",
    key_not_checked: r"done \d times",
    acknowledged_before_commit: r"acknowledged and lost",
    rung_passed_over: r"passed over",
    time_runs_back: r"time ran back",
    roster_claim_ignored: r"is away and holds|is no \w+ of \S+ and holds",
}
"""Each planted bug, and how the harness must say what it found: a run that merely falls over has found nothing."""
