"""`make mutants`: every rule of every shipped file taken out, loosened or widened in turn, and what notices it.

It says how far it is, keeps every fate in a file and goes on from there when it is called again with the same definitions and the same
code. `N=200` takes a sample, by `SEED`; `ONLY="leave_v1 default_v1"` some files; `WORKERS=2` processes; `KEEP=FILE` where the fates are kept.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from multiprocessing import get_context
from pathlib import Path

from .fate import KILLED, Fate, fate, files, mutants_of
from .mutant import KINDS

ROOT = Path(__file__).parent.parent
KEEP = ROOT / ".mutants.jsonl"
SEED = 1
_SAID_EVERY = 10.0   # seconds

Task = tuple[str, int]


def tasks(only: Iterable[str] = (), sample: int | None = None, seed: int = SEED) -> list[Task]:
    """Return the mutants to judge as (file, number), in an order that mixes them: what is done so far is always a fair sample."""
    chosen = list(only) or list(files())
    found = [(name, number) for name in sorted(chosen) for number in range(len(mutants_of(name)))]
    random.Random(seed).shuffle(found)
    return found[:sample]


def judged(task: Task) -> Fate:
    """Return the fate of one mutant."""
    name, number = task
    return fate(name, mutants_of(name)[number])


def tree() -> str:
    """Return what the fates depend on, as a digest: the definitions, the core, the prover, the mutants."""
    found = [path for folder in ("workflows", "policies", "crisis_engine/core", "crisis_engine/prover") for path in (ROOT / folder).iterdir()]
    found += [ROOT / "tests" / f"{name}.py" for name in ("mutant", "fate", "reason", "test_access")]
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(found) if path.suffix in {".toml", ".py"})).hexdigest()[:16]


def kept(path: Path) -> dict[tuple[str, str, str], Fate]:
    """Return the fates of an earlier run of the same tree; a file of another tree is begun anew, a torn last line is judged again."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if not lines or lines[0] != json.dumps({"tree": tree()}):
        path.write_text(json.dumps({"tree": tree()}) + "\n", encoding="utf-8")
        return {}
    found = {}
    for line in lines[1:]:
        try:
            one = Fate(*json.loads(line))
        except (ValueError, TypeError):
            continue
        found[one.file, one.kind, one.key] = one
    return found


def judge(wanted: list[Task], path: Path, workers: int) -> list[Fate]:
    """Judge what was not judged before, write each fate down as it comes, say how far it is; return the fates of all that is wanted."""
    done = kept(path)
    names = {task: (task[0], mutants_of(task[0])[task[1]].kind, mutants_of(task[0])[task[1]].key) for task in wanted}
    open_ones = [task for task in wanted if names[task] not in done]
    sys.stderr.write(f"{len(wanted):,} mutants, {len(wanted) - len(open_ones):,} of them judged before ({path.name})\n")
    begin = said = time.monotonic()
    with path.open("a", encoding="utf-8") as out:
        for number, one in enumerate(_fates(open_ones, workers), start=1):
            done[one.file, one.kind, one.key] = one
            out.write(json.dumps(one, ensure_ascii=False) + "\n")
            if time.monotonic() - said > _SAID_EVERY:
                said = time.monotonic()
                left = (said - begin) / number * (len(open_ones) - number)
                sys.stderr.write(f"{number:,} of {len(open_ones):,}, about {left / 60:.0f} min more\n")
                out.flush()
    return [done[names[task]] for task in wanted]


def _fates(open_ones: list[Task], workers: int) -> Iterator[Fate]:
    if workers < 2 or len(open_ones) < 2:  # noqa: PLR2004 (one process is enough)
        yield from map(judged, open_ones)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(judged, open_ones, chunksize=2)


def report(fates: list[Fate]) -> Iterator[str]:
    """Yield the counts by kind and by file, the laws that killed, and what survived with its reason."""
    yield "| what was done to a rule | mutants | loader | law | table | rights | survived |"
    yield "|---|---|---|---|---|---|---|"
    for kind in (*KINDS, ""):
        counts = Counter(one.by for one in fates if kind in {one.kind, ""})
        figures = " | ".join(f"{counts[by]:,}" for by in (*KILLED, "survived"))
        yield f"| {kind or 'all'} | {sum(counts.values()):,} | {figures} |"
    yield ""
    for name in sorted({one.file for one in fates}):
        counts = Counter(one.by for one in fates if one.file == name)
        yield f"{name}: {sum(counts.values()):,} mutants, " + ", ".join(f"{by} {count:,}" for by, count in counts.most_common())
    laws = Counter(one.why for one in fates if one.by == "law")
    yield "laws: " + ", ".join(f"{law} {count}" for law, count in laws.most_common())
    survivors = [one for one in fates if one.by not in KILLED]
    for why, count in Counter(one.why for one in survivors).most_common():
        yield f"\n{count} survived: {why}"
        yield from (f"    {one.file}  {one.kind}  {one.key}" + f"  {one.by}" * (one.by != "survived") for one in survivors if one.why == why)


def main() -> int:
    """Judge every mutant, or those that are asked for, and print the report."""
    given = os.environ.get
    wanted = tasks(given("ONLY", "").split(), int(given("N", "0")) or None, int(given("SEED", str(SEED))))
    fates = judge(wanted, Path(given("KEEP", str(KEEP))), int(given("WORKERS", "2")))
    sys.stdout.write("\n".join(report(fates)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
