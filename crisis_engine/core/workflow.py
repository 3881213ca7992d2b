"""A workflow as data, and the two shared machines that it compiles to: the stage graph and the tier ladder."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from .document import DocumentDef
from .errors import CommandRejected
from .model import TIERS, Risk, Tier

if TYPE_CHECKING:
    from transitions import Machine

Label = Mapping[str, str]
"""What a person reads, by language: {"zh": …, "en": …}; both are always there."""

NO_LABELS: Label = {}


@dataclass(frozen=True, slots=True)
class Stage:
    """What is being done. An open stage has a `lead` level; a final one names how the case `final`ly ended."""

    name: str
    label: Label
    lead: Tier | None = None
    final: str | None = None      # closed / excluded / ended / merged
    holds: bool = False           # of a track: the parent may not close while the track stands here
    settled: bool = False         # of a track: ends by itself with its parent


@dataclass(frozen=True, slots=True)
class ClockDef:
    """A clock's structure: when it runs, who must meet it. Exactly one of `stages`, `flag`, `once_*` says when."""

    name: str
    who: str                                   # a role, or tier_holder / first_receiver / on_site / second_signer
    kind: str                                  # "safety" (wall time, never stops) or "paper"
    label: Label
    stages: frozenset[str] = frozenset()       # `in`: standing while the case is in one of these
    flag: str | None = None                    # `while`: standing while the flag holds (danger, raised)
    once_on: tuple[str, ...] = ()              # starts when one of these moves is made, or on "proposed" / "unidentified"
    once_from_risk: Risk | None = None         # starts when the risk first reaches this (unrated counts as the policy says)
    toward: str | None = None                  # the field of a move's form that names the day before which it must be met

    @property
    def standing(self) -> bool:
        """Whether it is armed anew after it was met, as long as its condition holds."""
        return bool(self.stages) or self.flag is not None


@dataclass(frozen=True, slots=True)
class FieldDef:
    """One field of a form: its type, and the secrecy tier (0-4) that a reader needs."""

    name: str
    type: str            # text bool choice choices time date risk tier persons person subject clock move unit case cues items hash attachment
    label: Label
    of: str | None = None
    sorts: tuple[str, ...] = ()   # of a `unit`: partners of these sorts, units of these kinds (PARTNER_SORTS, UNIT_KINDS); of an `attachment`: such files
    required: bool = False
    secrecy: int = 2
    least: int | None = None      # `min`: fewest items of a list
    most: int | None = None       # `max`: most characters of a text, most bytes of an attachment


@dataclass(frozen=True, slots=True)
class MoveDef:
    """One move of the stage graph: who may make it, from where to where, what it sets and which clocks it meets."""

    name: str
    label: Label
    from_stages: frozenset[str]            # empty: it opens a case
    to: str | None = None                  # None: the stage stays
    by: tuple[str, ...] = ()               # roles; "engine" alone: only the engine makes it; "tier_holder", "addressee"
    second: tuple[str, ...] = ()           # roles that may confirm, or "actor_of:MOVE" whose maker already signed
    needs: tuple[str, ...] = ()            # guards by name, see core/guard.py
    fields: tuple[FieldDef, ...] = ()
    sets: Mapping[str, str | bool] = field(default_factory=dict)
    meets: tuple[str, ...] = ()            # clocks that it meets
    tier: str | None = None                # a tier to raise to, or "own" / "lead"
    lead: str | None = None                # "own" (take over) or "stage" (hand back)
    opens: tuple[str, ...] = ()            # tracks, by workflow name or "field:NAME"
    tells: tuple[str, ...] = ()            # roles told beside the clocks' holders
    shows: tuple[str, ...] = ()            # telephone numbers shown to whoever makes it
    prints: str | None = None              # a document that may be printed from here on
    checklist: str | None = None           # a checklist of the policy that begins anew with this move
    instead: bool = False                  # stand-ins of the roles in `by` may make it (policy: instead)
    up: bool = False                       # roles of `by` found at a higher level of the case's path may make it too
    signal: bool = False                   # a word from outside: voids open proposals, stops a closure
    when: str | None = None                # of an engine's move: "signal" or "parent_ended" makes it by itself
    meets_parent: tuple[str, ...] = ()     # of a track: clocks of its parent that it meets in the same transaction
    sets_parent: Mapping[str, str | bool] = field(default_factory=dict)   # of a track: what it sets on its parent

    @property
    def opens_case(self) -> bool:
        """Whether this is the move that begins a case."""
        return not self.from_stages

    @property
    def only_lowers(self) -> bool:
        """Whether it does nothing but set the risk."""
        return self.to is None and set(self.sets) == {"risk"}

    @property
    def engine_only(self) -> bool:
        """Whether no person can make this move."""
        return self.by == ("engine",)


@dataclass(frozen=True, slots=True)
class DangerDef:
    """What `danger now` means in this workflow: floor of risk and tier, who is told, numbers shown."""

    risk: Risk = Risk.RED
    tier: Tier = Tier.SCHOOL
    tells: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrackDef:
    """A track that opens by itself beside its parent: at a risk, at a cue of a form, at moves of the parent; never twice at one time."""

    name: str                          # the track's workflow with its version, as its file is called
    from_risk: Risk | None = None      # when the case's risk first reaches this; `unrated` reaches nothing
    cues: tuple[str, ...] = ()         # when a form ticks one of these
    on: tuple[str, ...] = ()           # when one of these moves is made


