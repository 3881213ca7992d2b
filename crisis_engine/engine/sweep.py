"""The sweep: whatever is due is decided case by case and written batch by batch; nothing is claimed before it is locked."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from crisis_engine.core.access import ENGINE, Actor, Filter
from crisis_engine.core.decide import decide_due, decide_presence
from crisis_engine.core.errors import Busy, CrisisError, StaleVersion, StoreError
from crisis_engine.core.pen import Pen
from crisis_engine.core.resolve import Resolver
from crisis_engine.core.world import World
from crisis_engine.store import Change, Store, Stored, Tx, prepare
from crisis_engine.store.roster import EndedPresence

from .again import anew
from .failing import HANDING, Failing
from .gather import Sources
from .host import HostStore
from .log import log
from .view import SweepReport
from .watchers import tell_watchers

BATCH = 1_000
"""Cases in one transaction: large enough to share its pages and its fsync, small enough that a person waits a tenth of a second."""

OUTAGE = timedelta(minutes=10)
"""A rung that was due for so long before a sweep came is an outage, and an alarm of its own (D: our design)."""

ENDS = 100
"""Ends of duties and presences that are handed over together."""

READ_AHEAD = 40_000
"""Cases that are read ahead, unlocked, and then written in the order of their rows, for neighbours share pages: some seconds' work."""

_ENGINE = Actor(ENGINE)
_NEVER = datetime.min.replace(tzinfo=UTC)


class Pace(Protocol):
    """How a daemon holds a sweep back: engine and core have no stopwatch, so it brings its own."""

    def size(self, most: int) -> int:
        """Return how many cases the next batch takes, at most so many; it begins at this moment."""

    def wrote(self, due: Sequence[datetime]) -> bool:
        """Hear when the cases of a batch had been due, now that they are written; False stops the sweep before its next batch."""


@dataclass(slots=True)
class Counts:
    """What a sweep did so far."""

    cases: int = 0
    rungs: int = 0
    raised: int = 0
    handed_over: int = 0
    failed: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)        # cases that somebody kept locked for longer than anybody waits
    resting: frozenset[int] = frozenset()      # cases that failed before, or were held, and are tried again later
    beside: bool = False                       # whether others write too, in transactions of which one may keep a case locked for long
    share: tuple[int, int] = (0, 1)            # which of how many sweepers this is
    waited: tuple[timedelta, int] = (timedelta(), 0)   # the longest that a due rung had waited, and the row of its case
    waits: bool = False                        # whether it waits for cases that others have in hand, or passes them over
    told: Filter | None = None                 # of which cases a number may be told to whoever caused it; None stands for all
    seen: tuple[int, int] = (-1, -1)           # the versions of roster and calendar that it decides by, as they were …
    now: datetime = _NEVER                     # … at this instant, by which it decides
    due: list[datetime] = field(default_factory=list)  # when the cases of the last batch had been due

    def instant(self, tx: Tx, clock: Callable[[], datetime]) -> datetime:
        """Return the instant to decide by: a new one whenever roster or calendar changed.

        A large sweep takes a while, and whoever left meanwhile was handed over already and must not be given a clock.
        """
        seen = _seen(tx)
        if seen != self.seen:
            self.seen, self.now = seen, clock()
        return self.now

    def add(self, changes: list[Change], now: datetime) -> None:
        """Count what was written."""
        self.cases += len(changes)
        for change in changes:
            before = change.before
            if before is not None and (due := before.case.next_at) is not None:
                if now - due >= self.waited[0]:
                    self.waited = max(self.waited, (now - due, before.id))
                self.due.append(due)
            for event in change.events:
                self.rungs += event.kind == "rung_fired"
            self.raised += before is not None and change.after.tier.rank > before.case.tier.rank


def change_of(stored: Stored | None, pen: Pen) -> Change:
    """Return what the store appends for one pen."""
    two, sole = pen.procedure.two, pen.procedure.workflow.one_open_per_subject
    return Change(stored, pen.case, tuple(pen.events), tuple(pen.notices), two, sole, tuple(pen.attached))


