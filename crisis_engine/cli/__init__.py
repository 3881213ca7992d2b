"""The console `crisis`: parses, names the actor, calls the engine, prints; no rule and no SQL lives here."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (DESIGN.md section 7); a refusal is one sentence on stderr, never a traceback."""
    from crisis_engine.cli.run import run

    return run(argv)
