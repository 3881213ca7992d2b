"""What daemons ask and keep: what is due next, who else lives, which periodic job is whose, what may be cleared away."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from crisis_engine.store.instant import instant, instant_or_none, micros, micros_or_none
from crisis_engine.store.outbox import SHARED_OUT, OutboxRows

DEFINITIONS = "definitions"
"""The job under whose name each set of definitions is kept with the instant at which it was first seen."""

_PULSE = (
    "SELECT (SELECT min(next_at) FROM crisis_case WHERE final IS NULL),"
    " (SELECT min(ends_at) FROM crisis_duty WHERE handed_at IS NULL AND ends_at IS NOT NULL),"
    " (SELECT min(begins_at) FROM crisis_absence WHERE handed_at IS NULL),"
    " (SELECT min(waits.at) FROM (SELECT min(next_try_at) AS at FROM crisis_notice WHERE status = 'waiting' AND next_try_at < :shared"
    " UNION ALL SELECT min(next_try_at) FROM crisis_message WHERE status = 'waiting' AND urgent = TRUE"
    " UNION ALL SELECT min(next_try_at) FROM crisis_message WHERE status = 'waiting' AND urgent = FALSE"
    " UNION ALL SELECT min(at) FROM crisis_digest WHERE shared_at IS NULL) AS waits),"
    " (SELECT version_num FROM crisis_alembic_version),"
    " (SELECT value FROM crisis_meta WHERE name = 'clock_trusted')"
)
_WAITING = "SELECT count(*), min(coalesce(not_before, at)) FROM crisis_notice WHERE status = 'waiting' AND next_try_at < :shared"
_DAEMONS = ("SELECT id, host, pid, version, revision, definitions, definitions_at, started_at, beat_at, round_at, success_at, state"
            " FROM crisis_daemon ORDER BY started_at, id")


class Pulse(NamedTuple):
    """All that a round has to know before it does anything; read by index alone."""

    due_at: datetime | None         # the next rung of any open case
    left_at: datetime | None        # the next end of a duty or beginning of an absence that was not handed over
    try_at: datetime | None         # the next notice to share out, message to send or digest
    revision: str
    trusted: datetime | None        # what an operator confirmed the clock to say

    @property
    def next_at(self) -> datetime | None:
        """When a sweep has something to do."""
        return min((at for at in (self.due_at, self.left_at) if at is not None), default=None)


@dataclass(frozen=True, slots=True)
class Living:
    """A daemon as it last said of itself."""

    id: str
    host: str
    pid: int
    version: str
    revision: str
    definitions: str
    definitions_at: datetime
    started_at: datetime
    beat_at: datetime
    round_at: datetime | None = None
    success_at: datetime | None = None
    state: str = "working"


class Backlog(NamedTuple):
    """What waits, for those who watch."""

    oldest_due: datetime | None
    waiting: int
    oldest_waiting: datetime | None


class ClockWord(NamedTuple):
    """Somebody's word that a clock is right, and what that clock said."""

    at: datetime
    by: str


