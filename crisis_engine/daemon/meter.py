"""The meters that Prometheus reads: no label and no value says which case or whose."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600)


class Meter:
    """Every meter of one daemon, in a registry of its own: a host's meters are elsewhere."""

    def __init__(self) -> None:
        """Make them, all at zero."""
        self.registry = CollectorRegistry()
        own = self.registry
        self.lateness = Histogram("crisis_rung_lateness_seconds", "How long after its time a rung was written.",
                                  buckets=BUCKETS, registry=own)
        self.rounds = Counter("crisis_rounds", "Rounds of the clockwork, also those that found nothing due.", registry=own)
        self.cases = Counter("crisis_cases_swept", "Cases written by sweeps.", registry=own)
        self.rungs = Counter("crisis_rungs_fired", "Rungs fired.", registry=own)
        self.handed = Counter("crisis_cases_handed_over", "Cases handed over because a duty or presence ended.", registry=own)
        self.failed = Counter("crisis_cases_failed", "Cases that a sweep could not move.", registry=own)
        self.sent = Counter("crisis_messages_sent", "Messages that a channel took.", registry=own)
        self.unsent = Counter("crisis_messages_failed", "Messages that no channel took; they come again.", registry=own)
        self.jobs = Counter("crisis_jobs", "Periodic jobs by what came of them.", ["job", "outcome"], registry=own)
        self.steps = Counter("crisis_clock_steps", "Steps of the wall clock against the stopwatch.", ["direction"], registry=own)
        self.step = Gauge("crisis_clock_step_seconds", "The last step of the wall clock; negative is back.", registry=own)
        self.apart = Gauge("crisis_clock_apart_seconds", "This machine's clock minus the database's.", registry=own)
        self.ahead = Gauge("crisis_record_ahead_seconds", "How far the log's newest record is ahead of this machine's clock.", registry=own)
        self.kept = Gauge("crisis_write_lock_kept_seconds", "For how long one process has kept SQLite's write lock.", registry=own)
        self.outages = Counter("crisis_database_outages", "Times that the database could not be used.", registry=own)
        self.pings = Counter("crisis_pings", "Dead-man pings by what came of them.", ["outcome"], registry=own)
        self.oldest = Gauge("crisis_oldest_due_seconds", "For how long the oldest rung has been due; 0 when none is.", registry=own)
        self.outbox = Gauge("crisis_outbox_notices", "Notices that wait.", registry=own)
        self.outbox_age = Gauge("crisis_outbox_age_seconds", "For how long the oldest waiting notice could have been sent.", registry=own)
        self.dead = Gauge("crisis_dead_letters", "Notices that nobody could be told.", registry=own)
        self.armed = Gauge("crisis_armed_deadlines", "Deadlines that run.", registry=own)
        self.findings = Gauge("crisis_audit_findings", "Cases that broke a promise when the auditor last looked.", ["check"], registry=own)
        self.working = Gauge("crisis_daemon_working", "1 while this daemon sweeps, 0 while it steps aside or cannot.", registry=own)
        self.daemons = Gauge("crisis_daemons_living", "Daemons that live on this database.", registry=own)

    def text(self) -> bytes:
        """Return all of them as Prometheus reads them."""
        return generate_latest(self.registry)
