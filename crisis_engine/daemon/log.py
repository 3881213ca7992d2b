"""The daemon's log: identifiers with fields and a level; the entry point configures where it goes."""

from __future__ import annotations

import logging
from typing import Literal

import structlog

Level = Literal["info", "warning", "error", "critical"]


def tell(level: Level, event: str, **fields: object) -> None:
    """Log one event; fields carry counts, times and names of machines, never a person, a case or an address of a channel."""
    if structlog.is_configured():
        getattr(structlog.get_logger("crisis_engine.daemon"), level)(event, **fields)
    else:
        getattr(logging.getLogger("crisis_engine.daemon"), level)(
            "%s %s", event, " ".join(f"{key}={value}" for key, value in fields.items()))
