"""The console when something is wrong: its own exit code, one sentence and the way out, no traceback, nothing changed, no fact said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crisis_engine.cli import main
from crisis_engine.cli.failure import failure_of
from crisis_engine.core.errors import Busy, CrisisError, StoreError
from crisis_engine.words import LANGUAGES, knows, say

from .story import copy_city

UNIT = "xinyang/shihe/no-3/g7/c2"
WOUND = "QX7-wound-左臂"
REPORT = ("report", "--as", "p-71", "--unit", UNIT, "--subject", "stu-42")
OURS = {"LANG": "C.UTF-8", "CRISIS_NOW": "2026-03-02T08:00+08:00"}


@pytest.fixture(autouse=True)
def folder(city_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in a folder with the example city; the environment is nobody's own."""
    for name in [name for name in os.environ if name.startswith(("CRISIS_", "LC_"))]:
        monkeypatch.delenv(name)
    for name, value in OURS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    copy_city(city_template, tmp_path / "crisis.db")


def crisis(*args: str, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[str]:
    """Run the console as a process of its own."""
    done = subprocess.run([sys.executable, "-m", "crisis_engine", *args], input=stdin, capture_output=True, timeout=60, check=False,
                          env=os.environ | env)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def state() -> bytes:
    return Path("crisis.db").read_bytes()


REFUSED: list[tuple[str, int, tuple[str, ...]]] = [
    ("no such command", 2, ("quue",)),
    ("no such option", 2, ("queue", "--frob")),
    ("an option without its value", 2, ("queue", "--as")),
    ("an argument too many", 2, ("queue", "more", "--as", "p-11")),
    ("an argument too few", 2, ("act", "--as", "p-11")),
    ("a text without its quotes", 2, (*REPORT, "--facts", "he", WOUND, "today")),
    ("a misspelt option with a fact", 2, (*REPORT, f"--fact={WOUND}")),
    ("a fact instead of a command", 2, (WOUND,)),
    ("a number that is none", 2, ("queue", "--as", "p-11", "--limit", "many")),
    ("a number out of range", 2, ("queue", "--as", "p-11", "--limit", "0")),
    ("no such language", 2, ("queue", "--as", "p-11", "--lang", "fr")),
    ("nobody acts", 2, ("queue",)),
    ("no facts", 2, (*REPORT,)),
    ("blank facts", 2, (*REPORT, "--facts", "  ")),
    ("facts twice", 2, (*REPORT, "--facts", WOUND, "--facts-file", "x")),
    ("facts without end", 2, (*REPORT, "--facts", WOUND * 2_000)),
    ("facts of a missing file", 2, (*REPORT, "--facts-file", "missing.txt")),
    ("a cue that is none", 2, (*REPORT, "--facts", WOUND, "--cue", "fresh_injry")),
    ("a field without value", 2, ("act", "ABC-DEF-GHJ", "note", "--as", "p-11", "--field", WOUND)),
    ("a time that is none", 2, ("roster", "absent", "p-11", "--from", "monday", "--until", "friday", "--as", "p-35")),
    ("a time that ends before it begins", 2,
     ("roster", "absent", "p-11", "--from", "2026-03-03", "--until", "2026-03-02", "--as", "p-35")),
    ("no such example", 2, ("init", "--db", "new.db", "--example", "atlantis")),
    ("nothing next", 2, ("show", "next", "--as", "p-11")),
    ("no such case", 3, ("show", "ABC-DEF-GHJ", "--as", "p-11")),
    ("no such unit", 3, ("report", "--as", "p-71", "--unit", "xinyang/nowhere", "--facts", WOUND)),
    ("no such child", 3, ("report", "--as", "p-71", "--unit", UNIT, "--subject", "stu-0", "--facts", WOUND)),
    ("no such duty", 3, ("roster", "end-duty", "peer", UNIT, "p-11", "--as", "p-35")),
    ("no such person", 4, ("queue", "--as", "p-0")),
    ("a roster file that is not there", 65, ("roster", "import", "missing.csv")),
    ("a definition that is not there", 65, ("definitions", "show", "missing")),
    ("a database that is not there", 74, ("queue", "--as", "p-11", "--db", "missing.db")),
    ("a database of another kind", 74, ("queue", "--as", "p-11", "--db", "mysql://x/y")),
]


@pytest.mark.parametrize(("what", "code", "args"), REFUSED, ids=[what for what, *_ in REFUSED])
def test_what_is_wrong_has_its_exit_code_one_sentence_and_changes_nothing(
    what: str, code: int, args: tuple[str, ...], capsys: pytest.CaptureFixture[str],
) -> None:
    before = state()
    for lang in (("--lang", "zh"), ("--lang", "en")) if "fr" not in args else ((),):
        assert main([*lang, *args]) == code, what
        said = capsys.readouterr()
        assert said.out == ""
        assert 1 <= len(said.err.splitlines()) <= 2
        assert "Traceback" not in said.err
        assert WOUND not in said.err
    assert main(["--json", *args]) == code
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["exit_code"] == code
    assert error["message"]
    assert error["way_out"], what
    assert state() == before


def test_a_move_that_the_rules_forbid_is_refused_with_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*REPORT, "--facts", WOUND]) == 0
    assert main(["act", "next", "acknowledge", "--as", "p-11"]) == 0
    capsys.readouterr()
    for move, code, kind in (("acknowledge", 1, "CommandRejected"), ("assess", 4, "NotAllowed"), ("frobnicate", 2, "BadInput")):
        assert main(["act", "next", move, "--as", "p-11", "--json"]) == code
        error = json.loads(capsys.readouterr().err)["error"]
        assert error["kind"] == kind
        assert error["way_out"]


