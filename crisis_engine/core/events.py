"""What happened: frozen facts that carry results, never recipes, so that folding them needs no calendar, policy or key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, ClassVar

from .draft import drafted
from .model import Risk, Tier


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact about one case. `by` is a person's id, or `engine`, or `reporter` (who reported is a secret of its own)."""

    kind: ClassVar[str] = ""
    case: str
    seq: int
    at: datetime
    by: str
    secret: Mapping[str, Any] = field(default_factory=dict)   # sealed beside the header, with its own commitment


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """A case began."""

    kind: ClassVar[str] = "opened"
    workflow: str
    procedure: str
    unit: str
    subject: str | None
    parent: str | None
    stage: str
    tier: Tier
    risk: Risk
    move: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved(Event):
    """A move was made; the stage may have stayed. `two` says that the rules ask for two persons: `by` and `second`."""

    kind: ClassVar[str] = "moved"
    move: str
    origin: str
    to: str
    two: bool = False
    second: str | None = None
    final: str | None = None
    signal: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskRaised(Event):
    """The risk went up."""

    kind: ClassVar[str] = "risk_raised"
    risk: Risk


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskLowered(Event):
    """The risk went down, by people; `two` where it came from red or orange."""

    kind: ClassVar[str] = "risk_lowered"
    risk: Risk
    two: bool = False
    second: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DangerBegan(Event):
    """Somebody said that the child is in danger right now."""

    kind: ClassVar[str] = "danger_began"


@dataclass(frozen=True, slots=True, kw_only=True)
class DangerEnded(Event):
    """Two people said that the danger is over."""

    kind: ClassVar[str] = "danger_ended"
    two: bool = True
    second: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRaised(Event):
    """A higher level answers now."""

    kind: ClassVar[str] = "tier_raised"
    tier: Tier
    role: str
    unit: str
    holder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLowered(Event):
    """A person of the level that answered gave the case back."""

    kind: ClassVar[str] = "tier_lowered"
    tier: Tier
    role: str
    unit: str
    holder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswererChanged(Event):
    """Somebody else answers at the same tier: a duty or presence ended, or a person was recused."""

    kind: ClassVar[str] = "answerer_changed"
    role: str
    unit: str
    holder: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadChanged(Event):
    """A county or city took the work over (`lead`), or gave it back (None)."""

    kind: ClassVar[str] = "lead_changed"
    lead: Tier | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FactSet(Event):
    """A fact that the rules look at was set; never personal data."""

    kind: ClassVar[str] = "fact_set"
    name: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectSet(Event):
    """The child was identified, or the wrong child was corrected; the home unit goes with the child."""

    kind: ClassVar[str] = "subject_set"
    subject: str
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitSet(Event):
    """The case belongs to another unit now, because its child does; who answers and who must meet its clocks is found there."""

    kind: ClassVar[str] = "unit_set"
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonRecused(Event):
    """A person whom the case concerns (回避) counts as absent and no longer learns that it exists."""

    kind: ClassVar[str] = "person_recused"
    person: str


@drafted
@dataclass(frozen=True, slots=True, kw_only=True)
class ClockArmed(Event):
    """A clock runs; `at_tier` says that whoever answers for the case must meet it."""

    kind: ClassVar[str] = "clock_armed"
    clock: str
    n: int
    sort: str
    role: str
    unit: str
    holder: str | None
    due_at: datetime
    next_at: datetime
    rung: int
    cap_at: datetime | None = None
    provisional: bool = False
    at_tier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMet(Event):
    """A clock was met; `late` says whether it was after its due time."""

    kind: ClassVar[str] = "clock_met"
    clock: str
    n: int
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockDropped(Event):
    """A clock stopped because its condition no longer holds."""

    kind: ClassVar[str] = "clock_dropped"
    clock: str
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMoved(Event):
    """A clock's due time changed: nearer by risk or confirmation, or anew by a published calendar."""

    kind: ClassVar[str] = "clock_moved"
    clock: str
    n: int
    due_at: datetime
    next_at: datetime
    rung: int
    why: str
    cap_at: datetime | None = None
    provisional: bool = False
    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockHeld(Event):
    """A holder at `tier` took a late clock in hand (催办): its ladder waits, its lateness stays."""

    kind: ClassVar[str] = "clock_held"
    clock: str
    n: int
    tier: Tier
    until: datetime
    next_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockPaused(Event):
    """A paper clock stands still for a named reason up to a time, which is its next rung."""

    kind: ClassVar[str] = "clock_paused"
    clock: str
    n: int
    reason: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockResumed(Event):
    """A paused clock runs again; its due time moved by the time that it stood."""

    kind: ClassVar[str] = "clock_resumed"
    clock: str
    n: int
    due_at: datetime
    next_at: datetime
    rung: int
    cap_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedOver(Event):
    """Somebody else must meet the clock: the holder's duty or presence ended, or the lead changed."""

    kind: ClassVar[str] = "handed_over"
    clock: str
    n: int
    role: str
    unit: str
    holder: str | None


