"""Definition files from the package or from a host's folder: found, read, flattened, hashed, and refused with a sentence when broken."""

from __future__ import annotations

import copy
import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine import definitions
from crisis_engine.core.calendar import Span
from crisis_engine.core.check import check_together, check_workflow
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.model import Risk
from crisis_engine.core.parse_policy import parse_policy
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.stricter import check_stricter, extend
from crisis_engine.definitions import load_access, load_policy_doc, load_procedure, load_workflow_doc, shipped

HEAD = 'format = 1\nname = "county"\nversion = 1\nsource = "a county"\nmark = "D"\n'


def test_what_is_shipped_is_found_by_name_and_fits_together() -> None:
    names = shipped()
    assert names["workflows"] == (
        "drill_v1", "glass_review_v1", "guardian_v1", "incident_v1", "joint_intervention_v1", "leave_v1", "mandatory_report_v1",
        "referral_v1", "school_crisis_v1", "supervision_v1", "transfer_v1",
    )
    assert set(names["policies"]) == {"default_v1", "xinyang_v1"}
    assert names["access"] == ("access_v1",)
    for policy in names["policies"]:
        for workflow in names["workflows"]:
            assert load_procedure(workflow, policy).policy.id == policy


def test_a_file_bears_the_name_and_version_that_stand_in_it() -> None:
    for kind, load in (("workflows", load_workflow_doc), ("policies", load_policy_doc)):
        for name in shipped()[kind]:
            doc = load(name)
            assert f"{doc['name']}_v{doc['version']}" == name


def test_the_hash_is_of_the_body_and_the_same_on_every_load() -> None:
    first, second = load_procedure(), load_procedure()
    assert first.hash == second.hash == hashlib.sha256(first.body.encode()).hexdigest()
    assert first.hash != load_procedure(policy="xinyang_v1").hash


def test_a_procedure_comes_back_from_its_body_as_it_was() -> None:
    procedure = load_procedure(policy="xinyang_v1")
    again = Procedure.from_body(procedure.body)
    assert again == procedure
    assert list(again.workflow.moves) == list(procedure.workflow.moves)
    assert again.graph.step("reported", "acknowledge") == "acknowledged"


@pytest.mark.parametrize("body", ["", "[]", "{}", "null", '{"workflow": {}}', '{"workflow": 1, "policy": 2}', "[" * 100_000])
def test_a_body_that_is_none_is_refused(body: str) -> None:
    with pytest.raises(DefinitionError):
        Procedure.from_body(body)


def test_comments_and_layout_do_not_change_the_hash(tmp_path: Path) -> None:
    text = (definitions._folder("policies") / "default_v1.toml").read_text(encoding="utf-8")  # noqa: SLF001 (where they lie)
    plain = [line for line in text.splitlines() if line and not line.startswith("#")]
    own = tmp_path / "default_v1.toml"
    own.write_text("\n\n".join(plain), encoding="utf-8")
    assert load_procedure(policy=str(own)).hash == load_procedure().hash


def test_a_host_extends_a_shipped_policy_from_its_own_folder(tmp_path: Path) -> None:
    city, county = tmp_path / "city_v1.toml", tmp_path / "county_v1.toml"
    triage = '[clock.triage]\nwithin = {{ red = "{}" }}\nsource = "own"\nmark = "D"\n'
    city.write_text(f'{HEAD}extends = "xinyang_v1"\n{triage.format("90m")}', encoding="utf-8")
    county.write_text(f'{HEAD}extends = "city_v1"\n{triage.format("60m")}', encoding="utf-8")
    assert load_procedure(policy=str(county)).policy.clocks["triage"].within[Risk.RED] == Span(60, "m")

    county.write_text(county.read_text(encoding="utf-8").replace("60m", "100m"), encoding="utf-8")
    with pytest.raises(DefinitionError, match="100m is looser than 90m") as caught:
        load_procedure(policy=str(county))
    assert (caught.value.file, caught.value.key) == ("county_v1.toml", "clock.triage.within.red")


@pytest.mark.parametrize("extends", ["one_v1", "two_v1"])
def test_policies_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path, extends: str) -> None:
    (tmp_path / "one_v1.toml").write_text(f'{HEAD}extends = "{extends}"\n', encoding="utf-8")
    (tmp_path / "two_v1.toml").write_text(f'{HEAD}extends = "one_v1"\n', encoding="utf-8")
    with pytest.raises(DefinitionError, match="in a circle") as caught:
        load_policy_doc(str(tmp_path / "one_v1.toml"))
    assert caught.value.key == "extends"


