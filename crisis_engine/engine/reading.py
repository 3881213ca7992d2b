"""Reading is written down: who saw what of which case, how secret, when and why, before it is shown; and who may look at that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.core.errors import BadInput
from crisis_engine.core.events import GlassBroken
from crisis_engine.core.move import REPORTER

from .look import local
from .register import Register
from .worlds import stored_case

if TYPE_CHECKING:
    from crisis_engine.core.access import Verdict
    from crisis_engine.store.read_log import ReadEntry

LOGGED_FROM = 2
"""From this secrecy tier on every reading is an entry: assessment and plan, counselling notes, abuse and reports."""

WHY_MOST = 500
READS_MOST = 1_000


@dataclass(frozen=True, slots=True)
class ReadView:
    """One entry of the read log. `glass` is the reason for which somebody broke the glass to read it, empty where nobody had to."""

    at: datetime
    who: str
    what: str
    number: str | None
    tier: int
    why: str
    glass: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"at": local(self.at), "who": self.who, "what": self.what, "number": self.number, "tier": self.tier, "why": self.why,
                "glass": self.glass}


class Reading(Register):
    """The read log: written by every reading of tier 2 and above, and by every one behind broken glass."""

    def _entry(self, by: str, what: str, number: str, now: datetime, tier: int, why: str, sight: Verdict | None = None) -> ReadEntry | None:
        """Return what must be written down before this is shown; None where it is no secret of tier 2 and the glass is whole."""
        from crisis_engine.store.read_log import ReadEntry  # noqa: PLC0415 - SQLAlchemy comes with the store, at its first use

        glass = sight.grant if sight is not None else 0
        return ReadEntry(by, what, number, now, tier, why, glass) if tier >= LOGGED_FROM or glass else None

    def _write_down(self, entry: ReadEntry | None) -> None:
        """Keep the entry in a durable transaction of its own, or in the host's; what cannot be written down is not shown."""
        if entry is not None:
            with self.store.writing() as tx:
                tx.log_read(entry)

    def reads(self, number: str, *, by: str, limit: int = 100) -> list[ReadView]:
        """Return who read a case, what, how secret, when and why, the newest first. Raises NotFound, NotAllowed, BadInput.

        Where the list shows why somebody broke the glass, looking at it is itself written down.
        """
        _check_limit(limit)
        with self.store.reading() as tx:
            now = self.now()
            stored = stored_case(tx, number)
            self._allow(tx, now, by, "audit.reads", stored=stored)

            entries = tx.reads_of(stored.case.number, limit)
            broken = any(entry.glass for entry in entries)
            reasons = {
                event.seq: str(event.secret.get("because", "")) for event in tx.events(stored.case.number) if isinstance(event, GlassBroken)
            } if broken else {}
        self._write_down(self._entry(by, "audit.reads", stored.case.number, now, LOGGED_FROM if broken else 0, ""))
        return [_view(entry, reasons.get(entry.glass, "")) for entry in entries]

    def own_reads(self, *, by: str, limit: int = 100) -> list[ReadView]:
        """Return what a person read, the newest first, but nothing of a case that has come to concern them. Raises NotAllowed, BadInput."""
        _check_limit(limit)
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "audit.own")
            return [_view(entry, "") for entry in tx.reads_by(by, limit)]

    def reporter(self, number: str, *, by: str, why: str) -> list[dict[str, Any]]:
        """Return who spoke: {seq, at, reporter} of each word from outside. It takes a reason, and is written down. Raises as `case`."""
        checked_why(why)
        with self.store.reading() as tx:
            now = self.now()
            stored = stored_case(tx, number)
            self._allow(tx, now, by, "case.reporter", stored=stored, because=why)
            spoke = [
                {"seq": event.seq, "at": local(event.at), "reporter": str(event.secret[REPORTER])}
                for event in tx.events(stored.case.number) if REPORTER in event.secret
            ]
        self._write_down(self._entry(by, "reporter", stored.case.number, now, 4, why))
        return spoke


def checked_why(why: str) -> str:
    """Return a reason that can be kept."""
    if len(why) > WHY_MOST or "\x00" in why:
        raise BadInput(f"A reason has at most {WHY_MOST} characters.", way_out="Say it shorter.")
    return why


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= READS_MOST:
        raise BadInput(f"A page has 1 to {READS_MOST} lines.", way_out="Give such a limit.")


def _view(entry: ReadEntry, reason: str) -> ReadView:
    return ReadView(entry.at, entry.who, entry.what, entry.number, entry.tier, entry.why, reason)
