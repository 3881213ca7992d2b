"""A policy as data: by when each clock must be met, what happens then, who stands in, how deep a closure goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from .calendar import Span
from .model import Risk, Tier
from .workflow import Label


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of a ladder. `at` counts from the due time; the last rung of a ladder has `every` and repeats for ever."""

    at: Span | None = None
    every: Span | None = None
    raise_to: str | None = None                # a tier, or "next": above the clock's own holder
    tell: tuple[str, ...] = ()                 # roles told beside the clock's holder and the tier's holder
    move: str | None = None                    # an engine's move that is made (expire)
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """For which reasons a paper clock may stand still, for how long at most, how often."""

    reasons: tuple[str, ...]
    at_most: Span
    times: int = 1


@dataclass(frozen=True, slots=True)
class ClockRule:
    """A clock's numbers: the budget for each risk, reminders, the ladder, and where the numbers come from."""

    within: Mapping[Risk, Span]                # complete: every risk, `unrated` filled in by the loader
    ladder: str
    source: str
    mark: str                                  # V read, T template, B background, D our design; B and D are unverified
    again: Mapping[Risk, Span] = field(default_factory=dict)      # every arming after the first, where given
    cap: Mapping[Risk, Span] = field(default_factory=dict)        # wall cap of a budget in days
    not_after: Mapping[Risk, str] = field(default_factory=dict)   # "dismissal": before day pupils leave, if nearer
    before: Span | None = None                 # so long before the day that the clock's `toward` names
    remind: tuple[str, ...] = ()               # offsets before due: "50%", "-15m"
    pause: Pause | None = None
    ladder_by_risk: Mapping[Risk, str] = field(default_factory=dict)  # `ladder_for`: another ladder at that risk

    def ladder_at(self, risk: Risk) -> str:
        """Return the name of the ladder that a clock at this risk climbs."""
        return self.ladder_by_risk.get(risk, self.ladder)

    @property
    def unverified(self) -> bool:
        """Whether nobody could verify this number (marks B and D)."""
        return self.mark in {"B", "D"}


@dataclass(frozen=True, slots=True)
class Cue:
    """A cue is a fact that people tick, not a judgement; software raises the risk to its floor."""

    floor: Risk
    label: Label


@dataclass(frozen=True, slots=True)
class Policy:
    """Numbers without structure, flattened with what it extends."""

    name: str
    version: int
    applies_to: tuple[str, ...]                # `for`: workflow ids
    cues: Mapping[str, Cue]
    unrated_counts_as: Risk
    second_to_lower_from: tuple[Risk, ...]
    clocks: Mapping[str, ClockRule]
    ladders: Mapping[str, tuple[Rung, ...]]
    hold: Mapping[Risk, Span]                  # the longest that `take_in_hand` (催办) may hold a ladder
    pause: Mapping[Risk, Span]                 # the longest that all pauses of one paper clock together may put it off
    instead: Mapping[str, tuple[str, ...]]     # who stands in for whom, before the next level is asked
    holder: Mapping[Tier, str]                 # the role that answers at each tier; a pupil never does
    counterpart: Mapping[str, Mapping[Tier, str]]  # after take_over: the same work at another level
    on_site: tuple[str, ...]                   # who can be with the child, first present counts
    on_duty: Mapping[Tier, str]                # off hours, who is told too, by level
    terminal_to: tuple[str, ...]               # nobody answers at the city: told again and again
    terminal_every: Span
    closure_by_peak: Mapping[Risk, str]        # "county", "city_one" or "city_panel"
    sample: Mapping[Risk, int]                 # percent drawn for the city from those that the county may close
    stable_for: Mapping[Risk, Span]            # no new signal for so long before closure may be requested
    checklists: Mapping[str, Mapping[str, Label]] = field(default_factory=dict)   # 预案: items to be ticked, by name
    closure_source: str = ""
    closure_mark: str = "B"
    source: str = ""
    mark: str = "D"
    label: Label = field(default_factory=dict)
    trust: Mapping[str, tuple[str, str]] = field(default_factory=dict)  # source and mark of each table beside the clocks

    @property
    def id(self) -> str:
        """Name and version: `default_v1`."""
        return f"{self.name}_v{self.version}"


def longest_pause(policy: Policy, rule: ClockRule, risk: Risk, pauses: int) -> timedelta:
    """Return for how long a clock may be paused now: once as its own rule says, all its pauses together as the policy says at this risk.

    Earlier ones count as if each had lasted as long as it might; nothing where the clock never stands still.
    """
    if rule.pause is None:
        return timedelta()
    once = rule.pause.at_most.wall
    return max(timedelta(), min(once, policy.pause[risk].wall - once * pauses))


def counts_as(policy: Policy, risk: Risk) -> Risk:
    """Return the risk by which a case is clocked: `unrated` stands outside the order and counts as the policy says."""
    return policy.unrated_counts_as if risk is Risk.UNRATED else risk


@dataclass(frozen=True, slots=True)
class AccessRole:
    """A role's rights: where it is held, how secret a thing it may read, and of which cases."""

    name: str
    level: str            # kind of unit at which the duty is held, or "subject": bound to the child, without a duty
    label: Label
    reads: int            # highest secrecy tier 0-4; -1 writes blind
    scope: str = "unit"   # "none", "unit": all cases of the units below, "reached": of these, those that came to the role's level
    addressed: int = -1   # what it reads of a case that was sent to its own unit
    glass: int = -1       # what it reads after it broke the glass


@dataclass(frozen=True, slots=True)
class ActionRule:
    """Who may do one thing: roles by scope, and what forbids it whatever else allows it. What no line allows is refused."""

    name: str
    sight: frozenset[str] = frozenset()       # roles whose duty reaches this very case
    unit: frozenset[str] = frozenset()        # roles at the unit of the case or above
    near: frozenset[str] = frozenset()        # roles in the same county, or the same city where there is none
    anywhere: frozenset[str] = frozenset()    # roles at whatever unit
    everybody: bool = False
    workflow: bool = False                    # the move's own `by` and `second` say who
    glass: bool = False                       # a running emergency reading will do
    reason: bool = False                      # refused without a reason
    concerned: bool = False                   # forbid: for whom the case concerns it does not exist
    separate: bool = False                    # forbid: whoever holds two separate offices


@dataclass(frozen=True, slots=True)
class Access:
    """The rights of all roles: never pinned to a case, always today's."""

    roles: Mapping[str, AccessRole]
    actions: Mapping[str, ActionRule] = field(default_factory=dict)
    separate: frozenset[str] = frozenset()                        # offices that one person never holds together
    dossiers: Mapping[Tier, frozenset[tuple[str, str]]] = field(default_factory=dict)   # level -> (workflow, stage) that it reads
    sealed: Mapping[str, int] = field(default_factory=dict)       # workflow -> secrecy that a role must read to know of its cases
    glass_at_most: Span | None = None                             # the longest emergency reading
    least_count: int = 5                                          # smaller cells of counts are merged
    trust: Mapping[str, tuple[str, str]] = field(default_factory=dict)   # source and mark of each table of numbers
    name: str = "access"
    version: int = 1
    source: str = ""
    mark: str = "D"
