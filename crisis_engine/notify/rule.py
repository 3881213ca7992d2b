"""The rule of a channel: whom and what it is for, when it rests, how much one person gets, and when a message is given up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crisis_engine.core.calendar import CHINA
from crisis_engine.notify.template import WORDING, Template

URGENCIES = ("any", "urgent", "normal")
_FIRST = {True: timedelta(seconds=10), False: timedelta(minutes=1)}
_LONGEST = {True: timedelta(minutes=5), False: timedelta(hours=1)}
_SOONEST = timedelta(seconds=1)
_LONGEST_ASKED = timedelta(hours=24)
_MOST_DOUBLED = 12


@dataclass(frozen=True, slots=True)
class Quiet:
    """Quiet hours (免打扰时段) in China's time, as minutes of the day; an end before the begin is on the next day."""

    begins: int
    ends: int

    def until(self, now: datetime) -> datetime | None:
        """Return when the quiet that holds at `now` ends; None where none does."""
        local = now.astimezone(CHINA)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        for day in (midnight - timedelta(days=1), midnight):
            begin = day + timedelta(minutes=self.begins)
            end = day + timedelta(minutes=self.ends, days=self.ends <= self.begins)
            if begin <= local < end:
                return end.astimezone(now.tzinfo)
        return None


@dataclass(frozen=True, slots=True)
class Rule:
    """How one channel is used. Everything here only defers or redirects; nothing of it drops a message.

    `fallback`: only for what the others could not deliver. `address` is the scheme of the contact that it needs (mailto, tel), empty
    where the gateway itself knows the people. Numbers are our design (mark D).
    """

    roles: frozenset[str] = frozenset()          # empty: everybody
    urgency: str = "any"
    fallback: bool = False
    address: str = ""
    quiet: Quiet | None = None
    most: int = 0                                # messages to one person within `within`; 0: no limit
    within: timedelta = timedelta(hours=1)
    lang: str = ""                               # empty: the engine's
    tries: int = 100
    give_up: timedelta = timedelta(hours=48)     # dead after so long, or after so many tries
    pass_on: timedelta = timedelta(minutes=15)   # an urgent one goes to the next channel or person as well by then
    wording: Mapping[str, Template] = field(default_factory=lambda: WORDING)

    def takes(self, roles: frozenset[str], *, urgent: bool) -> bool:
        """Whether the channel is meant for a message to somebody with these roles."""
        return (self.urgency in {"any", "urgent" if urgent else "normal"}) and (not self.roles or bool(self.roles & roles))

    def reaches(self, contact: str) -> bool:
        """Whether somebody with this contact can be reached."""
        return not self.address or contact.startswith(f"{self.address}:") or (self.address == "mailto" and _is_mail(contact))

    def hold(self, now: datetime, sent: Sequence[datetime], *, urgent: bool) -> datetime:
        """Return when a message may go: now, where it is urgent; else after the quiet hours and within the limit for one person.

        `sent` are the times of the person's messages on this channel within the last `within`.
        """
        if urgent:
            return now
        at = now
        if self.most and len(recent := sorted(one for one in sent if one > now - self.within)) >= self.most:
            at = recent[-self.most] + self.within
        return (self.quiet.until(at) if self.quiet is not None else None) or at

    def next_try(self, now: datetime, tries: int, chance: float, asked: timedelta | None, *, urgent: bool) -> datetime:
        """Return when to try again: twice as long each time with full jitter, or as long as the gateway asked for."""
        if asked is not None:
            return now + min(max(asked, _SOONEST), _LONGEST_ASKED)
        longest = min(_FIRST[urgent] * 2 ** min(tries - 1, _MOST_DOUBLED), _LONGEST[urgent])
        at = now + max(longest * chance, _SOONEST)
        return at if urgent or self.quiet is None else self.quiet.until(at) or at


def _is_mail(contact: str) -> bool:
    return ":" not in contact and "@" in contact


EVERYTHING = Rule()
"""The rule of a channel that says none: everybody gets everything at once."""


def rule_of(channel: object) -> Rule:
    """Return the channel's rule."""
    rule = getattr(channel, "rule", None)
    return rule if isinstance(rule, Rule) else EVERYTHING