def sweep(
    store: Store | HostStore, sources: Sources, clock: Callable[[], datetime], failing: Failing, *, limit: int | None = None,
    batch: int | None = None, share: tuple[int, int] = (0, 1), pace: Pace | None = None,
) -> SweepReport:
    """Hand over what somebody left, then fire what is due by now, soonest first, until nothing is or `limit` cases were written.

    `share` (k, n) makes this the k-th of n sweepers that divide the cases by their rows; all n together leave nothing due.
    `pace` says how large each batch is, and may stop the sweep between two of them.
    """
    counts = Counts(share=share, beside=isinstance(store, Store) and store.dialect != "sqlite")
    batch = batch or BATCH
    with store.reading() as tx:
        now = counts.instant(tx, clock)
        ended = bool(tx.ended_presences(now, 1))
    counts.resting = failing.resting(now)
    if ended and HANDING not in counts.resting:
        _hand_over_first(store, sources, now, counts)
    with calm_collector():
        while limit is None or counts.cases + len(counts.failed) < limit:
            most = batch if limit is None else min(batch, limit - counts.cases - len(counts.failed))
            asked = most if limit is not None else max(READ_AHEAD, batch)
            with store.reading() as tx:
                ids = _due(tx, now, asked, counts)
            before = counts.cases + len(counts.failed) + len(counts.held)
            if not _batches(store, sources, clock, ids, most, counts, pace):
                break
            stands = counts.cases + len(counts.failed) + len(counts.held) == before
            if stands and ids and not counts.waits and store.dialect != "sqlite":
                counts.waits = True    # somebody has them in hand: the last round waits for whoever that is
            elif len(ids) < asked or stands:
                break
    counts.failed |= counts.held.intersection(failing.tries) - {HANDING}
    failing.note(counts.failed | counts.held, now)
    if counts.failed:
        _tell(store, sources, now, counts.failed, "sweep_failed", counts)
    if counts.waited[0] > OUTAGE:
        log("sweep.outage", waited_s=int(counts.waited[0].total_seconds()))
        _tell(store, sources, now, {counts.waited[1]}, "sweep_gap", counts)
    with store.reading() as tx:
        next_at = tx.next_at()
    if counts.cases or counts.failed:
        log("sweep.finished", cases=counts.cases, rungs=counts.rungs, raised=counts.raised, failed=len(counts.failed))
    return SweepReport(counts.cases, counts.rungs, counts.raised, counts.handed_over, len(counts.failed), next_at)


def _batches(
    store: Store | HostStore, sources: Sources, clock: Callable[[], datetime], ids: list[int], most: int, counts: Counts, pace: Pace | None,
) -> bool:
    """Write the cases batch by batch; return whether to go on."""
    start = 0
    while start < len(ids):
        size = most if pace is None else pace.size(most)
        counts.due.clear()
        part = ids[start:start + size]
        try:
            _one_batch(store, sources, clock, part, counts)
        except Busy:   # the database is there: whoever has these must not stop all others
            if not (counts.beside and counts.waits and (held := _held(store, part, counts.now))):
                raise
            counts.held |= held
        start += size
        if pace is not None and not pace.wrote(counts.due):
            return False
    counts.due.clear()
    return True


def _tell(store: Store | HostStore, sources: Sources, now: datetime, rows: set[int], what: str, counts: Counts) -> None:
    """Tell the watchers; whoever keeps a case locked may keep a notice about it from being written too."""
    try:
        with store.writing() as tx:
            tell_watchers(tx, sources, now, rows, what)
    except Busy:
        if not counts.beside:
            raise
        log("sweep.untold", what=what, cases=len(rows))


def _held(store: Store | HostStore, ids: list[int], now: datetime) -> set[int]:
    """Return which of these cases somebody has locked."""
    with store.writing() as tx:
        held = set(ids).difference(tx.claim(ids, now))
    log("sweep.cases_held", cases=len(held))
    return held


