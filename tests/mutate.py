"""`make mutants`: every rule of every shipped file taken out or loosened in turn; what the loader and the prover say to each.

A mutant is killed by the loader, by a law that no longer holds, or because the table of the longest silences says another time than
for the shipped file. What survives is listed with a class that says why it may. `N=200` takes a sample, `SEED` another one.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from typing import Any, NamedTuple

from crisis_engine.core.check import check_together, check_workflow
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.parse_access import parse_access
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_retention import parse_retention
from crisis_engine.core.policy import Access
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.stricter import check_stricter, extend
from crisis_engine.definitions import load_access, load_policy_doc, load_workflow_doc, shipped
from crisis_engine.prover import Proof, prove

from .mutant import Mutant, mutants

FILES: dict[str, str] = {
    **dict.fromkeys(shipped()["workflows"], "workflow"), "default_v1": "policy", "xinyang_v1": "extension",
    "access_v1": "access", "retention_v1": "retention",
}


class Fate(NamedTuple):
    """What became of a mutant: killed by the `loader`, by a `law` or by the `table`; or it `survived`, with the class of its rule."""

    file: str
    kind: str
    key: str
    by: str
    why: str


@cache
def own(name: str) -> dict[str, Any]:
    """Return a shipped file's own document, as it was written."""
    from .test_bad_definitions import docs

    kind = FILES[name]
    return docs({"workflow": "workflows", "access": "access", "retention": "retention"}.get(kind, "policies"), name)


def all_mutants(name: str) -> list[Mutant]:
    """Return every mutant of a file."""
    return list(mutants(own(name)))


@cache
def original(workflow: str, policy: str) -> Proof:
    """Return the proof of what is shipped."""
    return prove(Procedure.of(load_workflow_doc(workflow), load_policy_doc(policy)), load_access())


def fate(name: str, mutant: Mutant) -> Fate:
    """Return what becomes of a mutant."""
    try:
        by, why = _judge(name, mutant.doc)
    except DefinitionError as error:
        by, why = "loader", error.key
    return Fate(name, mutant.kind, mutant.key, by, why if by != "survived" else mutant.why)


def _judge(name: str, doc: dict[str, Any]) -> tuple[str, str]:
    kind, access = FILES[name], load_access()
    if kind == "retention":
        parse_retention(doc, name)
        return "survived", ""
    workflow, policy = "school_crisis_v1", "default_v1"
    flow, numbers = load_workflow_doc(workflow), load_policy_doc(policy)
    if kind == "workflow":
        workflow, flow = name, doc
    elif kind == "policy":
        numbers = doc
    elif kind == "extension":
        if "extends" in doc:
            base = numbers
            numbers = extend(base, doc, name)
            check_stricter(parse_policy(base, policy), parse_policy(numbers, name), name)
        else:
            numbers = doc
        policy = name
    else:
        access = parse_access(doc, name)
    procedure = _loaded(flow, numbers, access)
    proof = prove(procedure, access, first=True)
    if proof.faults:
        return "law", proof.faults[0].law
    if proof.worst != original(workflow, policy).worst:
        return "table", ""
    return "survived", ""


def _loaded(flow: dict[str, Any], numbers: dict[str, Any], access: Access) -> Procedure:
    procedure = Procedure.of(flow, numbers, files=("workflow", "policy"))
    check_workflow(procedure.workflow, "workflow")
    others = frozenset(clock for name in shipped()["workflows"] if name != procedure.workflow.id for clock in own(name)["clock"])
    check_together(procedure.workflow, procedure.policy, access, files=("workflow", "policy"), other_clocks=others)
    return procedure


def _one(task: tuple[str, int]) -> Fate:
    name, number = task
    return fate(name, all_mutants(name)[number])


def main() -> int:
    """Judge every mutant, or a sample of `N`, and print the report."""
    tasks = [(name, number) for name in FILES for number in range(len(all_mutants(name)))]
    if os.environ.get("N"):
        tasks = random.Random(int(os.environ.get("SEED", "1"))).sample(tasks, int(os.environ["N"]))
    fates: list[Fate] = []
    with ProcessPoolExecutor(max_workers=int(os.environ.get("WORKERS", "2"))) as pool:
        for number, one in enumerate(pool.map(_one, tasks, chunksize=4), start=1):
            fates.append(one)
            if sys.stderr.isatty():
                sys.stderr.write(f"\r{number}/{len(tasks)}")
    report(fates)
    return 0


def report(fates: list[Fate]) -> None:
    """Print the counts, then what survived by class."""
    say = sys.stdout.write
    for name in FILES:
        counts = Counter(one.by for one in fates if one.file == name)
        each = ", ".join(f"{by} {counts[by]}" for by in ("loader", "law", "table", "survived"))
        say(f"{name}: {sum(counts.values())} mutants, {each}\n")
    say("laws: " + ", ".join(f"{law} {count}" for law, count in Counter(one.why for one in fates if one.by == "law").most_common()) + "\n")
    survivors = [one for one in fates if one.by == "survived"]
    for why, count in Counter(one.why for one in survivors).most_common():
        say(f"\n{count} survived. {why}\n")
        for one in survivors:
            if one.why == why:
                say(f"    {one.file}  {one.kind}  {one.key}\n")


if __name__ == "__main__":
    raise SystemExit(main())