@drafted
@dataclass(frozen=True, slots=True, kw_only=True)
class RungFired(Event):
    """A rung of a clock's ladder fired (`rung`/`times`, each once), with all that it brought about, and what comes next.

    `told` lists [tier, role] pairs; `tier` with `answers_*` is there when the rung raised the case. `armed` holds the clocks that the
    raise started; they have no record of their own and bear this one's seq.
    """

    kind: ClassVar[str] = "rung_fired"
    clock: str
    n: int
    rung: int
    times: int
    next_rung: int
    next_times: int
    next_at: datetime
    told: tuple[tuple[str, str], ...] = ()
    tier: Tier | None = None
    answers_role: str | None = None
    answers_unit: str | None = None
    answers: str | None = None
    alarm: bool = False
    armed: tuple[ClockArmed, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told(Event):
    """People of one level were told; the notice itself carries no fact."""

    kind: ClassVar[str] = "told"
    tier: str
    role: str
    people: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed(Event):
    """A two-person move was proposed; another person has to confirm it."""

    kind: ClassVar[str] = "proposed"
    move: str
    risk: Risk | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposalEnded(Event):
    """A proposal was confirmed, declined, withdrawn, or voided because a word came between or the stage changed."""

    kind: ClassVar[str] = "proposal_ended"
    proposal: int
    how: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked(Event):
    """The case stands in a relation to another: related, part_of, earlier, merged_into, merged_from."""

    kind: ClassVar[str] = "linked"
    link: str
    other: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GlassBroken(Event):
    """Somebody broke the glass: an emergency reading up to a secrecy tier until a time. The reason is sealed."""

    kind: ClassVar[str] = "glass_broken"
    person: str
    reads: int
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated(Event):
    """The case follows another version of its procedure; two operators said so. Its clocks' new plans follow as `clock_moved`."""

    kind: ClassVar[str] = "migrated"
    origin: str
    procedure: str
    second: str
    two: bool = True
    reverts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackMoved(Event):
    """A move of one of the case's tracks met clocks here, in the same transaction."""

    kind: ClassVar[str] = "track_moved"
    meets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentSet(Event):
    """The case stands beside another one now: its parent was merged into that."""

    kind: ClassVar[str] = "parent_set"
    parent: str


EVENTS: Mapping[str, type[Event]] = MappingProxyType({
    cls.kind: cls for cls in (
        Opened, Moved, RiskRaised, RiskLowered, DangerBegan, DangerEnded, TierRaised, TierLowered, AnswererChanged, LeadChanged,
        FactSet, SubjectSet, PersonRecused, ClockArmed, ClockMet, ClockDropped, ClockMoved, ClockHeld, ClockPaused, ClockResumed,
        HandedOver, RungFired, Told, Proposed, ProposalEnded, Linked, GlassBroken, Migrated, TrackMoved, ParentSet, UnitSet,
    )
})
"""Every kind of event by its name in the log."""

FIELDS: Mapping[type[Event], tuple[str, ...]] = MappingProxyType({
    cls: tuple(f.name for f in fields(cls) if f.name not in {"case", "seq", "at", "by", "secret"}) for cls in EVENTS.values()
})
"""The header fields of each kind beside case, seq, at and by."""


@drafted
@dataclass(frozen=True, slots=True)
class Notice:
    """Who must be told what (the outbox). It carries no fact: case number, what is due, when, urgent or not.

    `key` is unique and stays the same over every try: a message goes at least once, always under one key.
    """

    key: str
    case: str
    people: tuple[str, ...]        # ids of persons
    what: str                      # a clock's name, or a word of the catalogue: danger, signal, told, alarm
    why: str                       # armed, remind, late, handover, danger, proposed, alarm
    due_at: datetime | None
    urgent: bool
    at: datetime
    not_before: datetime | None = None   # of a message that may wait for the hours of its receiver
