"""What the face gives back: frozen views of a case, a queue, a history, and the counts of a sweep."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from crisis_engine.core import events as ev
from crisis_engine.core.attachment import is_description
from crisis_engine.core.case import Case, Clock
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.secret import revealed
from crisis_engine.core.workflow import FieldDef, Label

from .look import local


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a reporter gets: the same whether or not a case existed. `shows` are numbers to call (110, 120, 12356)."""

    token: str
    received_at: datetime
    shows: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"receipt": self.token, "received_at": local(self.received_at), "shows": list(self.shows)}


@dataclass(frozen=True, slots=True)
class ClockView:
    """One deadline as people see it. `status` is armed, late, paused, met, met_late or dropped."""

    name: str
    label: Label
    n: int
    kind: str
    role: str
    who: str | None
    armed_at: datetime
    due_at: datetime
    next_at: datetime | None
    status: str
    provisional: bool = False
    source: str = ""
    mark: str = ""
    ended_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "name": self.name, "label": dict(self.label), "n": self.n, "kind": self.kind, "role": self.role, "who": self.who,
            "armed_at": local(self.armed_at), "due_at": local(self.due_at), "next_at": local(self.next_at), "status": self.status,
            "provisional": self.provisional, "source": self.source, "mark": self.mark, "unverified": self.mark in {"B", "D"},
            "ended_at": local(self.ended_at),
        }


@dataclass(frozen=True, slots=True)
class CaseView:
    """A case as the reader may see it. `owner` does the clock due first, `answers` holds the tier."""

    number: str
    workflow: str
    stage: str
    stage_label: Label
    tier: str
    risk: str
    peak: str
    danger: bool
    owner: str | None
    owner_role: str | None
    answers: str | None
    answers_role: str
    version: int
    opened_at: datetime
    closed_at: datetime | None
    final: str | None
    unit: str
    subject: str | None
    lead: str | None
    deadlines: tuple[ClockView, ...]
    proposals: tuple[Mapping[str, Any], ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    shows: tuple[str, ...] = ()
    waits: bool = False
    prints: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data (DESIGN.md section 7)."""
        return {
            "number": self.number, "workflow": self.workflow, "stage": self.stage, "stage_label": dict(self.stage_label),
            "tier": self.tier, "risk": self.risk, "peak": self.peak, "danger": self.danger, "owner": self.owner,
            "owner_role": self.owner_role, "answers": self.answers, "answers_role": self.answers_role, "version": self.version,
            "opened_at": local(self.opened_at), "closed_at": local(self.closed_at), "final": self.final, "unit": self.unit,
            "subject": self.subject, "lead": self.lead, "deadlines": [clock.to_json() for clock in self.deadlines],
            "proposals": [dict(proposal) for proposal in self.proposals],
            "links": [{"link": link, "case": other} for link, other in self.links], "facts": dict(self.facts),
            "shows": list(self.shows), "waits": self.waits, "prints": list(self.prints),
        }


@dataclass(frozen=True, slots=True)
class MoveView:
    """One move: possible now, or why not; `second` says that another person has to confirm it."""

    name: str
    label: Label
    possible: bool
    why_not: str | None
    second: bool
    fields: tuple[FieldDef, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "move": self.name, "label": dict(self.label), "possible": self.possible, "why_not": self.why_not, "second": self.second,
            "fields": [
                {"name": f.name, "type": f.type, "of": f.of or (list(f.sorts) or None), "required": f.required, "label": dict(f.label)}
                for f in self.fields
            ],
        }


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did: cases written, rungs fired, duties handed over, cases that failed and stay due."""

    cases: int = 0
    rungs: int = 0
    raised: int = 0
    handed_over: int = 0
    failed: int = 0
    next_at: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"cases": self.cases, "rungs": self.rungs, "raised": self.raised, "handed_over": self.handed_over, "failed": self.failed,
                "next_at": local(self.next_at)}


