"""Refusals in Chinese: every sentence that the engine can refuse with has its counterpart, and a console in Chinese speaks nothing else."""

from __future__ import annotations

import ast
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from string import Formatter
from typing import NamedTuple

import pytest

from crisis_engine import definitions
from crisis_engine.cli import main
from crisis_engine.core import errors
from crisis_engine.core.procedure import Procedure
from crisis_engine.refusals import TABLE, in_chinese
from crisis_engine.words import keys

from .story import copy_city

ROOT = Path(errors.__file__).parents[1]
CHINESE = re.compile(r"[\u4e00-\u9fff]")

ROOMS = ("core", "engine", "store", "notify", "cli", "daemon", "simulate", "print")
SPEAKERS = sorted(path for room in ROOMS for path in (ROOT / room).glob("*.py"))
SPEAKERS += [ROOT / "testing.py"]
LOADERS = {"parse_table.py", "parse_workflow.py", "parse_document.py", "parse_policy.py", "parse_access.py", "check.py", "stricter.py",
           "procedure.py", "setting.py", "template.py"}
"""What these of core/ say stays English for now: whoever writes a definition reads it beside the file."""

# ----------------------------------------------------------------------------------------------------------------------------
# The places that refuse, read from the source: an f-string becomes sentences with x1, x2, … in the place of its values
# ----------------------------------------------------------------------------------------------------------------------------


class Said(NamedTuple):
    """A sentence that the engine can say, and where."""

    where: str
    text: str


class Source:
    """One source file: its classes of errors, and the sentences in it."""

    def __init__(self, name: str, source: str) -> None:
        self.name, self.tree = name, ast.parse(source)
        self.functions = {node.name: node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef)}
        self.count = itertools.count(1)

    def said(self) -> Iterator[Said]:
        """Yield every sentence of every refusal that is made in this file."""
        for node, function in self._calls(self.tree, None):
            for prefix, text in self._texts(node):
                for sentence in self.expand(text, function):
                    yield Said(f"{self.name}:{node.lineno}", prefix + sentence.strip())
        if self.name == "guard.py":
            for guard in self.functions.values():
                if guard.returns is not None and ast.unparse(guard.returns) == "str | None":
                    yield from (Said(f"guard.py:{guard.lineno}", text) for text in self._returned(guard))

    def _texts(self, node: ast.Call) -> list[tuple[str, ast.expr]]:
        """Return the arguments of a call that a person may come to read, each with what stands before it."""
        name = ast.unparse(node.func).rpartition(".")[2]
        given = {each.arg: each.value for each in node.keywords}
        if name in ERRORS:
            message = [("file.toml: " if name == "DefinitionError" else "", text) for text in node.args[:1]]
            return message + [("", given[name]) for name in ("way_out",) if name in given]
        if name == "Verdict":
            denied = "allowed" in given and ast.unparse(given["allowed"]) == "False"
            return [("", given["rule"])] if denied else []
        places = {"Flaw": slice(3, 4), "_wrong": slice(1, 3), "_when": slice(1, 2),
                  "append": slice(0, 1 if ast.unparse(node.func) == "reasons.append" else 0)}
        return [("", text) for text in node.args[places.get(name, slice(0))]]

    def expand(self, node: ast.expr, function: ast.FunctionDef | None) -> list[str]:
        """Return the texts that an expression can come to; what cannot be known from the source is a value: x1, x2 and so on."""
        if isinstance(node, ast.Constant):
            return [] if node.value is None else [str(node.value).replace("{}", self._value())]
        if isinstance(node, ast.IfExp):
            return self.expand(node.body, function) + self.expand(node.orelse, function)
        if isinstance(node, ast.JoinedStr):
            return ["".join(parts) for parts in itertools.product(*(self.expand(part, function) for part in node.values))]
        if isinstance(node, ast.FormattedValue):
            assigned = self._assigned(node.value, function)
            return [text for one in assigned for text in self.expand(one, function)] or [self._value()]
        if isinstance(node, ast.Name) and (assigned := self._assigned(node, function)):
            return [text for one in assigned for text in self.expand(one, function)]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in self.functions:
            return self._returned(self.functions[node.func.id])
        return [self._value()]

    def _value(self) -> str:
        return f"x{next(self.count)}"

    def _returned(self, function: ast.FunctionDef) -> list[str]:
        returns = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value is not None]
        return [text for value in returns for text in self.expand(value, function)]

    def _assigned(self, node: ast.expr, function: ast.FunctionDef | None) -> list[ast.expr]:
        """Return the sentences that a variable of the function may hold: those that were given to it as texts."""
        if not isinstance(node, ast.Name) or function is None:
            return []
        given = [each.value for each in ast.walk(function) if isinstance(each, ast.Assign)
                 and any(isinstance(target, ast.Name) and target.id == node.id for target in each.targets)]
        return [value for value in given if self._is_text(value)]

    def _is_text(self, node: ast.expr) -> bool:
        if isinstance(node, ast.IfExp):
            return self._is_text(node.body) and self._is_text(node.orelse)
        return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))

    def _calls(self, node: ast.AST, function: ast.FunctionDef | None) -> Iterator[tuple[ast.Call, ast.FunctionDef | None]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Call):
                yield child, function
            yield from self._calls(child, child if isinstance(child, ast.FunctionDef) else function)