def test_the_set_clock_is_refused_outside_a_sandbox(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRISIS_NOW")
    assert main(["init", "--db", "real.db", "--example", "xinyang"]) == 0
    capsys.readouterr()
    monkeypatch.setenv("CRISIS_NOW", "2026-03-02T08:00+08:00")
    for command in (["queue", "--as", "p-11"], ["sweep"], ["init"], [*REPORT, "--facts", "x"]):
        assert main([*command, "--db", "real.db"]) == 2
        assert "sandbox" in capsys.readouterr().err
    monkeypatch.setenv("CRISIS_NOW", "eight o'clock")
    assert main(["queue", "--as", "p-11"]) == 2


def test_a_clock_that_cannot_be_right_is_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for when in ("1999-01-01T00:00+08:00", "2999-01-01T00:00+08:00"):
        monkeypatch.setenv("CRISIS_NOW", when)
        assert main([*REPORT, "--facts", WOUND]) == 2
        assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("raw", [b"\xff\xfe\x00bad", "手臂有伤".encode("gb18030")])
def test_facts_that_are_not_utf_8_are_refused_by_name(raw: bytes) -> None:
    before = state()
    Path("facts.txt").write_bytes(raw)
    done = crisis(*REPORT, "--facts-file", "facts.txt")
    assert (done.returncode, "UTF-8" in done.stderr) == (2, True)
    assert crisis(*REPORT, "--facts", "-", stdin=raw).returncode == 2
    assert state() == before


def test_facts_of_ten_megabytes_are_refused_before_they_are_read_whole() -> None:
    done = crisis(*REPORT, "--facts", "-", stdin=b"x" * 10_000_000)
    assert done.returncode == 2
    assert "20000" in done.stderr


def test_an_argument_that_is_not_utf_8_is_refused() -> None:
    command: list[str | bytes] = [sys.executable, "-m", "crisis_engine", *REPORT, "--facts", b"\xff\xfe"]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False, env=os.environ | OURS)
    assert done.returncode == 2
    assert b"UTF-8" in done.stderr


def test_a_corrupt_database_and_a_folder_are_store_errors() -> None:
    Path("bad.db").write_bytes(b"this is no database" * 100)
    Path("folder.db").mkdir()
    for name in ("bad.db", "folder.db"):
        done = crisis("queue", "--as", "p-11", "--db", name)
        assert done.returncode == 74, done.stderr
        assert "Traceback" not in done.stderr


def test_a_writer_that_waits_too_long_is_told_that_the_store_is_busy() -> None:
    assert failure_of(Busy()).exit_code == 75
    assert failure_of(StoreError("The disk is full.", way_out="Free some space.")).exit_code == 74


def test_every_exit_code_of_an_error_has_its_frame_in_the_catalogue() -> None:
    def below(kind: type[CrisisError]) -> Iterator[type[CrisisError]]:
        for sub in kind.__subclasses__():
            yield sub
            yield from below(sub)

    for kind in below(CrisisError):
        assert knows(f"refused.{kind.exit_code}")
    assert all(say("refused.130", lang) for lang in LANGUAGES)


def test_a_bug_is_one_sentence_without_a_value_and_its_place_only_in_the_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    from crisis_engine.engine import Engine

    def broken(*_: object, **__: object) -> object:
        raise RuntimeError(WOUND)

    monkeypatch.setattr(Engine, "report", broken)
    assert main([*REPORT, "--facts", WOUND]) == 70
    said = capsys.readouterr().err
    assert "RuntimeError" in said
    assert "nothing was changed" in said
    assert WOUND not in said
    assert "Traceback" not in said

    done = crisis("queue", "--as", "p-11", CRISIS_DEBUG="1", CRISIS_LOG="json", PYTHONPATH=_breaking_queue())
    assert done.returncode == 70
    log = json.loads(done.stderr.splitlines()[0])
    assert log["event"] == "console.bug"
    assert any("_breaker.py" in place for place in log["places"])
    assert WOUND not in done.stderr