def _one_batch(store: Store | HostStore, sources: Sources, clock: Callable[[], datetime], ids: list[int], counts: Counts) -> None:
    """Decide a batch without a lock and write it under one; what cannot be read, decided or written whole is done case by case."""
    try:
        anew(store, lambda: _whole_batch(store, sources, clock, ids, counts))
    except Exception as error:
        if _is_outage(error):
            raise
        log("sweep.batch_failed", error=type(error).__name__)
        _one_by_one(store, sources, clock, ids, counts)


def _whole_batch(store: Store | HostStore, sources: Sources, clock: Callable[[], datetime], ids: list[int], counts: Counts) -> None:
    """Write a batch. The version of each case is the claim: a row that somebody moved in between refuses all, and nothing stays.

    The versions of roster and calendar are claims too: whoever left in between was handed over already, and nobody would look again.
    """
    if store.dialect != "sqlite":
        _claimed_batch(store, sources, clock, ids, counts)
        return
    with store.reading() as tx:
        now = counts.instant(tx, clock)
        changes = _gathered(tx, sources, now, ids, counts)
    batch = prepare(changes)
    try:
        with store.writing() as tx:
            _refuse_other(tx, counts.seen)
            tx.write(batch, whole=False)   # `writing` is undone by the exception itself
    except StaleVersion:   # decided again, now under the lock
        with store.writing() as tx:
            now = counts.instant(tx, clock)
            changes = _gathered(tx, sources, now, ids, counts)
            tx.append(changes)
    counts.add(changes, now)


def _claimed_batch(store: Store | HostStore, sources: Sources, clock: Callable[[], datetime], ids: list[int], counts: Counts) -> None:
    """Write what of a batch nobody else has in hand: the rows are locked in the order of their ids, those that others hold passed over.

    So several sweepers divide what is due without knowing of each other, and no rung has two. Roster and calendar stand still from
    the begin to the commit, for whoever changes them writes alone.
    """
    with store.writing() as tx:
        now = counts.instant(tx, clock)
        changes = _gathered(tx, sources, now, tx.claim(ids, now, wait=counts.waits), counts)
        if changes:
            tx.append(changes, whole=False)
    counts.add(changes, now)


def _seen(tx: Tx) -> tuple[int, int]:
    return tx.roster_version(), tx.calendar_version()


def _refuse_other(tx: Tx, seen: tuple[int, int]) -> None:
    if _seen(tx) != seen:
        raise StaleVersion


def _is_outage(error: Exception) -> bool:
    """Whether the database itself is away or busy: no single case is to blame, and trying each would only take longer."""
    return isinstance(error, CrisisError) and error.exit_code in {StoreError.exit_code, Busy.exit_code}


def _due(tx: Tx, now: datetime, most: int, counts: Counts) -> list[int]:
    """Return cases that are due, those read ahead in the order of their rows: neighbours share pages."""
    left_out = counts.failed | counts.held | counts.resting
    return sorted([case for case in tx.due(now, most + len(left_out), counts.share) if case not in left_out][:most])


def _one_by_one(store: Store | HostStore, sources: Sources, clock: Callable[[], datetime], ids: list[int], counts: Counts) -> None:
    for case in ids:
        try:
            with store.writing() as tx:
                now = counts.instant(tx, clock)
                changes = _gathered(tx, sources, now, tx.claim([case], now, wait=True), counts)
                tx.append(changes)
            counts.add(changes, now)
        except Exception as error:
            if _is_outage(error):
                raise
            counts.failed.add(case)
            log("sweep.case_failed", row=case, error=type(error).__name__)


def _gathered(tx: Tx, sources: Sources, now: datetime, ids: list[int], counts: Counts) -> list[Change]:
    """Read the cases that are still due and decide all that is due on each; one that cannot be decided is left out and counted."""
    stored = [one for one in tx.cases(ids) if one.case.open and (one.case.next_at or now) <= now]
    resolver = sources.resolver(tx, units_of(stored), now)

    return decided(tx, sources, resolver, stored, decide_due, counts)


