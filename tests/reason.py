"""Why a rule may be taken out of a definition without the loader or the proof failing: one reason for each kind of survivor.

docs/definitions.md has the same reasons with how many rules survive for each; what fits none is unexplained, and a test fails on it.
"""

from __future__ import annotations

import re

from .mutant import Mutant

UNEXPLAINED = "unexplained"

REASONS: tuple[tuple[str, str, str], ...] = (
    (r"\.secrecy", "", "secrecy of a field: no decision reads it; the matrix of rights and the views' own tests do"),
    (r"^retention", "", "a term: neither a shorter nor a longer one is safer, so a city decides"),
    (r"^access.*:(separate|glass|counts|sealed|dossier)", "", "rights beside the table of roles and actions: tests of their own hold them"),
    (r"^access", "", "rights that reach nobody more or fewer: the table of roles and actions comes to the same"),
    (r":(forms\b|field_label|choice)|\.(fields|form)\b|\.checklist$", "", "form: what somebody has to write down; no law stands on a text"),
    (r"(label|source|mark|name|version|extends|:format|:for\b|:again|:subject)", "", "head: what a person reads, and where a number comes from"),
    (r"\.remind", "", "reminder: it comes before the time; a county may take none out"),
    (r":cue|:closure|:hold|:pause|:risk|:checklist|:terminal\.every|\.pause", "",
     "the city's own number: the proof knows no right one, `diff` shows it, and a county may only go further"),
    (r":clock\.\w+(\.(within|again|cap|before|not_after|ladder|ladder_for)\b|$)", "", "number: another clock of the stage is the sooner one"),
    (r":ladder", "", "ladder: another rung, or another clock's, comes to the same"),
    (r":(instead|counterpart|holder|on_site|on_duty|terminal)", "", "people: one of several who stand in or are told, found by another way"),
    (r"\.(tells?|shows|alarm)\b", "", "told: somebody more who hears of it; who must act is told by the clock"),
    (r"\.second\b", "", "second person: others may sign still, or the move neither lowers, ends nor withholds"),
    (r"\.(by|instead|up)\b", "", "people: who may make a move is the city's choice, as long as whoever a clock falls to can meet it"),
    (r"\.needs\b", "", "guard beyond the promises: the core or another guard refuses too, or a scenario test alone holds what a bureau asks for"),
    (r"\.(meets|meets_parent)\b", "", "met by another move too: the clock runs a little longer, and somebody can meet it"),
    (r"\.(holds|settled)\b", "", "track: whether its case waits for it here; the case keeps clocks of its own"),
    (r"\.kind\b", "", "kind of a clock: no number of it counts days and none pauses, so only quiet hours would know"),
    (r"\.(signal|when|opens|sets|sets_parent)\b|:track|:parent|:end_with_parent|:danger", "",
     "what a move sets beside the risk: facts, recusals, addressees and tracks, which scenario tests hold"),
    (r"\.(tier|lead|raise|once|while|toward|who)\b", "", "level or condition: a ladder or another clock reaches as high"),
    (r":move\.\w+(\.(to|from)\b|$)|:sets_of_stages|\.(in|to|from)\b|:stage", "", "way: another move leads there too, and every clock can be met"),
)
"""A pattern of `FILE:KEY`, one of the kind, and the reason; the first that fits."""


def reason_for(name: str, mutant: Mutant) -> str:
    """Return why a mutant may survive."""
    for key, kind, why in REASONS:
        if re.search(key, f"{name}:{mutant.key}") and re.search(kind, mutant.kind):
            return why
    return UNEXPLAINED
