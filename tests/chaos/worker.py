"""A fork server of writers and daemons that others kill: each writes down what it asked for and what it heard, line by line.

`python -m tests.chaos.worker` reads a task a line, forks a child for it and says its process id. Importing once makes a thousand kills
cheap. A child's file has one line of JSON before each command and one after its answer; a command without an answer is of unknown outcome.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from select import select
from traceback import format_exc
from typing import Any, NoReturn

from crisis_engine import CrisisError, Engine, open_engine
from crisis_engine.core.errors import Busy, StoreError
from crisis_engine.core.workflow import tier_ladder
from crisis_engine.definitions import load_access, load_procedure
from crisis_engine.example import EXAMPLE_NOW
from crisis_engine.notify import DeliveryFailed, Message
from tests.chaos.history import FAIL, OK, UNKNOWN, Call, Sent
from tests.promise import FACT

CLASSES = {"xinyang/shihe/no-3/g7/c2": ("stu-41", "stu-42", "stu-43"), "xinyang/shihe/no-3/g7/c1": ("stu-31", "stu-32")}
BOOK = "book.jsonl"


@dataclass(frozen=True)
class Task:
    """What a child is to do: `again` are commands of unknown outcome that it sends once more, under their keys."""

    name: str
    role: str           # writer or daemon
    seed: int
    url: str
    folder: str
    since: float        # when the run began, by the machine's clock
    speed: float        # how many seconds of the story pass in one of the machine's
    again: list[dict[str, Any]] = field(default_factory=list)

    def now(self) -> datetime:
        """Return the instant of the story: it runs fast, so that deadlines of hours pass within a run."""
        return EXAMPLE_NOW.astimezone(UTC) + timedelta(seconds=(time.time() - self.since) * self.speed)


class Book:
    """A channel whose receivers write down every message in one file, line by line, and refuse one now and then."""

    name = "book"

    def __init__(self, task: Task) -> None:
        self._task, self._rnd = task, Random(task.seed)
        self._file = os.open(Path(task.folder) / BOOK, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def send(self, message: Message) -> str:
        """Take the message, refuse it, or take it and keep silent."""
        chance = self._rnd.random()
        if chance < 0.05:
            raise DeliveryFailed("the gateway is down")
        _append(self._file, {"key": message.key, "to": message.to, "by": self._task.name})
        if chance < 0.1:
            raise DeliveryFailed("the gateway did not answer in time", unsure=True)
        return ""


def live(task: Task) -> None:
    """Do the task until somebody ends this process; a database that is away is waited for."""
    log = os.open(Path(task.folder) / f"{task.name}.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    rnd = Random(task.seed)
    commands, again = _commands(task.name, rnd), list(task.again)
    while True:
        try:
            with open_engine(task.url, clock=task.now, channels=(Book(task),), create=False) as engine:
                if task.role == "daemon":
                    _watch_over(engine, log)
                _write(engine, log, rnd, commands, again)
        except StoreError as error:
            if isinstance(error, Busy):
                _append(log, {"busy": True})
            _rest(0.02)


def _watch_over(engine: Engine, log: int) -> NoReturn:
    while True:
        report = engine.sweep()
        engine.deliver()
        _append(log, {"swept": report.rungs})
        _rest(0.02)


def _write(engine: Engine, log: int, rnd: Random, commands: Iterator[dict[str, Any]], again: list[dict[str, Any]]) -> NoReturn:
    while True:
        command = again.pop(0) if again else next(commands)
        if command["what"] == "act" and "number" not in command["fields"]:
            numbers = [line.number for line in engine.queue(by="p-35", limit=200)]
            if not numbers:
                continue
            command["fields"]["number"] = rnd.choice(numbers)
        _append(log, {"invoke": command})
        outcome, answer, held = OK, "", False
        try:
            if command["what"] == "report":
                answer = engine.report(**command["fields"], key=command["key"]).token
            else:
                answer = engine.act(**command["fields"], key=command["key"]).number
        except CrisisError as error:
            held = isinstance(error, Busy)
            outcome = UNKNOWN if isinstance(error, StoreError) and not held else FAIL
        _append(log, {"key": command["key"], "outcome": outcome, "answer": answer, "busy": held})
        if outcome == UNKNOWN and rnd.random() < 0.8:
            again.append(command)
            _rest(0.02)
        _rest(rnd.random() * 0.01)


def _commands(name: str, rnd: Random) -> Iterator[dict[str, Any]]:
    place = 0
    while True:
        place += 1
        key = f"{name}-{place}"
        said = f"{FACT}<{key}>"
        unit = rnd.choice(sorted(CLASSES))
        if rnd.random() < 0.3:
            fields: dict[str, Any] = {"unit": unit, "subject": rnd.choice(CLASSES[unit]), "by": "p-33", "facts": said,
                                      "danger_now": rnd.random() < 0.1}
            yield {"what": "report", "key": key, "fields": fields}
            continue
        move, form = rnd.choice([
            ("note", {"text": said}), ("raise_risk", {"risk": "red", "because": said}), ("withhold_from_guardian", {"because": said}),
            ("exclude_person", {"person": ["p-36"], "because": said}), ("note", {"text": said}),
        ])
        yield {"what": "act", "key": key, "fields": {"move": move, "by": rnd.choice(["p-33", "p-35"]), "fields": form}}


def _rest(seconds: float) -> None:
    """Wait; libfaketime breaks the call that `time.sleep` makes."""
    select([], [], [], seconds)


def _append(file: int, what: dict[str, Any]) -> None:
    os.write(file, json.dumps(what, ensure_ascii=False).encode() + b"\n")


def heard(folder: Path) -> tuple[list[Call], list[Sent]]:
    """Return what clients and receivers wrote down."""
    calls, book = [], []
    for file in sorted(folder.glob("*.jsonl")):
        lines = list(_lines(file))
        if file.name == BOOK:
            book = [Sent(line["key"], line["to"], by=line["by"]) for line in lines]
            continue
        calls += [Call(line["key"], line["outcome"], line["answer"]) for line in lines if "key" in line]
        calls += [Call(command["key"], UNKNOWN) for command in open_calls(file)]
    return calls, book


def busy(folder: Path) -> int:
    """Return how often somebody was told that another holds what is needed."""
    return sum(bool(line.get("busy")) for file in folder.glob("*.jsonl") for line in _lines(file))


def open_calls(file: Path) -> list[dict[str, Any]]:
    """Return the command to which a process has heard no answer, if there is one."""
    lines = list(_lines(file))
    return [lines[-1]["invoke"]] if lines and "invoke" in lines[-1] else []


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file. A kill may cut one in the middle, and in the book another process' line may follow it at once."""
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.exists() else ():
        for start in (0, line.rfind('{"key"')):
            with suppress(ValueError):
                yield json.loads(line[start:])
                break


def serve() -> None:
    """Fork a child for each task and say its process id."""
    load_procedure("school_crisis_v1", "xinyang_v1")   # what is read once is read before the fork
    load_access()
    tier_ladder()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)      # whoever dies is gone at once: the parent looks for the process id
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            task = Task(**json.loads(line))
            try:
                live(task)
            finally:   # it fell over: nobody asked it to end
                (Path(task.folder) / f"{task.name}.fell").write_text(format_exc(), encoding="utf-8")
                os._exit(70)
        os.write(1, f"{child}\n".encode())


def order(task: Task) -> str:
    """Return the line that asks the server for this task."""
    return json.dumps(asdict(task), ensure_ascii=False) + "\n"


if __name__ == "__main__":
    serve()
