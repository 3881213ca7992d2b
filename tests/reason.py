"""Why a rule may be taken out of a definition without the loader or the proof failing: one reason for each kind of survivor."""

from __future__ import annotations

import re

from .mutant import Mutant

UNEXPLAINED = "unexplained"

REASONS: tuple[tuple[str, str, str], ...] = ()
"""File, key and kind as patterns, and the reason; the first that fits."""


def reason_for(name: str, mutant: Mutant) -> str:
    """Return why a mutant may survive."""
    for key, kind, why in REASONS:
        if re.search(key, f"{name}:{mutant.key}") and re.search(kind, mutant.kind):
            return why
    return UNEXPLAINED
