"""Breaking the glass: somebody who must read a case now, says why, reads for some hours, and answers for it afterwards."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from crisis_engine.core.calendar import Span
from crisis_engine.core.case import Case, Grant
from crisis_engine.core.errors import BadInput
from crisis_engine.core.glass import REVIEW, decide_break
from crisis_engine.store.key import CASE

from .again import again
from .log import log
from .look import local
from .once import Once
from .reading import Reading, checked_why
from .sweep import change_of
from .worlds import held_case, new_number

HOURS = 4.0
"""Hours of an emergency reading where nobody says another (D: our design)."""


@dataclass(frozen=True, slots=True)
class GlassView:
    """An emergency reading: of which case, up to which secrecy tier, until when."""

    number: str
    reads: int
    until: datetime

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"number": self.number, "reads": self.reads, "until": local(self.until)}


class Glass(Reading):
    """Emergency reading, told at once and reviewed by the next level."""

    @again
    def break_glass(self, number: str, *, by: str, because: str, hours: float = HOURS, key: str | None = None) -> GlassView:
        """Open a case to a person for some hours, up to the secrecy tier that the access file gives the person's role for this.

        Whoever answers for the case and the next level are told at once, the reason is sealed in the case's log, and a review
        begins that somebody else must make. Every reading under it is written down; it ends by itself. Raises BadInput (reason,
        hours), NotFound, NotAllowed, CommandRejected (the person reads as much already).
        """
        if not because.strip():
            raise BadInput("An emergency reading needs a reason.", way_out="Say in a sentence why you must read this case now.")
        checked_why(because)
        access = self._sources.access
        most = (access.glass_at_most or Span(1, "h")).wall
        if not 0 < hours <= most / timedelta(hours=1):
            raise BadInput(f"An emergency reading lasts at most {access.glass_at_most}.",
                           way_out="Give fewer hours; break the glass again if it must be.")
        with self.store.writing() as tx:
            now = self.now()
            once = Once(tx, by, key, ["glass", number, because, hours])
            stored = held_case(tx, number)
            self._allow(tx, now, by, "glass.break", stored=stored, because=because)
            if once.answer is not None:
                return GlassView(once.answer["number"], once.answer["reads"], datetime.fromisoformat(once.answer["until"]))
            world = self._world(tx, now, by, stored)
            procedure = self._sources.procedure_for(tx, REVIEW, stored.case.unit)
            erased = tx.erased(CASE, stored.case.number) is not None
            world = replace(world, openable={REVIEW: (new_number(), procedure)}, erased=erased)

            decision = decide_break(world, stored.case, because, world.now + timedelta(hours=hours))

            tx.append([change_of(stored if pen.before is not None else None, pen) for pen in decision.pens])
            grant = _granted(decision.pens[0].case, by)
            once.keep({"number": stored.case.number, "reads": grant.reads, "until": grant.until.isoformat()}, now)
        log("glass.broken", case=stored.case.number, until=grant.until.isoformat())
        return GlassView(stored.case.number, grant.reads, grant.until)


def _granted(case: Case, person: str) -> Grant:
    return next(grant for grant in reversed(case.grants) if grant.person == person)
