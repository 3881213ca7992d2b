"""The round: look at the clock, at who else lives and at what is due; sweep if it may; say when to come again."""

from __future__ import annotations

import os
import random
import socket
import time
from dataclasses import replace
from datetime import datetime, timedelta
from secrets import token_hex
from typing import TYPE_CHECKING

from crisis_engine.core.errors import BadInput, CrisisError
from crisis_engine.store import Store, Tx
from crisis_engine.store.daemon import Living, Pulse
from crisis_engine.store.migrate import HEAD, REVISIONS

from .log import tell
from .meter import Meter
from .pace import BatchPace
from .rule import GRACE, Anchor, first_anchor, forgotten, further, is_off, look, others_living, period_of, place_among, rest, steps_aside
from .settings import Settings
from .vitals import WORKING, Vitals
from .worker import Workers

if TYPE_CHECKING:
    from crisis_engine.engine import Engine

ASIDE = ("schema", "definitions")
SEEN_IDLE = 60.0
"""Seconds after which a sweep runs though nothing is due: it leaves the mark by which the doctor knows that somebody sweeps."""

BACKLOG = 5_000
"""So many due cases are worth more processes than one: a process needs half a second to begin."""

SMALL_CACHE, LARGE_CACHE = 8, 256
"""Megabytes of the database that a connection keeps in memory on SQLite: while rungs fire one by one, and while a backlog is drained."""

FEW_UNITS, MANY_UNITS = 10_000, 200_000
"""Units of the roster that are kept in memory with their people: while rungs fire one by one, and while a backlog is drained."""

PARKED = "clock_parked"
"""What the operators are told where a clock is not believed: until somebody looks at it, nothing fires here."""

FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
"""Seconds between two tries to reach a database that is away."""


