"""A policy that extends another may only be stricter: how the two are laid over each other, and the proof, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NoReturn

from .calendar import Offset, Span, parse_offset
from .check import span_is_shorter
from .errors import DefinitionError
from .model import Risk, Tier
from .parse_policy import DEPTHS, weaker_mark
from .parse_table import Table, nearest
from .policy import Policy, Rung

Doc = dict[str, object]

_HEAD = ("format", "name", "version", "extends", "for", "label", "source", "mark")
_TABLES: Mapping[str, frozenset[str] | None] = {
    "cue": None,
    "ladder": None,
    "hold": frozenset(risk.value for risk in Risk),
    "terminal": frozenset({"every"}),
    "closure": frozenset({"by_peak", "sample", "stable_for"}),
}
"""The tables that an extending policy may write beside the clocks, with their keys; None: names of its own or of its base."""

_CLOCK_KEYS = frozenset({"within", "again", "cap", "remind", "source", "mark"})
_FROM_BASE = "the rest as in"
_ONLY_STRICTER = "A policy that extends another may only be stricter:"


def extend(base: Mapping[str, object], own: Mapping[str, object], file: str) -> Doc:
    """Return the complete document of a policy that extends a complete one.

    DefinitionError for a key that an extending policy may not write, and for numbers without source and mark of their own. A
    table keeps the weaker of the two marks and both sources. Whether the numbers are stricter is for `check_stricter`.
    """
    for name in own:
        if name not in (*_HEAD, *_TABLES, "clock"):
            _refuse(
                file,
                str(name)[:80],
                "this key is not for a policy that extends another.",
                f"{_ONLY_STRICTER} {nearest(str(name), (*_TABLES, 'clock'))}",
            )
    top = Table(own, file)
    for name in ("format", "name", "version"):
        top.raw(name)  # its own, not inherited
    top.trust()
    whole: Doc = {**base, **{name: own[name] for name in _HEAD if name in own and name != "extends"}}
    whole["for"] = _narrowed(base, top)
    base_id = f"{base.get('name')}_v{base.get('version')}"
    for name, allowed in _TABLES.items():
        if name in own:
            whole[name] = _over(Table(base[name], file, name), top.table(name), allowed, base_id)
    if "clock" in own:
        clocks, changed = top.table("clock"), dict(_mapping(base["clock"]))
        for name in clocks.names():
            if name not in changed:
                clocks.refuse(f"{base_id} has no such clock.", name, way_out=nearest(name, changed))
            changed[name] = _over(Table(changed[name], file, f"clock.{name}"), clocks.table(name), _CLOCK_KEYS, base_id)
        whole["clock"] = changed
    return whole


def check_stricter(base: Policy, own: Policy, file: str) -> None:
    """Raise DefinitionError with the key of the first line of `own` that is looser than the same line of `base`."""
    for name, cue in base.cues.items():
        if own.cues[name].floor.rank < cue.floor.rank:
            _looser(file, f"cue.{name}.floor", own.cues[name].floor, cue.floor)
    for name, rule in base.clocks.items():
        mine = own.clocks[name]
        _check_spans(file, f"clock.{name}.within", mine.within, rule.within)
        _check_spans(file, f"clock.{name}.again", mine.again, rule.again or (rule.within if mine.again else {}))
        _check_spans(file, f"clock.{name}.cap", mine.cap, rule.cap)
        _check_reminders(file, f"clock.{name}.remind", mine.remind, rule.remind)
    for name, rungs in base.ladders.items():
        _check_ladder(file, f"ladder.{name}", own.ladders[name], rungs)
    for name in own.ladders:
        if name not in base.ladders:
            _refuse(file, f"ladder.{name}", f"{base.id} has no such ladder.", nearest(name, base.ladders))
    _check_spans(file, "hold", own.hold, base.hold)
    _check_spans(file, "terminal.every", {Risk.UNRATED: own.terminal_every}, {Risk.UNRATED: base.terminal_every}, by_risk=False)
    _check_closure(file, own, base)


def _check_closure(file: str, own: Policy, base: Policy) -> None:
    for risk, depth in base.closure_by_peak.items():
        if DEPTHS.index(own.closure_by_peak[risk]) < DEPTHS.index(depth):
            _looser(file, f"closure.by_peak.{risk}", own.closure_by_peak[risk], depth)
    for risk, percent in base.sample.items():
        if own.sample[risk] < percent:
            _looser(file, f"closure.sample.{risk}", own.sample[risk], percent)
    for risk, span in base.stable_for.items():
        if not span <= own.stable_for[risk]:
            _looser(file, f"closure.stable_for.{risk}", own.stable_for[risk], span)


def _refuse(file: str, key: str, message: str, way_out: str) -> NoReturn:
    raise DefinitionError(message, file=file, key=key, way_out=way_out)


def _looser(file: str, key: str, own: object, base: object) -> NoReturn:
    _refuse(file, key, f"{own} is looser than {base}, which it extends.", f"{_ONLY_STRICTER} keep {base}, or go further.")


# ---- laying one over the other -----------------------------------------------------------------------------------------------


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _narrowed(base: Mapping[str, object], top: Table) -> object:
    """Return for which workflows the policy is: those of its base, or fewer."""
    given = base.get("for")
    known = [str(name) for name in given] if isinstance(given, list) else []
    return list(top.some_of("for", known)) if top.has("for") else known


def _over(base: Table, own: Table, allowed: frozenset[str] | None, base_id: str) -> Doc:
    """Return a table of the base with what the extending policy writes over it."""
    source, mark = own.trust()
    base_source, base_mark = base.trust()
    whole: Doc = {name: base.raw(name) for name in base.names()}
    for name in own.names():
        if allowed is not None and name not in allowed:
            own.refuse(
                "this cannot be changed by a policy that extends another.",
                name,
                way_out=f"{_ONLY_STRICTER} {nearest(name, allowed)}",
            )
        whole[name] = _laid(whole.get(name), own.raw(name))
    whole["source"] = source if source == base_source else f"{source}; {_FROM_BASE} {base_id}: {base_source}"
    whole["mark"] = weaker_mark(mark, base_mark)
    return whole


def _laid(base: object, own: object) -> object:
    """Return one value over another; of tables each entry, of a table over one span for all risks each risk."""
    if not isinstance(own, Mapping):
        return own
    if isinstance(base, str):
        return {**{risk.value: base for risk in Risk}, **own}
    return {**_mapping(base), **own}


# ---- the proof ----------------------------------------------------------------------------------------------------


def _check_spans(file: str, key: str, own: Mapping[Risk, Span], base: Mapping[Risk, Span], *, by_risk: bool = True) -> None:
    for risk, span in base.items():
        shorter = span_is_shorter(own[risk], span)
        line = f"{key}.{risk}" if by_risk else key
        if shorter is None:
            _refuse(file, line, f"{own[risk]} cannot be compared with {span}, which it extends.", f"Write it in {span.unit}.")
        if not shorter:
            _looser(file, line, own[risk], span)


def _check_reminders(file: str, key: str, own: Iterable[str], base: Iterable[str]) -> None:
    """Each reminder of the base must still come, at the same time or earlier."""
    mine = [parse_offset(text) for text in own]
    for text in base:
        if not any(_is_earlier(offset, parse_offset(text)) for offset in mine):
            _refuse(file, key, f"no reminder as early as {text}.", f"{_ONLY_STRICTER} keep {text}, or remind earlier.")


def _is_earlier(one: Offset, other: Offset) -> bool:
    if one.percent is not None and other.percent is not None:
        return one.percent <= other.percent
    return one.before is not None and other.before is not None and other.before <= one.before


def _check_ladder(file: str, key: str, own: tuple[Rung, ...], base: tuple[Rung, ...]) -> None:
    """Each rung of the base must still come, at the same time or earlier, reach as high and tell at least the same people."""
    for number, rung in enumerate(base, start=1):
        if not any(_covers(mine, rung) for mine in own):
            when = f"every {rung.every}" if rung.every else f"at {rung.at}"
            _refuse(
                file,
                f"{key}[{number}]",
                f"nothing here does what the base does {when}.",
                f"{_ONLY_STRICTER} a rung may come earlier, go higher or tell more.",
            )


def _covers(own: Rung, base: Rung) -> bool:
    in_time = (own.at is not None and base.at is not None and own.at <= base.at) or (
        own.every is not None and base.every is not None and own.every <= base.every
    )
    return (
        in_time
        and _height(own.raise_to) >= _height(base.raise_to)
        and (own.raise_to == "next") >= (base.raise_to == "next")
        and set(base.tell) <= set(own.tell)
        and (base.move is None or own.move == base.move)
        and own.alarm >= base.alarm
    )


def _height(raise_to: str | None) -> int:
    """Return how high a rung raises; nothing and the relative `next` raise to no level that could be named."""
    return Tier(raise_to).rank if raise_to and raise_to != "next" else 0
