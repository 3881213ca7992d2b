"""The example city: Xinyang's ten counties and districts with a few invented schools and people, shipped as CSV files.

Place names are public; every school, person, address and pupil is invented. What to find in it:

- `xinyang/shihe/no-3` is a complete junior school, grades g7 to g9. Class `g7/c2` has the pupil `stu-42`, the peers `p-71` and
  `p-72`, the class teacher `p-11` and the deputy `p-17`; the school has the counselors `p-31` and `p-32`, the vice principal
  `p-33`, the law vice principal `p-34`, the leading group `p-35` to `p-37`, duty teachers by day (`p-38`) and by night (`p-39`).
- `xinyang/exp-1` hangs directly under the city (市直) and has no grades; `xinyang/gushi/boarding-1` boards, so nobody is
  dismissed; `xinyang/luoshan/village-1` has one person for nearly everything.
- The city has the officers `p-3` and `p-4`; a county's people begin at `p-101` (浉河), `p-111` (平桥), and so on in tens.

INTENDED_GAPS are the holes that the roster check shows at EXAMPLE_NOW; each is there so that somebody can see it found.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from importlib.resources import as_file, files

from crisis_engine.core.calendar import CHINA
from crisis_engine.roster import RosterSet, read_roster

__all__ = ["EXAMPLE_NOW", "INTENDED_GAPS", "example_roster"]

EXAMPLE_NOW = datetime(2026, 3, 2, 8, 0, tzinfo=CHINA)
"""A Monday morning of the spring term; two gaps depend on the day."""

INTENDED_GAPS: tuple[tuple[str, str, str], ...] = (
    ("xinyang/exp-1/c3", "vacant", "peer"),  # a class without 心理委员
    ("xinyang/gushi/boarding-1", "absent", "counselor"),  # the only psychology teacher is away from 2 to 6 March
    ("xinyang/luoshan/village-1", "one_person_school", ""),  # the second signer comes from the county
    ("xinyang/luoshan/village-1", "vacant", "counselor"),  # a school without a psychology teacher
    ("xinyang/luoshan/village-1", "vacant", "law_vice_principal"),
    ("xinyang/pingqiao/primary-2", "ending", "law_vice_principal"),  # ends on 10 March, no successor
    ("xinyang/pingqiao/primary-2/g3", "vacant", "grade_head"),  # the one level that nobody answers for
)
"""Unit, kind and role of each gap of the example at EXAMPLE_NOW, in the order of `core.network.gaps`."""


def example_roster() -> RosterSet:
    """Return the example city's roster; it works from a clone and from a wheel."""
    with ExitStack() as stack:
        inside = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".csv")), key=lambda file: file.name)
        return read_roster([stack.enter_context(as_file(file)) for file in inside])
