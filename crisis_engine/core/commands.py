"""What somebody wants: frozen orders, in the imperative."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Open:
    """Open a case of a workflow by its opening move (a report opens a crisis case)."""

    unit: str
    subject: str | None
    fields: Mapping[str, Any]
    links: tuple[tuple[str, str], ...] = ()   # (relation, other case's number)


@dataclass(frozen=True, slots=True)
class Act:
    """Make a move, or answer a proposal: `confirm`, `decline`, `withdraw` are words of every workflow."""

    move: str
    fields: Mapping[str, Any] = field(default_factory=dict)


ANSWERS: tuple[str, ...] = ("confirm", "decline", "withdraw")
"""What can be said to an open proposal, in every workflow."""
