"""Times as the tables hold them: whole microseconds since the epoch, so that they compare and index as numbers everywhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)


@lru_cache(4096)   # one decision has few instants, and each stands in many columns
def micros(at: datetime) -> int:
    """Return the microseconds from 1970-01-01 UTC to an aware instant; TypeError for a naive one."""
    return (at - _EPOCH) // _MICRO


def micros_or_none(at: datetime | None) -> int | None:
    """Return `micros(at)`, and None for None."""
    return None if at is None else micros(at)


@lru_cache(4096)
def instant(stored: int) -> datetime:
    """Return the aware UTC instant that `micros` made this number of."""
    return _EPOCH + timedelta(0, 0, stored)


def instant_or_none(stored: int | None) -> datetime | None:
    """Return `instant(stored)`, and None for None."""
    return None if stored is None else instant(stored)