@dataclass(frozen=True, slots=True)
class DeliverReport:
    """What a delivery did: messages sent, failed (they come again), and what waits for hours or a retry."""

    sent: int = 0
    failed: int = 0
    waiting: int = 0
    reason: str = ""     # why the last one failed
    dead: int = 0        # of those that failed, how many were given up

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"sent": self.sent, "failed": self.failed, "waiting": self.waiting, "reason": self.reason, "dead": self.dead}


@dataclass(frozen=True, slots=True)
class DigestReport:
    """What came of a round of digests: made now, had before by somebody else, and people with nothing to be told."""

    kind: str
    period: str
    made: int = 0
    before: int = 0
    quiet: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"kind": self.kind, "period": self.period, "made": self.made, "before": self.before, "quiet": self.quiet}


@dataclass(frozen=True, slots=True)
class MessageView:
    """One message of the outbox as an operator sees it: case numbers, to whom, how often tried, why not yet; no address."""

    id: int
    key: str
    cases: tuple[str, ...]
    what: tuple[str, ...]
    person: str
    channel: str
    urgent: bool
    kind: str
    status: str
    made_at: datetime
    tries: int
    next_try_at: datetime | None
    ended_at: datetime | None
    error: str
    answer: str
    received_at: datetime | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "id": self.id, "key": self.key, "cases": list(self.cases), "what": list(self.what), "person": self.person,
            "channel": self.channel, "urgent": self.urgent, "kind": self.kind, "status": self.status, "made_at": local(self.made_at),
            "tries": self.tries, "next_try_at": local(self.next_try_at), "ended_at": local(self.ended_at), "error": self.error,
            "answer": self.answer, "received_at": local(self.received_at),
        }


def clock_view(
    clock: Clock, procedure: Procedure, now: datetime, *, status: str | None = None, ended_at: datetime | None = None,
) -> ClockView:
    """Return a deadline with its label, its source and trust mark, and its status at `now`."""
    rule = procedure.policy.clocks[clock.name]
    if status is None:
        status = "paused" if clock.paused_at is not None else "late" if clock.due_at <= now else "armed"
    return ClockView(
        name=clock.name, label=procedure.workflow.clocks[clock.name].label, n=clock.n, kind=clock.kind, role=clock.role, who=clock.holder,
        armed_at=clock.armed_at, due_at=clock.due_at, next_at=None if ended_at else clock.next_at, status=status,
        provisional=clock.provisional, source=rule.source, mark=rule.mark, ended_at=ended_at,
    )


def case_view(
    case: Case, procedure: Procedure, now: datetime, *, reads: int, subject: str | None, links: Iterable[tuple[str, str]] = (),
    ended: Iterable[ClockView] = (), shows: tuple[str, ...] = (), waits: bool = False, prints: tuple[str, ...] = (),
) -> CaseView:
    """Return a case up to the reader's secrecy tier: at 0 (that a task exists) the child and the facts are absent.

    What was proposed and waits for a second person belongs to assessment and plan: below 2 it is absent.
    """
    clocks = sorted(case.clocks, key=lambda clock: clock.due_at)
    first = clocks[0] if clocks else None
    deadlines = (*(clock_view(clock, procedure, now) for clock in clocks), *ended)
    return CaseView(
        number=case.number, workflow=case.workflow, stage=case.stage, stage_label=procedure.workflow.stages[case.stage].label,
        tier=case.tier.value, risk=case.risk.value, peak=case.peak.value, danger=case.danger,
        owner=first.holder if first else None, owner_role=first.role if first else None, answers=case.answers if case.open else None,
        answers_role=case.answers_role, version=case.version, opened_at=case.opened_at, closed_at=case.closed_at, final=case.final,
        unit=case.unit, subject=subject if reads >= 1 else None, lead=case.lead.value if case.lead else None, deadlines=deadlines,
        proposals=tuple({"proposal": p.id, "move": p.move, "by": p.by, "at": local(p.at)} for p in case.proposals) if reads >= PLAN else (),
        links=tuple(links), facts={k: v for k, v in case.facts.items() if k != "reached"} if reads >= 1 else {}, shows=shows, waits=waits,
        prints=prints,
    )