class Clockwork:
    """One daemon's rounds. `turn` and `beat` may run at once; each writes its own fields of the vitals."""

    def __init__(self, engine: Engine, settings: Settings, vitals: Vitals, meter: Meter, workers: Workers) -> None:
        """Begin with the clock as the last round of any daemon left it."""
        self.engine, self.settings, self.vitals, self.meter, self.workers = engine, settings, vitals, meter, workers
        if not isinstance(engine.store, Store):
            raise BadInput("A daemon does not run inside a host's transaction.", way_out="Give it an engine of its own.")
        self.store = engine.store
        self.backlog = False
        self.store.limit_cache(lambda: LARGE_CACHE if self.backlog else SMALL_CACHE)
        self.pace = BatchPace(vitals, meter, engine.now)
        self.definitions = engine.reload()
        now = engine.now()
        with engine.store.reading() as tx:
            last = last_round(tx)
        self.anchor = Anchor(now, time.monotonic()) if settings.trust_clock else first_anchor(last, now, time.monotonic())
        self.line = self.anchor
        self.me = Living(token_hex(6), socket.gethostname(), os.getpid(), settings.version, HEAD, self.definitions, now, now, now)
        self._swept = 0.0
        self._parked_on = ""     # the day on which the operators were told last that the clock is not believed
        self._word = settings.started_by if settings.trust_clock else ""   # whose word the clock of this start is believed by

    # ---- the round --------------------------------------------------------------------------------------------------

    def turn(self) -> float:
        """Make one round; return the seconds until the next. Nothing but a bug in here goes further."""
        try:
            wait = self._turn()
        except CrisisError as error:
            wait = self._lost(error)
        else:
            self._found()
        self.meter.rounds.inc()
        self.vitals.turned = time.monotonic()
        return wait

    def _turn(self) -> float:
        vitals = self.vitals
        with self.store.reading() as tx:
            pulse = tx.pulse()
        vitals.pulse = pulse
        try:
            now = self.engine.now()
        except BadInput:   # a clock that says 1970 or 2150 is none
            self._enter("clock")
            self._parked(pulse)
            return 1.0
        vitals.round_at = now
        why = self._why_not(pulse, now)
        self._enter(why or WORKING)
        if why == "clock":
            self._parked(pulse)
        if why:
            return max(self.settings.poll, 1.0)
        grace = GRACE if vitals.place[0] else timedelta()
        due = pulse.next_at is not None and pulse.next_at + grace <= now
        idle = False
        if due or time.monotonic() - self._swept > SEEN_IDLE or not self._swept:
            idle = not self._sweep(now) and due
        vitals.succeeded, vitals.success_at = time.monotonic(), now
        poll = self.settings.poll_called if vitals.hears else self.settings.poll
        return rest(now, pulse.next_at, poll=poll, grace=grace, idle=idle)

    def _sweep(self, now: datetime) -> bool:
        """Sweep; return whether anything was written. A large backlog is divided with processes of its own."""
        with self.store.reading() as tx:
            self.backlog = tx.due_count(now, BACKLOG) >= BACKLOG
        self.engine.remember(MANY_UNITS if self.backlog else FEW_UNITS)
        if self.workers.most > 1:
            self.workers.help(large=self.backlog)
        report = self.engine.sweep(pace=self.pace, share=self.workers.share)
        self._swept = time.monotonic()
        if not report.cases:
            self.workers.take_all()
        self.meter.cases.inc(report.cases)
        self.meter.rungs.inc(report.rungs)
        self.meter.handed.inc(report.handed_over)
        self.meter.failed.inc(report.failed)
        return bool(report.cases or report.handed_over or self.workers.busy)

    def _why_not(self, pulse: Pulse, now: datetime) -> str:
        """Return why this round must not sweep, or nothing."""
        if self.vitals.aside or pulse.revision != HEAD:
            return self.vitals.aside or "schema"
        witness = self._witness()
        if witness is not None:
            self.meter.apart.set((now - witness).total_seconds())
        mono = time.monotonic()
        seen = look(self.anchor, now, mono, line=self.line, witness=witness, confirmed=pulse.trusted)
        if seen.step:
            self._stepped(seen.step, now, believed=seen.believed)
        if not seen.believed:
            return "clock"
        self.line = further(self.line, now, mono)
        self.anchor = Anchor(now, mono)
        return "apart" if is_off(now, witness) else ""

    def _witness(self) -> datetime | None:
        """Return what the database's own clock says, where it is not this machine's."""
        return self.store.database_now() if self.store.dialect != "sqlite" else None

    def _stepped(self, step: timedelta, now: datetime, *, believed: bool) -> None:
        """Alarm: by log and meter, and by a notice where notices are sent; once for a step that is not believed."""
        seconds = step.total_seconds()
        self.meter.step.set(seconds)
        if not believed and self.vitals.state == "clock":
            return
        self.vitals.step = step
        self.meter.steps.labels("forward" if seconds > 0 else "back").inc()
        tell("error", "daemon.clock_stepped", seconds=round(seconds, 1), believed=believed)
        if believed:
            try:
                self.engine.tell_operators("clock_stepped", now)
            except CrisisError as error:   # a notice that cannot be written must not keep what is due from firing
                tell("error", "daemon.step_untold", reason=error.message)

    def measured(self) -> datetime:
        """Return the time as the stopwatch measured it on from the furthest that the clock was believed: never ahead of the right one."""
        return self.line.expected(time.monotonic())

    def _parked(self, pulse: Pulse) -> None:
        """Tell the operators that this clock is not believed: once a day among all daemons, by the time that was measured."""
        now = self.measured()
        day = period_of(PARKED, now)
        if pulse.due_at is not None and day != self._parked_on:   # a notice goes under the number of an open case
            self.engine.tell_operators(PARKED, now, once_in=day, by=self.me.id)
            self._parked_on = day

    def _enter(self, state: str) -> None:
        before, self.vitals.state = self.vitals.state, state
        self.meter.working.set(state == WORKING)
        if state not in {before, WORKING}:
            tell("warning" if state in ASIDE else "error", "daemon.not_sweeping", because=state)
        elif before != state:
            tell("info", "daemon.sweeping_again", after=before)

    # ---- a database that is away ------------------------------------------------------------------------------------

    def _lost(self, error: CrisisError) -> float:
        """Say once that the database is away, and wait longer each time, but not in step with the others."""
        vitals = self.vitals
        if not vitals.lost:
            vitals.lost = time.monotonic()
            self.meter.outages.inc()
            self.meter.working.set(0)
            tell("error", "daemon.database_lost", error=type(error).__name__, reason=error.message)
        vitals.tries += 1
        wait: float = min(FIRST_WAIT * 2 ** min(vitals.tries - 1, 10), LONGEST_WAIT) * random.uniform(0.75, 1.0)  # noqa: S311 (no secret)
        return wait

    def _found(self) -> None:
        vitals = self.vitals
        if vitals.lost:
            tell("info", "daemon.database_back", seconds=round(time.monotonic() - vitals.lost, 1), tries=vitals.tries)
            vitals.lost, vitals.tries = 0.0, 0
            self.meter.working.set(vitals.state == WORKING)

    # ---- the beat ---------------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """Say that this daemon lives, and look who else does: who steps aside, who comes first."""
        now = self.engine.now()
        with self.store.writing() as tx:
            seen = tx.first_seen(self.definitions, self.me.id, now)
            known = tx.daemons()
            others = others_living(self.me.id, known, now)
            self.me = replace(self.me, definitions=self.definitions, definitions_at=seen)
            self.vitals.aside = steps_aside(self.me, others, REVISIONS)
            state = self.vitals.aside or self.vitals.state
            self.me = replace(self.me, beat_at=now, round_at=self.vitals.round_at, success_at=self.vitals.success_at, state=state)
            tx.put_daemon(self.me)
            if self._word:
                tx.put_clock_word(now, self._word)
                self._word = ""
            for silent in forgotten(self.me.id, known, now):
                tx.forget_daemon(silent)
            if state == WORKING and self.vitals.success_at is not None:
                tx.heartbeat("daemon", self.vitals.success_at)
        self.vitals.place = place_among(self.me, others) if state == WORKING else (0, 1)
        self.meter.daemons.set(1 + len(others))

    def leave(self) -> None:
        """Say that this daemon ends in order."""
        with self.store.writing() as tx:
            tx.forget_daemon(self.me.id)


def last_round(tx: Tx) -> datetime | None:
    """Return when any daemon last made a round that went by its clock."""
    beats = [at for name, at in tx.heartbeats().items() if name in {"daemon", "sweep"}]
    return max([*beats, *(one.success_at for one in tx.daemons() if one.success_at is not None)], default=None)
