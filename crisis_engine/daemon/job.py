"""The other jobs: deliver, measure, audit, and those that run once in a period among all daemons (digest, supervision, seal and so on)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import CrisisError, StoreError
from crisis_engine.doctor import PATIENCE

from .clockwork import PARKED, Clockwork
from .log import tell
from .ping import fetch
from .rule import period_of
from .vitals import AHEAD, KEPT_LONG, WORKING, Keeper

STALE = timedelta(minutes=10)
"""A periodic job that was claimed so long ago and is not done is claimed again: whoever had it failed or died (D)."""

KEYS, PRESENCES, DONE, SILENT = timedelta(days=30), timedelta(days=90), timedelta(days=60), timedelta(days=7)
"""How long housekeeping keeps answers to repeated commands, absences that are over, done jobs, daemons that fell silent (D)."""

SENT_IDLE = 60.0
"""Seconds after which the outbox is looked through though nothing in it is due."""

PARKED_EVERY = 10.0
"""Seconds between two tries to tell that the clock is not believed."""

BESIDE, FEW = 2.0, 100
"""While a large backlog is swept, so many messages are sent every so many seconds: whoever is owed one hears that something is up."""

MOST = 100_000
"""So many unfired rungs are counted; more is no other alarm."""

DIGEST_HOUR = 7
"""China's hour from which on the digest of a day is made, and the units are looked at by the rules of supervision (D)."""


