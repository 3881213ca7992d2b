"""The daemon: the clockwork that never sleeps through a deadline, and all that watches whether it runs."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .process import Daemon
    from .settings import Settings
    from .status import StatusReport, status

__all__ = ["Daemon", "Settings", "StatusReport", "status"]

_HOME = {"Daemon": "process", "Settings": "settings"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (one of __all__)
    """Import the room of a name at its first use: a sweep of one share needs the pace alone, and is one of several processes."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'status')}"), name)
