"""Reading definition files: the shipped ones by name, a host's own by path; checked hard before any case may follow them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from crisis_engine.core.check import check_together, check_workflow
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.parse_access import parse_access
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_retention import parse_retention
from crisis_engine.core.parse_table import NAME, nearest
from crisis_engine.core.policy import Access, Policy
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.retention import Retention
from crisis_engine.core.stricter import check_stricter, extend
from crisis_engine.core.workflow import Workflow

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

WORKFLOWS, POLICIES = "workflows", "policies"
MOST_BYTES = 1_000_000
"""The largest definition file that is read; the shipped ones have 36 kB."""

_ACCESS, _RETENTION = "access_", "retention_"
_LINE = re.compile(r"at line (\d+)")

Doc = dict[str, object]


def load_procedure(workflow: str = "school_crisis_v1", policy: str = "default_v1", *, access: str = "access_v1") -> Procedure:
    """Return the procedure of a workflow and a policy, each the name of a shipped one or the path of a file.

    It holds afterwards what `check_workflow`, `check_together` and `check_stricter` say; a DefinitionError names file and key.
    """
    workflow = _beside(workflow, policy)
    workflow_doc, policy_doc = load_workflow_doc(workflow), load_policy_doc(policy)
    files = (_file(workflow), _file(policy))
    procedure = Procedure.of(workflow_doc, policy_doc, files=files)
    check_workflow(procedure.workflow, files[0])
    _check_family(procedure.workflow, workflow)
    _check_named(procedure.policy, policy)
    others = _other_clocks(procedure, policy)
    check_together(procedure.workflow, procedure.policy, load_access(access), files=files, other_clocks=others)
    return procedure


def load_workflow_doc(name_or_path: str) -> Doc:
    """Return a workflow's document as it was written."""
    return _read(_find(name_or_path, WORKFLOWS), _file(name_or_path))


def load_policy_doc(name_or_path: str) -> Doc:
    """Return a policy's document, flattened with what it extends and proven stricter than that; a circle is refused."""
    return _flattened(name_or_path, ())[0]


def load_access(name_or_path: str = "access_v1") -> Access:
    """Return the rights of all roles."""
    return parse_access(_read(_find(name_or_path, POLICIES), _file(name_or_path)), _file(name_or_path))


def load_retention(name_or_path: str = "retention_v1") -> Retention:
    """Return how long what is kept on children is kept."""
    return parse_retention(_read(_find(name_or_path, POLICIES), _file(name_or_path)), _file(name_or_path))


def read_document(path: Path) -> Doc:
    """Return a host's own TOML file as it was written; DefinitionError with file and line where it is none."""
    return _read(_find(str(path.absolute()), POLICIES), path.name)


def shipped() -> Mapping[str, tuple[str, ...]]:
    """Return the names that come with the package, under `workflows`, `policies`, `access` and `retention`."""
    policies = _names(POLICIES)
    return {
        WORKFLOWS: _names(WORKFLOWS),
        POLICIES: tuple(name for name in policies if not name.startswith((_ACCESS, _RETENTION))),
        "access": tuple(name for name in policies if name.startswith(_ACCESS)),
        "retention": tuple(name for name in policies if name.startswith(_RETENTION)),
    }


def load_policy(name_or_path: str) -> Policy:
    """Return what a policy says, flattened with what it extends."""
    return _flattened(name_or_path, ())[1]


def fingerprint(policies: Iterable[str] = ()) -> str:
    """Return 16 hex digits that stand for every shipped definition and these policies as their files are now."""
    names = shipped()
    files = [_find(name, WORKFLOWS) for name in names[WORKFLOWS]]
    files += [_find(name, POLICIES) for kind, found in names.items() if kind != WORKFLOWS for name in found]
    files += [_find(policy, POLICIES) for policy in sorted(set(policies)) if _is_path(policy)]
    return sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


# ---- reading --------------------------------------------------------------------------------------------------------------


