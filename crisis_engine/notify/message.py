"""What a notice says to one person: case number, what is due, when, urgent or not, link. There is room for nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import BadInput
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Person
from crisis_engine.core.workflow import Label
from crisis_engine.notify.template import WORDING, Template
from crisis_engine.words import knows, say

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_MOST_NAMED = 4
"""Things due of one case that one message names; the console shows them all."""


@dataclass(frozen=True, slots=True)
class Line:
    """One case in a message: number, what is due, when, urgent or not, link."""

    number: str
    what: str
    when: str
    due_at: datetime | None
    urgent: bool
    link: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one person. `key` stays the same over every try, so a channel can drop what it has sent before."""

    key: str
    to: str        # the person's id
    address: str = field(repr=False)   # how the roster says to reach this person, in plain for the channel; empty where it does not
    subject: str
    body: str
    urgent: bool
    kind: str = "notice"               # notice, bundle, daily or weekly
    lines: tuple[Line, ...] = ()
    at: datetime | None = None         # when this try began
    fence: int = 0                     # grows with every claim of this message: a receiver may refuse a smaller one


def line_of(notice: Notice, label: Label | None, lang: str, link_base: str) -> Line:
    """Return what a notice says, in words. `label` is the clock's label from the case's definition, else its name stands there.

    BadInput when the notice's number or `what` is no identifier: free text has no way in.
    """
    if not _NUMBER.fullmatch(notice.case):
        raise BadInput("A notice's case number is no case number.", way_out="Send the number and nothing else.")
    if not _NAME.fullmatch(notice.what):
        raise BadInput("A notice may only name what is due.", way_out="Give the name of a clock, or a word of the catalogue.")
    known = f"notice.what.{notice.what}"
    what = (label or {}).get(lang) or (say(known, lang) if knows(known) else notice.what)
    return Line(notice.case, what, when_of(notice.due_at, lang), notice.due_at, notice.urgent, link_of(notice.case, lang, link_base))


def when_of(due_at: datetime | None, lang: str) -> str:
    """Return China's time to the minute; nothing due is due at once."""
    return due_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M") if due_at else say("notice.at_once", lang)


def link_of(number: str, lang: str, link_base: str) -> str:
    """Return where the case is seen; without a page to link to, the console's command leads there."""
    return f"{link_base.rstrip('/')}/{quote(number)}" if link_base else say("notice.link", lang, number=number)


def gathered(lines: Sequence[Line], lang: str) -> tuple[Line, ...]:
    """Return one line a case, in order: what is due of it together, by the earliest time, urgent where any was."""
    by_case: dict[str, list[Line]] = {}
    for line in lines:
        by_case.setdefault(line.number, []).append(line)
    return tuple(_one(of_case, lang) for of_case in by_case.values())


def _one(lines: Sequence[Line], lang: str) -> Line:
    first = min(lines, key=lambda line: (line.due_at is not None, line.due_at))
    whats = list(dict.fromkeys(line.what for line in lines))
    named = whats[:_MOST_NAMED] + ([say("notice.more", lang, count=len(whats) - _MOST_NAMED)] if len(whats) > _MOST_NAMED else [])
    return replace(first, what=say("notice.and", lang).join(named), urgent=any(line.urgent for line in lines))


def compose(notice: Notice, person: Person | None, to: str, label: Label | None, lang: str, link_base: str) -> Message:
    """Return the message about one notice to the person with the id `to`.

    `person` gives the address and is None when the roster no longer knows the id. The person's own name, the child and every
    fact stay out. BadInput as `line_of`.
    """
    return compose_all([line_of(notice, label, lang, link_base)], person, to, f"{notice.key}:{to}", lang)


def compose_all(
    lines: Sequence[Line], person: Person | None, to: str, key: str, lang: str, wording: Mapping[str, Template] = WORDING,
) -> Message:
    """Return one message about all these lines: about one case in the words of a notice, about several as a list."""
    template = wording.get(lang) or WORDING[lang]
    told = gathered(lines, lang)
    urgent = any(line.urgent for line in told)
    if len(told) == 1:
        fields = _fields(told[0], lang)
        subject, body, kind = template.subject.format(**fields), template.body.format(**fields), "notice"
    else:
        subject = say("notice.bundle", lang, urgency=_urgency(urgent=urgent, lang=lang), count=len(told))
        body, kind = "\n".join(template.line.format(**_fields(line, lang)) for line in told), "bundle"
    return Message(key, to, address_of(person), subject, body, urgent, kind, told)


def address_of(person: Person | None) -> str:
    """Return how a person is reached, in plain: a secret would be written into a gateway's URL as a mask."""
    return str(person.contact) if person else ""


def _fields(line: Line, lang: str) -> dict[str, str]:
    return {"number": line.number, "what": line.what, "when": line.when, "urgency": _urgency(urgent=line.urgent, lang=lang),
            "link": line.link}


def _urgency(*, urgent: bool, lang: str) -> str:
    return say("notice.urgent" if urgent else "notice.not_urgent", lang)
