"""Definition files broken at random are refused with file, key and reason, or are sound; none crashes, hangs or runs anything."""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from crisis_engine import definitions
from crisis_engine.core.check import check_together, check_workflow
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.parse_access import parse_access
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_retention import parse_retention
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.core.policy import Access
from crisis_engine.core.procedure import Procedure
from crisis_engine.prover import prove

from .wreck import broken_document, broken_text

SOAK = bool(os.environ.get("CRISIS_SOAK"))
FILES = 10_000 if SOAK else 1_500
PROVEN = 12 if SOAK else 2      # of the files that are taken, so many are proven too
LONGEST = 20_000                # characters of a refusal
SLOWEST = 2.0                   # seconds of the processor for one file
KINDS = definitions.shipped()

_watched: list[str] | None = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watched is not None and (event in {"exec", "compile", "os.system", "subprocess.Popen", "socket.connect", "os.exec", "ctypes.dlopen"}
                                 or (event == "import" and args[0] not in sys.modules)):
        _watched.append(f"{event} {args[0] if args else ''}"[:200])


sys.addaudithook(_hook)   # it stays for the process' life and looks only while a file is read


@contextmanager
def watched() -> Iterator[list[str]]:
    """Note whatever is imported, compiled, executed or called outside."""
    global _watched  # noqa: PLW0603 (an audit hook cannot be taken away again)
    noted: list[str] = []
    _watched = noted
    try:
        yield noted
    finally:
        _watched = None


def text_of(kind: str, name: str) -> str:
    folder = "workflows" if kind == "workflows" else "policies"
    return (definitions._folder(folder) / f"{name}.toml").read_text(encoding="utf-8")  # noqa: SLF001 (where they lie)


@cache
def access() -> Access:
    return definitions.load_access()


@cache
def docs(kind: str, name: str) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(text_of(kind, name))


def take(kind: str, name: str, own: Path | dict[str, Any]) -> Procedure | None:
    """Load a file, or a document as a database gives it back, in all the ways in which the engine would; return the procedure, if any."""
    if kind in {"access", "retention"}:
        if isinstance(own, Path):
            (definitions.load_access if kind == "access" else definitions.load_retention)(str(own))
        else:
            (parse_access if kind == "access" else parse_retention)(own, "own.toml")
        return None
    flow_name = name if kind == "workflows" else "school_crisis_v1"
    flow = definitions.load_workflow_doc(str(own)) if kind == "workflows" and isinstance(own, Path) else docs("workflows", flow_name)
    numbers = definitions.load_policy_doc(str(own)) if kind == "policies" and isinstance(own, Path) else docs("policies", "default_v1")
    if not isinstance(own, Path):
        flow, numbers = (own, numbers) if kind == "workflows" else (flow, own)
    workflow, policy = parse_workflow(flow, "own.toml"), parse_policy(numbers, "own.toml")
    check_workflow(workflow, "own.toml")
    others = frozenset(docs("policies", "default_v1")["clock"]) | (frozenset(policy.clocks) if kind == "policies" else frozenset())
    check_together(workflow, policy, access(), files=("own.toml", "own.toml"), other_clocks=others)
    try:
        procedure = Procedure.of(flow, numbers)
    except (TypeError, ValueError) as error:   # what TOML cannot hold, JSON may not either
        raise AssertionError(f"a document that was taken has no body: {error}") from error
    assert procedure.graph.moves_from(workflow.start)
    return procedure