def classes() -> dict[str, str]:
    """Return our classes of errors with what they say when they are given no message: the first line of the docstring."""
    nodes = [
        node for path in [*ROOT.rglob("*.py")] for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    ]
    found: dict[str, str] = {}
    while fresh := [
        node for node in nodes if node.name not in found
        and (node.name == "CrisisError" or any(isinstance(base, ast.Name) and base.id in found for base in node.bases))
    ]:
        found |= {node.name: (ast.get_docstring(node) or "").partition("\n")[0] for node in fresh}
    return found


ERRORS = classes()


@cache
def everything_said() -> tuple[Said, ...]:
    """Return all that a console's user can be refused with."""
    from crisis_engine.store import breach, postgres_error, sqlite

    found = [
        said for path in SPEAKERS if not (path.parent.name == "core" and path.name in LOADERS)
        for said in Source(path.name, path.read_text(encoding="utf-8")).said()
    ]
    found += [Said("sqlite._SENTENCES", text) for _, *texts in sqlite._SENTENCES.values() for text in texts]  # noqa: SLF001 (a table)
    found += [Said("postgres_error._STATES", text) for _, *texts in postgres_error._STATES.values() for text in texts]  # noqa: SLF001
    found += [Said("BREACHES", text) for _, text in breach.BREACHES.values()]
    found += [Said(name, text) for name, text in ERRORS.items()]
    return tuple(said for said in found if said.text and not re.fullmatch(r"(file\.toml: )?x\d+", said.text))


def prose(text: str) -> list[str]:
    """Return the English of a text: two words in a row that are no value, name or command."""
    return re.findall(r"[A-Za-z]+ [A-Za-z]+", re.sub(r"`[^`]*`|--\w+\S*|\bx\d+\b", "", text))


def missing(said: Said) -> str:
    """Return what is wrong with the Chinese of a sentence; nothing where all is well."""
    chinese = in_chinese(said.text)
    values = re.findall(r"\bx\d+\b", said.text)
    lost = [value for value in values if not re.search(rf"(?<![a-z0-9]){value}(?![0-9])", chinese)]
    if not CHINESE.search(chinese) or prose(chinese) or lost:
        return f"{said.where}: {said.text!r} has no counterpart in crisis_engine/refusals/ (it became {chinese!r})"
    return ""


