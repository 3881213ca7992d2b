"""What secrecy costs: importing and reading a large roster, wrapping its data keys anew (`python -m tests.bench_secrecy`)."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable

import crisis_engine as ce
from crisis_engine.core.model import Duty, Guardian, Person
from crisis_engine.example.city import generate_city, generate_subjects
from crisis_engine.roster import RosterSet

PUPILS = 100_000


def told(what: str, work: Callable[[], object]) -> None:
    """Print what a piece of work took, by the wall and of the processor: the machine may be shared."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    print(f"{what}: {time.perf_counter() - wall:.1f} s, processor {time.process_time() - cpu:.1f} s")


def main() -> None:
    """Import a city's pupils and guardians, read them, rotate the master key."""
    city = generate_city(seed=1, schools=94, pupils=PUPILS)
    children = tuple(generate_subjects(city, PUPILS))
    guardians = tuple(Guardian(f"g-{child.ref}", child.ref, f"监护人 {child.ref}", f"tel:{child.ref}") for child in children)
    keeper = RosterSet(persons=(Person("p-keeper"),), duties=(Duty("security_officer", "xinyang", "p-keeper"),))
    with tempfile.TemporaryDirectory() as folder, ce.open_engine(f"sqlite:///{folder}/city.db") as engine:
        engine.import_roster(city)
        engine.import_roster(keeper)
        told(f"import {PUPILS:,} pupils", lambda: engine.import_roster(RosterSet(subjects=children)))
        told(f"import {PUPILS:,} guardians", lambda: engine.import_roster(RosterSet(guardians=guardians)))
        told(f"import {PUPILS:,} pupils again", lambda: engine.import_roster(RosterSet(subjects=children)))
        told(f"open {PUPILS:,} refs", engine.known_roster)
        told(f"wrap {PUPILS:,} data keys anew", lambda: engine.rotate_key(by="p-keeper"))


if __name__ == "__main__":
    main()
