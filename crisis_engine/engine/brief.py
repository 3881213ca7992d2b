"""The words of a digest: case numbers, what, when, and counts without small cells; no child and no fact."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from crisis_engine.core.model import Person
from crisis_engine.core.tally import MERGED
from crisis_engine.core.workflow import Label
from crisis_engine.notify import Line, Message
from crisis_engine.notify.message import address_of, link_of, when_of
from crisis_engine.store.digest import WaitingDigest
from crisis_engine.words import say


def brief(
    digest: WaitingDigest, person: Person | None, key: str, labels: Mapping[tuple[str, str], Label], hidden: frozenset[str], lang: str,
    link_base: str,
) -> Message:
    """Return the message of a digest, without the cases that the person must not hear of by now."""
    lines, overdue = [], []
    for number, procedure, clock, due in digest.lines["clocks"]:
        if number in hidden:
            continue
        due_at = datetime.fromisoformat(due)
        label = labels.get((procedure, clock))
        what = label.get(lang, clock) if label is not None else clock or say("digest.overdue", lang)
        lines.append(Line(number, what, when_of(due_at, lang), due_at, urgent=False, link=link_of(number, lang, link_base)))
        overdue.append(due_at <= digest.at)
    body = [
        say("digest.late_line" if late else "digest.line", lang, number=line.number, what=line.what, when=line.when)
        for line, late in zip(lines, overdue, strict=True)
    ]
    if digest.lines["more"]:
        body.append(say("digest.more", lang))
    for unit, count in digest.lines["units"]:
        name = say("digest.other_units", lang) if unit == MERGED else unit
        body.append(say("digest.unit_few", lang, unit=name) if count is None else say("digest.unit", lang, unit=name, count=count))
    subject = say(f"digest.{digest.kind}", lang, period=digest.period, count=len(lines), late=sum(overdue))
    return Message(key, digest.person, address_of(person), subject, "\n".join(body), urgent=False, kind=digest.kind, lines=tuple(lines))
