"""A case and its database row: how one becomes the other. No SQL is run here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from crisis_engine.core.attachment import Kept
from crisis_engine.core.case import Case, Clock, Done, Grant, Proposal
from crisis_engine.core.draft import drafted
from crisis_engine.core.errors import CommandRejected
from crisis_engine.core.events import Event, Notice
from crisis_engine.core.model import RISKS, TIERS
from crisis_engine.store.header import decode, encode, escaped
from crisis_engine.store.instant import instant, instant_or_none, micros, micros_or_none


class AlreadyOpen(CommandRejected):
    """The child has an open case of this kind already."""


@drafted
@dataclass(frozen=True, slots=True)
class Stored:
    """A case with what only its row knows: id, hash of its last event, and which promises the database keeps for it."""

    id: int
    case: Case
    head: bytes
    two: bool   # two different people must sign its ending
    sole: bool  # its subject has at most one open case of this workflow


@drafted
@dataclass(frozen=True, slots=True)
class Change:
    """What one command did to one case: the case before (None for a new one) and after, its events with their files, notices owed."""

    before: Stored | None
    after: Case
    events: tuple[Event, ...]
    notices: tuple[Notice, ...]
    two: bool
    sole: bool
    attached: tuple[Kept, ...] = ()


_TIER: dict[str | None, Any] = {None: None} | {str(tier): tier for tier in TIERS}
_RISK: dict[str | None, Any] = {None: None} | {str(risk): risk for risk in RISKS}

CASE_COLUMNS = (
    "id, number, workflow, procedure, unit, subject, parent, stage, tier, risk, peak, danger, lead, final, opened_at, closed_at, "
    "last_at, version, answers_role, answers_unit, answers, next_at, due_at, ended_by, ended_second, two, sole, head, state, clocks"
)
CLOCK_COLUMNS = (
    "case_id, name, n, sort, role, unit, holder, armed_at, due_at, cap_at, provisional, at_tier"
)

state_fields = attrgetter("opened_from", "signal_seq", "signal_at", "facts", "done", "armings", "recused", "proposals",
                          "grants")
"""The fields of a case that no query looks at; they share the column `state`."""


def state_of(case: Case) -> str:
    """Return the canonical JSON of the fields that have no column of their own; those that are empty are left out."""
    state: dict[str, object] = {}
    if case.opened_from is not None:
        state["opened_from"] = case.opened_from
    if case.signal_seq:
        state["signal_seq"] = case.signal_seq
    if case.signal_at is not None:
        state["signal_at"] = micros(case.signal_at)
    if case.facts:
        state["facts"] = dict(case.facts)
    if case.done:
        state["done"] = {move: [done.by, micros(done.at), done.seq] for move, done in case.done.items()}
    if case.armings:
        state["armings"] = dict(case.armings)
    if case.recused:
        state["recused"] = sorted(case.recused)
    if case.proposals:
        state["proposals"] = [[each.id, each.move, each.by, micros(each.at), each.risk] for each in case.proposals]
    if case.grants:
        state["grants"] = [[each.person, micros(each.until), each.reads, each.seq] for each in case.grants]
    return encode(state)


def clocks_of(case: Case) -> str:
    """Return the JSON of the running clocks, in the order in which they were armed: a list for each, short of what is at its default.

    A sweep reads and writes the row of the case and nothing else; the rows of crisis_deadline are for queues and for what ended.
    """
    return f"[{','.join([_short(clock) for clock in case.clocks])}]"


def _short(clock: Clock) -> str:
    """Return the fields in their order of Clock, without those at the end that are at their default; `_clock_of` makes the clock again.

    The text is what `encode` would make of the list, put together at half its price.
    """
    text = (
        f"[{escaped(clock.name)},{clock.n:d},{escaped(clock.kind)},{escaped(clock.role)},{escaped(clock.unit)}"
        f",{'null' if clock.holder is None else escaped(clock.holder)},{micros(clock.armed_at)},{micros(clock.due_at)}"
        f",{micros(clock.next_at)},{clock.rung:d},{clock.times:d},{clock.at_tier:d}"
    )
    rest = (clock.cap_at, clock.provisional, clock.held_until, clock.held_at, clock.paused_at, clock.paused_until, clock.pauses)
    if rest == _NO_REST:
        return f"{text}]"
    values = [
        micros_or_none(clock.cap_at), int(clock.provisional), micros_or_none(clock.held_until), list(clock.held_at),
        micros_or_none(clock.paused_at), micros_or_none(clock.paused_until), clock.pauses,
    ]
    return f"{text},{encode(values)[1:]}"


_NO_REST = (None, False, None, (), None, None, 0)


def _clock_of(name: str, n: int, kind: str, role: str, unit: str, holder: str | None, armed_at: int, due_at: int, next_at: int, rung: int,  # noqa: PLR0917 - the places of a list
              times: int, at_tier: int, cap_at: int | None = None, provisional: int = 0, held_until: int | None = None,
              held_at: Sequence[str] = (), paused_at: int | None = None, paused_until: int | None = None, pauses: int = 0) -> Clock:
    return Clock(
        name, n, kind, role, unit, holder, instant(armed_at), instant(due_at), instant(next_at), rung, times, instant_or_none(cap_at),
        bool(provisional), instant_or_none(held_until), tuple(_TIER[tier] for tier in held_at), instant_or_none(paused_at),
        instant_or_none(paused_until), pauses, bool(at_tier),
    )


def values_of(case: Case, head: bytes, state: str, clocks: str, *, two: bool, sole: bool) -> tuple[Any, ...]:
    """Return the values of a case's row in the order of CASE_COLUMNS, without the id."""
    return (
        case.number, case.workflow, case.procedure, case.unit, case.subject, case.parent, case.stage, case.tier.value,
        case.risk.value, case.peak.value, case.danger, case.lead and case.lead.value, case.final, micros(case.opened_at),
        micros_or_none(case.closed_at),
        micros(case.last_at), case.version, case.answers_role, case.answers_unit, case.answers, micros_or_none(case.next_at),
        micros_or_none(case.due_at), case.ended_by, case.ended_second, two, sole, head, state, clocks,
    )


