"""The verdict on a database after chaos: the histories of clients and receivers against what it holds; for simulation and real runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

from crisis_engine import Engine
from crisis_engine.core.case import Case
from crisis_engine.core.events import Notice
from crisis_engine.core.procedure import Procedure
from crisis_engine.doctor import examine
from crisis_engine.engine.deliver import LEASE
from crisis_engine.store import Tx
from crisis_engine.store.instant import instant, instant_or_none, micros
from tests.chaos.history import Call, Life, Sent, lost_or_doubled, messages, places, rungs, sent_again, still_due, untold, words
from tests.promise import FACT

IN_FLIGHT = frozenset({"leaks"})
"""A message that had left when its reader was recused counts as a leak to the doctor: it goes by when the delivery was marked."""

_KEY = re.compile(f"{FACT}<(.+?)>")
_NOTICES = "SELECT key, people, what, why, due_at, urgent, at, not_before FROM crisis_notice WHERE case_id = :id ORDER BY id"


def find_flaws(
    engine: Engine, now: datetime, calls: Sequence[Call], book: Sequence[Sent], *, finished: bool = True,
    unasked: Collection[str] = (),
) -> list[str]:
    """Return everything that is wrong with the engine's database, in sentences.

    `finished` says that all was swept and delivered at `now`; `unasked` are checks of the doctor that this run cannot pass.
    """
    flaws: list[str] = []
    with engine.store.reading() as tx:
        cases = tx.cases(_numbers(tx))
        lives = [Life(stored.case.number, tx.events(stored.case.number), tuple(_notices(tx, stored.id, stored.case))) for stored in cases]
        procedures = {stored.case.procedure: _procedure(tx, stored.case) for stored in cases}
        flaws += [str(flaw) for flaw in tx.verify()]
    for stored, life in zip(cases, lives, strict=True):
        clocks = procedures[stored.case.procedure].policy.clocks
        flaws += rungs(life, lambda clock, clocks=clocks: len(clocks[clock].remind)) + untold(life)  # type: ignore[misc]  # mypy and defaults
    if finished:
        flaws += still_due([(stored.case.number, stored.case.next_at) for stored in cases if stored.case.open], now)
    found = words(lives, key_of)
    flaws += lost_or_doubled(calls, found)
    flaws += [f"  {key}: {places(lives, key)} {[call for call in calls if call.key == key]}" for key, times in found.items() if times > 1]
    with engine.store.reading() as tx:
        owed, absent = _messages(tx, micros(now))
        missing = _not_shared_out(tx, micros(now)) if finished else []
    flaws += messages(book, owed, absent=absent, finished=finished) + sent_again(book, LEASE) + missing
    broken = [one for one in examine(engine) if not one.ok and one.name not in {*IN_FLIGHT, *unasked}]
    return flaws + [f"doctor: {one.text_en} {', '.join(one.cases)}" for one in broken]


def key_of(text: str) -> str | None:
    """Return the key of the command whose words these are."""
    found = _KEY.search(text)
    return found and found[1]


def _numbers(tx: Tx) -> list[int]:
    return [row for (row,) in tx._rows("SELECT id FROM crisis_case ORDER BY id")]  # noqa: SLF001 - asks what no call of the store gives


def _messages(tx: Tx, now: int) -> tuple[dict[str, str], set[str]]:
    """Return whom each message is for, and which of them need not have come: dead or dropped ones, and those that wait for their time."""
    rows = tx._rows("SELECT key, person, status, next_try_at FROM crisis_message ORDER BY id")  # noqa: SLF001 - likewise
    came = {key for key, _person, status, _at in rows if status == "sent"}
    waits = {key for key, _person, status, at in rows if status in {"dead", "dropped"} or (status == "waiting" and at > now)}
    return {key: person for key, person, _status, _at in rows}, waits - came


def _not_shared_out(tx: Tx, now: int) -> list[str]:
    """Return the notices of which somebody has no message at all, who is not recused."""
    carried = set(tx._rows("SELECT l.notice_id, m.person FROM crisis_message_notice l JOIN crisis_message m ON m.id = l.message_id"))  # noqa: SLF001 - likewise
    recused = set(tx._rows("SELECT case_id, person FROM crisis_recusal"))  # noqa: SLF001 - likewise
    sql = "SELECT id, key, case_id, people FROM crisis_notice WHERE not_before IS NULL OR not_before <= :now ORDER BY id"
    return [f"never sent: {key}:{person}" for row, key, case, people in tx._rows(sql, now=now) for person in people.split(",")  # noqa: SLF001 - likewise
            if (row, person) not in carried and (case, person) not in recused]


def _notices(tx: Tx, row: int, case: Case) -> Iterator[Notice]:
    for key, people, what, why, due_at, urgent, at, not_before in tx._rows(_NOTICES, id=row):  # noqa: SLF001 - likewise
        yield Notice(key, case.number, tuple(people.split(",")), what, why, instant_or_none(due_at), bool(urgent), instant(at),
                     instant_or_none(not_before))


def _procedure(tx: Tx, case: Case) -> Procedure:
    body = tx.definition(case.procedure)
    assert body is not None, f"the procedure of {case.number} is gone"
    return Procedure.from_body(body)