def test_files_broken_at_random_are_refused_with_a_sentence_or_are_sound(tmp_path: Path) -> None:
    chance = random.Random(20261124)
    places = [(kind, name) for kind, names in KINDS.items() for name in names]
    refused, taken, slowest, proven = 0, 0, 0.0, 0
    for kind, name in places:
        take(kind, name, docs(kind, name)) if "extends" not in docs(kind, name) else None
    for number in range(FILES):
        kind, name = chance.choice(places)
        as_text = chance.random() < 0.5 or "extends" in docs(kind, name)
        own: Path | dict[str, Any]
        if as_text:
            own = tmp_path / "own_v1.toml"
            own.write_text(broken_text(text_of(kind, name), chance), encoding="utf-8", errors="surrogatepass")
        else:
            own = broken_document(docs(kind, name), chance)
        procedure: Procedure | None = None
        began, said, place = time.process_time(), "", True
        with watched() as noted:
            try:
                procedure = take(kind, name, own)
                taken += 1
            except DefinitionError as error:
                refused += 1
                said, place = str(error), bool(error.file and (error.way_out or error.key or error.line))
            except Exception as error:  # noqa: BLE001 (that is what must not be)
                pytest.fail(f"file {number} ({kind} {name}, text {as_text}): {type(error).__name__}: {error}"[:500])
        took = time.process_time() - began
        assert place, f"{number}: {said}"
        assert str(tmp_path) not in said
        assert len(said) < LONGEST, f"{number}: a sentence that nobody reads"
        slowest = max(slowest, took)
        assert noted == [], f"file {number} ran something"
        assert took < SLOWEST, f"file {number} ({kind} {name}) took {took:.1f} s"
        if procedure is not None and proven < PROVEN:
            proven += 1
            with watched() as noted:
                json.dumps(len(prove(procedure, access(), first=True).faults))
            assert noted == []
    assert refused > FILES // 3
    assert taken > FILES // 50
    print(f"{FILES} files: {refused} refused, {taken} taken, {proven} of these proven or not, slowest {slowest:.2f} s")  # noqa: T201


@pytest.mark.parametrize(("old", "new", "key"), [
    ('within = "10m"', 'within = "9999999d"', "clock.stay_with.within"),
    ('within = { red = "3wd"', 'within = { red = "999999wd"', "clock.county_review.within.red"),
    ('{ every = "2h", tell', '{ every = "9999999h", tell', "ladder.first_word[5].every"),
    ('remind = ["-5m"]', 'remind = ["-999999d"]', "clock.acknowledge.remind"),
])
def test_a_span_that_no_calendar_reaches_is_refused(tmp_path: Path, old: str, new: str, key: str) -> None:
    own = tmp_path / "own_v1.toml"
    own.write_text(text_of("policies", "default_v1").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(DefinitionError, match="longer than anything") as caught:
        definitions.load_procedure(policy=str(own))
    assert caught.value.key == key


def test_a_role_as_long_as_a_book_is_refused_in_a_sentence() -> None:
    flow = dict(docs("workflows", "school_crisis_v1"))
    flow["move"] = {**flow["move"], "plan": {**flow["move"]["plan"], "second": ["a" * 100_000]}}
    with pytest.raises(DefinitionError, match="is unknown to") as caught:
        take("workflows", "school_crisis_v1", flow)
    assert len(str(caught.value)) < 1_000


def test_a_ladder_of_a_million_steps_is_refused_at_once() -> None:
    numbers = dict(docs("policies", "default_v1"))
    numbers["ladder"] = {**numbers["ladder"], "safety": [{"at": f"{step}m", "raise": "city"} for step in range(1_000_000)]}
    began = time.process_time()
    with pytest.raises(DefinitionError, match="too many") as caught:
        parse_policy(numbers, "own.toml")
    assert time.process_time() - began < SLOWEST
    assert caught.value.key == "ladder.safety"


@pytest.mark.parametrize(("change", "key"), [
    ({"again": None}, "again"), ({"one_open_per_subject": False}, "again"),
])
def test_one_open_case_a_child_and_a_move_for_the_second_report_go_together(change: dict[str, Any], key: str) -> None:
    flow = {name: value for name, value in {**docs("workflows", "school_crisis_v1"), **change}.items() if value is not None}
    with pytest.raises(DefinitionError, match="go together") as caught:
        check_workflow(parse_workflow(flow, "own.toml"), "own.toml")
    assert caught.value.key == key


def test_a_second_report_that_is_no_word_from_outside_is_refused() -> None:
    flow = docs("workflows", "school_crisis_v1")
    moves = {**flow["move"], "signal": {**flow["move"]["signal"], "signal": False}}
    with pytest.raises(DefinitionError, match="word from outside") as caught:
        check_workflow(parse_workflow({**flow, "move": moves}, "own.toml"), "own.toml")
    assert caught.value.key == "move.signal.signal"
