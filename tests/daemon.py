"""A real daemon in a process of its own for tests: started on a database, watched by its log, ended by signals."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import Self

ROOT = Path(__file__).parent.parent
LONG = 60.0
"""Seconds after which a test gives up: a machine that is shared may be slow."""


class RunningDaemon:
    """`crisis daemon` as a supervisor would start it; leaving the block kills what still runs."""

    def __init__(self, url: str, *options: str, **env: str) -> None:
        bare = {name: value for name, value in os.environ.items() if not name.startswith("CRISIS_")}
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "crisis_engine", "daemon", "--listen", "127.0.0.1:0", "--workers", "1", *options],
            env={**bare, "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)), "CRISIS_DB": url, "CRISIS_LANG": "en", **env}, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait()
        self._reader.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()

    @property
    def log(self) -> str:
        """All that it logged so far."""
        return "".join(self.lines)

    def heard(self, pattern: str, seconds: float = LONG) -> str:
        """Wait until it logs something; return what the pattern's first group found, or all of it."""
        end = monotonic() + seconds
        while monotonic() < end:
            found = re.search(pattern, self.log)
            if found is not None:
                return found[1] if found.groups() else found[0]
            assert self.process.poll() is None or self._reader.is_alive(), f"it ended with {self.process.returncode}:\n{self.log}"
            sleep(0.02)
        raise AssertionError(f"no {pattern} within {seconds} s:\n{self.log}")

    def ready(self) -> Self:
        """Wait for its first round."""
        self.heard("daemon.first_round_done")
        return self

    def get(self, path: str) -> tuple[int, str]:
        """Fetch a page of its server."""
        host, _, port = self.heard(r"daemon\.listening address=(\S+)").rpartition(":")
        connection = HTTPConnection(host, int(port), timeout=LONG)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def meter(self, name: str) -> float:
        """Return what a meter shows."""
        found = re.search(rf"^{re.escape(name)} (\S+)$", self.get("/metrics")[1], re.MULTILINE)
        assert found is not None, name
        return float(found[1])

    def tell(self, what: signal.Signals) -> None:
        """Send a signal."""
        self.process.send_signal(what)

    def end(self, what: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.tell(what)
        code = self.process.wait(LONG)
        self._reader.join(5)
        return code