@dataclass(frozen=True, slots=True)
class Workflow:
    """A procedure's structure without a number: stages, clocks, moves, forms, choices, labels."""

    name: str
    version: int
    label: Label
    subject: str                               # "student", "parent" (the parent's child) or "unit"
    start: str
    stages: Mapping[str, Stage]
    clocks: Mapping[str, ClockDef]
    moves: Mapping[str, MoveDef]
    choices: Mapping[str, Mapping[str, Label]]
    danger: DangerDef | None = None
    again: str | None = None                   # the move that a second report about the same subject becomes
    one_open_per_subject: bool = False
    parents: tuple[str, ...] = ()              # a track: which workflows it may stand beside
    end_with_parent: str | None = None         # "close": a settled track closes with its parent; "hold": the parent waits
    source: str = ""
    tracks: Mapping[str, TrackDef] = field(default_factory=dict)   # those that open by themselves beside its cases
    documents: Mapping[str, DocumentDef] = field(default_factory=dict)   # what its moves print
    graduates: Mapping[str, str] = field(default_factory=dict)     # which of its moves follows the opening when a class leaves, by whereto

    @property
    def id(self) -> str:
        """Name and version, as files and cases name it: `school_crisis_v1`."""
        return f"{self.name}_v{self.version}"

    @property
    def opening(self) -> MoveDef:
        """The one move that begins a case."""
        return next(move for move in self.moves.values() if move.opens_case)

    def ending_from(self, stage: str) -> MoveDef | None:
        """Return the engine's move by which a track in this stage ends with its parent."""
        ends = (move for move in self.moves.values() if move.engine_only and move.when == "parent_ended")
        return next((move for move in ends if stage in move.from_stages), None)


# ---- the two machines -------------------------------------------------------------------------------------------------
# `transitions` walks both. It takes any string as a state and imports a callback that is a dotted path; so it is given names that
# stand in the definition and nothing else, never a callback. Nothing is kept per case: a bare walker is made for each move.


class _Walker:
    """What a machine moves: its state and nothing else."""

    __slots__ = ("state",)

    def __init__(self, state: str) -> None:
        self.state = state


class Graph:
    """The stages of one workflow as one shared machine; compiled once, walked for every move of every case."""

    def __init__(self, workflow: Workflow) -> None:
        self._id = workflow.id
        self._moves_from = {
            stage: tuple(move.name for move in workflow.moves.values() if stage in move.from_stages) for stage in workflow.stages
        }
        self._walked: dict[tuple[str, str], str] = {}   # the machine has no memory: each of its walks ends as it did before
        self._machine = _machine(tuple(workflow.stages), workflow.start)
        for move in workflow.moves.values():
            if not move.opens_case:
                for stage in sorted(move.from_stages):
                    self._machine.add_transition(move.name, stage, move.to)

    def step(self, stage: str, move: str) -> str:
        """Return the stage after the move; CommandRejected with the moves that are possible when it is not one from here."""
        walked = self._walked.get((stage, move))
        if walked is not None:
            return walked
        possible = self.moves_from(stage)
        if move not in possible:
            close = difflib.get_close_matches(move[:80], possible, n=1)
            way_out = f'Did you mean "{close[0]}"? ' if close else ""
            raise CommandRejected(
                f'"{move[:80]}" is no move from stage "{stage}" of {self._id}.',
                way_out=f"{way_out}Possible from here: {', '.join(possible) or 'nothing'}.",
                stage=stage, move=move, possible=possible,
            )
        walker = _Walker(stage)
        self._machine.events[move].trigger(walker)
        self._walked[stage, move] = walker.state
        return walker.state

    def moves_from(self, stage: str) -> tuple[str, ...]:
        """Return the names of the moves that lead on from a stage, in the order of the file."""
        if stage not in self._moves_from:
            way_out = f"Its stages: {', '.join(self._moves_from)}."
            raise CommandRejected(f'"{stage[:80]}" is no stage of {self._id}.', way_out=way_out, stage=stage)
        return self._moves_from[stage]


class TierLadder:
    """The six tiers as one shared machine: `raise_to_X` leads only upward, `lower_to_X` only downward."""

    def __init__(self) -> None:
        self._machine = _machine(TIERS, Tier.PEER)
        for to in TIERS:
            for tier in TIERS:
                if tier is not to:
                    direction = "raise" if tier.rank < to.rank else "lower"
                    self._machine.add_transition(f"{direction}_to_{to.value}", tier.value, to.value)
        self._walked: dict[tuple[Tier, str], Tier] = {}   # the machine has no memory: each of its few walks ends as it did before

    def raise_to(self, tier: Tier, to: Tier) -> Tier:
        """Return the higher of the two; two late clocks that name the same level raise a case once."""
        return tier if to.rank <= tier.rank else self._walk(tier, f"raise_to_{to.value}")

    def lower_to(self, tier: Tier, to: Tier) -> Tier:
        """Return the lower of the two. Only a person's move may ask for it: software raises, people lower."""
        return tier if to.rank >= tier.rank else self._walk(tier, f"lower_to_{to.value}")

    def _walk(self, tier: Tier, trigger: str) -> Tier:
        reached = self._walked.get((tier, trigger))
        if reached is None:
            walker = _Walker(tier.value)
            self._machine.events[trigger].trigger(walker)
            reached = self._walked[tier, trigger] = Tier(walker.state)
        return reached


@cache
def tier_ladder() -> TierLadder:
    """Return the one ladder of this process; all workflows share it."""
    return TierLadder()


def _machine(states: tuple[str, ...], start: str) -> Machine:
    from transitions import Machine  # noqa: PLC0415 (30 ms that only those pay who move a case)

    names = [str(state) for state in states]  # plain str: the library treats an Enum member by its name, not by its value
    return Machine(model=None, states=names, initial=str(start), auto_transitions=False, send_event=True)
