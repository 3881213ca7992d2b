"""Memory that a large piece of work has left free: a daemon runs for months, and its machine may want it."""

from __future__ import annotations

import ctypes
from contextlib import suppress


def give_back() -> None:
    """Return to the system what the allocator keeps for later; where it is not glibc's nothing happens."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
