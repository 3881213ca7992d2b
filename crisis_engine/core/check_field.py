"""How secret a field of a form must at least be: what could tell the wrong person is no matter of taste."""

from __future__ import annotations

from typing import NoReturn

from .errors import DefinitionError
from .workflow import FieldDef, MoveDef, Workflow

RATED, HIDDEN = 2, 4
"""The secrecy of an assessment, and of what somebody must not learn that the case concerns (DOMAIN.md 6.5: T2, T4)."""


def check_secrecy(workflow: Workflow, file: str) -> None:
    """Raise DefinitionError for a rating that everybody reads, and for a field that would tell whom a case concerns, or what is withheld."""
    for move in workflow.moves.values():
        for field in move.fields:
            least = _least(move, field)
            if field.secrecy < least:
                _refuse(file, f"move.{move.name}.fields", f'the field "{field.name}" must be of secrecy {least} at least.',
                        f"Write secrecy = {least}.")


def _least(move: MoveDef, field: FieldDef) -> int:
    for sets in (move.sets, move.sets_parent):
        if sets.get("recused") == f"field:{field.name}" or (sets.get("guardian") == "withheld" and field.type == "text"):
            return HIDDEN
    return RATED if field.type == "risk" else 0


def _refuse(file: str, key: str, message: str, way_out: str) -> NoReturn:
    raise DefinitionError(message, file=file, key=key, way_out=way_out)