class Jobs:
    """Every job but the round and the beat. Each one is called by the metronome and says in the meters what came of it."""

    def __init__(self, works: Clockwork) -> None:
        """Work beside these rounds."""
        self.works, self.engine, self.vitals, self.meter = works, works.engine, works.vitals, works.meter
        self._pinged = self._sent = 0.0
        self._owed = False       # a digest was made, and stands in no index of what is to be sent
        self._ping_fails = False
        self._said: dict[str, str] = {}
        self._keeper_said = 0.0  # since when the keeper of the lock has it who was told of last

    @property
    def allowed(self) -> bool:
        """Whether this daemon works: one that steps aside or does not believe its clock neither sends nor seals."""
        return self.vitals.state == WORKING and not self.vitals.aside and not self.vitals.lost and not self.vitals.stopping

    # ---- telling ----------------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Send what the outbox holds, if anything is due."""
        pulse, mono = self.vitals.pulse, time.monotonic()
        if self.vitals.state == "clock":
            self._tell_of_clock(mono)
        if not (self.allowed and self.engine.channels and pulse is not None):
            return
        if self.works.backlog and "sweep" in self.vitals.running and mono - self._sent < BESIDE:
            return   # both write: what is due is found first, and some are told meanwhile
        due = pulse.try_at is not None and pulse.try_at <= self.engine.now()
        if due or self._owed or mono - self._sent > SENT_IDLE:
            self._sent, self._owed = mono, False
            few = self.works.backlog and "sweep" in self.vitals.running
            report = self.engine.deliver(limit=FEW if few else None, go_on=self._goes_on)
            self.meter.sent.inc(report.sent)
            self.meter.unsent.inc(report.failed)

    def _tell_of_clock(self, mono: float) -> None:
        """Send the one word that goes out though this clock is not believed: that it is not, by the time that was measured."""
        if self.engine.channels and not self.vitals.aside and not self.vitals.lost and mono - self._sent >= PARKED_EVERY:
            self._sent = mono
            report = self.engine.deliver_about(PARKED, self.works.measured, self._goes_on)
            self.meter.sent.inc(report.sent)
            self.meter.unsent.inc(report.failed)

    def _goes_on(self) -> bool:
        """Keep that a message more was tried: an outbox that takes an hour is not a job that hangs; False once the daemon is to stop."""
        self.vitals.moved("deliver")
        return not self.vitals.stopping

    def ping(self) -> None:
        """Fetch the dead-man URL, if a round succeeded since the last time."""
        url = self.works.settings.ping_url
        if not url or self.vitals.succeeded <= self._pinged or not self.allowed:
            return
        began = time.monotonic()
        failed = fetch(url)
        self.meter.pings.labels("failed" if failed else "done").inc()
        if not failed:
            self._pinged = began
        if bool(failed) != self._ping_fails:
            self._ping_fails = bool(failed)
            if failed:
                tell("warning", "daemon.ping_failed", reason=failed)
            else:
                tell("info", "daemon.ping_back")

    # ---- measuring --------------------------------------------------------------------------------------------------

    def measure(self) -> None:
        """Read what waits, for the meters."""
        self._look_at_lock()
        now = self.engine.now()
        with self.engine.store.reading() as tx:
            found, latest = tx.backlog(now), tx.latest_record()
        self._look_at_records(now, latest)
        self.meter.oldest.set((now - found.oldest_due).total_seconds() if found.oldest_due is not None else 0)
        self.meter.outbox.set(found.waiting)
        age = (now - found.oldest_waiting).total_seconds() if found.oldest_waiting is not None else 0
        self.meter.outbox_age.set(max(age, 0))

    def _look_at_lock(self) -> None:
        """See whether one process keeps SQLite's write lock: nobody else can write then, and somebody has to be told who it is."""
        holder, before = self.works.store.lock_holder(), self.vitals.keeper
        same = before is not None and holder is not None and (before.holder.pid, before.holder.wrote_at) == (holder.pid, holder.wrote_at)
        since = before.since if same and before is not None else time.monotonic()
        keeper = self.vitals.keeper = Keeper(holder, since) if holder is not None else None
        seconds = keeper.seconds if keeper is not None else 0.0
        self.meter.kept.set(seconds)
        if keeper is not None and seconds >= KEPT_LONG and self._keeper_said != keeper.since:
            self._keeper_said = keeper.since
            tell("error", "daemon.lock_kept", pid=keeper.holder.pid, stopped=keeper.holder.stopped, seconds=round(seconds))

    def _look_at_records(self, now: datetime, latest: datetime | None) -> None:
        """See whether somebody's clock that writes to the log is ahead of this one."""
        ahead = max((latest - now).total_seconds(), 0.0) if latest is not None else 0.0
        self.meter.ahead.set(ahead)
        if ahead >= AHEAD > self.vitals.ahead:
            tell("warning", "daemon.records_ahead", seconds=round(ahead))
        self.vitals.ahead = ahead

    def audit(self) -> None:
        """Look for what must never be: an open case without a clock, a rung that is due and did not fire; count what runs."""
        now = self.engine.now()
        with self.engine.store.reading() as tx:
            for check, count in (("clocked", tx.clockless_count()), ("unfired", tx.due_count(now - PATIENCE, MOST))):
                self.meter.findings.labels(check).set(count)
                if count:
                    tell("error", "daemon.promise_broken", check=check, cases=count)
            self.meter.armed.set(tx.armed_count())
            self.meter.dead.set(tx.dead_count())

    # ---- once among all daemons -------------------------------------------------------------------------------------

    def periodic(self) -> None:
        """Do the periodic jobs of this period that nobody did yet."""
        now = self.engine.now()
        local = now.astimezone(CHINA)
        if local.hour >= DIGEST_HOUR:
            for kind in ("daily", "weekly"):
                made = partial(self.engine.digest, kind=kind, now=now)
                self._owed = self._once(f"digest.{kind}", now, made) or self._owed
            self._once("supervise", now, self.engine.supervise)
        self._once("seal", now, lambda: self.engine.seal(key_file=self.works.settings.seal_key_file))
        self._once("housekeeping", now, lambda: self._clear_away(now))

    def _once(self, job: str, now: datetime, call: Callable[[], object]) -> bool:
        """Do a job if nobody did in this period; return whether it was done here and now."""
        period, me = period_of(job, now), self.works.me.id
        if not self.allowed:
            return False
        with self.engine.store.reading() as tx:
            if not tx.job_open(job, period, now - STALE):
                return False
        with self.engine.store.writing() as tx:
            if not tx.claim_job(job, period, me, now, now - STALE):
                return False
        try:
            call()
        except CrisisError as error:
            if type(error) is StoreError and self.vitals.lost:
                raise
            self.meter.jobs.labels(job, "failed").inc()
            if self._said.get(job) != error.message:   # once: it is tried again every few minutes
                tell("error", "daemon.job_failed", job=job, reason=error.message)
            self._said[job] = error.message
            return False
        self._said.pop(job, None)
        self.meter.jobs.labels(job, "done").inc()
        with self.engine.store.writing() as tx:
            tx.finish_job(job, period, me, now)
        return True

    def _clear_away(self, now: datetime) -> None:
        with self.engine.store.writing(alone=True) as tx:   # absences are part of the roster
            gone = tx.clear_away(keys=now - KEYS, presences=now - PRESENCES, jobs=now - DONE, daemons=now - SILENT)
        gone |= self.engine.clear_messages(now, lambda: not self.vitals.stopping)
        tell("info", "daemon.cleared_away", **gone)
