"""How an event stands in the log: a canonical JSON header, a commitment to its secret, a hash that chains it to the last."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from secrets import token_bytes
from typing import Any, NamedTuple

from crisis_engine.core.errors import BadInput, StoreError
from crisis_engine.core.events import EVENTS, ClockArmed, Event, RungFired
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.secret import sealed
from crisis_engine.store.header import canonical, header_of
from crisis_engine.store.header import decode as decode_json
from crisis_engine.store.instant import micros
from crisis_engine.store.seal import PLAIN, DataKey, place, seal, unseal

GENESIS = bytes(32)
"""What the first event of a case has as its `prev`."""

SALT_BYTES = 16
_PLAIN = bytes((PLAIN,))          # first byte of an envelope that is not sealed under a key
_CLOSED: Mapping[str, Any] = {}             # what an event has as its secret while nobody opened it


class RawRecord(NamedTuple):
    """One row of the log as it is stored, for whoever checks it without trusting this package."""

    number: str
    seq: int
    at: int
    kind: str
    by: str
    second: str | None
    two: bool | int
    header: str
    commitment: bytes | None
    secret: bytes | None
    prev: bytes
    hash: bytes
    deadline: str | None
    rung: int | None
    times: int | None


def envelope_of(secret: Mapping[str, Any], salt: bytes | None = None) -> tuple[bytes, bytes]:
    """Return the commitment to a secret payload and the envelope that holds it: a kind byte, the salt, the payload's JSON."""
    body = (token_bytes(SALT_BYTES) if salt is None else salt) + _utf8(canonical(secret))
    return sha256(body).digest(), _PLAIN + body


def open_envelope(envelope: bytes) -> bytes:
    """Return salt and payload of an envelope, which is what the commitment covers; StoreError if it is not a plain one."""
    if envelope[:1] != _PLAIN or len(envelope) <= SALT_BYTES:
        raise StoreError("A secret in the log is not in a form that this version can open.",
                         way_out="Use the newest crisis-engine.")
    return envelope[1:]


def seal_envelope(key: DataKey, envelope: bytes, number: str, seq: int) -> bytes:
    """Return a plain envelope sealed under its case's key, bound to its case and place in the log; the commitment stays true of it."""
    return seal(key, open_envelope(envelope), _at(number, seq))


def unseal_envelope(key: DataKey | None, envelope: bytes, number: str, seq: int) -> bytes | None:
    """Return the plain envelope of a stored one; None when the case's key was shredded. StoreError when it does not open."""
    if envelope[:1] == _PLAIN:
        return envelope
    body = unseal(key, envelope, _at(number, seq))
    return None if body is None else _PLAIN + body


def _at(number: str, seq: int) -> bytes:
    return place("crisis_event", "secret", f"{number}/{seq}")


def hash_of(prev: bytes, header: str) -> bytes:
    """Return the link of the chain: SHA-256 over the hash before and the header's bytes."""
    return sha256(prev + header.encode()).digest()


def row_of(event: Event, case_id: int, at: int, prev: bytes) -> tuple[Any, ...]:
    """Return the values of an event's row in the order of the INSERT; the hash is `row[HASH]`."""
    commitment, envelope = envelope_of(event.secret) if event.secret else (None, None)
    header = header_of(event, commitment, prev)
    digest = sha256(prev + _utf8(header)).digest()
    if type(event) is RungFired:
        return (case_id, event.seq, at, "rung_fired", event.by, None, False, header, commitment, envelope, prev, digest,
                f"{event.clock}.{event.n}", event.rung, event.times)
    return (case_id, event.seq, at, event.kind, event.by, getattr(event, "second", None), getattr(event, "two", False), header,
            commitment, envelope, prev, digest, None, None, None)


SEQ, AT, SECRET, HASH = 1, 2, 9, 11
"""Where these stand in the values of `row_of`."""


def decode(header: str, envelope: bytes | None) -> Event:
    """Return the event of a stored header and envelope; `secret` is empty where there is none or it was redacted.

    StoreError when the header is not one of ours: a newer version wrote it, or somebody changed it.
    """
    try:
        values = _parsed(header)
        secret: Any = sealed(json.loads(open_envelope(envelope)[SALT_BYTES:])) if envelope else {}
        return _event_of(values, secret)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError("A record of the log cannot be read.",
                         way_out="Run `crisis doctor`: it names the broken records.") from error


def flaws(record: RawRecord, prev: bytes, seq: int) -> Iterator[str]:
    """Yield what is wrong with a record that should be number `seq` and follow the hash `prev`; nothing when it is whole."""
    yield from proven(record, prev, seq)[1]


