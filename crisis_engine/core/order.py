"""The orders in which one value of a policy asks more than another: shorter, longer, higher, deeper, earlier, superset.

`ORDERS` says which key has which. A key that does not stand there has none, so no policy that extends another may write it, and a
difference there is neither stricter nor looser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, NamedTuple

from .calendar import Offset, Span, parse_offset
from .check import span_is_shorter
from .model import Risk, Tier
from .parse_policy import DEPTHS
from .policy import Policy, Rung


class Verdict(StrEnum):
    """What a new value is beside an old one."""

    SAME = "same"
    STRICTER = "stricter"
    LOOSER = "looser"
    UNLIKE = "unlike"   # neither can be said


class Fault(NamedTuple):
    """Where and why a value is not as strict as another: what follows its key, the sentence, the way out."""

    where: str
    message: str
    way_out: str


class Order(NamedTuple):
    """One order: its name, and what keeps a value from being at least as strict as another (None: nothing does)."""

    name: str
    fault: Callable[[Any, Any], Fault | None]

    def compare(self, own: object, base: object) -> Verdict:
        """Return what `own` is beside `base`."""
        strict, loose = self.fault(own, base) is None, self.fault(base, own) is None
        if strict and loose:
            return Verdict.SAME
        return Verdict.STRICTER if strict else Verdict.LOOSER if loose else Verdict.UNLIKE


ONLY_STRICTER = "A policy that extends another may only be stricter:"


def _looser(own: object, base: object) -> Fault:
    return Fault("", f"{own} is looser than {base}, which it extends.", f"{ONLY_STRICTER} keep {base}, or go further.")


def _shorter(own: Span, base: Span) -> Fault | None:
    shorter = span_is_shorter(own, base)
    if shorter is None:
        return Fault("", f"{own} cannot be compared with {base}, which it extends.", f"Write it in {base.unit}.")
    return None if shorter else _looser(own, base)


def _longer(own: Span, base: Span) -> Fault | None:
    return None if span_is_shorter(base, own) else _looser(own, base)


def _higher(own: Risk, base: Risk) -> Fault | None:
    return None if own.rank >= base.rank else _looser(own, base)


def _deeper(own: str, base: str) -> Fault | None:
    return None if DEPTHS.index(own) >= DEPTHS.index(base) else _looser(own, base)


def _more(own: int, base: int) -> Fault | None:
    return None if own >= base else _looser(own, base)


# ---- reminders: each of the base must still come, at the same time or earlier --------------------------------------------------


def _reminders(own: tuple[str, ...], base: tuple[str, ...]) -> Fault | None:
    mine = [parse_offset(text) for text in own]
    for text in base:
        if not any(_is_earlier(offset, parse_offset(text)) for offset in mine):
            return Fault("", f"no reminder as early as {text}.", f"{ONLY_STRICTER} keep {text}, or remind earlier.")
    return None


def _is_earlier(one: Offset, other: Offset) -> bool:
    if one.percent is not None and other.percent is not None:
        return one.percent <= other.percent
    return one.before is not None and other.before is not None and other.before <= one.before


# ---- ladders: each rung of the base must still come, at the same time or earlier, reach as high and tell at least the same -------


def _ladder(own: tuple[Rung, ...], base: tuple[Rung, ...]) -> Fault | None:
    further = f"{ONLY_STRICTER} a rung may come earlier, go higher or tell more."
    for number, rung in enumerate(base, start=1):
        if not any(_covers(mine, rung) for mine in own):
            when = f"every {rung.every}" if rung.every else f"at {rung.at}"
            return Fault(f"[{number}]", f"nothing here does what the base does {when}.", further)
        if rung.at is not None and _often(own, rung.at.wall) < _often(base, rung.at.wall):   # one rung stands for one, not for several
            return Fault(f"[{number}]", f"fewer rungs than the base has by {rung.at}.", further)
    if _tail(own) > _tail(base):
        return Fault(f"[{len(own)}]", "what repeats for ever begins later than in the base.", further)
    if (moves := _moves(own)) != _moves(base):
        rungs = [number for number, rung in enumerate(own, start=1) if rung.move] or [len(own)]
        said = "the engine makes a move here that the base does not make then." if moves else "a move of the base is missing."
        return Fault(f"[{rungs[0]}].move", said, "A move has no order: keep those of the base, each at its time.")
    return None


def _covers(own: Rung, base: Rung) -> bool:
    in_time = (own.at is not None and base.at is not None and own.at <= base.at) or (
        own.every is not None and base.every is not None and own.every <= base.every
    )
    return (
        in_time
        and _height(own.raise_to) >= _height(base.raise_to)
        and (own.raise_to == "next") >= (base.raise_to == "next")
        and set(base.tell) <= set(own.tell)
        and own.alarm >= base.alarm
    )


def _height(raise_to: str | None) -> int:
    """Return how high a rung raises; nothing and the relative `next` raise to no level that could be named."""
    return Tier(raise_to).rank if raise_to and raise_to != "next" else 0


def _tail(rungs: tuple[Rung, ...]) -> float:
    """Return how many seconds after the due time the repeating rung first fires (core/deadline.py: behind the last that does not)."""
    before = rungs[-2].at if len(rungs) > 1 else None
    every = rungs[-1].every
    return (before.wall.total_seconds() if before else 0) + (every.wall.total_seconds() if every else 0)


def _often(rungs: tuple[Rung, ...], after: timedelta) -> int:
    """Return how many rungs fired so long after the due time."""
    tail, every = timedelta(seconds=_tail(rungs)), rungs[-1].every
    repeated = 1 + (after - tail) // every.wall if every is not None and after >= tail else 0
    return repeated + sum(1 for rung in rungs if rung.at is not None and rung.at.wall <= after)


def _moves(rungs: tuple[Rung, ...]) -> list[tuple[str, str]]:
    return [(str(rung.at or rung.every), rung.move) for rung in rungs if rung.move]


# ---- which key has which ---------------------------------------------------------------------------------------------------------

SHORTER, LONGER = Order("shorter", _shorter), Order("longer", _longer)
HIGHER, DEEPER, MORE = Order("higher", _higher), Order("deeper", _deeper), Order("more", _more)
EARLIER, LADDER = Order("earlier", _reminders), Order("ladder", _ladder)

ORDERS: Mapping[str, Order] = {
    "cue.*.floor": HIGHER,
    "clock.*.within": SHORTER,
    "clock.*.again": SHORTER,
    "clock.*.cap": SHORTER,
    "clock.*.remind": EARLIER,
    "ladder.*": LADDER,
    "hold": SHORTER,
    "pause": SHORTER,
    "terminal.every": SHORTER,
    "closure.by_peak": DEEPER,
    "closure.sample": MORE,
    "closure.stable_for": LONGER,
}
"""Every key that a policy may override, `*` for a name; new cues are the one thing that may be added without a line to compare with."""


class Line(NamedTuple):
    """One value of a policy that has an order: its key in the file, the order, the value."""

    key: str
    order: Order
    value: object


def lines_of(policy: Policy) -> Iterator[Line]:
    """Yield every value of a policy that has an order, one line for each risk; what nobody wrote stands as what holds then."""
    for name, cue in policy.cues.items():
        yield Line(f"cue.{name}.floor", HIGHER, cue.floor)
    for name, rule in policy.clocks.items():
        for key, spans in (("within", rule.within), ("again", rule.again or rule.within), ("cap", rule.cap)):
            yield from (Line(f"clock.{name}.{key}.{risk}", SHORTER, span) for risk, span in spans.items())
        yield Line(f"clock.{name}.remind", EARLIER, rule.remind)
    for name, rungs in policy.ladders.items():
        yield Line(f"ladder.{name}", LADDER, rungs)
    for key, spans in (("hold", policy.hold), ("pause", policy.pause)):
        yield from (Line(f"{key}.{risk}", SHORTER, span) for risk, span in spans.items())
    yield Line("terminal.every", SHORTER, policy.terminal_every)
    yield from (Line(f"closure.by_peak.{risk}", DEEPER, depth) for risk, depth in policy.closure_by_peak.items())
    yield from (Line(f"closure.sample.{risk}", MORE, percent) for risk, percent in policy.sample.items())
    yield from (Line(f"closure.stable_for.{risk}", LONGER, span) for risk, span in policy.stable_for.items())


def looser_lines(own: Policy, base: Policy) -> list[str]:
    """Return the keys whose value asks less in one policy than in the other, in the order of the file; of what one of them lacks, none."""
    mine = {line.key: line.value for line in lines_of(own)}
    return [key for key, order, value in lines_of(base) if key in mine and order.compare(mine[key], value) is Verdict.LOOSER]
