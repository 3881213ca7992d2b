"""From `[rule.NAME]` of a policy file to a Rule: the condition known, each of its numbers there, none that it does not ask for."""

from __future__ import annotations

from collections.abc import Mapping

from .model import Risk, Tier
from .parse_table import Table
from .policy import Rule

CONDITIONS: Mapping[str, tuple[str, ...]] = {
    "clock_late": ("of", "risk", "after"),
    "nobody_holds": ("role", "after"),
    "no_report": ("of", "months", "after"),
}
"""Every condition that a rule may name, with the keys that it asks for; core/occasion.py says when each holds."""

SUPERVISED = ("school", "county")
"""Kinds of unit that a rule may look at."""

ABOVE = ("county", "city")
"""Who may answer for what a rule opens."""

MONTHS_MOST = 12
_OF_CONDITIONS = tuple(dict.fromkeys(key for keys in CONDITIONS.values() for key in keys))
_RATED = tuple(risk.value for risk in Risk if risk is not Risk.UNRATED)


def parse_rules(table: Table | None) -> dict[str, Rule]:
    """Return the rules of a policy; DefinitionError with file, key and way out for whatever is unknown, missing or without source."""
    return {name: _rule(table.table(name), name) for name in table.names()} if table is not None else {}


def _rule(table: Table, name: str) -> Rule:
    source, mark = table.trust()
    when = table.one_of("when", CONDITIONS)
    asked = CONDITIONS[when]
    for key in _OF_CONDITIONS:
        if key not in asked and table.has(key):
            table.refuse(f'the condition "{when}" asks for no such key.', key, way_out=f"It asks for {', '.join(asked)}.")
    fields = _fields(table.table("fields"))
    rule = Rule(
        name=name,
        when=when,
        unit=table.one_of("unit", SUPERVISED),
        opens=table.word("opens"),
        tier=Tier(table.one_of("tier", ABOVE)),
        fields=fields,
        same=table.some_of("same", fields),
        source=source,
        mark=mark,
        label=table.label(),
        after=table.wall_span("after") if "after" in asked else None,
        of=table.words("of") if "of" in asked else (),
        risk=Risk(table.one_of("risk", _RATED)) if "risk" in asked else None,
        role=table.word("role") if "role" in asked else None,
        months=table.number("months", 1, MONTHS_MOST) if "months" in asked else None,
    )
    if not rule.same:
        table.refuse("nothing says when an order is about the same thing.", "same", way_out='Name fields, such as ["about"].')
    if "of" in asked and not rule.of:
        table.refuse("this rule looks at no case.", "of", way_out='Name workflows without their version, such as ["school_crisis"].')
    if rule.tier.value == rule.unit:
        table.refuse("nobody supervises the own level.", "tier", way_out='Write tier = "city".')
    table.close()
    return rule


def _fields(table: Table) -> dict[str, str]:
    """Return what the opening form is filled with; a text that people read is written in both languages, and stands so in the form."""
    found = {}
    for name in table.names():
        value = table.raw(name)
        found[name] = "\n".join(table.label(name).values()) if isinstance(value, Mapping) else table.line(name)
    if not found:
        table.refuse("the form is empty.", way_out='Write such as { about = "no_report" }.')
    return found
