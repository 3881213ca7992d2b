"""What becomes of a mutant: the loader refuses it, a law of the proof breaks, the table says another time, or it survives and a reason says why.

A mutant of a workflow is proven with `default_v1`, one of a policy with the workflow that it is about: whose clock it is, or who
climbs the ladder; what is everybody's is proven with the main line. One that differs only in what no decision reads is not proven again.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from types import FrameType
from typing import Any, NamedTuple

from crisis_engine import definitions
from crisis_engine.core.check import check_together, check_workflow
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.parse_access import parse_access
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_retention import parse_retention
from crisis_engine.core.policy import Access, Policy
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.stricter import check_stricter, extend
from crisis_engine.core.workflow import FieldDef, MoveDef, Workflow
from crisis_engine.prover import Proof, prove
from crisis_engine.prover.explore import Explorer
from crisis_engine.prover.order import disorder
from crisis_engine.prover.proof import note_worst
from crisis_engine.prover.silence import breaks, silences
from crisis_engine.prover.stagehand import Stagehand
from crisis_engine.prover.town import Town, worst_calendar

from .mutant import Doc, Mutant, Path, mutants
from .reason import reason_for
from .test_access import ACTIONS, RIGHTS

MAIN_LINE, NUMBERS = "school_crisis_v1", "default_v1"
PATIENCE = 60.0     # seconds of the processor for one proof; the longest of a shipped file takes two

KILLED = ("loader", "law", "table", "rights")
"""Who can kill a mutant: the loader, a law of the proof, the proof's table of times, the table of rights that was written by hand."""


class Fate(NamedTuple):
    """What became of a mutant: `by` whom it was killed or `survived`; `why` names the key, the law, or the reason."""

    file: str
    kind: str
    key: str
    by: str
    why: str


def files() -> dict[str, str]:
    """Return every shipped file by name, with what kind of file it is."""
    return {name: kind for kind, names in definitions.shipped().items() for name in names}


