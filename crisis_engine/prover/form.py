"""Representative forms: for each move the few ways of filling it in that the rules can tell apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from crisis_engine.core.attachment import sample
from crisis_engine.core.case import Case
from crisis_engine.core.model import TIERS, UNIT_KINDS, Risk
from crisis_engine.core.policy import Policy, longest_pause
from crisis_engine.core.workflow import FieldDef, MoveDef, Workflow

from .town import CHILD, PARTNER, RECEIVER

Form = Mapping[str, Any]
OTHER_CHILD = "child.2"
_BLANK = "x"
_HASH = "0" * 64
_PANEL = ("counselor.1", "vice_principal.1", "leading_group.1")


def forms(workflow: Workflow, policy: Policy, move: MoveDef, case: Case | None, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield a plain form, and one for each other value of each field that the core reads; the rest of a form is text to it.

    A field is read by the core when a key of `sets` names it, or when it holds cues, a clock or a track. Of cues only the highest
    floor counts, so one cue for each floor is enough. Of a choice that becomes a fact all values do the same, so one is.
    """
    read = {value.removeprefix("field:") for value in move.sets.values() if isinstance(value, str) and value.startswith("field:")}
    plain: dict[str, Any] = {}
    others: list[tuple[str, Any]] = []
    for field in move.fields:
        counts = field.name in read or field.type in {"cues", "clock"} or f"field:{field.name}" in move.opens
        if field.name == "members" and any(need.startswith("panel_if_peak") for need in move.needs):
            plain[field.name] = list(_PANEL)
            continue
        asked = [need.partition(":")[2] for need in move.needs if need.startswith("members_hold")]
        if field.name == "members" and asked:
            plain[field.name] = [f"{asked[0]}.1"]
            continue
        values = list(_values(workflow, policy, move, field, case, now))
        if field.required:
            if not values:
                return
            plain[field.name] = values[0]
            others += [(field.name, value) for value in values[1:] if counts]
        elif counts:
            others += [(field.name, value) for value in values if value is not False]
    yield plain
    for name, value in others:
        yield {**plain, name: value}


def _values(  # noqa: C901, PLR0912 (one case for each type of field)
    workflow: Workflow, policy: Policy, move: MoveDef, field: FieldDef, case: Case | None, now: datetime,
) -> Iterator[Any]:
    match field.type:
        case "bool":
            yield from (False, True)
        case "risk":
            yield from (risk for risk in Risk if risk is not Risk.UNRATED)
        case "tier":
            yield from TIERS[1:]
        case "cues":
            floors = {cue.floor: name for name, cue in policy.cues.items()}
            yield from ([name] for name in floors.values())
        case "choice":
            yield from _choices(workflow, policy, move, field, case)
        case "choices":
            yield list(policy.cues if field.of == "cue" else workflow.choices.get(field.of or "", {}))[:1]
        case "time":
            yield now + _longest(policy, move, case)
        case "date":
            yield now.date().isoformat()
        case "persons":
            yield list(_PANEL) if field.name not in _recusing(move) else ["class_teacher.1"]
        case "items":
            yield list(policy.checklists.get(field.of or "", {}))
        case "clock":
            yield from (clock.name for clock in (case.clocks if case else ()))
        case "unit":
            yield RECEIVER if set(field.sorts) & set(UNIT_KINDS) else PARTNER
        case "hash":
            yield _HASH
        case "attachment":
            yield sample(field.sorts)
        case "subject":
            yield OTHER_CHILD if case is not None and case.subject is not None else CHILD
        case _:
            yield _BLANK


def _choices(workflow: Workflow, policy: Policy, move: MoveDef, field: FieldDef, case: Case | None) -> Iterator[str]:
    if "pause" in move.sets and case is not None:   # each clock knows its own reasons
        rules = [policy.clocks[clock.name].pause for clock in case.clocks]
        yield from dict.fromkeys(reason for rule in rules if rule is not None for reason in rule.reasons)
        return
    yield from list(policy.cues if field.of == "cue" else workflow.choices.get(field.of or "", {}))[:1]


def _recusing(move: MoveDef) -> set[str]:
    value = move.sets.get("recused")
    return {value.removeprefix("field:")} if isinstance(value, str) else set()


def _longest(policy: Policy, move: MoveDef, case: Case | None) -> timedelta:
    """Return how far ahead a time may lie: as long as the policy lets a ladder be held or a clock stand still."""
    if "hold" in move.sets and case is not None:
        return policy.hold[case.risk].wall
    if "pause" in move.sets and case is not None:
        rules = [rule for clock in case.clocks if (rule := policy.clocks[clock.name]).pause is not None]
        return min((longest_pause(policy, rule, case.risk, 0) for rule in rules), default=timedelta(hours=1))
    return timedelta(hours=1)


_TOLD = frozenset({"risk", "to", "danger_now", "cues", "clock", "until", "reason", "about_staff", "person", "subject", "answer"})


def said(form: Form) -> dict[str, Any]:
    """Return of a form what a story tells: what the core reads of it."""
    return {name: value for name, value in form.items() if value != _BLANK and name in _TOLD}