@pytest.mark.parametrize("extends", ['"../default_v1"', '"os.system"', "1", '["default_v1"]', '"defualt_v1"'])
def test_extends_names_a_policy_and_no_path(tmp_path: Path, extends: str) -> None:
    (tmp_path / "own_v1.toml").write_text(f"{HEAD}extends = {extends}\n", encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_policy_doc(str(tmp_path / "own_v1.toml"))
    assert caught.value.way_out


@pytest.mark.parametrize(
    ("raw", "line", "word"),
    [
        (b'format = 1\nname = "county\n', 2, "not TOML"),
        (b"format = 1\nformat = 1\n", 2, "not TOML"),
        (b"[clock\n", 1, "not TOML"),
        (b'format = 1\n\nname = "\xd0\xc5\xd1\xf4"\n', 3, "not UTF-8"),
        (b"a = " + b"[" * 5000, None, "nested too deeply"),
        (b"a = " + b"9" * 5000, None, "not TOML"),
        (b"#" * (definitions.MOST_BYTES + 1), None, "too large"),
    ],
)
def test_a_file_that_is_no_toml_is_refused_with_its_line(tmp_path: Path, raw: bytes, line: int | None, word: str) -> None:
    own = tmp_path / "own_v1.toml"
    own.write_bytes(raw)
    with pytest.raises(DefinitionError, match=word) as caught:
        load_policy_doc(str(own))
    assert (caught.value.file, caught.value.line) == ("own_v1.toml", line)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["defualt_v1", "nowhere/own.toml", "", ".", "\0", "a" * 5000])
def test_a_file_that_is_not_there_is_named_with_what_there_is(name: str) -> None:
    for load in (load_workflow_doc, load_policy_doc, load_access):
        with pytest.raises(DefinitionError) as caught:
            load(name)
        assert caught.value.way_out


def test_a_link_without_a_file_and_a_folder_are_no_files(tmp_path: Path) -> None:
    (tmp_path / "own_v1.toml").symlink_to(tmp_path / "gone.toml")
    for path in (tmp_path / "own_v1.toml", tmp_path):
        with pytest.raises(DefinitionError, match="no such file"):
            load_policy_doc(str(path))


def test_importing_the_definitions_loads_neither_toml_nor_the_machines() -> None:
    heavy = {"tomllib", "transitions", "importlib.resources"}
    code = f"import sys; import crisis_engine.definitions; print(sorted({heavy!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent.parent)
    assert done.stdout.strip() == "[]"


def test_a_dotted_name_in_a_definition_is_never_imported(tmp_path: Path) -> None:
    """The library under the graph would import a callback that is a dotted path; every place where a word can stand refuses one."""
    doc = load_workflow_doc("school_crisis_v1")
    body = json.dumps({"workflow": doc, "policy": load_policy_doc("default_v1")}, ensure_ascii=False)
    marker = tmp_path / "imported"
    module = tmp_path / "evil_module.py"
    module.write_text(f"open({str(marker)!r}, 'w').close()\ndef run(*_): pass\n", encoding="utf-8")
    sys.path.insert(0, str(tmp_path))
    try:
        for word in ("assess", "acknowledge", "triaging", "rated", "counselor", "safety"):
            with pytest.raises(DefinitionError):
                _checked(json.loads(body.replace(f'"{word}"', '"evil_module.run"')))
    finally:
        sys.path.remove(str(tmp_path))
    assert "evil_module" not in sys.modules
    assert not marker.exists()


def _checked(docs: dict[str, Any]) -> Procedure:
    procedure = Procedure.of(docs["workflow"], docs["policy"], files=("w.toml", "p.toml"))
    check_workflow(procedure.workflow, "w.toml")
    check_together(procedure.workflow, procedure.policy, load_access(), files=("w.toml", "p.toml"))
    return procedure


DOCS: dict[str, Any] = {"workflow": load_workflow_doc("school_crisis_v1"), "policy": load_policy_doc("default_v1")}
CHILD: dict[str, Any] = definitions._read(definitions._find("xinyang_v1", "policies"), "xinyang_v1.toml")  # noqa: SLF001 (before it is flattened)
ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), st.dates(), st.lists(st.text(max_size=4), max_size=3),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.sampled_from(["open", "red", "4h", "os.system", "field:risk", "engine"]),
)


def _mutated(data: st.DataObject, doc: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which one value, at any depth, is anything else or gone."""
    found: Any = copy.deepcopy(doc)
    table: Any = found
    while True:
        keys = list(range(len(table))) if isinstance(table, list) else list(table)
        key = data.draw(st.sampled_from(keys))
        if isinstance(table[key], (dict, list)) and table[key] and data.draw(st.booleans() if table is not found else st.just(value=True)):
            table = table[key]
            continue
        if data.draw(st.booleans()):
            del table[key]
        else:
            table[key] = data.draw(ANYTHING)
        return found  # type: ignore[no-any-return]  # a copy of what came in


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_file_is_taken_or_refused_by_key(data: st.DataObject) -> None:
    which = data.draw(st.sampled_from(["workflow", "policy"]))
    key = "taken"
    try:
        _checked({**DOCS, which: _mutated(data, DOCS[which])})
    except DefinitionError as error:
        key = error.key
    assert key


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_policy_that_extends_is_taken_or_refused_by_key(data: st.DataObject) -> None:
    base, key = DOCS["policy"], "taken"
    try:
        found = parse_policy(extend(base, _mutated(data, CHILD), "own_v1.toml"), "own_v1.toml")
        check_stricter(parse_policy(base, "default_v1.toml"), found, "own_v1.toml")
    except DefinitionError as error:
        key = error.key
    assert key
