"""Rehearse a procedure before a child depends on it: the real core on a virtual clock, without a database."""

from __future__ import annotations

from crisis_engine.simulate.book import Book, Shelf
from crisis_engine.simulate.rehearsal import Rehearsal

__all__ = ["Book", "Rehearsal", "Shelf"]
