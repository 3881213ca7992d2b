"""kill -9 of a writing process at 200 moments: what was acknowledged is there, and nothing is there by half."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from crisis_engine import Engine, open_engine
from crisis_engine.core.evolve import fold
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.store import Stored
from tests.crash_writer import orders

KILLS = 200
MOST = 12   # acknowledgements before a kill

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kill -9 and fork are POSIX")


class Killer:
    """Starts writers through the fork server and kills them; what they had acknowledged by then is what counts."""

    def __init__(self, url: str) -> None:
        self.server = subprocess.Popen([sys.executable, "-m", "tests.crash_writer", url], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       cwd=Path(__file__).parent.parent)

    def kill_one(self, turn: int, after: int, turns_of_a_loop: int) -> list[dict[str, Any]]:
        """Let a writer work until it acknowledged `after` commands and a little longer, then kill it; return all that it acknowledged."""
        assert self.server.stdin is not None
        self.server.stdin.write(f"{turn}\n".encode())
        self.server.stdin.flush()
        heard: list[dict[str, Any]] = []
        while len(heard) <= after or not any(one["kind"] == "forked" for one in heard):   # server and child write whole lines, in any order
            heard.append(self._hear())
        for _ in range(turns_of_a_loop):   # microseconds that no clock chooses
            pass
        assert heard[-1]["kind"] != "ended", "the writer died by itself"
        os.kill(next(one["pid"] for one in heard if one["kind"] == "forked"), signal.SIGKILL)
        while heard[-1]["kind"] != "ended":
            heard.append(self._hear())   # lines that were in the pipe when the blow fell are acknowledgements like any other
        assert heard[-1]["signal"] == signal.SIGKILL
        return [one for one in heard if one["kind"] in {"report", "act", "sweep"}]

    def _hear(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        line = self.server.stdout.readline()
        assert line, "the fork server is gone"
        heard: dict[str, Any] = json.loads(line)
        return heard


@dataclass
class Ruin:
    """The database after a kill, as the next process finds it."""

    path: Path
    engine: Engine
    rungs: int = 0

    def stamp(self) -> tuple[int, ...]:
        """Return how many rows there are of all that a command writes."""
        db = sqlite3.connect(self.path)
        try:
            tables = ("case", "event", "deadline", "notice", "receipt", "command_key")
            return tuple(db.execute(f"SELECT count(*) FROM crisis_{table}").fetchone()[0] for table in tables)  # noqa: S608 (constants)
        finally:
            db.close()

    def cases(self) -> list[Stored]:
        """Return every case."""
        db = sqlite3.connect(self.path)
        try:
            ids = [row[0] for row in db.execute("SELECT id FROM crisis_case")]
        finally:
            db.close()
        with self.engine.store.reading() as tx:
            return tx.cases(ids)

    def is_whole(self) -> None:
        """Assert that no command is there by half: each row is the fold of its log, each report has its receipt and its key."""
        with self.engine.store.reading() as tx:
            assert list(tx.verify()) == []
            for stored in self.cases():
                assert fold(tx.events(stored.case.number)) == stored.case
                assert stored.case.clocks
        db = sqlite3.connect(self.path)
        try:
            keys = dict(db.execute("SELECT key, answer FROM crisis_command_key").fetchall())
            tokens = {row[0] for row in db.execute("SELECT token FROM crisis_receipt")}
            assert {json.loads(answer)["receipt"] for answer in keys.values() if "receipt" in answer} == tokens
            words = db.execute("SELECT count(*) FROM crisis_event WHERE kind = 'opened' OR header LIKE '%\"move\":\"signal\"%'").fetchone()
            assert words == (len(tokens),), "a report without its receipt, or a receipt without its report"
            orphans = "SELECT count(*) FROM crisis_{0} t LEFT JOIN crisis_case c ON c.id = t.case_id WHERE c.id IS NULL"
            for table in ("event", "deadline", "notice", "receipt"):
                assert db.execute(orphans.format(table)).fetchone() == (0,)
            fired = db.execute("SELECT count(*) FROM crisis_event WHERE kind = 'rung_fired'").fetchone()[0]
            assert fired >= self.rungs, "rungs that a sweep acknowledged are gone"
        finally:
            db.close()

    def remembers(self, said: dict[str, Any]) -> None:
        """Assert that an acknowledged command is there: sent again under its key it is answered the same, and nothing is written."""
        if said["kind"] == "sweep":
            self.rungs += said["rungs"]
            return
        before = self.stamp()
        if said["kind"] == "report":
            assert self.engine.report(**said["fields"], key=said["key"]).to_json() == said["answer"]
        else:
            view = self.engine.act(said["number"], said["move"], by=said["by"], fields=said["fields"], key=said["key"])
            assert view.number == said["number"]
            assert view.version >= said["version"]
            if view.version == said["version"]:
                assert view.stage == said["stage"]
        assert self.stamp() == before, f"an acknowledged command was done twice: {said['key']}"


@pytest.fixture
def ruin(tmp_path: Path) -> Iterator[Ruin]:
    path = tmp_path / "crash.db"
    with open_engine(f"sqlite:///{path}", clock=lambda: EXAMPLE_NOW) as engine:
        engine.import_roster(example_roster())
        yield Ruin(path, engine)


@pytest.fixture
def killer(ruin: Ruin) -> Iterator[Killer]:
    killer = Killer(f"sqlite:///{ruin.path}")
    with killer.server:   # closes its input, at which it ends, and waits for it
        yield killer
    assert killer.server.returncode == 0


def test_200_kills_lose_nothing_acknowledged_and_leave_nothing_by_half(ruin: Ruin, killer: Killer) -> None:
    rnd = Random(20260302)
    acknowledged: list[dict[str, Any]] = []

    for turn in range(KILLS):
        said = killer.kill_one(turn, rnd.randrange(MOST), rnd.choice([0, 1_000, 20_000, 100_000, 300_000]))
        for one in said:
            ruin.remembers(one)
        acknowledged += said
        if turn % 20 == 0:
            ruin.is_whole()

    ruin.is_whole()
    for one in acknowledged:
        if one["kind"] != "sweep":
            ruin.remembers(one)
    assert len(acknowledged) > KILLS
    assert {one["kind"] for one in acknowledged} == {"report", "act", "sweep"}


def test_a_round_is_the_same_whenever_it_is_asked_for() -> None:
    assert list(islice(orders(7), 30)) == list(islice(orders(7), 30))
