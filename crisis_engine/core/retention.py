"""How long what is kept on children is kept: numbers of a file, never pinned, in force at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from .calendar import Span

KEPT = ("case", "subject", "receipt", "read_log", "message")
"""What has a term: a closed case's secrets, a child's row of the roster, a receipt, the read log, messages and digests that went out."""


@dataclass(frozen=True, slots=True)
class Keep:
    """One term (保存期限), with its source and trust mark."""

    span: Span
    source: str
    mark: str


@dataclass(frozen=True, slots=True)
class Retention:
    """All terms."""

    keeps: Mapping[str, Keep]
    name: str = "retention"
    version: int = 1

    def before(self, what: str, now: datetime) -> datetime:
        """Return the instant before which a thing must have ended so that its term is over."""
        return now - self.keeps[what].span.wall
