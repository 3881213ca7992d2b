"""A case as it stands: what the log folds to and what the database row holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from .draft import drafted
from .model import Risk, Tier


@drafted
@dataclass(frozen=True, slots=True)
class Clock:
    """One arming of one clock (deadline): who must do it by when, and which rung comes next.

    A clock that was met or dropped leaves the case; its row and its events stay.
    """

    name: str
    n: int                          # which arming of this name in this case, from 1
    kind: str                       # "safety" or "paper"
    role: str                       # who does it …
    unit: str                       # … and at which unit that role was found
    holder: str | None              # the named person; None only under the terminal alarm
    armed_at: datetime
    due_at: datetime
    next_at: datetime               # when the next rung fires; never empty
    rung: int                       # which step comes next: reminders first, then the ladder's rungs
    times: int = 0                  # how often the repeating rung fired
    cap_at: datetime | None = None  # the wall cap of a clock in days
    provisional: bool = False       # reckoned on an unpublished calendar
    held_until: datetime | None = None    # taken in hand (催办) until then
    held_at: tuple[Tier, ...] = ()        # tiers that already took it in hand once
    paused_at: datetime | None = None
    paused_until: datetime | None = None
    pauses: int = 0
    at_tier: bool = False           # whoever answers for the case must meet it: it goes with the tier

    @property
    def key(self) -> str:
        """Name and arming, as events and rows say it: `contact.3`."""
        return f"{self.name}.{self.n}"


@drafted
@dataclass(frozen=True, slots=True)
class Proposal:
    """A two-person move that one person proposed and another has still to confirm."""

    id: int                         # the seq of the event that made it
    move: str
    by: str
    at: datetime
    risk: Risk | None = None        # the risk that it would set, where it sets one


@drafted
@dataclass(frozen=True, slots=True)
class Grant:
    """An emergency reading: this person may read the case up to a secrecy tier until a time, and not a moment longer."""

    person: str
    until: datetime
    reads: int
    seq: int                        # of the event that holds the reason, sealed


@drafted
@dataclass(frozen=True, slots=True)
class Done:
    """When and by whom a move was last made."""

    by: str
    at: datetime
    seq: int


@drafted
@dataclass(frozen=True, slots=True)
class Case:
    """Something that somebody must finish by a time."""

    number: str                     # random, not counted
    workflow: str
    procedure: str                  # content hash of what it is pinned to
    unit: str                       # home unit: where the child is
    subject: str | None             # key of the subject row; None until identified
    stage: str
    tier: Tier
    risk: Risk
    peak: Risk
    opened_at: datetime
    last_at: datetime               # time of the last event; time never runs back within a case
    version: int                    # seq of the last event
    answers_role: str = ""          # who answers at the tier …
    answers_unit: str = ""
    answers: str | None = None      # … by name
    parent: str | None = None       # number of the parent case
    lead: Tier | None = None        # where a county or city took over
    danger: bool = False
    final: str | None = None
    closed_at: datetime | None = None
    ended_by: str | None = None     # the two who ended it
    ended_second: str | None = None
    opened_from: Tier | None = None       # the level that the first word came from
    signal_seq: int = 0             # seq of the last word from outside
    signal_at: datetime | None = None
    facts: Mapping[str, str] = field(default_factory=dict)     # guardian, stay_until, addressee: no personal data
    done: Mapping[str, Done] = field(default_factory=dict)
    armings: Mapping[str, int] = field(default_factory=dict)   # how often each clock was armed
    recused: frozenset[str] = frozenset()
    clocks: tuple[Clock, ...] = ()
    proposals: tuple[Proposal, ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def open(self) -> bool:
        """Whether somebody still answers for it."""
        return self.final is None

    @property
    def next_at(self) -> datetime | None:
        """When the next rung of any of its clocks fires; None only when it is over."""
        soonest: datetime | None = None
        for clock in self.clocks:   # a generator costs three times as much, and a sweep asks five times a case
            if soonest is None or clock.next_at < soonest:
                soonest = clock.next_at
        return soonest

    @property
    def due_at(self) -> datetime | None:
        """When the clock due first is due."""
        soonest: datetime | None = None
        for clock in self.clocks:
            if soonest is None or clock.due_at < soonest:
                soonest = clock.due_at
        return soonest

    def clock(self, name: str) -> Clock | None:
        """Return the running clock of that name, if any; one name runs once at a time."""
        for clock in self.clocks:   # half the price of `next` over a generator, and a decision asks often
            if clock.name == name:
                return clock
        return None