def proven(record: RawRecord | tuple[Any, ...], prev: bytes, seq: int) -> tuple[Event | None, list[str]]:
    """Return the event of a record, its secret left closed, and what is wrong with it as number `seq` after the hash `prev`.

    The record may be given as its bare values. A missing secret is no flaw: redaction takes the payload and leaves the commitment. The
    event is None where the header cannot be read. A proof of the whole database calls this for each record, so it looks at
    everything once and makes nothing else.
    """
    number, own_seq, at, kind, by, second, two, header, commitment, secret, own_prev, digest, deadline, rung, times = record
    reasons: list[str] = []
    if own_seq != seq:
        reasons.append(f"the log jumps from {seq - 1} to {own_seq}")
    if own_prev != prev:
        reasons.append("does not follow the record before it")
    try:
        linked = sha256(own_prev + header.encode()).digest() == digest
    except (TypeError, AttributeError, UnicodeEncodeError):   # a column that holds something else than it was made for
        linked = False
    if not linked:
        reasons.append("header and hash do not fit")
    if secret is not None and (commitment is None or not _fits(secret, commitment)):
        reasons.append("secret and commitment do not fit")
    try:
        values = _parsed(header)
        event = _event_of(values, _CLOSED)
        fits = (
            values["kind"] == kind and values["seq"] == own_seq and values["case"] == number and values["by"] == by
            and _micros_of(event.at) == at and values["prev"] == own_prev.hex()
            and values.get("commit") == (None if commitment is None else commitment.hex())
            and values.get("second") == second and values.get("two", False) == two
        )
    except (StoreError, KeyError, TypeError, ValueError, AttributeError):
        reasons.append("header cannot be read")
        return None, reasons
    fired = (f"{event.clock}.{event.n}", event.rung, event.times) if type(event) is RungFired else (None, None, None)
    if not fits or fired != (deadline, rung, times):
        reasons.append("columns and header do not fit")
    return event, reasons


def _fits(envelope: bytes, commitment: bytes) -> bool:
    try:
        return sha256(open_envelope(envelope)).digest() == commitment
    except (StoreError, TypeError):
        return False


def _parsed(header: str) -> dict[str, Any]:
    """Return the JSON object of a header; ValueError when it is none."""
    values = decode_json(header)
    if type(values) is not dict:
        raise ValueError("no JSON object")
    return values


def _event_of(values: Mapping[str, Any], secret: Mapping[str, Any]) -> Event:
    """Return the event of a parsed header; KeyError, TypeError, ValueError or AttributeError when it is none.

    The slots are filled one by one: a proof reads a hundred thousand headers a second, and the dataclass' own `__init__` takes half
    of a header's time. What a later version wrote beside the known fields is passed over.
    """
    cls, required, plain, restored = _READERS[values["kind"]]
    if not required <= values.keys():
        raise KeyError("a field is missing")
    event: Event = _new(cls)
    get = values.get
    for fill, name, default in plain:
        fill(event, get(name, default))
    for fill, name, default, restore in restored:
        value = get(name)
        fill(event, default if value is None else restore(value))
    _fill_secret(event, secret)
    if (started := get("armed")) is not None:   # the clocks that a rung started: the record has the rest of what they say
        shared = {"case": values["case"], "seq": values["seq"], "at": values["at"], "by": values["by"], "kind": ClockArmed.kind}
        _fill_armed(event, tuple(_event_of({**one, **shared}, _CLOSED) for one in started))
    return event


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadInput("A text holds half a character (a lone surrogate) and cannot be kept.",
                       way_out="Type that text anew.") from None


# ---- the shape of each kind of event ----------------------------------------------------------------------------

# What one command wrote has one time, so that the same few texts come again and again.
_instant_of, _micros_of = lru_cache(4096)(datetime.fromisoformat), lru_cache(4096)(micros)
_tier_of, _risk_of = {str(tier): tier for tier in Tier}.__getitem__, {str(risk): risk for risk in Risk}.__getitem__

# An annotation that is not listed stops the import: a new kind of field has to be thought of here.
_BY_ANNOTATION: dict[str, Callable[[Any], Any] | None] = {
    "str": None, "str | None": None, "int": None, "int | None": None, "bool": None,
    "Tier": _tier_of, "Tier | None": _tier_of, "Risk": _risk_of, "Risk | None": _risk_of,
    "datetime": _instant_of, "datetime | None": _instant_of,
    "tuple[ClockArmed, ...] | None": None,  # restored with the record that has the rest of it
    "tuple[str, ...]": tuple, "tuple[tuple[str, str], ...]": lambda pairs: tuple(map(tuple, pairs)),
}


_new = object.__new__
_fill_secret = Event.__dict__["secret"].__set__
_fill_armed = RungFired.__dict__["armed"].__set__

Fill = Callable[[Event, Any], None]
Reader = tuple[type[Event], frozenset[str], tuple[tuple[Fill, str, Any], ...], tuple[tuple[Fill, str, Any, Callable[[Any], Any]], ...]]


def _reader_of(cls: type[Event]) -> Reader:
    """Return how a header of this kind becomes an event: the keys it must have, the plain fields, those that need a type of ours.

    A header leaves out what is None; a field that came to an old kind later has its default instead.
    """
    required, plain, restored = set(), [], []
    for field in fields(cls):
        if field.name == "secret":
            continue
        fill = getattr(cls, field.name).__set__   # a slot
        default = None if field.default is MISSING else field.default
        if field.default is MISSING and "None" not in str(field.type):
            required.add(field.name)
        restore = _BY_ANNOTATION[str(field.type)]
        if restore is None:
            plain.append((fill, field.name, default))
        else:
            restored.append((fill, field.name, default, restore))
    return cls, frozenset(required), tuple(plain), tuple(restored)


_READERS = {kind: _reader_of(cls) for kind, cls in EVENTS.items()}
