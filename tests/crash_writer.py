"""A fork server that writes commands and says so after each commit, until its parent kills it; started by tests/test_crash.py.

`python -m tests.crash_writer URL` reads the number of a round and forks a child for it; the child opens the database itself, gives the
commands of `orders` without end and writes one line of JSON after each that was acknowledged. Importing once makes 200 kills cheap.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from crisis_engine import CrisisError, Engine, open_engine
from crisis_engine.core.workflow import tier_ladder
from crisis_engine.definitions import load_procedure
from crisis_engine.example import EXAMPLE_NOW

CLASSES = {
    "xinyang/shihe/no-3/g7/c2": ("stu-41", "stu-42", "stu-43", "stu-44", "stu-45"),
    "xinyang/shihe/no-3/g7/c1": ("stu-31", "stu-32", "stu-33", "stu-34", "stu-35"),
    "xinyang/shihe/no-3/g8/c1": ("stu-101", "stu-102", "stu-103", "stu-104", "stu-105"),
}
MOVES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("start_assessment", {}),
    ("note", {"text": "示例记录"}),
    ("exclude_person", {"person": ["p-36"], "because": "示例"}),
    ("report_to_county", {}),
    ("raise_risk", {"risk": "red", "because": "示例"}),
    ("lower_risk", {"risk": "yellow", "because": "示例"}),
    ("withhold_from_guardian", {"because": "示例"}),
)


@dataclass(frozen=True)
class Order:
    """One command of a round: what to call, under which key, at which time."""

    what: str
    key: str
    now: datetime
    fields: dict[str, Any]


def orders(turn: int) -> Iterator[Order]:
    """Yield the commands of a round without end; the same for the same round."""
    rnd, place = Random(turn), 0
    while True:
        place += 1
        now = EXAMPLE_NOW + timedelta(minutes=40 * turn + place)
        key = f"r{turn}-{place}"
        unit = rnd.choice(sorted(CLASSES))
        what = rnd.choice(["report", "report", "act", "act", "act", "sweep"])
        if what == "report":
            fields: dict[str, Any] = {
                "unit": unit, "subject": rnd.choice([*CLASSES[unit], None]), "by": "p-33", "facts": "示例事实",
                "danger_now": rnd.random() < 0.1, "cues": rnd.sample(["withdrawn", "old_scars", "suicide_words"], rnd.choice([0, 1])),
            }
        elif what == "act":
            move, form = rnd.choice(MOVES)
            fields = {"which": rnd.randrange(99), "move": move, "by": rnd.choice(["p-33", "p-35", "p-101"]), "fields": form}
        else:
            fields = {}
        yield Order(what, key, now, fields)


def give(engine: Engine, order: Order, queue: list[str]) -> dict[str, Any] | None:
    """Give one command; return what the engine acknowledged, None when it refused or there was nothing to act on."""
    if order.what == "sweep":
        report = engine.sweep()
        return {"kind": "sweep", "rungs": report.rungs}
    if order.what == "report":
        receipt = engine.report(**order.fields, key=order.key)
        return {"kind": "report", "key": order.key, "answer": receipt.to_json(), "fields": order.fields}
    if not queue:
        return None
    number, move = queue[order.fields["which"] % len(queue)], order.fields["move"]
    try:
        view = engine.act(number, move, by=order.fields["by"], fields=order.fields["fields"], key=order.key)
    except CrisisError:
        return None
    return {"kind": "act", "key": order.key, "number": number, "move": move, "by": order.fields["by"], "fields": order.fields["fields"],
            "version": view.version, "stage": view.stage}


def write(url: str, turn: int) -> None:
    """Give the commands of the round and say each acknowledgement, one line after its commit, until somebody kills this process."""
    now = [EXAMPLE_NOW]
    with open_engine(url, clock=lambda: now[0], create=False) as engine:
        for order in orders(turn):
            now[0] = order.now
            queue = [line.number for line in engine.queue(by="p-35", limit=500)] if order.what == "act" else []
            said = give(engine, order, queue)
            if said is not None:
                _say(said)


def serve(url: str) -> None:
    """Fork a writer for each round and say its id, then which signal ended it."""
    load_procedure("school_crisis_v1", "xinyang_v1")   # what is read once is read before the fork: the child has only to write
    tier_ladder()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            write(url, int(line))
        _say({"kind": "forked", "pid": child})
        _pid, status = os.waitpid(child, 0)
        _say({"kind": "ended", "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else None})


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    serve(sys.argv[1])