def clock_values(case_id: int, clock: Clock) -> tuple[Any, ...]:
    """Return the values of a clock's row in the order of CLOCK_COLUMNS."""
    return (
        case_id, clock.name, clock.n, clock.kind, clock.role, clock.unit, clock.holder, micros(clock.armed_at), micros(clock.due_at),
        micros_or_none(clock.cap_at), clock.provisional, clock.at_tier,
    )


def clock_from(row: Sequence[Any]) -> Clock:
    """Return the clock of a row that has CLOCK_COLUMNS; where its ladder stood is in the log and no longer here."""
    _, name, n, sort, role, unit, holder, armed_at, due_at, cap_at, provisional, at_tier = row
    due = instant(due_at)
    return Clock(name, n, sort, role, unit, holder, instant(armed_at), due, due, 0, 0, instant_or_none(cap_at), bool(provisional),
                 at_tier=bool(at_tier))


def stored_from(row: Sequence[Any]) -> Stored:
    """Return the case of a row that has CASE_COLUMNS."""
    (case_id, number, workflow, procedure, unit, subject, parent, stage, tier, risk, peak, danger, lead, final, opened_at,
     closed_at, last_at, version, answers_role, answers_unit, answers, _, _, ended_by, ended_second, two, sole, head, state, clocks) = row
    fields = decode(state) if state != "{}" else {}
    pick = fields.get
    done = pick("done")
    proposals = pick("proposals")
    recused, grants = pick("recused"), pick("grants")
    case = Case(
        number, workflow, procedure, unit, subject, stage, _TIER[tier], _RISK[risk], _RISK[peak], instant(opened_at),
        instant(last_at), version, answers_role, answers_unit, answers, parent, _TIER[lead], bool(danger), final,
        instant_or_none(closed_at), ended_by,
        ended_second, _TIER[pick("opened_from")], pick("signal_seq", 0), instant_or_none(pick("signal_at")),
        pick("facts") or {},
        {move: Done(by, instant(at), seq) for move, (by, at, seq) in done.items()} if done else {},
        pick("armings") or {},
        frozenset(recused) if recused else frozenset(),
        tuple([_clock_of(*values) for values in decode(clocks)]),
        tuple(Proposal(seq, move, by, instant(at), _RISK[risk]) for seq, move, by, at, risk in proposals) if proposals else (),
        tuple(Grant(person, instant(until), reads, seq) for person, until, reads, seq in grants) if grants else (),
    )
    return Stored(case_id, case, head, bool(two), bool(sole))
