"""A policy that extends another may only be stricter: how the two are laid over each other, and the proof, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import NoReturn

from .calendar import Span, parse_offset
from .errors import DefinitionError
from .model import Risk
from .order import ADDED, ONLY_STRICTER, ORDERS, lines_of
from .parse_policy import weaker_mark
from .parse_table import Table, nearest
from .policy import ClockRule, Policy

Doc = dict[str, object]

_HEAD = ("format", "name", "version", "extends", "for", "adds", "label", "source", "mark")
_FROM_BASE = "the rest as in"


def overridable(table: str, *, named: bool = False) -> frozenset[str] | None:
    """Return the keys that an extending policy may write in a table, or under a name in it: those with an order. None: any name."""
    depth = 2 if named else 1
    found = {parts[depth] for key in ORDERS if (parts := key.split("."))[0] == table and len(parts) > depth}
    return None if "*" in found else frozenset(found)


OVERRIDABLE: tuple[str, ...] = tuple(dict.fromkeys(key.partition(".")[0] for key in ORDERS))
"""The tables in which something has an order."""

_BY_RISK = frozenset(risk.value for risk in Risk)


def extend(base: Mapping[str, object], own: Mapping[str, object], file: str) -> Doc:
    """Return the complete document of a policy that extends a complete one.

    DefinitionError for a key that an extending policy may not write, and for numbers without source and mark of their own. A
    table keeps the weaker of the two marks and both sources. Whether the numbers are stricter is for `check_stricter`.
    """
    for name in own:
        if name not in (*_HEAD, *OVERRIDABLE):
            _refuse(
                file,
                str(name)[:80],
                "this key is not for a policy that extends another.",
                f"{ONLY_STRICTER} {nearest(str(name), OVERRIDABLE)}",
            )
    top = Table(own, file)
    for name in ("format", "name", "version"):
        top.raw(name)  # its own, not inherited
    top.trust()
    whole: Doc = {**base, **{name: own[name] for name in _HEAD if name in own and name not in {"extends", "adds"}}}
    whole["for"] = _narrowed(base, top)
    base_id = f"{base.get('name')}_v{base.get('version')}"
    for name in OVERRIDABLE:
        if name in own and name in ADDED:
            whole[name] = _added(name, base.get(name), top.table(name), base_id)
        elif name in own and name != "clock":
            allowed = _BY_RISK if name in ORDERS else overridable(name)   # a key that is a table by risk itself
            whole[name] = _over(Table(base[name], file, name), top.table(name), allowed, base_id)
    if "clock" in own:
        whole["clock"] = _clocks(_mapping(base["clock"]), top.table("clock"), base_id, adds=bool(own.get("adds")))
    return whole


def _clocks(base: Mapping[str, object], own: Table, base_id: str, *, adds: bool) -> Doc:
    """Return the clocks of the base with what is written over them, and those of workflows that the extending policy brings."""
    whole: Doc = dict(base)
    for name in own.names():
        if name not in whole and adds:   # the loader looks whether it is of one
            whole[name] = own.raw(name)
        elif name not in whole:
            own.refuse(f"{base_id} has no such clock.", name, way_out=nearest(name, whole))
        else:
            known = Table(whole[name], own.file, own.path(name))
            whole[name] = _over(known, own.table(name), overridable("clock", named=True), base_id)
    return whole


def check_stricter(base: Policy, own: Policy, file: str) -> None:
    """Raise DefinitionError with the key of the first line of `own` that is looser than the same line of `base`."""
    for name in own.ladders:
        if name not in base.ladders:
            _refuse(file, f"ladder.{name}", f"{base.id} has no such ladder.", nearest(name, base.ladders))
    for name, cue in base.cues.items():
        if own.cues[name].label != cue.label:
            _refuse(file, f"cue.{name}.label", "the words of a cue have no order.", f"{ONLY_STRICTER} add a cue with words of its own.")
    mine = {line.key: line.value for line in lines_of(own)}
    for key, order, value in lines_of(base):
        fault = order.fault(mine[key], value)
        if fault is not None:
            _refuse(file, f"{key}{fault.where}", fault.message, fault.way_out)
    for name, rule in base.clocks.items():
        _check_reminders(name, own.clocks[name], rule, file)


def _check_reminders(name: str, own: ClockRule, base: ClockRule, file: str) -> None:
    """Refuse reminders that come later or fewer within a clock's own budget: one that lies before the clock begins never comes.

    The base's own reminders are not judged: where a shorter budget leaves one of them no room, the clock is stricter all the same.
    """
    if own.remind == base.remind:
        return
    for risk in Risk:
        for spans, others in ((own.within, base.within), (own.again or own.within, base.again or base.within)):
            mine, due = _reminded(own, spans[risk]), _wall(spans[risk])
            for place, at in enumerate(_reminded(base, others[risk])):
                if at < due and (place >= len(mine) or mine[place] > at):
                    _refuse(file, f"clock.{name}.remind", f"at {risk} fewer reminders come than in the base.",
                            f"{ONLY_STRICTER} a reminder must lie within the budget of every risk.")


def _reminded(rule: ClockRule, span: Span) -> list[timedelta]:
    """Return when reminders come, counted from where the clock begins; what would lie before that is left out (core/deadline.py)."""
    due = _wall(span)
    offsets = [parse_offset(text) for text in rule.remind]
    times = (due - one.before.wall if one.before is not None else due * (one.percent or 0) / 100 for one in offsets)
    return sorted(at for at in times if at > timedelta())


def _wall(span: Span) -> timedelta:
    """Return how long a budget is at least; one in days of a calendar is compared with another in the same days."""
    return span.wall if span.is_wall else timedelta(days=span.amount)


def _refuse(file: str, key: str, message: str, way_out: str) -> NoReturn:
    raise DefinitionError(message, file=file, key=key, way_out=way_out)


# ---- laying one over the other -----------------------------------------------------------------------------------------------


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _narrowed(base: Mapping[str, object], top: Table) -> object:
    """Return for which workflows the policy is: those of its base, or fewer, and those of its own that it adds."""
    given = base.get("for")
    known = [str(name) for name in given] if isinstance(given, list) else []
    kept = list(top.some_of("for", known)) if top.has("for") else known
    return kept + [name for name in top.words("adds") if name not in kept]


def _added(name: str, base: object, own: Table, base_id: str) -> Doc:
    """Return a table of names with what the extending policy writes over some of them, and those that it adds in full."""
    whole: Doc = dict(_mapping(base))
    for entry in own.names():
        if entry in whole:
            known = Table(whole[entry], own.file, own.path(entry))
            whole[entry] = _over(known, own.table(entry), overridable(name, named=True), base_id)
        else:
            whole[entry] = own.raw(entry)
    return whole


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
                way_out=f"{ONLY_STRICTER} {nearest(name, allowed)}",
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
