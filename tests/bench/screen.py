"""What a person who watches sees while it works: one line that is written over, on stderr, and nothing in a pipe."""

from __future__ import annotations

import sys


def progress(text: str) -> None:
    """Say what is going on when a person watches; an empty text wipes the line."""
    if sys.stderr.isatty():
        print(f"\r{text:<78}" + ("" if text else "\r"), end="", file=sys.stderr, flush=True)
