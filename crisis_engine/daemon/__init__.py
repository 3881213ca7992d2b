"""The daemon: the clockwork that never sleeps through a deadline, and all that watches whether it runs."""

from __future__ import annotations

from .process import Daemon
from .settings import Settings
from .status import StatusReport, status

__all__ = ["Daemon", "Settings", "StatusReport", "status"]
