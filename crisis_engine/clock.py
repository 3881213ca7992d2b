"""The one door to the wall clock."""

from __future__ import annotations

from datetime import UTC, datetime


def wall_clock() -> datetime:
    """Return the present instant in UTC. The engine takes any other callable of this shape instead."""
    return datetime.now(UTC)
