"""The engine: gather, decide, apply, in three visible steps, and nothing of the rules or of SQL."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .face import Engine, open_engine
    from .look import Look, open_look

__all__ = ["Engine", "Look", "open_engine", "open_look"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - one of __all__
    """Import the room of a name at its first use: a queue needs none of the rules and should not wait for them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{'look' if name in {'Look', 'open_look'} else 'face'}", __name__), name)