class DaemonRows(OutboxRows):
    """The daemons' own rows."""

    def pulse(self) -> Pulse:
        """Return what is due next, the version of the schema, and what an operator said of the clock."""
        due, ends, begins, tries, revision, trusted = self._rows(_PULSE, shared=SHARED_OUT)[0]
        left = min((at for at in (ends, begins) if at is not None), default=None)
        return Pulse(instant_or_none(due), instant_or_none(left), instant_or_none(tries), str(revision),
                     datetime.fromisoformat(trusted) if trusted else None)

    def due_count(self, now: datetime, most: int) -> int:
        """Return how many open cases are due, counted no further than `most`."""
        return int(self._value("SELECT count(*) FROM (SELECT 1 FROM crisis_case WHERE final IS NULL AND next_at <= :now LIMIT :most) d",
                               now=micros(now), most=most))

    def clockless_count(self) -> int:
        """Return how many open cases have no next rung: a constraint refuses them, so none. By index; the doctor looks at each case."""
        return int(self._value("SELECT count(*) FROM crisis_case WHERE final IS NULL AND next_at IS NULL"))

    def nearest_case(self) -> int | None:
        """Return the row of the open case whose rung fires next: under its number an alarm about the machine itself is told."""
        row = self._value("SELECT id FROM crisis_case WHERE final IS NULL ORDER BY next_at LIMIT 1")
        return None if row is None else int(row)

    def policies(self) -> list[str]:
        """Return the policies that units chose."""
        return [str(policy) for (policy,) in self._rows("SELECT DISTINCT policy FROM crisis_unit WHERE policy IS NOT NULL ORDER BY policy")]

    def armed_count(self) -> int:
        """Return how many deadlines run."""
        return int(self._value("SELECT count(*) FROM crisis_deadline WHERE status = 'armed'"))

    def backlog(self, now: datetime) -> Backlog:
        """Return the oldest rung that is due, and the outbox: how many wait, since when."""
        oldest = self._value("SELECT min(next_at) FROM crisis_case WHERE final IS NULL AND next_at <= :now", now=micros(now))
        waiting, since = self._rows(_WAITING, shared=SHARED_OUT)[0]
        # What rests for quiet hours or a limit waits for nobody; what is due, or failed before, does.
        tried = self._value("SELECT min(made_at) FROM crisis_message WHERE status = 'waiting' AND (next_try_at <= :now OR tries > 0)",
                            now=micros(now))
        unsent = self._value("SELECT count(*) FROM crisis_message WHERE status = 'waiting'")
        return Backlog(instant_or_none(oldest), int(waiting) + int(unsent),
                       instant_or_none(min((at for at in (since, tried) if at is not None), default=None)))

    def dead_count(self) -> int:
        """Return how many notices nobody could be told."""
        return int(self._value(
            "SELECT count(DISTINCT n.id) FROM crisis_message m JOIN crisis_message_notice l ON l.message_id = m.id"
            " JOIN crisis_notice n ON n.id = l.notice_id WHERE m.status = 'dead' AND n.status = 'dead'"))

    # ---- daemons ----------------------------------------------------------------------------------------------------

    def daemons(self) -> list[Living]:
        """Return every daemon that ever said that it lives and did not say that it ended, the first started first."""
        return [
            Living(name, host, int(pid), version, revision, digest, instant(digest_at), instant(started), instant(beat),
                   instant_or_none(last), instant_or_none(success), state)
            for name, host, pid, version, revision, digest, digest_at, started, beat, last, success, state in self._rows(_DAEMONS)
        ]

    def put_daemon(self, one: Living) -> None:
        """Keep what a daemon says of itself, in the place of what it said before."""
        self._run(
            "INSERT INTO crisis_daemon (id, host, pid, version, revision, definitions, definitions_at, started_at, beat_at, round_at,"
            " success_at, state) VALUES (:id, :host, :pid, :version, :revision, :definitions, :definitions_at, :started, :beat, :round,"
            " :success, :state) ON CONFLICT (id) DO UPDATE SET beat_at = excluded.beat_at, round_at = excluded.round_at,"
            " success_at = excluded.success_at, state = excluded.state, definitions = excluded.definitions,"
            " definitions_at = excluded.definitions_at",
            id=one.id, host=one.host, pid=one.pid, version=one.version, revision=one.revision, definitions=one.definitions,
            definitions_at=micros(one.definitions_at), started=micros(one.started_at), beat=micros(one.beat_at),
            round=micros_or_none(one.round_at), success=micros_or_none(one.success_at), state=one.state,
        )

    def forget_daemon(self, daemon: str) -> None:
        """Afterwards nobody waits for a daemon that ended in order."""
        self._run("DELETE FROM crisis_daemon WHERE id = :id", id=daemon)

    def first_seen(self, definitions: str, daemon: str, now: datetime) -> datetime:
        """Return when this set of definitions was first seen on this database: now, if it never was."""
        self.claim_job(DEFINITIONS, definitions, daemon, now, now)
        return instant(self._value("SELECT at FROM crisis_job WHERE job = :job AND period = :period", job=DEFINITIONS, period=definitions))

    def put_clock_word(self, at: datetime, by: str) -> None:
        """Keep for good who said that a clock is right, and what it said."""
        self._run('INSERT INTO crisis_clock_word (at, "by") VALUES (:at, :by)', at=micros(at), by=by)

    def last_clock_word(self) -> ClockWord | None:
        """Return who said last that a clock is right."""
        row = self._row('SELECT at, "by" FROM crisis_clock_word ORDER BY id DESC LIMIT 1')
        return None if row is None else ClockWord(instant(row[0]), row[1])

    def latest_record(self) -> datetime | None:
        """Return the instant of the log's newest record: whoever wrote it, it was now by that machine's clock, or the case's last."""
        return instant_or_none(self._value("SELECT at FROM crisis_event ORDER BY id DESC LIMIT 1"))

    # ---- periodic jobs ----------------------------------------------------------------------------------------------

    def claim_job(self, job: str, period: str, daemon: str, now: datetime, stale: datetime) -> bool:
        """Whether this daemon does the job of this period: nobody else claimed it, or whoever did has not finished since `stale`."""
        if self._run("INSERT INTO crisis_job (job, period, daemon, at) VALUES (:job, :period, :daemon, :now) ON CONFLICT DO NOTHING",
                     job=job, period=period, daemon=daemon, now=micros(now)):
            return True
        if job == DEFINITIONS:
            return False
        return bool(self._run(
            "UPDATE crisis_job SET daemon = :daemon, at = :now WHERE job = :job AND period = :period AND done_at IS NULL AND at < :stale",
            job=job, period=period, daemon=daemon, now=micros(now), stale=micros(stale)))

    def job_open(self, job: str, period: str, stale: datetime) -> bool:
        """Whether the job of this period may be claimed; asked without a lock before each try."""
        return not self._value("SELECT 1 FROM crisis_job WHERE job = :job AND period = :period AND (done_at IS NOT NULL OR at >= :stale)",
                               job=job, period=period, stale=micros(stale))

    def finish_job(self, job: str, period: str, daemon: str, now: datetime) -> None:
        """Keep that the job of this period is done, if it is still this daemon's."""
        self._run("UPDATE crisis_job SET done_at = :now WHERE job = :job AND period = :period AND daemon = :daemon",
                  job=job, period=period, daemon=daemon, now=micros(now))

    # ---- clearing away ----------------------------------------------------------------------------------------------

    def clear_away(self, *, keys: datetime, presences: datetime, jobs: datetime, daemons: datetime) -> dict[str, int]:
        """Delete what nobody asks for any more, each older than its instant; return how many rows of each went.

        Answers under idempotency keys, absences that are over and were handed over, done jobs, silent daemons. Nothing else is ever
        deleted here: the log, its cases and what people read is none of the daemon's.
        """
        return {
            "keys": self._run("DELETE FROM crisis_command_key WHERE made_at < :before", before=micros(keys)),
            "absences": self._run("DELETE FROM crisis_absence WHERE handed_at IS NOT NULL AND ends_at < :before AND handed_at < :before",
                                  before=micros(presences)),
            "jobs": self._run("DELETE FROM crisis_job WHERE job <> :kept AND at < :before", kept=DEFINITIONS, before=micros(jobs)),
            "daemons": self._run("DELETE FROM crisis_daemon WHERE beat_at < :before", before=micros(daemons)),
        }