def plain(value: object) -> object:
    """Return a header's value as plain data: China's time, text, lists."""
    if isinstance(value, datetime):
        return local(value)
    if isinstance(value, Enum):
        return value.value
    return [plain(one) for one in value] if isinstance(value, (tuple, list)) else value


_SECRECY: tuple[tuple[type[ev.Event], int, str], ...] = (
    (ev.PersonRecused, 4, "person"), (ev.FactSet, 1, "value"), (ev.Proposed, 2, "risk"), (ev.GlassBroken, 2, "reads"),
)
"""Header fields that a reader below this secrecy tier does not get: whom a case concerns, the guardian's answer, a proposed rating."""

PLAN = 2
"""The secrecy tier of assessment and plan."""

_HIDDEN = {"secret", "case", "procedure", "subject", "armed"}


def secrecy_shown(event: ev.Event, procedure: Procedure, reads: int) -> int:
    """Return the highest secrecy tier that `history_items` shows of an event, 0 for none."""
    shown = [tier for kind, tier, name in _SECRECY if isinstance(event, kind) and getattr(event, name) is not None]
    move = procedure.workflow.moves.get(getattr(event, "move", ""))
    shown += [f.secrecy for f in move.fields if f.name in event.secret] if move is not None else []
    return max((tier for tier in shown if tier <= reads), default=0)


def history_items(event: ev.Event, procedure: Procedure, reads: int, subject: str | None) -> list[dict[str, Any]]:
    """Return an event as lines of a history, secrets above the reader's tier absent; a rung tells what it raised and whom it told."""
    item: dict[str, Any] = {"seq": event.seq, "at": local(event.at), "by": event.by, "kind": event.kind}
    for name in ev.FIELDS[type(event)]:
        value = getattr(event, name)
        if name not in _HIDDEN and value is not None and value != ():
            item[name] = plain(value)
    for kind, tier, name in _SECRECY:
        if isinstance(event, kind) and reads < tier:
            item.pop(name, None)
    if subject is not None and reads >= 1 and isinstance(event, (ev.Opened, ev.SubjectSet)):
        item["subject"] = subject
    if shown := _fields(event, procedure, reads):
        item["fields"] = shown
    if not isinstance(event, ev.RungFired):
        return [item]
    told = [tuple(pair) for pair in item.pop("told", ())]
    tier = item.pop("tier", None)
    base = {"seq": event.seq, "at": item["at"], "by": event.by}
    lines = [{key: value for key, value in item.items() if not key.startswith("answers")}]
    if tier is not None:
        lines.append({**base, "kind": "tier_raised", "tier": tier, "role": event.answers_role, "unit": event.answers_unit,
                      "holder": event.answers, "clock": event.clock})
    lines += [{**base, "kind": "told", "tier": level, "role": role, "clock": event.clock} for level, role in told]
    return lines + [line for armed in event.armed or () for line in history_items(armed, procedure, reads, subject)]


def _fields(event: ev.Event, procedure: Procedure, reads: int) -> dict[str, Any]:
    """Return what was written into the form, as far as the reader's secrecy tier goes; of a broken glass the reason."""
    if isinstance(event, ev.GlassBroken):
        return {name: revealed(value) for name, value in event.secret.items()} if reads >= PLAN else {}
    move = procedure.workflow.moves.get(getattr(event, "move", ""))
    fields = move.fields if move is not None else ()
    return {f.name: _field(event.secret[f.name]) for f in fields if f.name in event.secret and f.secrecy <= reads}


def _field(value: object) -> object:
    """Return what was filled in as plain data; of an attachment what it is called and is, and by which id it is asked for."""
    if is_description(value):
        return {"attachment": f"{value['seq']}.{value['n']}", "name": str(value["name"]), "sort": str(value["sort"]), "size": value["size"]}
    return revealed(value)
