"""`crisis deliver --channels` and `crisis notices`: words, JSON, exit codes, and nothing said of a secret."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from crisis_engine.cli import main

from .receiver import SECRET, Receiver, receiving
from .story import copy_city

REPORT = ["report", "--as", "p-71", "--unit", "xinyang/shihe/no-3/g7/c2", "--subject", "stu-42", "--facts", "A note in her desk."]


class Done(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - whatever the command printed
        return json.loads(self.out)


class Shell:
    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *args: str) -> Done:
        code = main(list(args))
        said = self._capsys.readouterr()
        return Done(code, said.out, said.err)


@pytest.fixture
def crisis(
    city_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> Shell:
    copy_city(city_template, tmp_path / "crisis.db")
    monkeypatch.chdir(tmp_path)
    for name, value in {"CRISIS_DB": "crisis.db", "CRISIS_LANG": "en", "CRISIS_NOW": "2026-03-02T08:00+08:00", "HOOK": SECRET}.items():
        monkeypatch.setenv(name, value)
    return Shell(capsys)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as one:
        yield one


def channels(folder: Path, url: str, more: str = "") -> str:
    path = folder / "channels.toml"
    head = 'format = 1\n[[channel]]\nname = "host"\nkind = "webhook"\n'
    path.write_text(f'{head}url = "{url}"\nsecret_env = "HOOK"\n{more}', encoding="utf-8")
    return str(path)


def test_the_console_tells_a_host_system_and_says_how_it_went(crisis: Shell, tmp_path: Path, receiver: Receiver) -> None:
    assert crisis(*REPORT).code == 0
    sent = crisis("deliver", "--json", "--channels", channels(tmp_path, receiver.url)).json
    assert (sent["sent"], sent["failed"], sent["waiting"]) == (len(receiver.accepted), 0, 0)
    assert receiver.accepted
    listed = crisis("notices", "list", "--status", "sent", "--as", "p-9", "--json").json
    assert {one["answer"] for one in listed} == {"host-77"}
    assert "The gateway calls it: host-77" in crisis("notices", "show", "1", "--as", "p-9").out


def test_what_does_not_arrive_is_listed_retried_and_dropped(crisis: Shell, tmp_path: Path, receiver: Receiver) -> None:
    assert crisis(*REPORT).code == 0
    receiver.answers = [410] * 3
    assert crisis("deliver", "--channels", channels(tmp_path, receiver.url), "--limit", "3").code == 74
    dead = crisis("notices", "list", "--status", "dead", "--as", "p-9", "--json").json
    assert len(dead) == 3
    assert {one["error"] for one in dead} == {"the receiver answered 410."}
    assert crisis("notices", "drop", str(dead[0]["id"]), "--as", "p-9", "--json").json == {"messages": 1}
    assert crisis("notices", "retry", "--all", "--as", "p-9", "--json").json == {"messages": 2}
    assert crisis("deliver", "--channels", channels(tmp_path, receiver.url)).code == 0
    assert crisis("notices", "list", "--as", "p-9").out == "There are none.\n"


@pytest.mark.parametrize(("args", "code"), [
    (["notices", "list", "--as", "p-31"], 4), (["notices", "show", "999", "--as", "p-9"], 3), (["notices", "retry", "--as", "p-9"], 2),
    (["notices", "list", "--status", "lost", "--as", "p-9"], 2), (["notices", "digest", "--kind", "hourly"], 2), (["notices", "list"], 2),
    (["deliver", "--to", "a.jsonl", "--channels", "b.toml"], 2), (["deliver", "--channels", "none.toml"], 65),
])
def test_what_is_refused_ends_with_its_exit_code_and_a_way_out(crisis: Shell, args: list[str], code: int) -> None:
    done = crisis(*args)
    assert (done.code, done.out) == (code, "")
    assert "Way out" in done.err
    assert "Traceback" not in done.err


def test_a_wrong_channels_file_is_named_with_its_key_and_sends_nothing(crisis: Shell, tmp_path: Path, receiver: Receiver) -> None:
    crisis(*REPORT)
    done = crisis("deliver", "--channels", channels(tmp_path, receiver.url, 'quit = "22:00-06:00"\n'))
    assert done.code == 65
    assert "channels.toml, key channel[1].quit" in done.err
    assert SECRET not in done.err
    assert receiver.requests == []


def test_the_digests_of_a_day_are_made_once(crisis: Shell) -> None:
    crisis(*REPORT)
    first = crisis("notices", "digest", "--json").json
    again = crisis("notices", "digest", "--kind", "daily", "--json").json
    assert first["made"] > 0
    assert (again["made"], again["before"]) == (0, first["made"])
