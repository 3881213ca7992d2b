"""Help for whoever writes definitions: what changed between two of them, the shape of each kind of file, a file to begin with."""

from __future__ import annotations

from crisis_engine.author.difference import Change, differences
from crisis_engine.author.scaffold import scaffold
from crisis_engine.author.schema import FILE_KINDS, schema_of
from crisis_engine.author.tell import grouped

__all__ = ["FILE_KINDS", "Change", "differences", "grouped", "scaffold", "schema_of"]
