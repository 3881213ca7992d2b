"""The console as people use it: one child's case by hand, in two languages, as words and as JSON, before and after the command."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crisis_engine.cli import main
from crisis_engine.cli.app import ORDER, build
from crisis_engine.cli.command import COMMANDS

from .story import copy_city

build("en")  # reads the modules that hold commands, so that COMMANDS is full
UNIT = "xinyang/shihe/no-3/g7/c2"
FACTS = "她给我看了手臂上的新伤口 QX7"
REPORT = ("report", "--as", "p-71", "--unit", UNIT, "--subject", "stu-42", "--facts", FACTS, "--cue", "fresh_injury")
MORNING = "2026-03-02T08:00+08:00"


class Done(NamedTuple):
    """What one run of the console left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 (each command has its own shape)
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.err)["error"]
        return found


Crisis = Callable[..., Done]


@pytest.fixture
def crisis(city_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Crisis:
    """Run the console in a folder with the example city, at eight in the morning, in English."""
    for name in [name for name in os.environ if name.startswith("CRISIS_") or name in {"LC_ALL", "LC_MESSAGES", "NO_COLOR"}]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("CRISIS_NOW", MORNING)
    monkeypatch.chdir(tmp_path)
    copy_city(city_template, tmp_path / "crisis.db")

    def run(*args: str, **env: str) -> Done:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        code = main(args)
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return run


def number_of(crisis: Crisis, by: str = "p-11") -> str:
    number: str = crisis("queue", "--as", by, "--json").json[0]["number"]
    return number


# ---- one case by hand --------------------------------------------------------------------------------------------------------


def test_a_peers_word_becomes_a_receipt_and_waits_in_the_class_teachers_queue(crisis: Crisis) -> None:
    told = crisis(*REPORT)
    assert told.code == 0
    assert re.search(r"receipt is [2-9A-Z]{12}", told.out)
    assert "12356" in told.out
    assert "120" in told.out
    waiting = crisis("queue", "--as", "p-11")
    assert "acknowledge" in waiting.out
    assert "red" in waiting.out
    assert "12356" in waiting.out, "wherever red is on the screen the numbers stand beside it"
    assert FACTS not in waiting.out


def test_the_receipt_says_the_same_whether_or_not_a_case_exists(crisis: Crisis) -> None:
    first, second = crisis(*REPORT, "--json").json, crisis(*REPORT, "--json").json
    assert first.keys() == second.keys()
    assert first["receipt"] != second["receipt"]
    assert len(crisis("queue", "--as", "p-11", "--json").json) == 1


def test_a_class_teacher_acknowledges_what_stands_alone_in_the_queue(crisis: Crisis) -> None:
    crisis(*REPORT)
    done = crisis("act", "next", "acknowledge", "--as", "p-11", "--json")
    assert (done.code, done.json["stage"], done.json["tier"]) == (0, "acknowledged", "class")
    assert {"number", "workflow", "stage", "tier", "risk", "peak", "danger", "owner", "answers", "version", "opened_at", "closed_at",
            "deadlines"} <= done.json.keys()


def test_next_never_acts_on_one_of_two(crisis: Crisis) -> None:
    crisis(*REPORT)
    crisis("report", "--as", "p-71", "--unit", UNIT, "--facts", "somebody I do not know cries in the yard")
    assert crisis("act", "next", "acknowledge", "--as", "p-11").code == 2
    assert crisis("show", "next", "--as", "p-11").code == 0


def test_fields_are_given_by_name_and_repeated_for_a_list(crisis: Crisis) -> None:
    crisis(*REPORT)
    number = number_of(crisis)
    done = crisis("act", number, "signal", "--as", "p-11", "--field", "facts=a = b", "--field", "cues=means", "--field", "cues=old_scars")
    assert done.code == 0, done.err
    forms = [line["fields"] for line in crisis("history", number, "--as", "p-11", "--json").json if "fields" in line]
    assert forms[-1]["facts"] == "a = b"
    assert forms[-1]["cues"] == ["means", "old_scars"]


def test_a_version_that_was_overtaken_is_refused_as_stale(crisis: Crisis) -> None:
    crisis(*REPORT)
    number = number_of(crisis)
    seen = crisis("show", number, "--as", "p-11", "--json").json["version"]
    assert crisis("act", number, "acknowledge", "--as", "p-11", "--version", str(seen - 1)).code == 5
    assert crisis("act", number, "acknowledge", "--as", "p-11", "--version", str(seen)).code == 0


def test_a_repeated_key_counts_once_and_other_content_under_it_is_refused(crisis: Crisis) -> None:
    first = crisis(*REPORT, "--key", "form-88123", "--json")
    assert crisis(*REPORT, "--key", "form-88123", "--json").json == first.json
    assert crisis(*REPORT, "--key", "form-88123", "--danger-now").code == 1


def test_moves_names_what_is_possible_and_why_the_rest_is_not(crisis: Crisis) -> None:
    crisis(*REPORT)
    moves = {move["move"]: move for move in crisis("moves", "next", "--as", "p-11", "--json").json}
    assert moves["acknowledge"]["possible"]
    assert moves["assess"]["why_not"]
    said = crisis("moves", "next", "--as", "p-11").out
    assert said.index("Possible now:") < said.index("acknowledge") < said.index("Not possible now:") < said.index("  assess ")


def test_a_late_clock_goes_up_by_a_sweep_and_the_notice_goes_out(crisis: Crisis, tmp_path: Path) -> None:
    crisis(*REPORT)
    late = {"CRISIS_NOW": "2026-03-02T08:20+08:00"}
    swept = crisis("sweep", "--json", **late).json
    assert swept["rungs"] >= 1
    sent = crisis("deliver", "--json", "--to", str(tmp_path / "out.jsonl"), **late).json
    assert sent["sent"] == len({json.loads(line)["key"] for line in (tmp_path / "out.jsonl").read_text().splitlines()})
    assert sent["waiting"] == 0
    kinds = [line["kind"] for line in crisis("history", number_of(crisis), "--as", "p-11", "--json").json]
    assert "tier_raised" in kinds
    assert "told" in kinds


def test_show_draws_the_way_the_tiers_and_what_is_late(crisis: Crisis) -> None:
    crisis(*REPORT)
    crisis("act", "next", "acknowledge", "--as", "p-11")
    crisis("sweep", CRISIS_NOW="2026-03-02T08:45+08:00")
    shown = crisis("show", number_of(crisis), "--as", "p-11").out
    assert "reported 03-02 08:00 > [acknowledged 03-02 08:00]" in shown
    assert re.search(r"peer == class == grade == \[school\] -- county -- city", shown)
    assert re.search(r"tell the guardian +#{12} +03-02 08:30 +late by 15m +class teacher p-11 +\[D\]", shown)
    assert re.search(r"assess +#{9}\.{3} .* 15m left", shown)
    assert "unverified defaults" in shown
    assert "no diagnosis" in shown
    assert "12356" in shown


def test_history_shows_the_form_to_those_who_may_read_it(crisis: Crisis) -> None:
    crisis(*REPORT)
    number = number_of(crisis)
    assert FACTS in crisis("history", number, "--as", "p-11").out
    duties = crisis("roster", "show", "--unit", "xinyang", "--json").json["duties"]
    operator = next(duty["person"] for duty in duties if duty["role"] == "operator")
    blind = crisis("history", number, "--as", operator)
    assert blind.code == 0, blind.err
    assert FACTS not in blind.out
    assert "stu-42" not in blind.out


def test_a_peer_writes_blind_and_reads_nothing(crisis: Crisis) -> None:
    crisis(*REPORT)
    number = number_of(crisis)
    for command in ("show", "history", "moves"):
        assert crisis(command, number, "--as", "p-71").code in {3, 4}


def test_the_facts_come_from_a_file_or_the_input(crisis: Crisis, tmp_path: Path) -> None:
    (tmp_path / "facts.txt").write_text(f"\ufeff{FACTS}\n", encoding="utf-8")
    assert crisis("report", "--as", "p-71", "--unit", UNIT, "--subject", "stu-42", "--facts-file", "facts.txt").code == 0
    assert FACTS in crisis("history", "next", "--as", "p-11").out
    done = program("report", "--as", "p-71", "--unit", UNIT, "--facts", "-", stdin=FACTS.encode())
    assert done.returncode == 0, done.stderr


def test_an_absence_and_the_end_of_a_duty_hand_the_clocks_over(crisis: Crisis) -> None:
    crisis(*REPORT)
    number = number_of(crisis)
    away = crisis("roster", "absent", "p-11", "--from", MORNING, "--until", "2026-03-06T18:00", "--as", "p-35", "--json")
    assert away.json["handed_over"] == 1
    assert away.json["ends_at"] == "2026-03-06T18:00:00+08:00", "a time without zone is China's"
    assert crisis("show", number, "--as", "p-17", "--json").json["owner"] == "p-17"
    ended = crisis("roster", "end-duty", "deputy_class_teacher", UNIT, "p-17", "--as", "p-35", "--json")
    assert ended.json["handed_over"] == 1
    assert crisis("show", number, "--as", "p-35", "--json").json["owner"] not in {"p-11", "p-17"}


# ---- the roster and the definitions ------------------------------------------------------------------------------------------


def test_init_makes_a_sandbox_with_the_example_city(crisis: Crisis) -> None:
    done = crisis("init", "--sandbox", "--example", "xinyang", "--db", "new.db", "--json").json
    assert done["sandbox"]
    assert done["imported"]["units"] == len(crisis("roster", "show", "--db", "new.db", "--json").json["units"])
    assert crisis("init", "--db", "new.db", "--json").json == {"db": "sqlite:///new.db", "sandbox": True, "imported": {}}


def test_roster_check_names_the_intended_gaps_and_fails_where_a_level_has_nobody(crisis: Crisis) -> None:
    done = crisis("roster", "check", "--json")
    assert done.code == 6
    assert {(gap["unit"], gap["kind"], gap["role"]) for gap in done.json["gaps"]} >= {("xinyang/exp-1/c3", "vacant", "peer")}
    assert "没有心理委员" in crisis("roster", "check", "--lang", "zh").out


def test_a_roster_file_may_refer_to_what_the_database_has(crisis: Crisis, tmp_path: Path) -> None:
    (tmp_path / "duties.csv").write_text(f"role,unit,person\npeer,{UNIT},p-11\n", encoding="utf-8")
    assert crisis("roster", "import", "duties.csv", "--json").json["imported"]["duties"] == 1
    (tmp_path / "duties.csv").write_text(f"role,unit,person\npeer,{UNIT},p-nobody\n", encoding="utf-8")
    refused = crisis("roster", "import", "duties.csv", "--json")
    assert refused.code == 65
    assert "duties.csv:2" in refused.error["message"]


def test_roster_show_has_the_shape_that_programs_rely_on(crisis: Crisis) -> None:
    shown = crisis("roster", "show", "--unit", UNIT, "--json").json
    assert {"id": "stu-42", "unit": UNIT} in shown["subjects"]
    assert {"role": "class_teacher", "unit": UNIT, "person": "p-11"} in shown["duties"]
    assert shown["units"][0].keys() == {"id", "kind", "name", "parent"}


def test_definitions_mark_what_nobody_could_verify(crisis: Crisis) -> None:
    listed = crisis("definitions", "list", "--json").json
    assert "school_crisis_v1" in listed["workflows"]
    shown = crisis("definitions", "show", "default_v1").out
    assert "[D] unverified: our design" in shown
    assert "[T] template" in shown
    for name in (*listed["workflows"], *listed["policies"], *listed["access"]):
        assert crisis("definitions", "show", name).code == 0
        assert crisis("definitions", "show", name, "--json").json["definition"]
    for name in ("guardian_v1", *listed["policies"], *listed["access"]):
        assert crisis("definitions", "check", name).code == 0


def test_a_broken_definition_is_named_with_file_and_key(crisis: Crisis, tmp_path: Path) -> None:
    crisis("definitions", "list")
    source = Path(__file__).parent.parent / "policies" / "default_v1.toml"
    broken = source.read_text(encoding="utf-8").replace('ladder = "danger"', 'ladder = "dangr"')
    (tmp_path / "mine_v1.toml").write_text(broken, encoding="utf-8")
    refused = crisis("definitions", "check", "./mine_v1.toml", "--json")
    assert refused.code == 65
    assert refused.error["file"] == "mine_v1.toml"
    assert "stay_with" in refused.error["key"]
    assert "danger" in refused.error["way_out"]


# ---- options, languages, help ------------------------------------------------------------------------------------------------


def test_the_shared_options_stand_before_or_after_the_command(crisis: Crisis) -> None:
    crisis(*REPORT)
    crisis("init", "--db", "other.db")
    after = crisis("queue", "--as", "p-11", "--json", "--db", "crisis.db")
    before = crisis("--as", "p-11", "--json", "--db", "crisis.db", "queue")
    both = crisis("--as", "p-99", "--db", "other.db", "queue", "--json", "--as", "p-11", "--db", "sqlite:///crisis.db")
    named = crisis("queue", "--json", CRISIS_ACTOR="p-11", CRISIS_DB="crisis.db")
    assert after.json == before.json == both.json == named.json
    assert len(after.json) == 1
    assert crisis("roster", "--json", "show", "--unit", UNIT).json == crisis("--json", "roster", "show", "--unit", UNIT).json


def test_the_language_is_taken_from_the_option_the_variable_or_the_locale(crisis: Crisis) -> None:
    assert "待办" in crisis("queue", "--as", "p-11", "--lang", "zh").out
    assert "Nothing waits" in crisis("queue", "--as", "p-11", "--lang", "en", LANG="zh_CN.UTF-8").out
    assert "待办" in crisis("queue", "--as", "p-11").out
    assert "Nothing waits" in crisis("queue", "--as", "p-11", CRISIS_LANG="en").out
    assert crisis("show", "next", "--as", "p-11", "--lang", "zh").err.startswith("命令有误：")


def test_every_command_speaks_json_or_words_and_never_both(crisis: Crisis) -> None:
    crisis(*REPORT)
    for command in (("queue",), ("show", "next"), ("history", "next"), ("moves", "next"), ("roster", "show"), ("definitions", "list"),
                    ("sweep",), ("deliver",), ("roster", "check")):
        assert crisis(*command, "--as", "p-11", "--json").json is not None
        words = crisis(*command, "--as", "p-11").out
        assert words.strip()
        with pytest.raises(json.JSONDecodeError):
            json.loads(words)


def test_the_help_of_every_command_stands_in_both_languages_with_an_example() -> None:
    for lang in ("zh", "en"):
        root = build(lang)
        assert list(root.commands) == ORDER
        for path in COMMANDS:
            command = root
            for name in path.split():
                command = command.commands[name]
            assert command.help
            assert all(param.help for param in command.params)
            assert {"--db", "--as", "--json", "--lang"} <= {opt for param in command.params for opt in param.opts}


def test_help_shows_usage_example_and_options(crisis: Crisis) -> None:
    page = crisis("act", "--help")
    assert page.code == 0
    assert page.out.startswith("Usage: crisis act NUMBER MOVE [OPTIONS]\n")
    assert "crisis act next acknowledge --as p-11" in page.out
    assert "--field NAME=VALUE" in page.out
    assert crisis("--lang", "zh", "act", "--help").out.startswith("用法： crisis act")
    assert (crisis().code, crisis("roster").code) == (2, 2)


@pytest.mark.parametrize("path", [path for path in COMMANDS if path not in {"demo", "doctor"}])
def test_the_example_of_every_command_works_when_pasted(path: str, crisis: Crisis, tmp_path: Path) -> None:
    (tmp_path / "crisis.db").unlink()
    assert crisis("init", "--sandbox", "--example", "xinyang").code == 0
    for line in COMMANDS[path].example.splitlines():
        if line.startswith("crisis "):
            done = crisis(*shlex.split(line)[1:])
            assert done.code == (6 if path in {"roster check", "daemon status"} else 0), done.err
        else:
            subprocess.run(["/bin/sh", "-c", line], check=True, cwd=tmp_path)


def test_nothing_on_the_screen_is_cropped_or_drawn_in_uncertain_width(crisis: Crisis) -> None:
    crisis(*REPORT)
    for command in (("queue",), ("show", "next"), ("history", "next"), ("roster", "show", "--unit", "xinyang/shihe")):
        said = crisis(*command, "--as", "p-11", "--lang", "zh", COLUMNS="40").out
        assert [char for char in said if unicodedata.east_asian_width(char) == "A"] == []
    assert UNIT in crisis("roster", "show", "--lang", "zh", COLUMNS="20").out


def test_on_a_narrow_screen_a_name_is_folded_and_never_cropped(crisis: Crisis, monkeypatch: pytest.MonkeyPatch) -> None:
    crisis(*REPORT)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    narrow = crisis("show", "next", "--as", "p-11", COLUMNS="70", TERM="xterm", NO_COLOR="1").out
    squeezed = re.sub(r"\s+", " ", narrow)
    assert max(map(len, narrow.split("Clocks")[1].split("\n\n")[0].splitlines())) <= 70
    for word in ("acknowledge", "counselor", "p-31", "p-35", "county"):
        assert word in squeezed


def test_a_table_lines_up_under_chinese_heads(crisis: Crisis) -> None:
    crisis(*REPORT)
    head, row, *_ = crisis("queue", "--as", "p-11", "--lang", "zh").out.splitlines()

    def column(line: str, word: str) -> int:
        return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line[:line.index(word)])

    assert column(head, "待办") == column(row, "确认线索")
    assert column(head, "负责人") == column(row, "班主任")


# ---- start-up ------------------------------------------------------------------------------------------------------------------


def program(*args: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run the console as a process of its own."""
    return subprocess.run([sys.executable, "-m", "crisis_engine", *args], input=stdin, capture_output=True, timeout=60, check=False,
                          env=os.environ | env)


def loaded_by(*args: str) -> set[str]:
    code = ("import sys; from crisis_engine.cli import main; main(sys.argv[1:]); "
            "print(*{name.partition('.')[0] if not name.startswith('crisis_engine') else name for name in sys.modules}, file=sys.stderr)")
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stderr.split())


def test_the_help_loads_neither_engine_nor_database_nor_pictures(crisis: Crisis) -> None:
    assert crisis("queue", "--as", "p-11").code == 0
    heavy = {"sqlalchemy", "sqlmodel", "alembic", "rich", "structlog", "pydantic", "crisis_engine.engine", "crisis_engine.definitions"}
    assert loaded_by("--help") & heavy == set()


def test_the_queue_loads_no_migration_no_logger_and_no_validator(crisis: Crisis) -> None:
    crisis(*REPORT)
    assert loaded_by("queue", "--as", "p-11") & {"sqlmodel", "alembic", "structlog", "pydantic"} == set()
