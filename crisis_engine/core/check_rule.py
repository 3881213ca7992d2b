"""What a policy's rules and checklists must mean with a workflow: the engine may open it, the form is right, the list is there."""

from __future__ import annotations

from typing import NoReturn

from .errors import BadInput, DefinitionError
from .form import check_fields
from .parse_table import nearest
from .policy import Access, Policy, Rule
from .workflow import Workflow


def check_rules(workflow: Workflow, policy: Policy, access: Access, file: str) -> None:
    """Raise DefinitionError for a rule that could open nothing; what it opens is looked at with the workflow that it opens."""
    for rule in policy.rules.values():
        key = f"rule.{rule.name}"
        if rule.role is not None:
            role = access.roles.get(rule.role)
            if role is None:
                _refuse(file, f"{key}.role", f'the role "{rule.role}" is unknown to {access.name}_v{access.version}.',
                        nearest(rule.role, access.roles))
            if role.level != rule.unit:
                _refuse(file, f"{key}.role", f"{rule.role} is held at a {role.level}, not at a {rule.unit}.",
                        f"Name a role of a {rule.unit}, or another unit.")
        if rule.opens == workflow.id:
            _check_opening(workflow, policy, rule, file)


def _check_opening(workflow: Workflow, policy: Policy, rule: Rule, file: str) -> None:
    key, move = f"rule.{rule.name}", workflow.opening
    if workflow.subject != "unit":
        _refuse(file, f"{key}.opens", f"{workflow.id} is not about a unit.", 'Name a workflow with subject = "unit".')
    if "engine" not in move.by:
        _refuse(file, f"{key}.opens", f"the engine may not open {workflow.id}.", f"Let its move {move.name} be made by the engine too.")
    try:
        check_fields(move, rule.fields, workflow, policy)
    except BadInput as error:
        _refuse(file, f"{key}.fields", error.message, error.way_out)


def check_checklists(workflow: Workflow, policy: Policy, file: str) -> None:
    """Raise DefinitionError for a checklist that a form or a move names and the policy does not have."""
    for move in workflow.moves.values():
        named = [field.of or "" for field in move.fields if field.type == "items"] + [move.checklist] * bool(move.checklist)
        for name in named:
            if name not in policy.checklists:
                _refuse(file, f"move.{move.name}", f'{policy.id} has no checklist "{name}".', nearest(str(name), policy.checklists))


def _refuse(file: str, key: str, message: str, way_out: str) -> NoReturn:
    raise DefinitionError(message, file=file, key=key, way_out=way_out)
