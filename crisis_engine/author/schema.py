"""JSON Schema (2020-12) for each kind of file, made from the parsers' own tables, so that an editor completes and checks as one writes.

A schema says less than the loader: it knows shapes and words, not what the parts mean together. What it refuses, the loader refuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crisis_engine.core.attachment import BYTES_LIMIT
from crisis_engine.core.calendar import PERCENT, SPAN
from crisis_engine.core.document import BLANKS, FACTS
from crisis_engine.core.model import TIERS, Risk, Tier
from crisis_engine.core.order import ORDERS
from crisis_engine.core.parse_access import ACTIONS, COUNT_LEAST, COUNT_MOST, FORBIDS, LEVELS, READS_MOST, SCOPES
from crisis_engine.core.parse_document import LINE_KINDS
from crisis_engine.core.parse_policy import DEPTHS, PERCENT_MOST, TIMES_MOST
from crisis_engine.core.parse_table import LANGUAGES, MARKS, NAME, TEXT_MOST
from crisis_engine.core.parse_workflow import (
    FIELD_TYPES,
    FINALS,
    FLAGS,
    GRADUATES,
    ITEMS_MOST,
    KINDS,
    OWN_ENGINE,
    PARENT_ENDS,
    RATED,
    SECRECY_MOST,
    SETS,
    SETS_PARENT,
    SORTS_OF,
    SUBJECTS,
)
from crisis_engine.core.retention import KEPT
from crisis_engine.core.stricter import overridable

Schema = dict[str, Any]

_VERSION_MOST = 9999

TEXT: Schema = {"type": "string", "minLength": 1, "maxLength": TEXT_MOST, "pattern": r"\S"}
WORD: Schema = {"type": "string", "pattern": f"^{NAME.pattern}$"}
FLAG: Schema = {"type": "boolean"}
ANY_SPAN: Schema = {"type": "string", "pattern": f"^{SPAN.pattern}$"}
BUDGET: Schema = {"allOf": [ANY_SPAN, {"not": {"pattern": "^0"}}]}
WALL: Schema = {"type": "string", "pattern": "^[1-9][0-9]{0,6}(m|h|d)$"}
AT: Schema = {"type": "string", "pattern": "^(0|[1-9][0-9]{0,6})(m|h|d)$"}
OFFSET: Schema = {"type": "string", "anyOf": [{"pattern": f"^{PERCENT.pattern}$"}, {"pattern": "^-[1-9][0-9]{0,6}(m|h|d)$"}]}


def _one_of(values: Iterable[str]) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


def _list_of(item: Schema, least: int = 0) -> Schema:
    return {"type": "array", "items": item, "uniqueItems": True, **({"minItems": least} if least else {})}


def _number(least: int, most: int) -> Schema:
    return {"type": "integer", "minimum": least, "maximum": most}


def _table(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": list(required), "additionalProperties": False}


def _named(value: Schema, *, least: int = 0, beside: Mapping[str, Schema] | None = None, required: Iterable[str] = ()) -> Schema:
    """Return a table of names that the author chooses; `beside` are keys of its own."""
    found: Schema = {"type": "object", "propertyNames": {"pattern": WORD["pattern"]}, "additionalProperties": value}
    if beside:
        found |= {"properties": dict(beside), "required": list(required)}
    if least:
        found["minProperties"] = least
    return found


def _by_risk(value: Schema, *, whole: bool = True) -> Schema:
    return _table({risk.value: value for risk in Risk}, RATED if whole else ())


LABEL = _table(dict.fromkeys(LANGUAGES, TEXT), LANGUAGES)
TRUST: Mapping[str, Schema] = {"source": TEXT, "mark": _one_of(MARKS)}
HEAD: Mapping[str, Schema] = {"format": {"const": 1, "type": "integer"}, "name": WORD, "version": _number(1, _VERSION_MOST)}
WORDS = _list_of(WORD)


def _trusted(properties: Mapping[str, Schema], required: Iterable[str] = ()) -> Schema:
    return _table({**properties, **TRUST}, (*required, *TRUST))


# ---- workflows ---------------------------------------------------------------------------------------------------------------------


def workflow_schema() -> Schema:
    """Return the schema of `workflows/NAME_vN.toml`."""
    stages = {"anyOf": [WORD, WORDS]}
    field = _table({
        "name": WORD, "label": LABEL, "type": _one_of(sorted(FIELD_TYPES)),
        "of": {"anyOf": [WORD, *(_list_of(_one_of(sorts)) for sorts in SORTS_OF.values())]},
        "required": FLAG, "secrecy": _number(0, SECRECY_MOST), "min": _number(1, ITEMS_MOST), "max": _number(1, BYTES_LIMIT),
    }, ("name", "type", "secrecy"))
    fields: Schema = {"type": "array", "items": field}
    clock = _table({
        "in": stages, "while": _one_of(FLAGS), "once": _table({"on": WORDS, "from_risk": _one_of(RATED)}),
        "who": {"type": "string", "pattern": f"^{NAME.pattern}(@addressee)?$"}, "kind": _one_of(KINDS), "label": LABEL,
        "toward": WORD,
    }, ("who", "kind", "label"))
    clock["oneOf"] = [{"required": [name]} for name in ("in", "while", "once")]
    stage = _table({"label": LABEL, "lead": _one_of(TIERS), "final": _one_of(FINALS), "holds": FLAG, "settled": FLAG}, ("label",))
    stage["oneOf"] = [{"required": ["lead"]}, {"required": ["final"]}]
    texts = _list_of({"type": "string"})
    line = _table({"fact": _one_of(FACTS), "field": {"type": "string", "pattern": rf"^{NAME.pattern}\.{NAME.pattern}$"},
                   "blank": _one_of(BLANKS), "text": LABEL, "label": LABEL})
    line["oneOf"] = [{"required": [name]} for name in LINE_KINDS]
    part = _table({"label": LABEL, "cut": FLAG, "lines": {"type": "array", "items": line, "minItems": 1}}, ("label", "lines"))
    document = _trusted({"label": LABEL, "secrecy": _number(0, SECRECY_MOST), "in": WORDS,
                         "part": {"type": "array", "items": part, "minItems": 1}}, ("label", "secrecy", "part"))
    move = _table({
        "from": stages, "to": WORD, "by": _list_of(WORD, 1), "second": texts, "needs": texts, "form": WORD, "fields": fields,
        "label": LABEL,
        "sets": _table({name: _set(fixed, types) for name, (fixed, types) in SETS.items()}), "meets": WORDS,
        "tier": _one_of((*TIERS, "own", "lead")), "lead": _one_of(("own", "stage")), "opens": texts, "tells": WORDS, "shows": texts,
        "prints": WORD, "checklist": WORD, "instead": FLAG, "up": FLAG, "signal": FLAG, "when": _one_of(OWN_ENGINE), "meets_parent": WORDS,
        "sets_parent": _table({name: _set(fixed, types) for name, (fixed, types) in SETS_PARENT.items()}),
    }, ("from", "by", "label"))
    track = _table({"from_risk": _one_of(RATED), "cues": WORDS, "on": WORDS})
    track["anyOf"] = [{"required": [name]} for name in ("from_risk", "cues", "on")]
    danger = _table({"risk": _one_of(RATED), "tier": _one_of(TIERS), "tells": WORDS, "shows": texts}, ("risk", "tier"))
    return _table({
        **HEAD, "label": LABEL, "source": TEXT, "subject": _one_of(SUBJECTS), "start": WORD, "stage": _named(stage, least=1),
        "sets_of_stages": _named(WORDS), "clock": _named(clock, least=1), "move": _named(move, least=1),
        "choice": _named(_named(LABEL, least=1)), "field_label": _named(LABEL), "forms": _named(_table({"fields": fields})),
        "danger": danger, "track": _named(track), "document": _named(document),
        "again": WORD, "one_open_per_subject": FLAG, "parent": WORDS, "end_with_parent": _one_of(PARENT_ENDS),
        "graduates": _table(dict.fromkeys(GRADUATES, WORD), GRADUATES),
    }, (*HEAD, "label", "source", "subject", "start", "stage", "clock", "move"))


def _set(fixed: Iterable[object], types: Iterable[str]) -> Schema:
    """Return what a move may set one thing to: a fixed value, or a field of its form."""
    found: list[Schema] = [{"const": value, "type": "boolean" if isinstance(value, bool) else "string"} for value in fixed]
    return {"anyOf": [*found, *([{"type": "string", "pattern": "^field:"}] if types else [])]}


# ---- policies ----------------------------------------------------------------------------------------------------------------------


def policy_schema() -> Schema:
    """Return the schema of `policies/NAME_vN.toml`: complete, or one that extends another and writes only what has an order."""
    return {"type": "object", "if": {"required": ["extends"]}, "then": _extending(), "else": _complete()}


def _spans(value: Schema, *, whole: bool) -> Schema:
    return {"anyOf": [value, _by_risk(value, whole=whole)]}


def _clock(*, whole: bool) -> dict[str, Schema]:
    return {
        "within": _spans(BUDGET, whole=whole), "again": _spans(BUDGET, whole=whole), "cap": _by_risk(WALL, whole=False),
        "remind": _list_of(OFFSET), "ladder": WORD, "ladder_for": _by_risk(WORD, whole=False),
        "not_after": _by_risk(_one_of(("dismissal",)), whole=False), "before": WALL,
        "pause": _table({"reasons": _list_of(WORD, 1), "at_most": WALL, "times": _number(1, TIMES_MOST)}, ("reasons", "at_most")),
    }


def _ladder() -> Schema:
    rung = _table({"at": AT, "every": WALL, "raise": _one_of((*TIERS[1:], "next")), "tell": WORDS, "move": WORD, "alarm": FLAG})
    rung["oneOf"] = [{"required": ["at"]}, {"required": ["every"]}]
    rung["anyOf"] = [{"required": [name]} for name in ("raise", "tell", "move")]
    return {"type": "array", "items": rung, "minItems": 1}


def _tables(*, whole: bool) -> dict[str, Schema]:
    """Return the tables that have an order somewhere, complete or as far as an extending policy writes them."""
    cue = _table({"floor": _one_of(RATED), "label": LABEL}, ("floor", "label") if whole else ())
    clocks = _clock(whole=whole)
    entry = _trusted(clocks, ("within", "ladder") if whole else ())
    if not whole:
        keys = overridable("clock", named=True) or frozenset()
        ordered = _trusted({name: schema for name, schema in clocks.items() if name in keys})
        entry = {"anyOf": [ordered, _trusted(_clock(whole=True), ("within", "ladder"))]}   # of the base, or of a workflow that it adds
    closure = {"by_peak": _by_risk(_one_of(DEPTHS), whole=whole), "sample": _by_risk(_number(0, PERCENT_MOST), whole=False),
               "stable_for": _by_risk(WALL, whole=whole)}
    return {
        "cue": _named(cue, beside=TRUST, required=TRUST),
        "clock": _named(entry),
        "ladder": _named(_ladder(), beside=TRUST, required=TRUST),
        **dict.fromkeys(("hold", "pause"), _trusted(_by_risk(WALL)["properties"], RATED if whole else ())),
        "terminal": _trusted({"to": _list_of(WORD, 1), "every": WALL} if whole else {"every": WALL}, ("to", "every") if whole else ()),
        "closure": _trusted(closure, ("by_peak", "stable_for") if whole else ()),
    }


def _complete() -> Schema:
    tiers = {tier.value: WORD for tier in Tier}
    properties: dict[str, Schema] = {
        **HEAD, **TRUST, "for": _list_of(WORD, 1), "label": LABEL, **_tables(whole=True),
        "risk": _trusted({"unrated_counts_as": _one_of(RATED), "second_to_lower_from": _list_of(_one_of(RATED), 2)},
                         ("unrated_counts_as", "second_to_lower_from")),
        "instead": _named(_list_of(WORD, 1)), "holder": _table(tiers, tiers), "counterpart": _named(_table(tiers)),
        "checklist": _named(_named(LABEL, beside=TRUST, required=TRUST)),
        "on_site": _table({"roles": _list_of(WORD, 1)}, ("roles",)), "on_duty": _table(tiers),
    }
    return _table(properties, [name for name in properties if name != "checklist"])


def _extending() -> Schema:
    ordered = {key.partition(".")[0] for key in ORDERS}
    tables = {name: schema for name, schema in _tables(whole=False).items() if name in ordered}
    return _table({**HEAD, **TRUST, "extends": WORD, "for": WORDS, "adds": WORDS, "label": LABEL, **tables}, (*HEAD, *TRUST, "extends"))


# ---- rights and terms --------------------------------------------------------------------------------------------------------------


def access_schema() -> Schema:
    """Return the schema of `policies/access_vN.toml`."""
    secrecy = _number(-1, READS_MOST)
    role = _table({
        "level": _one_of(LEVELS), "label": LABEL, "reads": secrecy, "scope": _one_of(SCOPES), "addressed": secrecy, "glass": secrecy,
    }, ("level", "label", "reads"))
    action = _table({**dict.fromkeys(("sight", "unit", "near", "anywhere"), WORDS),
                     **dict.fromkeys(("everybody", "workflow", "glass", "reason"), FLAG), "forbid": _list_of(_one_of(FORBIDS))})
    nouns: dict[str, dict[str, Schema]] = {}
    for name in ACTIONS:
        noun, _, verb = name.partition(".")
        nouns.setdefault(noun, {})[verb] = action
    properties: dict[str, Schema] = {
        **HEAD, **TRUST, "role": _named(role), "separate": _trusted({"roles": WORDS}), "glass": _trusted({"at_most": WALL}, ("at_most",)),
        "counts": _trusted({"at_least": _number(COUNT_LEAST, COUNT_MOST)}, ("at_least",)),
        "action": _table({noun: _table(verbs, verbs) for noun, verbs in nouns.items()}, nouns),
    }
    dossier = _trusted({"level": _one_of(TIERS), "stages": _list_of(WORD, 1)}, ("level", "stages"))
    sealed = _trusted({"reads": _number(2, READS_MOST)}, ("reads",))
    return _table({**properties, "dossier": _named(dossier), "sealed": _named(sealed)}, properties)


def retention_schema() -> Schema:
    """Return the schema of `policies/retention_vN.toml`."""
    return _table({**HEAD, "keep": _table(dict.fromkeys(KEPT, _trusted({"for": WALL}, ("for",))), KEPT)}, (*HEAD, "keep"))


_SCHEMAS: Mapping[str, Callable[[], Schema]] = {
    "workflow": workflow_schema, "policy": policy_schema, "access": access_schema, "retention": retention_schema,
}
FILE_KINDS = tuple(_SCHEMAS)
"""The kinds of file that there are."""


def schema_of(kind: str) -> Schema:
    """Return the whole schema of a kind of file; KeyError for one that there is not."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": f"crisis_engine {kind}", **_SCHEMAS[kind]()}
