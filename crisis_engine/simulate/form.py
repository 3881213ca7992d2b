"""What people write into a form: each field by its type, with what the file of habits says; nothing here knows a workflow or a stage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from crisis_engine.core.calendar import CHINA, parse_span
from crisis_engine.core.case import Case
from crisis_engine.core.model import RISKS, TIERS, Risk
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.workflow import FieldDef, MoveDef
from crisis_engine.simulate.book import Book
from crisis_engine.simulate.child import Child

_PANEL = ("counselor", "vice_principal", "class_teacher", "county_officer", "city_officer", "leading_group")
_OFTEN = {"members"}      # fields that people fill in although they need not
_DAYS = timedelta(days=60)   # of a date of which the file says nothing


def filled(
    book: Book, now: datetime, child: Child, case: Case, procedure: Procedure, move: MoveDef, given: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the form of a move: what is needed, and what `given` says. `case` is the parent where the move opens a track."""
    form = {}
    for one in move.fields:
        if one.required or one.name in given or one.name in _OFTEN:
            value = _value(book, now, child, case, procedure, move, one, given.get(one.name))
            if value is not None:
                form[one.name] = value
    tried = book.sent(case.number)
    if any(value in tried for value in form.values() if isinstance(value, str)) and any(one.name == "again" for one in move.fields):
        form["again"] = True    # every partner was asked before: one of them once more, and somebody says so
    return form


def _value(
    book: Book, now: datetime, child: Child, case: Case, procedure: Procedure, move: MoveDef, one: FieldDef, given: Any,  # noqa: ANN401 - any field of a form
) -> Any:  # noqa: ANN401
    if one.type == "risk":
        return _risk(child, case, str(given or "truth"))
    if one.type == "time":
        return now + (parse_span(given.removeprefix("+")).wall if isinstance(given, str) else timedelta())
    if one.type == "date":
        after = parse_span(given.removeprefix("+")).wall if isinstance(given, str) else _DAYS
        return (now + after).astimezone(CHINA).date().isoformat()
    if given is not None:
        return given
    if one.type == "persons":
        return _people(book, now, case, procedure, move)
    if one.type == "unit":
        return _partner(book, now, case, one)
    if one.type in {"choice", "choices", "items"}:
        return _choice(procedure, one)
    if one.type == "subject":
        return child.ref
    if one.type == "tier":
        return TIERS[min(case.tier.rank + 1, len(TIERS) - 1)].value
    return one.type == "bool" or "-"


def _choice(procedure: Procedure, one: FieldDef) -> str | list[str]:
    if one.type == "items":
        return list(procedure.policy.checklists.get(one.of or "", {}))
    first = next(iter(procedure.policy.cues if one.of == "cue" else procedure.workflow.choices[one.of or ""]))
    return [first] if one.type == "choices" else first


def _risk(child: Child, case: Case, word: str) -> str:
    if word == "same":
        return (case.risk if case.risk is not Risk.UNRATED else Risk.YELLOW).value
    if word == "lower":
        return RISKS[max(case.risk.rank - 1, 1)].value
    return "blue" if child.truth == "none" else child.truth


def _people(book: Book, now: datetime, case: Case, procedure: Procedure, move: MoveDef) -> list[str]:
    """Return a panel, or whoever holds the duty that the move asks of its members."""
    resolver, policy = book.resolver(now), procedure.policy
    role = next((need.partition(":")[2] for need in move.needs if need.startswith("members_hold:")), None)
    if role is not None:
        found = [duty.person for place in resolver.chain(case.unit).values() for duty in resolver.holders(place, role, case.recused)]
    else:
        found = [person for one in _PANEL if (person := resolver.find(case.unit, (one,), policy, case.recused).person) is not None]
    return list(dict.fromkeys(found))


def _partner(book: Book, now: datetime, case: Case, one: FieldDef) -> str | None:
    """Return a partner of such a sort that takes children of this unit today and has room; one that was not asked yet, if there is one."""
    tried = book.sent(case.number)
    fits = [partner for partner in sorted(book.agreements) if one.sorts and book.takes(partner, one.sorts, case.unit, now)]
    return next((partner for partner in fits if partner not in tried), next(iter(fits), None))