def decided(
    tx: Tx, sources: Sources, resolver: Resolver, stored: list[Stored], decide: Callable[[World], Pen], counts: Counts,
    actor: Actor = _ENGINE,
) -> list[Change]:
    """Decide each case; one that cannot be decided is left out, counted and logged."""
    changes = []
    for one in stored:
        try:
            procedure = sources.pinned(tx, one.case.procedure)
            pen = decide(World(resolver.now, actor, procedure, resolver, one.case))
        except Exception as error:  # noqa: BLE001 - one broken case must not stop the alarms of all others; it stays due and is logged
            counts.failed.add(one.id)
            log("sweep.case_failed", case=one.case.number, error=type(error).__name__)
            continue
        if pen.events:
            changes.append(change_of(one, pen))
    return changes


def units_of(stored: list[Stored]) -> set[str]:
    """Return the units of these cases and of their addressees."""
    units = {one.case.unit for one in stored}
    return units | {unit for one in stored if (unit := one.case.facts.get("addressee"))}


def _hand_over_first(store: Store | HostStore, sources: Sources, now: datetime, counts: Counts) -> None:
    """Hand over; while somebody keeps one of these cases locked, all others must fire all the same."""
    try:
        anew(store, lambda: _hand_over_all(store, sources, now, counts))
    except Busy:
        if not counts.beside:
            raise
        log("sweep.hand_over_waits")
        counts.held.add(HANDING)


def _hand_over_all(store: Store | HostStore, sources: Sources, now: datetime, counts: Counts) -> None:
    """Hand over batch by batch, then mark: a county officer's cases must not hold the write lock all at once."""
    while True:
        with store.reading() as tx:
            ended = tx.ended_presences(now, ENDS)
            ids = _left_by(tx, ended)
        if not ended:
            return
        for start in range(0, len(ids), BATCH):
            with store.writing() as tx:
                _look_again(tx, sources, now, ids[start:start + BATCH], counts)
        with store.writing(alone=True) as tx:
            meanwhile = set(_left_by(tx, ended)).difference(ids)   # what another sweeper, who saw them present, gave them in between
            _look_again(tx, sources, now, sorted(meanwhile), counts)
            tx.mark_handed(ended, now)


def hand_over(tx: Tx, sources: Sources, now: datetime, counts: Counts) -> int:
    """Hand over, inside one transaction, the clocks of people whose duty or presence ended; return how many such ends were settled.

    The ends are marked after their cases: a crash in between hands them over again, which changes nothing twice.
    """
    ended = tx.ended_presences(now, ENDS)
    ids = _left_by(tx, ended)
    for start in range(0, len(ids), BATCH):
        _look_again(tx, sources, now, ids[start:start + BATCH], counts)
    if ended:
        tx.mark_handed(ended, now)
    return len(ended)


def _left_by(tx: Tx, ended: Sequence[EndedPresence]) -> list[int]:
    return sorted({case for person in {one.person for one in ended} for case in tx.armed_for(person)})


def _look_again(tx: Tx, sources: Sources, now: datetime, ids: list[int], counts: Counts) -> None:
    tx.hold_cases(ids)
    stored = tx.cases(ids)
    resolver = sources.resolver(tx, units_of(stored), now)

    changes = decided(tx, sources, resolver, stored, decide_presence, counts)

    for change in changes:
        try:
            tx.append([change])
            counts.handed_over += counts.told is None or counts.told.admits(change.after)
        except CrisisError as error:
            if _is_outage(error):
                raise
            counts.failed.add(change.before.id if change.before is not None else 0)
            log("sweep.case_failed", case=change.after.number, error=type(error).__name__)


@contextmanager
def calm_collector() -> Iterator[None]:
    """Keep the garbage collector from walking a batch's objects again and again: they form no circles and go by themselves."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
