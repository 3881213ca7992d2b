"""A form's fields: what came in is checked whole, or refused with the field's name and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from .attachment import MOST_BYTES, SORTS, Attachment, is_description, kept_name, sort_of
from .calendar import CHINA
from .errors import BadInput, said
from .model import Risk, Tier
from .policy import Policy
from .secret import Secret
from .workflow import FieldDef, MoveDef, Workflow

_FIRST_YEAR, _LAST_YEAR = 2000, 2120

MOST = 20_000
"""Most characters of a text, unless its field says otherwise."""

_HASH_DIGITS = 64

_TRUE, _FALSE = {"true", "yes", "1", "on", "是"}, {"false", "no", "0", "off", "否", ""}


def check_fields(move: MoveDef, given: Mapping[str, Any], workflow: Workflow, policy: Policy, *, partly: bool = False,
                 proposed: bool = False) -> dict[str, Any]:
    """Return the fields of a move, each of its type; raise BadInput naming the field and the way out.

    Values may come as text (console, forms) or as Python objects (host code). `partly` leaves required fields out of account.
    `proposed` says that they are those of a proposal, as the log keeps them: an attachment of it lies in the store already. From a
    person nothing of that shape is taken, for it could name what somebody else attached.
    """
    known = {field.name: field for field in move.fields}
    for name in given:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known fields: {', '.join(known) or 'none'}."
            raise BadInput(f"{move.name} has no field {said(name)!r}.", way_out=hint, field=said(name))
    clean: dict[str, Any] = {}
    for name, field in known.items():
        value = given.get(name)
        if value is None or value in ("", []) or (isinstance(value, str) and not value.strip()):
            if field.required and not partly:
                raise BadInput(f"{move.name} needs the field {name!r} ({field.type}).",
                               way_out=_example(field, workflow, policy), field=name)
            continue
        stored = proposed and field.type == "attachment" and is_description(value)
        clean[name] = value if stored else _CHECK.get(field.type, _text)(field, value, workflow, policy)
    return clean


def _wrong(field: FieldDef, says: str, way_out: str) -> BadInput:
    return BadInput(f"Field {field.name!r}: {says}", way_out=way_out, field=field.name)


def _example(field: FieldDef, workflow: Workflow, policy: Policy) -> str:
    options = _options(field, workflow, policy)
    return f"Give --field {field.name}={'|'.join(options) if options else '…'}."


def _options(field: FieldDef, workflow: Workflow, policy: Policy) -> list[str]:
    if field.type == "cues":
        return list(policy.cues)
    if field.type in {"choice", "choices"}:
        return list(policy.cues if field.of == "cue" else workflow.choices.get(field.of or "", {}))
    if field.type == "items":
        return list(policy.checklists.get(field.of or "", {}))
    return {"risk": [risk.value for risk in Risk if risk is not Risk.UNRATED], "tier": [tier.value for tier in Tier]}.get(field.type, [])


def _text(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> str:
    if not isinstance(value, str):
        raise _wrong(field, f"a text is wanted, not {type(value).__name__}.", "Write it in words.")
    if "\x00" in value:
        raise _wrong(field, "the text holds a NUL character.", "Take it out.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _wrong(field, "the text holds a broken character.", "Write it in UTF-8.") from None
    most = field.most or MOST
    if len(value) > most:
        raise _wrong(field, f"{len(value)} characters are too many.", f"At most {most} are kept; attach a document for more.")
    return str(value)   # of a secret the plain text: an id that was sealed with a form is an id again


def _sealed(field: FieldDef, value: object, workflow: Workflow, policy: Policy) -> str:
    """Return what somebody wrote in their own words: a secret from here on, to every log and every sentence."""
    return Secret(_text(field, value, workflow, policy))


def _bool(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise _wrong(field, f"{said(value)!r} is neither yes nor no.", "Write true or false.")


def _one(field: FieldDef, value: object, options: Sequence[str]) -> str:
    word = str(value)
    if word in options:
        return word
    close = difflib.get_close_matches(word, options, n=1)
    hint = f"Did you mean {close[0]!r}? " if close else ""
    raise _wrong(field, f"{said(word)!r} is not one of the choices.", f"{hint}Choose from: {', '.join(options)}.")


def _choice(field: FieldDef, value: object, workflow: Workflow, policy: Policy) -> str:
    return _one(field, value, _options(field, workflow, policy))


def _many(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]


def _choices(field: FieldDef, value: object, workflow: Workflow, policy: Policy) -> list[str]:
    options = _options(field, workflow, policy)
    return list(dict.fromkeys(_one(field, one, options) for one in _many(value)))


def _time(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> datetime:
    if isinstance(value, datetime):
        return _within(field, value if value.tzinfo is not None else value.replace(tzinfo=CHINA))
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        raise _wrong(field, f"{said(value)!r} is no time.", "Write it as 2026-03-02T15:30+08:00.") from None
    return _within(field, at if at.tzinfo is not None else at.replace(tzinfo=CHINA))


def _within(field: FieldDef, at: datetime) -> datetime:
    if not _FIRST_YEAR <= at.year <= _LAST_YEAR:
        raise _wrong(field, f"{at.isoformat()} cannot be meant.", "Check the year.")
    return at


def _date(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> str:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    try:
        return date.fromisoformat(str(value)).isoformat()
    except ValueError:
        raise _wrong(field, f"{said(value)!r} is no date.", "Write it as 2026-03-02.") from None


def _risk(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> Risk:
    return Risk(_one(field, value, [risk.value for risk in Risk if risk is not Risk.UNRATED]))


def _tier(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> Tier:
    return Tier(_one(field, value, [tier.value for tier in Tier]))


def _hash(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> str:
    """Return a SHA-256 as it is written everywhere: 64 small letters and digits; blanks and colons between them do not count."""
    digits = "".join(char for char in str(value).lower() if char not in " :-\t\n")
    if len(digits) != _HASH_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise _wrong(field, "this is no SHA-256.", "Write its 64 digits from 0 to f, with or without blanks.")
    return digits


def _persons(field: FieldDef, value: object, workflow: Workflow, policy: Policy) -> list[str]:
    people = list(dict.fromkeys(_text(field, one, workflow, policy) for one in _many(value)))
    if field.least is not None and len(people) < field.least:
        raise _wrong(field, f"{len(people)} are too few.", f"Name at least {field.least}; repeat --field {field.name}=….")
    return people


def _attachment(field: FieldDef, value: object, _workflow: Workflow, _policy: Policy) -> Attachment:
    """Return an attachment under the name by which it is kept; refused is what is not what its name says."""
    if not isinstance(value, Attachment) or not isinstance(value.name, str) or not isinstance(value.content, bytes):
        raise _wrong(field, f"a file is wanted, not {type(value).__name__}.",
                     f"Give --field {field.name}=@PATH, or ce.Attachment with name and content.")
    name, most, sorts = kept_name(value.name), field.most or MOST_BYTES, field.sorts or tuple(SORTS)
    if name is None:
        raise _wrong(field, "the file has a name that cannot be kept.", "Rename it: up to 120 characters that can be seen, as consent.pdf.")
    if not value.content:
        raise _wrong(field, "the file is empty.", "Attach the file itself.")
    if len(value.content) > most:
        raise _wrong(field, f"the file has {len(value.content)} bytes; at most {most} are kept.", "Make it smaller, or divide it.")
    sort = sort_of(name)
    if sort not in sorts:
        raise _wrong(field, "no file of this sort is taken here.", f"Attach one of these sorts: {', '.join(sorts)}.")
    if not SORTS[sort](value.content):
        raise _wrong(field, f"the file is not what its name says ({sort}).", "Save it anew as what it is to be, and attach that.")
    return Attachment(name, value.content)


_CHECK: Mapping[str, Callable[[FieldDef, Any, Workflow, Policy], Any]] = {
    "text": _sealed, "bool": _bool, "choice": _choice, "choices": _choices, "cues": _choices, "items": _choices, "time": _time,
    "date": _date, "hash": _hash, "risk": _risk, "tier": _tier, "persons": _persons, "attachment": _attachment,
}