@cache
def own(name: str) -> Doc:
    """Return a shipped file's own document, as it was written."""
    import tomllib

    folder = definitions._folder("workflows" if files()[name] == "workflows" else "policies")  # noqa: SLF001 (where they lie)
    return tomllib.loads((folder / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def mutants_of(name: str) -> tuple[Mutant, ...]:
    """Return every mutant of a file."""
    return tuple(mutants(own(name)))


def fate(name: str, mutant: Mutant) -> Fate:
    """Return what becomes of a mutant."""
    try:
        with _patient():
            by, why = _JUDGES[files()[name]](name, mutant.made(own(name)), mutant.path)
    except DefinitionError as error:
        by, why = "loader", error.key or ""
    except TimeoutError:
        by, why = "slow", ""
    return Fate(name, mutant.kind, mutant.key, by, why if by != "survived" else why or reason_for(name, mutant))


@contextmanager
def _patient() -> Iterator[None]:
    """Raise TimeoutError after so much time of the processor; a busy machine is no fault."""
    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


# ---- one kind of file each ----------------------------------------------------------------------------------------------------


def _workflow(name: str, doc: Doc, _path: Path) -> tuple[str, str]:
    procedure = Procedure.of(doc, definitions.load_policy_doc(NUMBERS), files=("workflow", "policy"))
    check_workflow(procedure.workflow, "workflow")
    definitions._check_family(procedure.workflow, name)  # noqa: SLF001 (as the loader does with a file)
    return _proven(procedure, name, NUMBERS)


def _policy(name: str, doc: Doc, path: Path) -> tuple[str, str]:
    numbers = doc
    if "extends" in doc:
        base = definitions.load_policy_doc(str(doc["extends"]))
        numbers = extend(base, doc, name)
        check_stricter(parse_policy(base, "base"), parse_policy(numbers, name), name)
    told = "survived", ""
    for workflow in _concerned(name, path):
        procedure = Procedure.of(definitions.load_workflow_doc(workflow), numbers, files=("workflow", "policy"))
        told = _proven(procedure, workflow, name, numbers=_only_numbers(path))
        if told[0] != "survived":
            break
    return told


def _rights(name: str, doc: Doc, _path: Path) -> tuple[str, str]:
    access = parse_access(doc, name)
    if unlike := sorted(set(differences(access)) ^ set(differences(definitions.load_access()))):
        return "rights", unlike[0]
    procedure = Procedure.of(definitions.load_workflow_doc(MAIN_LINE), definitions.load_policy_doc(NUMBERS))
    return _proven(procedure, MAIN_LINE, NUMBERS, access)


def _terms(name: str, doc: Doc, _path: Path) -> tuple[str, str]:
    parse_retention(doc, name)
    return "survived", ""


_JUDGES = {"workflows": _workflow, "policies": _policy, "access": _rights, "retention": _terms}


def _concerned(name: str, path: Path) -> tuple[str, ...]:
    """Return the workflows that a place of a policy is about; the main line where it is everybody's."""
    made_for = definitions.load_policy(name).applies_to
    docs = {workflow: own(workflow) for workflow in made_for if workflow in files()}
    found: list[str] = []
    match path:
        case ("clock", clock, *_):
            found = [workflow for workflow, doc in docs.items() if clock in doc["clock"]]
        case ("ladder", ladder, *_):
            found = [workflow for workflow, doc in docs.items() if ladder in _climbed(name, doc["clock"])]
            found = [MAIN_LINE] if MAIN_LINE in found else found[:1]
        case ("checklist", checklist, *_):
            found = [workflow for workflow, doc in docs.items() if f"'{checklist}'" in str(doc["move"])]
        case ("for", int(place)):
            found = [made_for[place]]
    return tuple(found) or ((MAIN_LINE,) if MAIN_LINE in made_for else made_for[:1])


def _climbed(policy: str, clocks: Mapping[str, object]) -> set[str]:
    rules = definitions.load_policy(policy).clocks
    return {ladder for clock in clocks for ladder in (rules[clock].ladder, *rules[clock].ladder_by_risk.values())}


# ---- the proof ------------------------------------------------------------------------------------------------------------------


@cache
def original(workflow: str, policy: str) -> Proof:
    """Return the proof of what is shipped."""
    return prove(_shipped(workflow, policy), definitions.load_access())


@cache
def _shipped(workflow: str, policy: str) -> Procedure:
    return Procedure.of(definitions.load_workflow_doc(workflow), definitions.load_policy_doc(policy))


def _only_numbers(path: Path) -> bool:
    """Whether nothing but times can differ: budgets, reminders, caps and ladders change no situation and nobody who is found."""
    return path[0] == "ladder" or (path[0] == "clock" and len(path) > 2 and path[2] != "pause")  # noqa: PLR2004 (a key of a clock)


def _timed(procedure: Procedure, workflow: str, policy: str) -> tuple[str, str]:
    """Judge by the laws of time alone, over the situations that were found of what is shipped: a tenth of the price."""
    explorer = _explored(workflow, policy)
    explorer.hand = Stagehand(procedure, Town(definitions.load_access(), worst_calendar(procedure.policy)))
    found, worst = disorder(procedure.workflow, procedure.policy), {}
    for broken in found:
        return "law", broken.law
    for here in explorer.open():
        for silence, steps in silences(explorer.hand, here) if not here.key.flag else ():
            for broken in breaks(explorer.hand, here.key, silence, plain=not steps):
                return "law", broken.law
            note_worst(worst, here, silence.city)
    return ("survived", "") if worst == {(one.stage, one.risk): one for one in original(workflow, policy).worst} else ("table", "")


@cache
def _explored(workflow: str, policy: str) -> Explorer:
    """Return the situations of what is shipped."""
    procedure = _shipped(workflow, policy)
    explorer = Explorer(Stagehand(procedure, Town(definitions.load_access(), worst_calendar(procedure.policy))), lambda *_broken: None)
    explorer.walk()
    return explorer


def _proven(
    procedure: Procedure, workflow: str, policy: str, access: Access | None = None, *, numbers: bool = False,
) -> tuple[str, str]:
    rights = access or definitions.load_access()
    others = frozenset(clock for name, kind in files().items() if kind == "workflows" and name != procedure.workflow.id
                       for clock in own(name)["clock"])
    check_together(procedure.workflow, procedure.policy, rights, files=("workflow", "policy"), other_clocks=others)
    if access is None and _as_read(procedure) == _as_read(_shipped(workflow, policy)):
        return "survived", ""
    if numbers:
        return _timed(procedure, workflow, policy)
    proof = prove(procedure, rights, first=True)
    if proof.faults:
        return "law", proof.faults[0].law
    if proof.worst != original(workflow, policy).worst:
        return "table", ""
    return "survived", ""


_BY_NAME = frozenset({"form", "escort", "again"})
"""Text fields that a guard reads."""


def _as_read(procedure: Procedure) -> tuple[Workflow, Policy]:
    """Return what of a procedure a decision reads: no label, no source, no secrecy, no text that somebody writes into a form."""
    workflow, policy = procedure.workflow, procedure.policy
    return (
        replace(workflow, label={}, source="", choices={name: dict.fromkeys(values, {}) for name, values in workflow.choices.items()},
                stages={name: replace(stage, label={}) for name, stage in workflow.stages.items()},
                clocks={name: replace(clock, label={}) for name, clock in workflow.clocks.items()},
                moves={name: _bare(move) for name, move in workflow.moves.items()}),
        replace(policy, label={}, source="", mark="D", trust={}, closure_source="", closure_mark="D",
                clocks={name: replace(rule, source="", mark="D") for name, rule in policy.clocks.items()},
                cues={name: replace(cue, label={}) for name, cue in policy.cues.items()},
                checklists={name: dict.fromkeys(items, {}) for name, items in policy.checklists.items()}),
    )


def _bare(move: MoveDef) -> MoveDef:
    return replace(move, label={}, fields=tuple(
        _bare_field(field) for field in move.fields if field.type != "text" or field.name in _BY_NAME))


def _bare_field(field: FieldDef) -> FieldDef:
    return replace(field, label={}, secrecy=0, least=None, most=None)   # the proof fills in three people and one letter: a limit stops neither


# ---- rights ---------------------------------------------------------------------------------------------------------------------


def differences(access: Access) -> list[str]:
    """Return where the rights differ from the table that was written by hand (tests/test_access.py)."""
    found = [f"role.{name}" for name in {*RIGHTS, *access.roles} if name not in RIGHTS or name not in access.roles]
    which = {"all": "unit", "came": "reached", "none": "none"}
    for name, role in access.roles.items():
        if name in RIGHTS:
            line = RIGHTS[name]
            wanted = (line.level, line.reads, which[line.which], line.addressed, line.glass)
            if (role.level, role.reads, role.scope, role.addressed, role.glass) != wanted:
                found.append(f"role.{name}")
    for name, rule in access.actions.items():
        sight, unit, near, anywhere, marks = ACTIONS[name]
        lists = [frozenset(text.split()) for text in (sight, unit, near, anywhere)]
        flags = tuple(mark in marks for mark in "ewgrcs")
        if ([rule.sight, rule.unit, rule.near, rule.anywhere] != lists
                or (rule.everybody, rule.workflow, rule.glass, rule.reason, rule.concerned, rule.separate) != flags):
            found.append(f"action.{name}")
    return sorted(found)

