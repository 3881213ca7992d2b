"""Further processes for a large backlog: each sweeps its share by the console's own command and ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress

from .log import tell

LONGEST = 600.0
"""Seconds after which such a process is ended: it may hang and hold locks; what it had not committed stays due (D)."""


class Workers:
    """Starts `crisis sweep --share` for the shares that this process leaves to others, while a backlog is large."""

    def __init__(self, most: int, env: Mapping[str, str] | None = None) -> None:
        """Know how many processes may sweep, this one included, and the environment that names the database."""
        self.most, self._env = most, dict(os.environ if env is None else env)
        self._running: list[subprocess.Popen[bytes]] = []
        self._began = 0.0
        self.share: tuple[int, int] = (0, 1)

    @property
    def busy(self) -> bool:
        """Whether any of them still sweeps, or hangs."""
        if self._running and time.monotonic() - self._began > LONGEST:
            tell("error", "daemon.workers_hung", workers=len(self._running))
            for one in self._running:
                with suppress(OSError, subprocess.TimeoutExpired):
                    one.kill()
                    one.wait(2)
        self._running = [one for one in self._running if one.poll() is None]
        return bool(self._running)

    def help(self, *, large: bool) -> None:
        """Start them for a large backlog that none of them works on yet; the next sweep here is then for one share alone."""
        if self.busy:
            return
        self.share = (0, 1)
        if not large:
            return
        self._began = time.monotonic()
        try:
            for place in range(2, self.most + 1):
                self._running.append(self._start(f"{place}/{self.most}"))
        except OSError as error:   # no memory, no process left: then everything is swept here, slower
            tell("error", "daemon.workers_failed", error=type(error).__name__)
            return
        self.share = (0, self.most)
        tell("info", "daemon.workers_started", workers=self.most - 1)

    def _start(self, share: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-P", "-m", "crisis_engine", "sweep", "--share", share, "--json"]   # -P: nothing in this folder is run
        return subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,  # noqa: S603 (our own program)
                                stderr=subprocess.DEVNULL)

    def take_all(self) -> None:
        """Sweep every share here from the next time on: the own one holds nothing any more, and whoever has the others may hang."""
        self.share = (0, 1)

    def stop(self) -> None:
        """End them: what a batch had not committed is undone and stays due."""
        for one in self._running:
            with suppress(OSError):
                one.terminate()
        for one in self._running:
            with suppress(subprocess.TimeoutExpired):
                one.wait(2)
        self._running = []
