"""The process: starts the metronome, listens to signals, ends when it is told to, and ends itself when it hangs."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event
from typing import TYPE_CHECKING

from crisis_engine.core.errors import BadInput, CrisisError

from .clockwork import ASIDE, Clockwork
from .job import Jobs
from .listener import Listener
from .log import tell
from .meter import Meter
from .metronome import Metronome
from .server import WatchServer
from .settings import LISTEN, Settings
from .systemd import Systemd
from .vitals import Vitals
from .worker import Workers

if TYPE_CHECKING:
    from crisis_engine.engine import Engine

HUNG = 70
"""The exit code of a process that ends itself: a supervisor starts it again."""

LEFT = 6
"""The exit code of a daemon that steps aside, where it was told to end then."""

LOOK = 0.25
"""Seconds between two looks of the main thread at the others."""


class Daemon:
    """One daemon on one database; `run` returns the exit code."""

    def __init__(self, engine: Engine, settings: Settings, env: Mapping[str, str] | None = None) -> None:
        """Read everything once: what is wrong is said now. Raises BadInput, StoreError, DefinitionError."""
        env = os.environ if env is None else env
        self.engine, self.settings = engine, settings
        self.vitals, self.meter = Vitals(), Meter()
        self.works = Clockwork(engine, settings, self.vitals, self.meter, Workers(settings.workers, env))
        self.jobs = Jobs(self.works)
        self.metronome = Metronome()
        self.listener = Listener(self.works.store, self.vitals, self._called)
        self._systemd = Systemd(env, os.getpid())
        self._stop, self._reload = Event(), False
        self._server = self._serve()

    def _serve(self) -> WatchServer | None:
        if self.settings.listen == "none":
            return None
        host, _, port = self.settings.listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:  # noqa: PLR2004 (the last port there is)
            raise BadInput("This is no address to listen at.", way_out=f"Write it such as {LISTEN}, or none.")
        try:
            server = WatchServer(host.strip("[]"), int(port), self.vitals, self.meter, stuck_after=self.settings.stuck_after,
                                 recent=2 * self.settings.stuck_after)
        except OSError as error:
            if self.settings.listen_must:
                raise BadInput("Nobody can listen at that address.", way_out="Choose another with --listen, or none.") from error
            tell("warning", "daemon.listen_taken", address=self.settings.listen)   # a second daemon on the machine: alarms come first
            return None
        tell("info", "daemon.listening", address=server.address)
        return server

    # ---- running ----------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Run until a signal, or once; return the exit code."""
        if self.settings.once:
            return self._run_once()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self._on_stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, self._on_reload)
        me = self.works.me
        tell("info", "daemon.started", id=me.id, host=me.host, pid=me.pid, version=me.version, schema=me.revision,
             definitions=me.definitions)
        if not self.engine.channels:
            tell("warning", "daemon.no_channel")   # what is owed waits in the outbox for whoever sends it
        self._guarded("beat", self.works.beat)()
        self._add_jobs()
        self.metronome.start()
        self.listener.start()
        self._systemd.tell("READY=1", "STATUS=running")
        code = self._watch()
        if code != HUNG:
            code = self._drain(code)
        return code

    def _add_jobs(self) -> None:
        settings, jobs = self.settings, self.jobs
        self.metronome.add("sweep", self._round, settings.poll)
        self.metronome.add("beat", self._guarded("beat", self.works.beat), settings.beat)
        self.metronome.add("deliver", self._guarded("deliver", jobs.deliver), 1.0)
        self.metronome.add("measure", self._guarded("measure", jobs.measure), 5.0)
        self.metronome.add("audit", self._guarded("audit", jobs.audit), 300.0)
        self.metronome.add("periodic", self._guarded("periodic", jobs.periodic), 30.0)
        if settings.ping_url:
            self.metronome.add("ping", self._guarded("ping", jobs.ping), settings.ping_every)

    def _run_once(self) -> int:
        try:
            self.works.beat()
            wait = self.works.turn()
            for job in (self.jobs.deliver, self.jobs.periodic, self.jobs.measure, self.jobs.audit, self.jobs.ping):
                job()
            del wait
        finally:
            self.close()
        return LEFT if self.vitals.state in ASIDE or self.vitals.state == "clock" else 0

    def _round(self) -> None:
        """One round, and the metronome knows when the next one is."""
        wait = 1.0
        self.vitals.called = False
        with self.vitals.at_work("sweep"):
            try:
                before = self.vitals.success_at
                wait = self.works.turn()
                if self.vitals.called:
                    self.vitals.called, wait = False, 0.0
                if before is None and self.vitals.success_at is not None:
                    tell("info", "daemon.first_round_done")
            except Exception as error:  # noqa: BLE001 - a bug in one round must not end all that follow; /readyz and the ping tell of it
                tell("critical", "daemon.round_failed", error=type(error).__name__)
        if self.vitals.pulse is not None and self.vitals.pulse.try_at is not None and self.vitals.success_at is not None \
                and self.vitals.pulse.try_at <= self.vitals.success_at and "deliver" not in self.vitals.running:
            self.metronome.wake("deliver")
        self.metronome.wake("sweep", wait)

    def _called(self) -> None:
        """The database called: come at once, or once more."""
        self.vitals.called = True
        self.metronome.wake("sweep")

    def _guarded(self, name: str, job: Callable[[], None]) -> Callable[[], None]:
        """Return the job so that whatever it raises ends this call of it alone; a database that is away is the round's to tell of."""
        def call() -> None:
            if self.vitals.stopping:
                return
            with self.vitals.at_work(name):
                try:
                    job()
                except CrisisError as error:
                    tell("info" if self.vitals.lost else "warning", "daemon.job_put_off", job=name, reason=error.message)
                except Exception as error:  # noqa: BLE001 - see above
                    tell("critical", "daemon.job_broke", job=name, error=type(error).__name__)

        return call

    # ---- the watch of the main thread -------------------------------------------------------------------------------

    def _watch(self) -> int:
        """Look at the other threads until a signal comes or one of them hangs; return the exit code."""
        nudged = told = time.monotonic()
        while not self._stop.wait(LOOK):
            now = time.monotonic()
            if not self.metronome.alive:
                return self._hung("the metronome's thread ended")
            job = self.vitals.stuck(self.settings.stuck_after)
            if job:
                return self._hung(job)
            if "sweep" not in self.vitals.running and self.vitals.silent() > max(2.0, 2 * self.settings.poll) \
                    and not self.vitals.lost and now - nudged > 2.0:  # noqa: PLR2004 (seconds)
                nudged = now
                self.metronome.nudge()
            if self.vitals.silent() > 2 * self.settings.stuck_after and "sweep" not in self.vitals.running:
                return self._hung("no round began")
            if self._reload:
                self._reload = False
                self._reloaded()
            if self.settings.exit_when_aside and self.vitals.aside:
                tell("warning", "daemon.left", because=self.vitals.aside)
                return LEFT
            if self._systemd.every is not None and now - told >= self._systemd.every:
                told = now
                self._systemd.tell("WATCHDOG=1", f"STATUS={self.vitals.state}")
        return 0

    def _hung(self, what: str) -> int:
        tell("critical", "daemon.hung", what=what, exit_code=HUNG)
        return HUNG

    def _on_stop(self, _signal: int, _frame: object) -> None:
        if self._stop.is_set():   # asked twice: now
            self.works.workers.stop()
            os._exit(0)
        self._stop.set()

    def _on_reload(self, _signal: int, _frame: object) -> None:
        self._reload = True

    def _reloaded(self) -> None:
        """Read definitions and channels again; a file that cannot be used leaves all as it was."""
        self._systemd.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            channels = self.settings.channels() if self.settings.channels is not None else None
            self.works.definitions = self.engine.reload()
            if channels is not None:
                self.engine.use_channels(channels)
        except CrisisError as error:
            tell("error", "daemon.reload_refused", reason=str(error))
        except Exception as error:  # noqa: BLE001 - whatever a file holds, it must not end the alarms
            tell("critical", "daemon.reload_refused", error=type(error).__name__)
        else:
            tell("info", "daemon.reloaded", definitions=self.works.definitions)
            self.metronome.wake("beat")
        self._systemd.tell("READY=1")

    def _drain(self, code: int) -> int:
        """Let what runs come to an end: a batch is finished, the next one does not begin."""
        self._systemd.tell("STOPPING=1")
        tell("info", "daemon.draining", running=",".join(sorted(self.vitals.running)))
        self.vitals.stopping = True
        self.metronome.stop()
        self.listener.stop()
        self.works.workers.stop()
        end = time.monotonic() + self.settings.drain
        while self.vitals.running and time.monotonic() < end:
            time.sleep(0.02)
        cut = ",".join(sorted(self.vitals.running))
        if cut:
            tell("warning", "daemon.cut_off", running=cut)   # at least once, under one key: nothing is lost by it
        self.close()
        tell("info", "daemon.ended", exit_code=code)
        return code

    def close(self) -> None:
        """Say good-bye to the others and listen no more."""
        with suppress(CrisisError):
            self.works.leave()
        if self._server is not None:
            self._server.close()


def end_now(code: int) -> None:
    """End the process without waiting for threads that hang; what was logged is out."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