def _folder(kind: str) -> Traversable:
    """Return where the shipped definitions lie: inside the package, or beside it in a clone that was not installed."""
    from importlib.resources import files  # noqa: PLC0415 (10 ms, and most commands load no definition)

    try:
        return files(f"crisis_engine.{kind}")
    except ModuleNotFoundError:
        return Path(__file__).resolve().parent.parent / kind


def _names(kind: str) -> tuple[str, ...]:
    return tuple(sorted(entry.name.removesuffix(".toml") for entry in _folder(kind).iterdir() if entry.name.endswith(".toml")))


def _is_path(name_or_path: str) -> bool:
    return not NAME.fullmatch(name_or_path)


def _file(name_or_path: str) -> str:
    """Return the file's name as errors say it: without the folders, which are the machine's affair."""
    return Path(name_or_path).name if _is_path(name_or_path) else f"{name_or_path}.toml"


def _find(name_or_path: str, kind: str) -> Traversable:
    found = Path(name_or_path) if _is_path(name_or_path) else _folder(kind).joinpath(f"{name_or_path}.toml")
    try:
        there = found.is_file()
    except (OSError, ValueError):  # ValueError: a null character in the path
        there = False
    if not there:
        raise DefinitionError("there is no such file.", file=_file(name_or_path), way_out=nearest(name_or_path, _names(kind)))
    return found


def _read(found: Traversable, file: str) -> Doc:
    import tomllib  # noqa: PLC0415 (read only when a definition is)

    try:
        with found.open("rb") as stream:
            raw = stream.read(MOST_BYTES + 1)
    except OSError as error:
        raise DefinitionError(
            f"this file cannot be read: {error.strerror}.", file=file, way_out="Check the file and its rights."
        ) from None
    if len(raw) > MOST_BYTES:
        raise DefinitionError(
            "this file is too large for a definition.", file=file, way_out=f"At most {MOST_BYTES:,} bytes are read."
        )
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DefinitionError("this is not UTF-8.", file=file, line=line, way_out="Save the file as UTF-8.") from None
    except ValueError as error:   # of TOML, and a number of more digits than Python reads
        match = _LINE.search(str(error))
        raise DefinitionError(
            f"this is not TOML: {error}.", file=file, line=int(match[1]) if match else None, way_out="Mend that line."
        ) from None
    except RecursionError:
        raise DefinitionError("this is nested too deeply.", file=file, way_out="A definition needs four levels.") from None


def _flattened(name_or_path: str, seen: tuple[str, ...]) -> tuple[Doc, Policy]:
    """Return the complete document of a policy and what it says."""
    file = _file(name_or_path)
    if file in seen:
        raise DefinitionError(
            f"policies extend each other in a circle: {', '.join((*seen, file))}.",
            file=file,
            key="extends",
            way_out="End the circle.",
        )
    own = _read(_find(name_or_path, POLICIES), file)
    if "extends" not in own:
        return own, parse_policy(own, file)
    extends = own["extends"]
    if not isinstance(extends, str) or not NAME.fullmatch(extends):
        raise DefinitionError(
            "this must be the name of a policy.", file=file, key="extends", way_out='Write such as extends = "default_v1".'
        )
    beside = Path(name_or_path).with_name(f"{extends}.toml") if _is_path(name_or_path) else None
    base_doc, base = _flattened(str(beside) if beside and beside.is_file() else extends, (*seen, file))
    whole = extend(base_doc, own, file)
    policy = parse_policy(whole, file)
    check_stricter(base, policy, file)
    return whole, policy


