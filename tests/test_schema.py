"""A JSON Schema for each kind of file: it knows the keys that the parsers ask for, and refuses nothing that the loader takes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from crisis_engine.author import FILE_KINDS, scaffold, schema_of
from crisis_engine.core.check import check_workflow
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.parse_access import parse_access
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.parse_retention import parse_retention
from crisis_engine.core.parse_table import Table
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.core.stricter import check_stricter, extend
from crisis_engine.definitions import load_policy_doc, shipped
from crisis_engine.words import LANGUAGES

from . import test_cli
from .test_cli import Crisis

crisis = test_cli.crisis   # the fixture
ROOT = Path(__file__).parent.parent
FOLDERS = {"workflows": "workflow", "policies": "policy", "access": "access", "retention": "retention"}
FILES = [(kind, name) for folder, kind in FOLDERS.items() for name in shipped()[folder]]
VALIDATORS = {kind: Draft202012Validator(schema_of(kind)) for kind in FILE_KINDS}
each_file = pytest.mark.parametrize(("kind", "name"), FILES, ids=[name for _, name in FILES])


def document(name: str) -> dict[str, Any]:
    folder = "workflows" if (ROOT / "workflows" / f"{name}.toml").exists() else "policies"
    return tomllib.loads((ROOT / folder / f"{name}.toml").read_text(encoding="utf-8"))


def load_policy(doc: Mapping[str, Any], file: str) -> None:
    if "extends" not in doc:
        parse_policy(doc, file)
        return
    if doc["extends"] != "default_v1":
        raise DefinitionError("no such base.", file=file, key="extends")
    base = load_policy_doc("default_v1")
    own = parse_policy(extend(base, doc, file), file)
    check_stricter(parse_policy(base, file), own, file)


LOADERS: dict[str, Callable[[Mapping[str, Any], str], object]] = {
    "workflow": parse_workflow, "policy": load_policy, "access": parse_access, "retention": parse_retention,
}


# ---- the shipped files ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_schema_is_a_schema_of_2020_12(kind: str) -> None:
    Draft202012Validator.check_schema(schema_of(kind))
    assert schema_of(kind)["$schema"].endswith("2020-12/schema")
    assert json.loads(json.dumps(schema_of(kind))) == schema_of(kind)


@each_file
def test_every_shipped_file_validates(kind: str, name: str) -> None:
    assert [error.message[:200] for error in VALIDATORS[kind].iter_errors(document(name))] == []


@each_file
def test_no_file_validates_as_another_kind(kind: str, name: str) -> None:
    assert [other for other in FILE_KINDS if other != kind and VALIDATORS[other].is_valid(document(name))] == []


# ---- what a schema refuses, the loader refuses -----------------------------------------------------------------------------------------


def mutations(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:  # noqa: ANN401 (any value of a file)
    """Yield (path, another value): each key taken away, of another type, empty, with a key too many, with a word that is none."""
    if path:
        yield path, None
        others: tuple[Any, ...] = (-7, "", [], {}, "no such word", ["no such word"], True)
        yield from ((path, other) for other in others if type(other) is not type(value) or other != value)
    if isinstance(value, dict):
        yield (*path, "surplus"), "x"
        yield (*path, "Not A Name"), {}
        for key, inner in value.items():
            yield from mutations(inner, (*path, key))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from mutations(inner, (*path, place))


def mutated(doc: Any, path: tuple[Any, ...], value: Any) -> Any:  # noqa: ANN401 (any value of a file)
    if not path:
        return value
    copy = dict(doc) if isinstance(doc, dict) else list(doc)
    key = path[0]
    if len(path) == 1 and value is None:
        del copy[key]
    elif len(path) == 1:
        copy[key] = value
    else:
        copy[key] = mutated(copy[key], path[1:], value)
    return copy





@each_file
def test_what_the_schema_refuses_the_loader_refuses(kind: str, name: str) -> None:
    doc = document(name)
    refused = 0
    every = list(mutations(doc))
    for path, value in every[::1 + len(every) // 200]:   # a validator takes tens of milliseconds for a large file
        broken = mutated(doc, path, value)
        if VALIDATORS[kind].is_valid(broken):
            continue
        refused += 1
        with pytest.raises(DefinitionError) as caught:
            LOADERS[kind](broken, f"{name}.toml")
        assert caught.value.file == f"{name}.toml", f"the schema refuses {path} = {value!r}, the loader takes it"
    assert refused > 20


# ---- a schema knows exactly the keys that the parsers ask for --------------------------------------------------------------------------


def node_at(schema: Mapping[str, Any], parts: list[str], doc: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the schema of a table and where it stands there, by the dotted key of the table."""
    node, place = schema, ""
    if "if" in node:
        node = node["then"] if "extends" in doc else node["else"]
    for part in parts:
        name, _, rest = part.partition("[")
        known = node.get("properties", {})
        node, place = (known[name], f"{place}.{name}") if name in known else (node["additionalProperties"], f"{place}.*")
        if rest:
            node, place = node["items"], f"{place}[]"
        if "anyOf" in node and "properties" not in node:
            node = next(one for one in node["anyOf"] if "properties" in one)
    return place, node


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_a_schema_has_the_keys_that_the_parser_asks_for_and_no_others(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, set[str]] = {}
    properties: dict[str, set[str]] = {}
    open_tables: set[str] = set()   # those that hold names of the author's own
    docs: list[Mapping[str, Any]] = []
    plain = Table.has

    def has(self: Table, name: str) -> bool:
        place, node = node_at(schema_of(kind), self.key.split(".") if self.key else [], docs[-1])
        asked.setdefault(place, set()).add(name)
        properties[place] = set(node.get("properties", ()))
        if isinstance(node.get("additionalProperties"), dict) or place.startswith(".action"):
            open_tables.add(place)
        return plain(self, name)

    monkeypatch.setattr(Table, "has", has)
    for of, name in FILES:
        if of == kind and name != "xinyang_v1":   # one that extends is parsed as a whole
            docs.append(document(name))
            LOADERS[kind](docs[-1], f"{name}.toml")
    for place, names in asked.items():
        assert properties[place] <= names, f"{place}: the parser never asks for this"
        if place not in open_tables:
            assert names <= properties[place], f"{place}: the schema does not know this"
    assert len(asked) > 3


