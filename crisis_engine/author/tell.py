"""A difference in a person's words: what it is about, what it was and is, stricter or looser, and how many open cases it touches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from crisis_engine.author.difference import Change
from crisis_engine.author.facet import rungs_of
from crisis_engine.core.workflow import Label
from crisis_engine.words import knows, say

Names = Mapping[str, Mapping[str, Label]]
"""The labels of stages, clocks, moves and cues, by table."""


def grouped(changes: Iterable[Change], names: Names, lang: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each group's heading and its lines."""
    for group, members in groupby(changes, key=lambda change: change.group):
        yield say(f"diff.group.{group}", lang), [_line(change, names, lang) for change in members]


def _line(change: Change, names: Names, lang: str) -> str:
    what = _what(change, names, lang)
    old, new = (_value(value, change.kind, names, lang) for value in (change.old, change.new))
    if change.old is None:
        said = say("diff.added", lang, what=what, new=new)
    elif change.new is None:
        said = say("diff.gone", lang, what=what, old=old)
    else:
        said = say("diff.changed", lang, what=what, old=old, new=new)
    if change.verdict is not None:
        said += f" {say(f'diff.verdict.{change.verdict.value}', lang)}"
    return said if change.affects is None else say("diff.affects", lang, said=said, count=change.affects)


_NAMED = frozenset({
    "cue", "role", "instead", "counterpart", "action", "ladder", "keep", "holder", "on_duty", "dossier", "rule", "load", "track",
})


def _what(change: Change, names: Names, lang: str) -> str:
    """Return what a change is about: `orange assess`, `move exclude: second person`; words where there are some, else the key's own."""
    table, _, rest = change.key.partition(".")
    parts = rest.split(".") if rest else []
    if table == "action":
        parts = [".".join(parts[:2]), *parts[2:]]
    risk = parts.pop() if parts and knows(f"risk.{parts[-1]}") else ""
    named = table in names or table in _NAMED
    name = _name(table, parts.pop(0), names, lang) if named and parts and parts not in (["source"], ["mark"]) else ""
    keys = " ".join(_key(part, lang) for part in parts if part != "within")
    if table == "clock" and keys in {"", _key("again", lang), _key("cap", lang)} and change.group == "budgets":
        said = f"{say(f'risk.{risk}', lang)} {name}" if risk else name
        return f"{said} ({keys})" if keys else said
    head = " ".join(part for part in (_key(table, lang), name) if part)
    about = " ".join(part for part in (keys, say(f"risk.{risk}", lang) if risk else "") if part)
    return say("diff.part", lang, head=head, about=about) if about else head


def _name(table: str, name: str, names: Names, lang: str) -> str:
    if name in names.get(table, {}):
        return names[table][name][lang]
    if table in {"holder", "on_duty", "dossier"} and knows(f"tier.{name}"):
        return say(f"tier.{name}", lang)
    return say(f"role.{name}", lang) if table in {"cue", "role", "instead", "counterpart", "load"} and knows(f"role.{name}") else name


def _key(key: str, lang: str) -> str:
    known = next((text for text in (f"diff.key.{key}", f"tier.{key}") if knows(text)), None)
    return say(known, lang) if known else key


def _value(value: Any, kind: str, names: Names, lang: str) -> str:  # noqa: ANN401 (whatever a definition may hold)
    if value is None:
        return ""
    if kind == "ladder":
        return "; ".join(_rung(rung, lang) for rung in rungs_of(value))
    if isinstance(value, dict):
        return str(value.get(lang) or "")
    if isinstance(value, bool):
        return say("yes" if value else "no", lang)
    many = value if isinstance(value, tuple) else (value,)
    return ", ".join(_one(str(one), kind, names, lang) for one in many) or say("diff.nothing", lang)


_TABLE_OF = {"stages": "stage", "clocks": "clock", "moves": "move"}


def _one(value: str, kind: str, names: Names, lang: str) -> str:
    if kind in _TABLE_OF:
        return names.get(_TABLE_OF[kind], {}).get(value, {}).get(lang) or value
    if kind == "mark":
        return f"{value} ({say(f'mark.{value}', lang)})"
    text = f"diff.{kind}.{value}" if kind in {"depth", "limit"} else f"{kind}.{value}"
    return say(text, lang) if kind in {"role", "tier", "risk", "depth", "limit"} and knows(text) else value


def _rung(rung: Mapping[str, Any], lang: str) -> str:
    when = say("draw.again_every", lang, span=rung["every"]) if "every" in rung else say("draw.after_due", lang, span=rung.get("at", "0m"))
    does = []
    if "raise" in rung:
        tier = rung["raise"]
        does.append(say("draw.raise_next", lang) if tier == "next" else say("draw.raise", lang, tier=say(f"tier.{tier}", lang)))
    does += [say("draw.tell", lang, who=_one(role, "role", {}, lang)) for role in rung.get("tell", ())]
    does += [say("draw.engine_move", lang, move=move) for move in [rung.get("move")] if move]
    does += [say("draw.alarm", lang)] * ("alarm" in rung)
    return f"{when} {', '.join(does)}"
