"""What a sweep could not move: cases that fail, or that somebody keeps locked, rest longer each time before they are tried again."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

FIRST_REST, LONGEST_REST = timedelta(minutes=1), timedelta(minutes=15)
"""How long a case rests that could not be decided, before it is tried again (D: our design)."""

HANDING = 0
"""The number under which the handing over of what somebody left rests; no case's row has it."""


@dataclass(slots=True)
class Failing:
    """Cases that could not be moved, how often and when they are tried again. Somebody is told each time, of a lock from the second on."""

    tries: dict[int, tuple[int, datetime]] = field(default_factory=dict)

    def resting(self, now: datetime) -> frozenset[int]:
        """Return the cases whose next try is not due; one that lies further ahead than any rest was set by a clock that ran back since."""
        return frozenset(case for case, (_tries, again_at) in list(self.tries.items()) if now < again_at <= now + LONGEST_REST)

    def note(self, failed: set[int], now: datetime) -> None:
        """Remember what failed in this sweep, each time with a longer rest, and forget what was mended."""
        resting = self.resting(now)
        for case in failed:
            tries = self.tries.get(case, (0, now))[0] + 1
            self.tries[case] = tries, now + min(FIRST_REST * 2 ** min(tries - 1, 10), LONGEST_REST)
        for case in set(self.tries).difference(resting, failed):   # threads may share it
            self.tries.pop(case, None)