def placeholders(text: str) -> list[str]:
    return sorted(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def test_every_refusal_has_its_chinese() -> None:
    assert len(everything_said()) > 150
    assert [wrong for said in everything_said() if (wrong := missing(said))] == []


def test_no_sentence_is_kept_that_nobody_says() -> None:
    spoken = "\n".join(said.text for said in everything_said())
    for english in TABLE:
        own = [literal.strip(' "') for literal in re.split(r"\{\w+\}", english)]
        assert [words for words in own if words not in spoken] == [], english


def test_both_languages_have_the_same_placeholders() -> None:
    for english, chinese in TABLE.items():
        assert placeholders(english) == placeholders(chinese), english
        assert len(set(placeholders(english))) == len(placeholders(english)), english
        assert CHINESE.search(chinese), english
        assert english.endswith((".", "?")) == chinese.endswith(("。", "？")) or english.endswith("}"), english


def test_no_chinese_text_has_a_character_that_terminals_draw_one_or_two_cells_wide() -> None:
    for chinese in TABLE.values():
        assert re.findall("[“”‘’…—·×]", chinese) == [], chinese


def test_a_new_refusal_without_chinese_is_named() -> None:
    source = """
def leave(name):
    hint = f"Did you mean {name}?" if name else "Bring a friend."
    raise BadInput(f"{name} may not go home yet.", way_out=hint)
"""
    said = list(Source("new.py", source).said())
    assert [re.sub(r"x\d+", "x", one.text) for one in said] == ["x may not go home yet.", "Did you mean x?", "Bring a friend."]
    assert [bool(missing(one)) for one in said] == [True, False, True]


@pytest.mark.parametrize(("english", "chinese"), [
    ("p-11 may not make the move assess: only counselor, vice_principal may.",
     "p-11 不能办理 assess：只有心理教师、心理健康教育副校长可以办理。"),
    ("p-31 may not confirm exclude: only tier_holder may.", "p-31 不能确认 exclude：只有当前层级的负责人可以办理。"),
    ("the risk is not rated yet; late clocks first: contact, review; no clock is late",
     "还没有评定风险；先办超时的：contact、review；没有超时的时限"),
    ("30d without a new signal are asked after a peak of red; the last was 2026-03-02T08:00:00+00:00; the risk must be below orange first",
     "最高风险为红色的，须满 30 天没有新线索；上一次是 2026-03-02 16:00；风险要先降到橙色以下"),
    ("Did you mean 'orange'? Choose from: blue, yellow, orange, red.", "是否想写「orange」？可选：blue、yellow、orange、red。"),
    ("Field 'risk': 'purple' is not one of the choices.", "「risk」一栏：「purple」不在可选之列。"),
    ("note has no field 'colour'.", "note 没有「colour」这一栏。"),
    ("Known fields: none.", "可填的有：无。"),
    ("assess needs the field 'risk' (risk).", "assess 须填「risk」（风险等级）。"),
    ("Write it as text or as a whole number.", "请写成文字或整数。"),
    ("Write it as 2026-03-02.", "写成 2026-03-02。"),
    ("no clock is late; something quite new", "没有超时的时限；something quite new"),
    ("Something quite new. And more", "Something quite new. And more"),
    ("", ""),
])
def test_a_sentence_is_said_in_chinese_value_by_value_and_an_unknown_one_stays(english: str, chinese: str) -> None:
    assert in_chinese(english) == chinese


def test_a_long_text_that_nobody_knows_comes_back_at_once_and_unchanged() -> None:
    text = "Line; of a file. Is it? " * 2_000
    assert in_chinese(text) == text.replace("; ", "；")
    unit = " may not report: ; may not (a). is no " * 2_000
    assert in_chinese(f"There is no unit '{unit}'.") == f"没有单位「{unit}」。"


# ----------------------------------------------------------------------------------------------------------------------------
# A console in Chinese
# ----------------------------------------------------------------------------------------------------------------------------

UNIT = "xinyang/shihe/no-3/g7/c2"
REPORT = ("report", "--as", "p-71", "--unit", UNIT, "--subject", "stu-42", "--facts", "手臂上有新伤口", "--cue", "fresh_injury")


@pytest.fixture
def case(city_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Work in the example city, where one case is open and acknowledged."""
    for name in [name for name in os.environ if name.startswith(("CRISIS_", "LC_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CRISIS_NOW", "2026-03-02T08:00+08:00")
    monkeypatch.setenv("CRISIS_LANG", "zh")
    monkeypatch.chdir(tmp_path)
    copy_city(city_template, tmp_path / "crisis.db")
    assert main([*REPORT, "--key", "once"]) == 0
    assert main(["act", "next", "acknowledge", "--as", "p-11"]) == 0
    capsys.readouterr()


def identifiers() -> set[str]:
    """Return the names that people type: those of the procedure and of its forms."""
    procedure: Procedure = definitions.load_procedure("school_crisis_v1", "default_v1")
    workflow = procedure.workflow
    names: set[str] = {*workflow.stages, *workflow.clocks, *workflow.moves, *procedure.policy.cues, "mysql"}
    names |= {"blue", "yellow", "orange", "red"}  # as a form takes them
    for move in workflow.moves.values():
        names |= {field.name for field in move.fields}
    for choices in workflow.choices.values():
        names |= set(choices)
    return names


def english_in(text: str, names: set[str]) -> list[str]:
    """Return the English words of a text that are no identifiers: no name, command, option, number or quoted value."""
    number = "[2-9A-Z]{3}(?:-[2-9A-Z]{3}){2}"
    bare = re.sub(rf"`[^`]*`|「[^」]*」|--?[a-z-]+|CRISIS_[A-Z]+|{number}|\w+\.toml|[\w./-]*[0-9/_][\w./:+-]*", " ", text)
    return [word for word in re.findall("[A-Za-z]+", bare) if word not in names]


REFUSED: Mapping[str, tuple[str, ...]] = {
    "a case that reached somebody else": ("show", "{number}", "--as", "p-71"),
    "a move of another role": ("act", "{number}", "assess", "--as", "p-11"),
    "a move from another stage": ("act", "{number}", "acknowledge", "--as", "p-11"),
    "a move that is none": ("act", "{number}", "start_assesment", "--as", "p-11"),
    "a move that means nothing": ("act", "{number}", "frobnicate", "--as", "p-11"),
    "a field that is none": ("act", "{number}", "note", "--as", "p-11", "--field", "colour=red"),
    "a field that is missing": ("act", "{number}", "guardian_told", "--as", "p-11"),
    "a choice that is none": ("act", "{number}", "raise_risk", "--as", "p-31", "--field", "risk=purple", "--field", "because=x"),
    "a time that is none": ("act", "{number}", "child_is_safe", "--as", "p-11", "--field", "with=p-11", "--field", "until=soon"),
    "an answer to nothing": ("act", "{number}", "confirm", "--as", "p-11"),
    "a version that is old": ("act", "{number}", "note", "--as", "p-11", "--version", "1", "--field", "text=x"),
    "a number that is none": ("show", "ABC-DEF-GHJ", "--as", "p-11"),
    "a person who is nobody": ("queue", "--as", "p-0"),
    "a child who is nobody": ("report", "--as", "p-71", "--unit", UNIT, "--subject", "stu-0", "--facts", "x"),
    "a unit that is none": ("report", "--as", "p-71", "--unit", "xinyang/nowhere", "--facts", "x"),
    "a duty that is none": ("roster", "end-duty", "peer", UNIT, "p-11", "--as", "p-35"),
    "a key that was used": ("report", "--as", "p-71", "--unit", UNIT, "--facts", "x", "--key", "once"),
    "a definition that is none": ("definitions", "show", "missing"),
    "a database that is none": ("queue", "--as", "p-11", "--db", "missing.db"),
    "a database of another kind": ("queue", "--as", "p-11", "--db", "mysql://x/y"),
}


def number_of_the_case(capsys: pytest.CaptureFixture[str]) -> str:
    import json

    assert main(["queue", "--as", "p-11", "--json"]) == 0
    return str(json.loads(capsys.readouterr().out)[0]["number"])


@pytest.mark.usefixtures("case")
def test_a_console_in_chinese_refuses_in_chinese_and_its_json_in_english(capsys: pytest.CaptureFixture[str]) -> None:
    number, names = number_of_the_case(capsys), identifiers()
    for what, shape in REFUSED.items():
        args = [arg.format(number=number) for arg in shape]
        assert main(args) != 0, what
        said = capsys.readouterr().err
        lines = said.splitlines()
        assert len(lines) == 2, (what, said)  # what happened, and the way out
        for line in lines:
            assert CHINESE.search(line.partition("：")[2]), (what, line)
            assert english_in(line, names | set(args)) == [], (what, line)
        assert main([*args, "--json"]) != 0
        assert not CHINESE.search(capsys.readouterr().err), what


@pytest.mark.usefixtures("case")
@pytest.mark.parametrize("by", ["p-11", "p-31"])
def test_a_console_in_chinese_says_why_not_in_chinese(by: str, capsys: pytest.CaptureFixture[str]) -> None:
    number, names = number_of_the_case(capsys), identifiers()
    assert main(["moves", number, "--as", by]) == 0
    out = capsys.readouterr().out
    reasons = [line.partition(": ")[2] for line in out.partition("现在不能办：\n")[2].splitlines()]
    assert len(reasons) > 10
    for reason in reasons:
        assert CHINESE.search(reason), reason
        assert english_in(reason, names) == [], reason
    assert main(["moves", number, "--as", by, "--json"]) == 0
    assert "only " in capsys.readouterr().out


def test_every_role_of_a_move_has_its_word() -> None:
    moves = definitions.load_procedure("school_crisis_v1", "default_v1").workflow.moves.values()
    roles = {role for move in moves for role in (*move.by, *move.second) if ":" not in role}
    assert {f"role.{role}" for role in roles} - set(keys()) == set()