def _check_family(workflow: Workflow, name_or_path: str) -> None:
    """Refuse a track that is no track of this workflow, and a clock of a parent that no version of the parent has."""
    file = _file(name_or_path)
    for name in workflow.tracks:
        found = next((each for each in (*_all_beside(name_or_path), *_names(WORKFLOWS)) if _file(each) == f"{name}.toml"), None)
        if found is None:
            raise DefinitionError(f"there is no workflow {name}.", file=file, key=f"track.{name}", way_out=nearest(name, _names(WORKFLOWS)))
        parents = load_workflow_doc(found).get("parent", ())
        if not isinstance(parents, list) or workflow.name not in parents:
            way_out = f'Write parent = ["{workflow.name}"] there.'
            raise DefinitionError(f"{name} is no track of {workflow.name}.", file=file, key=f"track.{name}", way_out=way_out)
    met = {clock: move.name for move in workflow.moves.values() for clock in move.meets_parent}
    if not met:
        return
    known = {
        str(clock) for each in (*_all_beside(name_or_path), *_names(WORKFLOWS)) if _file(each).rpartition("_v")[0] in workflow.parents
        for clock in _table_of(load_workflow_doc(each), "clock")
    }
    for clock, move in met.items():
        if clock not in known:
            raise DefinitionError(f'no parent of {workflow.name} has the clock "{clock}".', file=file, key=f"move.{move}.meets_parent",
                                  way_out=nearest(clock, known))


def _check_named(policy: Policy, name_or_path: str) -> None:
    """Refuse a rule or track of the policy that names a workflow of which there is no file; each file is looked at where it is loaded."""
    if not policy.rules and not policy.tracks:
        return
    file, known = _file(name_or_path), [_file(each).removesuffix(".toml") for each in (*_all_beside(name_or_path), *_names(WORKFLOWS))]
    names = {each.rpartition("_v")[0] for each in known}
    for track in policy.tracks:
        if track not in known:
            raise DefinitionError(f"there is no workflow {track}.", file=file, key=f"track.{track}", way_out=nearest(track, known))
    for rule in policy.rules.values():
        if rule.opens not in known:
            raise DefinitionError(f"there is no workflow {rule.opens}.", file=file, key=f"rule.{rule.name}.opens",
                                  way_out=nearest(rule.opens, known))
        for name in rule.of:
            if name not in names:
                raise DefinitionError(f"there is no workflow called {name}.", file=file, key=f"rule.{rule.name}.of",
                                      way_out=nearest(name, names))


def _all_beside(name_or_path: str) -> tuple[str, ...]:
    """Return the workflows that lie beside a host's own file."""
    if not _is_path(name_or_path):
        return ()
    return tuple(str(path) for path in sorted(Path(name_or_path).parent.glob("*_v*.toml")))


def _table_of(doc: Doc, name: str) -> Mapping[str, object]:
    found = doc.get(name)
    return found if isinstance(found, Mapping) else {}


def _beside(workflow: str, policy: str) -> str:
    """Return where a workflow is that a host's own policy names: a file of that name beside the policy's, or what is shipped."""
    if not _is_path(policy) or _is_path(workflow):
        return workflow
    own = Path(policy).with_name(f"{workflow}.toml")
    return str(own) if own.is_file() else workflow


def _made_for(policy: str) -> tuple[str, ...]:
    """Return the workflows that a policy and all that it extends are for: whoever narrows `for` still has the clocks of the rest."""
    own = _read(_find(policy, POLICIES), _file(policy))
    named = own.get("for", ())
    names = tuple(str(name) for name in named) if isinstance(named, list) else ()
    extends = own.get("extends")
    if not isinstance(extends, str):
        return names
    beside = Path(policy).with_name(f"{extends}.toml") if _is_path(policy) else None
    return (*names, *_made_for(str(beside) if beside and beside.is_file() else extends))


def _other_clocks(procedure: Procedure, policy: str) -> frozenset[str]:
    """Return the clocks of the other workflows that the policy is for; read only where it has clocks that this one lacks.

    Their names alone are read: what is wrong with another workflow is said where that one is loaded.
    """
    others = [name for name in dict.fromkeys((*procedure.policy.applies_to, *_made_for(policy))) if name != procedure.workflow.id]
    if not others or procedure.policy.clocks.keys() <= procedure.workflow.clocks.keys():
        return frozenset()
    files = [_beside(name, policy) for name in others]
    return frozenset(str(clock) for file in files for clock in _table_of(load_workflow_doc(file), "clock"))
