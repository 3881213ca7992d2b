"""The engine: gather, decide, apply, in three visible steps, and nothing of the rules or of SQL."""

from .face import Engine, open_engine

__all__ = ["Engine", "open_engine"]
