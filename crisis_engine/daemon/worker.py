"""Further processes for a large backlog: each sweeps its share by the console's own command and ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from .log import tell


class Workers:
    """Starts `crisis sweep --share` for the shares that this process leaves to others, while a backlog is large."""

    def __init__(self, most: int, env: Mapping[str, str] | None = None) -> None:
        """Know how many processes may sweep, this one included, and the environment that names the database."""
        self.most, self._env = most, dict(os.environ if env is None else env)
        self._running: list[subprocess.Popen[bytes]] = []
        self.share: tuple[int, int] = (0, 1)

    @property
    def busy(self) -> bool:
        """Whether any of them still sweeps."""
        self._running = [one for one in self._running if one.poll() is None]
        return bool(self._running)

    def help(self, *, large: bool) -> None:
        """Start them for a large backlog that none of them works on yet; the next sweep here is then for one share alone."""
        if self.busy:
            return
        self.share = (0, 1)
        if not large:
            return
        for place in range(2, self.most + 1):
            command = [sys.executable, "-m", "crisis_engine", "sweep", "--share", f"{place}/{self.most}", "--json"]
            self._running.append(subprocess.Popen(command, env=self._env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,  # noqa: S603 (our own program)
                                                  stderr=subprocess.DEVNULL))
        self.share = (0, self.most)
        tell("info", "daemon.workers_started", workers=self.most - 1)

    def stop(self) -> None:
        """End them: what a batch had not committed is undone and stays due."""
        for one in self._running:
            with suppress(OSError):
                one.terminate()
        for one in self._running:
            with suppress(subprocess.TimeoutExpired):
                one.wait(2)
        self._running = []