# ---- on the console, and a file to begin with ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["workflow", "policy"])
@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_new_file_is_commented_validates_and_passes_the_check_as_it_is(crisis: Crisis, kind: str, lang: str) -> None:
    made = crisis("definitions", "new", kind, "shihe", "--lang", lang)
    assert made.code == 0
    text = Path("shihe_v1.toml").read_text(encoding="utf-8")
    assert text == scaffold(kind, "shihe", lang)
    assert text.startswith(f"#:schema {kind}.schema.json\n# ")
    assert len([line for line in text.splitlines() if line.startswith("# ")]) > 5
    assert "#: " not in text
    assert VALIDATORS[kind].is_valid(tomllib.loads(text))
    LOADERS[kind](tomllib.loads(text), "shihe_v1.toml")
    if kind == "workflow":
        check_workflow(parse_workflow(tomllib.loads(text), "shihe_v1.toml"), "shihe_v1.toml")
    assert crisis("definitions", "check", "./shihe_v1.toml").code == 0
    assert crisis("definitions", "new", kind, "shihe").code == 74   # never written over


def test_the_console_prints_a_schema_and_refuses_what_it_does_not_know(crisis: Crisis) -> None:
    assert crisis("definitions", "schema", "access").json == schema_of("access")
    assert crisis("definitions", "schema", "policy", "--out", "policy.schema.json").code == 0
    assert json.loads(Path("policy.schema.json").read_text(encoding="utf-8")) == schema_of("policy")
    assert crisis("definitions", "schema", "letter").code == 2
    assert crisis("definitions", "new", "access", "mine").code == 2
    for name in ("Mine", "../mine", "a b", ""):
        assert crisis("definitions", "new", "policy", name).code == 2
    assert not list(Path().glob("*mine*"))
