"""The verdict on a database after chaos: the histories of clients and receivers against what it holds; for simulation and real runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from crisis_engine import Engine
from crisis_engine.core.case import Case
from crisis_engine.core.events import Notice
from crisis_engine.core.procedure import Procedure
from crisis_engine.doctor import examine
from crisis_engine.store import Tx
from crisis_engine.store.instant import instant, instant_or_none
from tests.chaos.history import Call, Life, Sent, lost_or_doubled, messages, rungs, still_due, untold, words
from tests.promise import FACT

_KEY = re.compile(f"{FACT}<(.+?)>")
_NOTICES = "SELECT key, people, what, why, due_at, urgent, at, not_before FROM crisis_notice WHERE case_id = :id ORDER BY id"


def find_flaws(
    engine: Engine, now: datetime, calls: Sequence[Call], book: Sequence[Sent], *, finished: bool = True,
    unasked: frozenset[str] = frozenset(),
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
    flaws += lost_or_doubled(calls, words(lives, key_of))
    recused = {stored.case.number: stored.case.recused for stored in cases}
    owed = {f"{notice.key}:{person}": (notice, person) for life in lives for notice in life.notices for person in notice.people}
    absent = {key for key, (notice, person) in owed.items()
              if person in recused[notice.case] or (notice.not_before is not None and notice.not_before > now)}
    flaws += messages(book, {key: person for key, (_notice, person) in owed.items()}, absent=absent, finished=finished)
    found = [one for one in examine(engine) if not one.ok and one.name not in unasked]
    return flaws + [f"doctor: {one.text_en} {', '.join(one.cases)}" for one in found]


def key_of(text: str) -> str | None:
    """Return the key of the command whose words these are."""
    found = _KEY.search(text)
    return found and found[1]


def _numbers(tx: Tx) -> list[int]:
    return [row for (row,) in tx._rows("SELECT id FROM crisis_case ORDER BY id")]  # noqa: SLF001 - asks what no call of the store gives


def _notices(tx: Tx, row: int, case: Case) -> Iterator[Notice]:
    for key, people, what, why, due_at, urgent, at, not_before in tx._rows(_NOTICES, id=row):  # noqa: SLF001 - likewise
        yield Notice(key, case.number, tuple(people.split(",")), what, why, instant_or_none(due_at), bool(urgent), instant(at),
                     instant_or_none(not_before))


def _procedure(tx: Tx, case: Case) -> Procedure:
    body = tx.definition(case.procedure)
    assert body is not None, f"the procedure of {case.number} is gone"
    return Procedure.from_body(body)
