"""What the documents say is true: their examples run, their tables are the code's, their links and tests exist."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from crisis_engine.core import errors
from crisis_engine.core.model import Risk
from crisis_engine.definitions import load_procedure
from tests.test_floors import known_rooms

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/**/*.md")])
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
each_readme = pytest.mark.parametrize("document", [README, CHINESE], ids=["en", "zh"])


class Block(NamedTuple):
    """A fenced block of a document: its language, its text, the line on which its text begins."""

    language: str
    text: str
    line: int


class Shown(NamedTuple):
    """A command of a console block and the output that is shown under it; empty where none is shown."""

    command: str
    output: list[str]


def blocks_of(text: str, language: str = "") -> list[Block]:
    """Return the fenced blocks of one language, or all."""
    found = re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    blocks = [Block(match[1], match[2], text[:match.start(2)].count("\n") + 1) for match in found]
    return [block for block in blocks if language in {"", block.language}]


def shown_in(text: str) -> list[Shown]:
    """Return the commands (`$ `, continued by `> `) of all console blocks of a document, in order."""
    shown: list[Shown] = []
    for block in blocks_of(text, "console"):
        for place, line in enumerate(block.text.splitlines()):
            if line.startswith("$ "):
                shown.append(Shown(line[2:], []))
            elif line.startswith("> ") and not shown[-1].output:
                shown[-1] = Shown(f"{shown[-1].command}\n{line[2:]}", [])
            else:
                assert place, "a console block begins with a command"
                shown[-1].output.append(line)
    return shown


# ---- console blocks run in a real shell ---------------------------------------------------------------------------------------

LETTER = "[2-9A-HJ-NP-TV-Z]"  # case numbers and receipts are random: one that is shown stands for any
ANYTHING = re.compile(r"(?<!\.)\.{3}(?!\.)")  # a longer row of dots is a bar that the console draws
RANDOM = re.compile(rf"\b(?:{LETTER}{{3}}(?:-{LETTER}{{3}}){{2}}|{LETTER}{{12}})\b")


def pattern_of(line: str) -> str:
    """Return the pattern of a shown line: `...` stands for any text, a random number for any other, blanks for blanks."""
    words = re.sub(r" +", " ", RANDOM.sub("\0", line)).strip()
    return ".*".join(re.escape(part) for part in ANYTHING.split(words)).replace("\0", rf"{LETTER}[-2-9A-Z]+")


def says(output: list[str], shown: list[str]) -> bool:
    """Whether the output is what is shown; a line that is only `...` stands for any number of lines."""
    lines = [re.sub(r" +", " ", line).strip() for line in output]
    pattern = "".join("(?:.*\n)*?" if line.strip() == "..." else f"{pattern_of(line)}\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def run_in_bash(commands: list[str], folder: Path) -> Iterator[list[str]]:
    """Run the commands one after another in one shell that stops at the first failure; yield the lines that each printed."""
    shims = folder / ".bin"
    shims.mkdir()
    for name, arguments in (("crisis", "-m crisis_engine"), ("python", "")):
        (shims / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n', encoding="utf-8")
        (shims / name).chmod(0o755)
    (folder / "examples").symlink_to(ROOT / "examples")
    env = {name: value for name, value in os.environ.items() if not name.startswith("CRISIS_")}
    env |= {"PATH": f"{shims}{os.pathsep}{env['PATH']}", "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "LC_ALL": "C.UTF-8"}
    script = "".join(f"printf '\\036'\n{command}\n" for command in commands)
    done = subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,  # noqa: S607 (whichever bash the reader has)
                          timeout=300, check=False)
    parts = done.stdout.decode().split("\036")[1:]
    assert done.returncode == 0, f"$ {commands[len(parts) - 1]}\n{parts[-1]}"
    yield from (part.splitlines() for part in parts)


@each_document
def test_every_console_example_runs_and_says_what_is_shown(document: Path, tmp_path: Path) -> None:
    shown = shown_in(document.read_text(encoding="utf-8"))
    for (command, expected), output in zip(shown, run_in_bash([one.command for one in shown], tmp_path), strict=True):
        assert not expected or says(output, expected), f"$ {command}\n" + "\n".join(output)


@each_document
def test_every_python_example_runs_by_itself(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in blocks_of(document.read_text(encoding="utf-8"), "python"):
        code = compile("\n" * (block.line - 1) + block.text, document.name, "exec")
        exec(code, {"__name__": "example"})  # noqa: S102 (our own documents)


@pytest.mark.parametrize("script", sorted(ROOT.glob("examples/*.py")), ids=lambda path: path.name)
def test_every_example_script_runs_without_a_warning(script: Path, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-W", "error", str(script)], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
                          capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == [], "an example leaves nothing behind"


@each_document
def test_blocks_that_are_not_run_hold_no_commands(document: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for block in blocks_of(document.read_text(encoding="utf-8")):
        assert block.language in {"console", "python", "sh", "text"}, f"line {block.line}: nobody would run this block"
        if block.language == "sh":  # make would run the tests again: its targets are checked by name
            for line in block.text.splitlines():
                make, target = line.partition("#")[0].split()
                assert (make, target) == ("make", target)
                assert target in targets


@pytest.mark.parametrize(
    ("output", "shown", "fits"),
    [
        (["Case A2B-C3D-E4F: red"], ["Case 7KD-MQ2-XTE: red"], True),
        (["Case A2B-C3D-E4F: red"], ["Case 7KD-MQ2-XTE: blue"], False),
        (["a", "b", "c"], ["a", "...", "c"], True),
        (["a", "b"], ["a"], False),
        (["a   b "], ["a b"], True),
        (["due 14:30 p-11"], ["due ... p-11"], True),
        (["##...... 14:30"], ["####.... 14:30"], False),
    ],
)
def test_shown_output_is_compared_line_by_line(output: list[str], shown: list[str], fits: bool) -> None:  # noqa: FBT001 (a parameter)
    assert says(output, shown) is fits


# ---- the two READMEs say the same ---------------------------------------------------------------------------------------------


def code_of(path: Path) -> list[str]:
    """Return the commands and the Python of a document without comments, language and the words of a report."""
    text = path.read_text(encoding="utf-8")
    python = "\n".join(block.text for block in blocks_of(text, "python"))
    code = "\n".join([*(one.command for one in shown_in(text)), python, *(block.text for block in blocks_of(text, "sh"))])
    code = re.sub(r"(facts[= ])\"[^\"]*\"", r'\1""', re.sub(r"CRISIS_LANG=(en|zh)", "CRISIS_LANG=", code))
    return [line for line in (re.sub(r"(^|\s+)#.*", "", line).rstrip() for line in code.splitlines()) if line]


def test_both_readmes_have_the_same_examples() -> None:
    assert code_of(CHINESE) == code_of(README)


# ---- tables are the code's ------------------------------------------------------------------------------------------------------

PROCEDURE = load_procedure("school_crisis_v1", "default_v1")
RISKS = (Risk.RED, Risk.ORANGE, Risk.YELLOW, Risk.BLUE, Risk.UNRATED)


def row(*cells: str) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


def stage_rows(lang: str) -> list[str]:
    """Return the open stages: name, what it is called, who leads, the standing clocks of that stage."""
    clocks = PROCEDURE.workflow.clocks.values()
    return [
        row(f"`{stage.name}`", stage.label[lang], stage.lead.value, ", ".join(clock.name for clock in clocks if stage.name in clock.stages))
        for stage in PROCEDURE.workflow.stages.values() if stage.lead is not None
    ]


def clock_rows(lang: str) -> list[str]:
    """Return the clocks: name, what it is called, who must meet it, the budget for each risk, the mark, the ladder."""
    rows = []
    for clock in PROCEDURE.workflow.clocks.values():
        rule = PROCEDURE.policy.clocks[clock.name]
        budgets = [str(rule.within[risk]) for risk in RISKS]
        ladder = ", ".join([rule.ladder, *(f"{risk}: {name}" for risk, name in rule.ladder_by_risk.items())])
        mark = f"{rule.mark} †" if rule.unverified else rule.mark
        rows.append(row(f"`{clock.name}`", clock.label[lang], clock.who, *budgets, mark, ladder))
    return rows


def ladder_rows(_lang: str) -> list[str]:
    """Return the ladders: what happens how long after a clock is late; `again` is the rung that repeats for ever."""
    rows = []
    for name, ladder in PROCEDURE.policy.ladders.items():
        rungs = []
        for rung in ladder:
            does = [*([f"→ {rung.raise_to}"] if rung.raise_to else []), *rung.tell, *(["alarm"] if rung.alarm else [])]
            rungs.append(f"{f'every {rung.every}' if rung.every else rung.at} {' + '.join(does)}")
        rows.append(row(f"`{name}`", "; ".join(rungs)))
    return rows


def exit_rows(_lang: str) -> list[str]:
    """Return the first cell of each row: the exit codes that the code knows."""
    codes = {cls.exit_code for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, errors.CrisisError)}
    return [f"| {code} |" for code in sorted({0, 130} | codes)]


def variable_rows(_lang: str) -> list[str]:
    """Return the first cell of each row: the environment variables that the code reads."""
    code = "".join(path.read_text(encoding="utf-8") for path in ROOT.glob("crisis_engine/**/*.py"))
    return [f"| `{name}` |" for name in sorted(set(re.findall(r"\bCRISIS_[A-Z_]+\b", code)))]


@each_readme
@pytest.mark.parametrize(("name", "rows"), [
    ("stages", stage_rows), ("clocks", clock_rows), ("ladders", ladder_rows), ("exits", exit_rows), ("variables", variable_rows),
])
def test_a_table_says_what_the_code_says(document: Path, name: str, rows: Callable[[str], list[str]]) -> None:
    found = re.search(rf"<!-- {name} -->\n(.*?)<!-- /{name} -->", document.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None, f"no table {name}"
    expected = rows("zh" if document == CHINESE else "en")
    lines = found[1].strip().splitlines()[2:]
    assert len(lines) == len(expected)
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning), "the table should say:\n" + "\n".join(expected)


def named_tests() -> set[str]:
    """Return the names of all test files and of all functions in them."""
    names = set()
    for path in ROOT.glob("tests/**/*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names |= {path.stem} | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    return names


@each_document
def test_every_test_and_file_that_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert set(re.findall(r"\btest_\w+", text)) <= named_tests()
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
    assert [link for link in links if not (document.parent / link).exists()] == []


@each_document
def test_no_document_names_a_machine_or_an_index_of_packages(document: Path) -> None:
    assert re.findall(r"/(?:tmp|work|home|root|Users)/\S*|https?://\S*|\bpypi\S*", document.read_text(encoding="utf-8")) == []


@each_readme
def test_every_command_is_named(document: Path) -> None:
    from crisis_engine.cli.app import ORDER

    text = document.read_text(encoding="utf-8")
    assert [name for name in ORDER if f"`{name}`" not in text] == []


def test_the_architecture_names_every_room_and_table() -> None:
    from crisis_engine.store.schema import metadata

    text = ARCHITECTURE.read_text(encoding="utf-8")
    rooms = {name for name in known_rooms() if name.startswith(("core.", "engine.", "store.")) or "." not in name} - {"(face)", "__main__"}
    assert sorted(name for name in rooms if not re.search(rf"\b{name.rpartition('.')[2]}\b", text)) == []
    assert sorted(name for name in metadata.tables if f"`{name}`" not in text) == []