def _breaking_queue() -> str:
    """Return a path whose sitecustomize makes the queue fail with a secret in its message."""
    folder = Path("broken")
    folder.mkdir()
    (folder / "_breaker.py").write_text(f"def queue(*_, **__):\n    secret = {WOUND!r}\n    raise RuntimeError(secret)\n", encoding="utf-8")
    (folder / "sitecustomize.py").write_text(
        "import crisis_engine.engine.look, _breaker\ncrisis_engine.engine.look.Look.queue = _breaker.queue\n", encoding="utf-8",
    )
    return os.pathsep.join([str(folder.resolve()), str(Path(__file__).parent.parent)])


def test_a_command_that_was_done_says_so_when_only_its_result_is_lost(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    from crisis_engine.cli.console import Console

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(Console, "numbers", broken)
    assert main([*REPORT, "--facts", "x"]) == 70
    assert "The command is done" in capsys.readouterr().err


@pytest.mark.parametrize("args", [("roster", "show"), ("roster", "show", "--json"), ("--help",), ("definitions", "show", "default_v1")])
def test_nobody_speaks_when_the_reader_of_a_pipe_has_gone(args: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        done = subprocess.run([sys.executable, "-m", "crisis_engine", *args], stdout=pipe, stderr=subprocess.PIPE, text=True, timeout=60,
                              check=False, env=os.environ | OURS)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_result_that_cannot_be_written_is_said() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-m", "crisis_engine", "roster", "show"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=60, check=False, env=os.environ | OURS)
    assert done.returncode == 74
    assert "disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_ends_with_130_and_writes_nothing() -> None:
    before = state()
    with subprocess.Popen([sys.executable, "-m", "crisis_engine", *REPORT, "--facts", "-"], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                          env=os.environ | OURS, preexec_fn=_hears_interrupts) as waiting:  # noqa: PLW1509 - no threads here
        assert waiting.stdin is not None
        assert waiting.stderr is not None
        _wait_until_it_reads(waiting.pid)
        waiting.send_signal(signal.SIGINT)
        said = waiting.stderr.read().decode()
    assert waiting.returncode == 130
    assert "Traceback" not in said
    assert state() == before


def _hears_interrupts() -> None:
    """Undo what a shell does to whatever runs in its background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _wait_until_it_reads(pid: int) -> None:
    """Wait until the process sleeps in a read of its input, as the kernel says."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            number = Path(f"/proc/{pid}/syscall").read_text(encoding="ascii").split()[:2]
        except (OSError, PermissionError):
            pytest.skip("needs /proc/PID/syscall")
        if number == ["0", "0x0"]:  # read(0, …) on x86-64
            return
        os.sched_yield()
    pytest.skip("the process was not seen reading")


def test_colours_and_escapes_stay_out_of_pipes() -> None:
    crisis(*REPORT, "--facts", "x", "--cue", "means")
    assert "\x1b" not in crisis("queue", "--as", "p-11").stdout
    assert "\x1b" not in crisis("show", "next", "--as", "p-11", FORCE_COLOR="1").stdout


def test_logs_go_to_stderr_as_lines_or_json_and_hold_no_fact() -> None:
    plain = crisis(*REPORT, "--facts", WOUND, CRISIS_LOG_LEVEL="info")
    assert "event=report.received" in plain.stderr
    assert "level=info" in plain.stderr
    as_json = crisis(*REPORT, "--facts", WOUND, "--json", CRISIS_LOG_LEVEL="info", CRISIS_LOG="json")
    assert json.loads(as_json.stderr)["event"] == "report.received"
    assert json.loads(as_json.stdout)["receipt"]
    assert crisis(*REPORT, "--facts", WOUND).stderr == ""
    for said in (plain, as_json):
        assert WOUND not in said.stderr
        assert "stu-42" not in said.stderr


def test_notices_that_cannot_be_written_end_with_74_and_the_reason_and_go_out_later() -> None:
    assert crisis(*REPORT, "--facts", WOUND).returncode == 0
    failed = crisis("deliver", "--to", "no-such-folder/notices.jsonl")
    assert failed.returncode == 74
    assert "No such file" in failed.stdout
    assert WOUND not in failed.stdout + failed.stderr

    later = crisis("deliver", "--to", "notices.jsonl", CRISIS_NOW="2026-03-02T08:05+08:00")
    assert later.returncode == 0
    assert Path("notices.jsonl").read_text(encoding="utf-8").count("\n") >= 2


def test_what_a_person_wrote_can_neither_steer_the_terminal_nor_pass_for_a_line_of_the_history() -> None:
    forged = "seen\x1b[2J\u202e\n  99  2026-03-02 14:30  move: fake  closed  (p-3)"
    assert crisis(*REPORT, "--facts", forged).returncode == 0
    history = crisis("history", "next", "--as", "p-11").stdout
    assert "\x1b" not in history
    assert "\u202e" not in history
    assert not any(line.startswith("  99  ") for line in history.splitlines())
