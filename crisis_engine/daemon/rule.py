"""The daemon's rules as pure functions: when to wake, whether the clock may be believed, who steps aside, who does a periodic job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from crisis_engine.core.calendar import CHINA
from crisis_engine.store.daemon import Living

STEP = timedelta(seconds=5)
"""So far from what the stopwatch measured, the wall clock did not run: it stepped (D: our design)."""

LEAP = timedelta(days=1)
"""A step forward by more than this is not believed (D): what fires by it can never be taken back, for the log has no way to run back."""

ABSENCE = timedelta(days=31)
"""Nothing measured the time while no daemon ran; a city may have been without one for so long, a holiday included (D)."""

WITNESS = timedelta(seconds=2)
"""So far from the database's clock nobody sweeps (D)."""

CONFIRMED = timedelta(minutes=10)
"""An operator's word that the clock is right holds for clocks that are so near to what that operator's clock said, and as long (D)."""

BREATH = 0.05
"""Seconds between two rounds at least: what falls due meanwhile is one batch."""

GRACE = timedelta(seconds=1)
"""So long a second daemon leaves to the first what is due: as long as the first lives, they do not do everything twice."""

ALIVE = timedelta(seconds=20)
"""A daemon whose last word is older has died, or its machine has (four beats)."""

KEPT_SILENT = 20
"""So many rows of daemons that fell silent are kept, the latest: one that dies again and again leaves a row each time (D)."""

IN_VAIN = timedelta(minutes=1)
"""A daemon whose rounds go on for so long after the last one that did all that it should does not sweep, whatever it says (D)."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """Wall clock and stopwatch, read together at a moment at which the wall clock was believed."""

    wall: datetime
    mono: float
    measured: bool = True      # the stopwatch ran since; False: that moment is another process', and only its word is left

    def expected(self, mono: float) -> datetime:
        """What the wall clock should say now."""
        return self.wall + timedelta(seconds=mono - self.mono)


class Look(NamedTuple):
    """What one look at the clock found: by how much it stepped (zero: it runs), and whether it is believed."""

    step: timedelta
    believed: bool


def look(
    anchor: Anchor, wall: datetime, mono: float, *, line: Anchor | None = None, witness: datetime | None = None,
    confirmed: datetime | None = None,
) -> Look:
    """Judge the wall clock. It stepped against `anchor`, the last reading; it is believed by `line`, the furthest that it ever was.

    Back is believed: rungs that fired stay fired, and what is due comes later, which the alarm says.

    Forward is believed up to LEAP, or up to ABSENCE where nothing measured the time since, and beyond that only when the database's
    clock (another machine's) says the same, or an operator looked and said so.
    """
    off = wall - anchor.expected(mono)
    step = off if off <= -STEP or (anchor.measured and off >= STEP) else timedelta()
    line = line or anchor
    if wall - line.expected(mono) <= (LEAP if line.measured else ABSENCE):
        return Look(step, believed=True)
    vouched = witness is not None and abs(wall - witness) < WITNESS
    said = confirmed is not None and abs(wall - confirmed) < CONFIRMED
    return Look(step, believed=vouched or said)


def further(line: Anchor, wall: datetime, mono: float) -> Anchor:
    """Return the line after a reading that was believed: a clock that was set back, and right before, may come back to where it was."""
    return Anchor(max(wall, line.expected(mono)), mono) if line.measured else Anchor(wall, mono)


def first_anchor(last: datetime | None, wall: datetime, mono: float) -> Anchor:
    """Return what a daemon goes by that has just begun: the last round that any daemon noted, or the clock itself on a new database."""
    return Anchor(wall, mono) if last is None else Anchor(last, mono, measured=False)


def is_off(wall: datetime, witness: datetime | None) -> bool:
    """Whether this machine's clock is too far from the database's to go by it."""
    return witness is not None and abs(wall - witness) >= WITNESS


def rest(now: datetime, next_at: datetime | None, *, poll: float, grace: timedelta = timedelta(), idle: bool = False) -> float:
    """Return the seconds until the next round: to the next thing due, no longer than `poll`, no shorter than a breath.

    `idle` says that the last round found something due and could write nothing: another holds it, or it rests.
    """
    if idle:
        return max(poll, 1.0)
    if next_at is None:
        return poll
    return min(max((next_at + grace - now).total_seconds(), BREATH), poll)


def others_living(me: str, daemons: Iterable[Living], now: datetime) -> list[Living]:
    """Return the other daemons that live, the first started first."""
    return sorted((one for one in daemons if one.id != me and abs(now - one.beat_at) < ALIVE), key=_begun)


def forgotten(me: str, daemons: Iterable[Living], now: datetime) -> list[str]:
    """Return the ids of the silent daemons of which no row need be kept: all but the latest few."""
    silent = [one for one in daemons if one.id != me and abs(now - one.beat_at) >= ALIVE]
    return [one.id for one in sorted(silent, key=lambda one: (one.beat_at, one.id), reverse=True)[KEPT_SILENT:]]


def _begun(one: Living) -> tuple[datetime, str]:
    return one.started_at, one.id


def steps_aside(me: Living, others: Iterable[Living], order: tuple[str, ...]) -> str:
    """Return why this daemon leaves the work to another, or nothing: that one has a newer schema, or newer definitions, and sweeps.

    The two are compared in this order, so among any number of daemons there is always one that works. One that only lives, because its
    clock is not believed or its rounds fail, is no reason: nobody would sweep.
    """
    mine = _age(me, order)
    for other in others:
        if not _sweeps(other):
            continue
        theirs = _age(other, order)
        if theirs > mine:
            return "schema" if theirs[0] > mine[0] else "definitions"
    return ""


def _sweeps(one: Living) -> bool:
    began = one.round_at or one.started_at   # of the last round: one that takes long is not in vain
    return one.state == "working" and began - (one.success_at or one.started_at) < IN_VAIN


def _age(one: Living, order: tuple[str, ...]) -> tuple[int, datetime]:
    return order.index(one.revision) if one.revision in order else len(order), one.definitions_at


def place_among(me: Living, others: Iterable[Living]) -> tuple[int, int]:
    """Return (k, n): this is the k-th of n daemons that work, counted from 0 by when they began."""
    working = sorted([me, *(one for one in others if one.state == "working")], key=_begun)
    return working.index(me), len(working)


def period_of(job: str, now: datetime) -> str:
    """Return the period of a periodic job that an instant lies in: an hour for the seal, a day or week of China's for the rest."""
    local = now.astimezone(CHINA)
    match job:
        case "seal":
            return f"{local:%Y-%m-%dT%H}"
        case "digest.weekly":
            return "{}-W{:02}".format(*local.isocalendar()[:2])
        case _:
            return f"{local:%Y-%m-%d}"
