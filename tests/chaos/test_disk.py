"""A disk that fails at the n-th write or sync of a command, or is full: what was acknowledged is there, and the rest once at most."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from crisis_engine import open_engine
from crisis_engine.example import EXAMPLE_NOW
from tests.chaos.crew import A_ROUND, Crew, rounds_of
from tests.chaos.history import OK, UNKNOWN, Call
from tests.chaos.test_kill import KILLS, SEED, say
from tests.chaos.verdict import find_flaws
from tests.promise import FACT
from tests.story import CLASS, copy_city

ROOT = Path(__file__).parent.parent.parent
LONG = bool(os.environ.get("CRISIS_CHAOS"))
STRIDE = 1 if KILLS >= 1_000 else 4   # the night breaks every write and sync, `make chaos` every fourth in one of three ways
LATER = EXAMPLE_NOW + timedelta(hours=5)   # by then the acknowledgement is late, at several levels
FAULTS = {"EIO": "error=EIO", "ENOSPC": "error=ENOSPC", "SIGKILL": "signal=KILL"}
CALLS = "write,pwrite64,fsync,fdatasync"
FEW: tuple[Callable[[int], tuple[int, ...]], ...] = (lambda _calls: (1,), lambda _calls: (), lambda calls: (calls // 2,))
"""Where the faults fall in a short run."""
WORDS = f"{FACT}<k-1>"
COMMANDS = {
    "act": ("act", "{number}", "raise_risk", "--as", "p-33", "--field", "risk=red", "--field", f"because={WORDS}", "--key", "k-1"),
    "sweep": ("sweep",),
    "report": ("report", "--as", "p-33", "--unit", CLASS, "--subject", "stu-43", "--facts", WORDS, "--key", "k-1"),
}
SHORT = ("act", "sweep")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="strace and tmpfs are Linux")


class Bench:
    """A database with one case of which something is due, to be broken again and again, each time as it was."""

    def __init__(self, template: Path, folder: Path) -> None:
        self.path, self._first = folder / "city.db", folder / "first.db"
        copy_city(template, self._first)
        with open_engine(f"sqlite:///{self._first}", clock=lambda: EXAMPLE_NOW) as engine:
            engine.report(unit=CLASS, subject="stu-42", by="p-33", facts=f"{FACT}<k-0>")
            with engine.store.reading() as tx:
                nearest = tx.nearest_case()
                assert nearest is not None
                self.number = tx.cases([nearest])[0].case.number

    def run(self, command: str, inject: str = "") -> tuple[int, int]:
        """Run one command of the console anew, under strace; return its exit code and how many writes and syncs it came to."""
        for old in self.path.parent.glob("city.db*"):
            old.unlink()
        copy_city(self._first, self.path)
        trace = self.path.with_name("trace.txt")
        args = [word.format(number=self.number) for word in COMMANDS[command]]
        files = [word for end in ("", "-wal") for word in ("-P", f"{self.path}{end}")]
        strace = shutil.which("strace")
        assert strace is not None
        done = subprocess.run(
            [strace, "-f", "-o", str(trace), *files, "-e", f"trace={CALLS}", *(["-e", f"inject={CALLS}:{inject}"] if inject else []),
             sys.executable, "-m", "crisis_engine", *args, "--db", str(self.path)],
            cwd=ROOT, capture_output=True, check=False, timeout=120, env=os.environ | {"CRISIS_NOW": LATER.isoformat()})
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        calls = [line for line in trace.read_text(encoding="utf-8", errors="replace").splitlines() if "(" in line and "<... " not in line]
        return done.returncode, len(calls)

    def flaws(self, command: str, outcome: str) -> list[str]:
        """Return what is wrong afterwards, and after the same command came again under its key."""
        now, swept = [LATER], command == "sweep"
        calls = [Call("k-0", OK)]
        with open_engine(f"sqlite:///{self.path}", clock=lambda: now[0], create=False) as engine:
            if not swept:
                calls.append(Call("k-1", outcome))
            found = find_flaws(engine, now[0], calls, [], finished=False, unasked={"unfired"})
            if command == "act":
                engine.act(self.number, "raise_risk", by="p-33", fields={"risk": "red", "because": WORDS}, key="k-1")
            elif command == "report":
                engine.report(unit=CLASS, subject="stu-43", by="p-33", facts=WORDS, cues=[], about_staff=[], key="k-1")
            if not swept:
                calls.append(Call("k-1", OK))
            engine.sweep()
            return found + find_flaws(engine, now[0], calls, [], finished=False) + self._left_due(engine.sweep().next_at, now[0])

    def _left_due(self, next_at: datetime | None, now: datetime) -> list[str]:
        return [] if next_at is not None and next_at > now else [f"still due: {next_at}"]


@pytest.fixture
def bench(city_template: Path, tmp_path: Path) -> Bench:
    strace = shutil.which("strace")
    if strace is None or subprocess.run([strace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace is missing, or may not trace here")
    return Bench(city_template, tmp_path)


@pytest.mark.parametrize("command", COMMANDS if LONG else SHORT)
def test_a_fault_at_the_nth_write_or_sync_loses_nothing_that_was_acknowledged(bench: Bench, command: str) -> None:
    code, calls = bench.run(command)
    assert code == 0
    assert calls > 5
    assert bench.flaws(command, OK) == []
    codes: set[int] = set()
    broken = 0
    for place, (name, inject) in enumerate(FAULTS.items()):
        for n in range(1 if STRIDE == 1 else 1 + place, calls + 1, STRIDE) if LONG else FEW[place](calls):
            code, _ = bench.run(command, f"{inject}:when={n}")
            codes.add(code)
            broken += 1
            assert code in {0, 74, -9, 137}, f"{command}, {name} at {n}: exit {code}"
            outcome = OK if code == 0 else UNKNOWN
            flaws = bench.flaws(command, outcome)
            assert flaws == [], f"{command}, {name} at write or sync {n} of {calls}: {flaws}"
    assert 74 in codes
    if LONG:
        sys.stderr.write(f"\ncrisis {command}: {broken} faults at {calls} writes and syncs, exit codes {sorted(codes)}\n")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[str]:
    """Give a small tmpfs on a folder, and what makes it larger."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=False, capture_output=True,
    ).returncode:
        pytest.skip("a small tmpfs cannot be mounted here: only root may")
    try:
        yield mount
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


@pytest.mark.parametrize(("seed", "kills"), rounds_of(SEED, KILLS // 2, A_ROUND // 2))
def test_a_disk_that_fills_up_under_a_crew_and_is_made_larger_again(city_template: Path, tmp_path: Path, seed: int, kills: int) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk, "6m") as mount:
        copy_city(city_template, disk / "city.db")
        with Crew(f"sqlite:///{disk / 'city.db'}", tmp_path / "heard", seed) as crew:
            hog = disk / "hog"

            def fill(turn: int) -> None:
                if turn % 4 == 1:   # somebody else's file takes what is left
                    with suppress(OSError), hog.open("wb") as file:
                        while file.write(bytes(65_536)):
                            file.flush()
                    crew.faults["full"] += 1
                elif turn % 4 == 3:
                    hog.unlink(missing_ok=True)

            crew.rage(kills, fill)
            hog.unlink(missing_ok=True)
            subprocess.run([mount, "-o", "remount,size=256m", str(disk)], check=True)
            flaws = crew.judge()
    say("a full disk", crew)
    assert not flaws, "\n".join(flaws)
    assert crew.faults["full"]
    assert crew.faults["acknowledged"]


