"""What a notice says to one person: case number, what is due, when, urgent or not, link. There is room for nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import BadInput
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Person
from crisis_engine.core.workflow import Label
from crisis_engine.words import knows, say

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NUMBER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one person. `key` stays the same over every try, so a channel can drop what it has sent before."""

    key: str
    to: str        # the person's id
    address: str = field(repr=False)   # how the roster says to reach this person, in plain for the channel; empty where it does not
    subject: str
    body: str
    urgent: bool


def compose(notice: Notice, person: Person | None, to: str, label: Label | None, lang: str, link_base: str) -> Message:
    """Return the message to the person with the id `to`: exactly case number, what is due, when (China's time), urgent or not, link.

    `person` gives the address and is None when the roster no longer knows the id; `label` is the clock's label from the case's
    definition, without which the clock's name stands there. The person's own name, the child and every fact stay out.
    BadInput when the notice's number or `what` is no identifier: free text has no way in.
    """
    if not _NUMBER.fullmatch(notice.case):
        raise BadInput("A notice's case number is no case number.", way_out="Send the number and nothing else.")
    if not _NAME.fullmatch(notice.what):
        raise BadInput("A notice may only name what is due.", way_out="Give the name of a clock, or a word of the catalogue.")
    known = f"notice.what.{notice.what}"
    what = (label or {}).get(lang) or (say(known, lang) if knows(known) else notice.what)
    when = notice.due_at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M") if notice.due_at else say("notice.at_once", lang)
    # without a page to link to, the console's command leads there
    link = f"{link_base.rstrip('/')}/{quote(notice.case)}" if link_base else say("notice.link", lang, number=notice.case)
    urgency = say("notice.urgent" if notice.urgent else "notice.not_urgent", lang)
    return Message(
        key=f"{notice.key}:{to}",
        to=to,
        address=str(person.contact) if person else "",   # a secret would be written into a gateway's URL as a mask
        subject=say("notice.subject", lang, urgency=urgency, number=notice.case),
        body=say("notice.body", lang, number=notice.case, what=what, when=when, urgency=urgency, link=link),
        urgent=notice.urgent,
    )
