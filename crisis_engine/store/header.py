"""Canonical JSON (RFC 8785): the one text of a value, and of everything about an event that is no secret."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any

from crisis_engine.core.errors import BadInput
from crisis_engine.core.events import FIELDS, ClockArmed, Event, RungFired
from crisis_engine.core.model import Risk, Tier

_EXACT = 2**53 - 1                # RFC 8785: a number beyond it is not the same number to every reader

# With sorted ASCII keys, no blanks, no floats and no escapes beyond the needed ones, this is RFC 8785 byte for byte.
_encoder = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, check_circular=False)
_pieces: Callable[[object, int], tuple[str, ...]] | None = None
if json.encoder.c_make_encoder is not None:   # type: ignore[attr-defined]  # what `encode` makes anew at each call, made once
    _pieces = json.encoder.c_make_encoder(None, _encoder.default, json.encoder.encode_basestring, None, ":", ",", True, False, False)  # type: ignore[attr-defined]  # noqa: FBT003
_scan: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # json's own scanner, in C
escaped: Callable[[str], str] = json.encoder.encode_basestring
"""Return a text in quotes, escaped as `encode` does it."""


def canonical(value: object) -> str:
    """Return the RFC 8785 text of a JSON value; BadInput for what has none that all readers agree on, above all floats."""
    _refuse_inexact(value)
    return encode(value)


def encode(value: object) -> str:
    """Return the canonical text of a value that holds nothing inexact."""
    return "".join(_pieces(value, 0)) if _pieces is not None else _encoder.encode(value)


def decode(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a text that `encode` made: `json.loads` without its look at blanks. ValueError for anything else."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON") from None
    if end != len(text):
        raise ValueError("more than one JSON value")
    return value


def header_of(event: Event, commitment: bytes | None, prev: bytes) -> str:
    """Return the canonical JSON of everything about an event that is no secret; fields that are None are left out.

    The text is put together by hand from keys sorted once for each kind: half the price of a dict and an encoder, and a test holds
    it equal to `canonical`, byte for byte. A rung has a text of its own: it is what a sweep writes.
    """
    if type(event) is RungFired:
        return _rung(event, commitment, prev)
    keys, values_of, commit_at, prev_at = _SHAPES[type(event)]
    values = list(values_of(event))
    values.insert(commit_at, commitment.hex() if commitment is not None else None)
    values.insert(prev_at, prev.hex())
    return _object(keys, values, event.kind)


def _rung(event: RungFired, commitment: bytes | None, prev: bytes) -> str:
    tier, armed = event.tier, event.armed
    answering = _answering(event.answers, event.answers_role, event.answers_unit)
    commit = "" if commitment is None else f',"commit":"{commitment.hex()}"'
    return (
        f'{{"alarm":{_TRUTH[event.alarm]}{answering}{"" if armed is None else _started(armed)},"at":"{_iso(event.at)}"'
        f',"by":{escaped(event.by)},"case":{escaped(event.case)},"clock":{escaped(event.clock)}{commit},"kind":"rung_fired","n":{event.n:d}'
        f',"next_at":"{_iso(event.next_at)}","next_rung":{event.next_rung:d},"next_times":{event.next_times:d},"prev":"{prev.hex()}"'
        f',"rung":{event.rung:d},"seq":{event.seq:d}{"" if tier is None else _TIER[tier]},"times":{event.times:d}'
        f',"told":{_told(event.told)}}}'
    )


@lru_cache(4096)
def _answering(holder: str | None, role: str | None, unit: str | None) -> str:
    """Return who answers now: of many cases that a rung raises, it is the same few posts."""
    return f'{_given("answers", holder)}{_given("answers_role", role)}{_given("answers_unit", unit)}'


def _given(name: str, text: str | None) -> str:
    return "" if text is None else f',"{name}":{escaped(text)}'


def _started(armed: Iterable[ClockArmed]) -> str:
    """Return the clocks that a rung started: their own fields, for the record has the rest."""
    return f',"armed":[{",".join(map(_armed, armed))}]'


def _armed(one: ClockArmed) -> str:
    cap = f'"cap_at":"{_iso(one.cap_at)}",' if one.cap_at is not None else ""
    return (
        f'{{"at_tier":{_TRUTH[one.at_tier]},{cap}"clock":{escaped(one.clock)},"due_at":"{_iso(one.due_at)}"{_given("holder", one.holder)}'
        f',"n":{one.n:d},"next_at":"{_iso(one.next_at)}","provisional":{_TRUTH[one.provisional]},"role":{escaped(one.role)}'
        f',"rung":{one.rung:d},"sort":{escaped(one.sort)},"unit":{escaped(one.unit)}}}'
    )


@lru_cache(4096)
def _told(told: tuple[tuple[str, str], ...]) -> str:
    return canonical(told)   # the same few levels and roles again and again


def _object(keys: tuple[str, ...], values: Iterable[Any], kind_of_event: str) -> str:
    parts: list[str] = []
    for key, value in zip(keys, values, strict=True):
        kind = type(value)
        if kind is str:
            parts.append(key + escaped(value))
        elif value is None:
            continue
        elif kind is datetime:
            parts.append(f'{key}"{_iso(value)}"')
        elif kind is bool:
            parts.append(key + ("true" if value else "false"))
        elif kind is int and -_EXACT <= value <= _EXACT:
            parts.append(f"{key}{value}")
        elif kind is Tier or kind is Risk:
            parts.append(f'{key}"{value.value}"')
        elif kind is tuple:
            parts.append(key + canonical(value))
        elif isinstance(value, datetime):
            parts.append(f'{key}"{_iso(value)}"')
        else:
            raise BadInput(f"{kind_of_event} has a value that cannot stand in the log: {kind.__name__} has no canonical form.")
    return "{" + ",".join(parts) + "}"


@lru_cache(4096)
def _iso(at: datetime) -> str:
    if at.tzinfo is not UTC:
        if at.utcoffset() is None:
            raise BadInput(f"{at.isoformat()} has no time zone and cannot stand in the log.", way_out="Give an aware datetime.")
        at = at.astimezone(UTC)
    return at.isoformat()


def _refuse_inexact(value: object) -> None:
    """Raise BadInput for anything in a JSON value that two readers could write differently."""
    if type(value) is str:  # nearly always, and isinstance(…, Mapping) is slow
        return
    if isinstance(value, list | tuple):
        for inner in value:
            _refuse_inexact(inner)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise BadInput(f"The key {key!r} cannot stand in the log: keys are ASCII text.")
            _refuse_inexact(inner)
    elif not (value is None or isinstance(value, str | bool) or (isinstance(value, int) and abs(value) <= _EXACT)):
        raise BadInput(f"{value!r} cannot stand in the log: a {type(value).__name__} of that kind has no canonical form.",
                       way_out="Write it as text or as a whole number.")


def _shape_of(names: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[Event], tuple[Any, ...]], int, int]:
    """Return the keys of a header in canonical order, a getter of their values, and where `commit` and `prev` go between these."""
    own = sorted([*names, "at", "by", "case", "kind", "seq"])
    every = sorted([*own, "commit", "prev"])
    return tuple(f'"{name}":' for name in every), attrgetter(*own), every.index("commit"), every.index("prev")


_SHAPES = {cls: _shape_of(names) for cls, names in FIELDS.items()}
_TRUTH = {True: "true", False: "false"}
_TIER = {tier: f',"tier":"{tier.value}"' for tier in Tier}
