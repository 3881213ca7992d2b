"""The log's records: every kind of event survives its canonical form, and every flipped byte is named."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from hashlib import sha256
from typing import Any, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.core.errors import BadInput, StoreError
from crisis_engine.core.events import EVENTS, ClockArmed, Event, FactSet, Moved, RungFired
from crisis_engine.core.model import Risk, Tier
from crisis_engine.store.header import canonical, header_of
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.record import (
    GENESIS,
    HASH,
    RawRecord,
    decode,
    envelope_of,
    flaws,
    hash_of,
    open_envelope,
    row_of,
)

NOW = datetime(2026, 3, 2, 0, 15, tzinfo=UTC)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=8))])
INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1), timezones=ZONES)  # noqa: DTZ001 (bounds go without a zone)
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=8)
WHOLE = st.integers(-(2**53) + 1, 2**53 - 1)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | WHOLE | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)
BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT, int: st.integers(0, 10**6), bool: st.booleans(), datetime: INSTANTS,
    Tier: st.sampled_from(Tier), Risk: st.sampled_from(Risk),
    tuple[str, ...]: st.lists(TEXT, max_size=3).map(tuple),
    tuple[tuple[str, str], ...]: st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    Mapping[str, Any]: st.dictionaries(NAMES, JSON_VALUES, max_size=3),
    tuple[ClockArmed, ...]: st.nothing(),   # of its own rung alone: see `rungs`
}


def events_of(cls: type[Event]) -> st.SearchStrategy[Event]:
    """Any event of a kind: each field by its type, None where it may be."""
    def of(hint: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 (a type)
        if hint in BY_TYPE:
            return BY_TYPE[hint]
        return st.none() | BY_TYPE[next(part for part in hint.__args__ if part is not type(None))]

    return st.builds(cls, **{name: of(hint) for name, hint in get_type_hints(cls).items() if name != "kind"})


@st.composite
def rungs(draw: st.DrawFn) -> Event:
    """A rung that started some clocks: they bear its own case, seq, time and maker."""
    rung = draw(events_of(RungFired))
    armed = draw(st.lists(events_of(ClockArmed), min_size=1, max_size=2))
    same: dict[str, Any] = {"case": rung.case, "seq": rung.seq, "at": rung.at, "by": rung.by, "secret": {}}
    return replace(rung, armed=tuple(replace(one, **same) for one in armed))  # type: ignore[call-arg]  # a RungFired has it


EVENT = rungs() | st.sampled_from(sorted(set(EVENTS) - {"rung_fired"})).flatmap(lambda kind: events_of(EVENTS[kind]))


def raw(event: Event, prev: bytes = GENESIS) -> RawRecord:
    """The record of an event as it comes back from the database."""
    _, *values = row_of(event, 1, micros(event.at), prev)
    return RawRecord(event.case, *values)


def fired() -> RungFired:
    """An invented rung."""
    return RungFired(case="AAA-111", seq=1, at=NOW, by="engine", clock="contact", n=2, rung=1, times=0, next_rung=2, next_times=0,
                     next_at=NOW + timedelta(hours=2), told=(("county", "county_officer"),), tier=Tier.COUNTY, secret={"word": "秘密"})


@given(EVENT)
def test_every_kind_of_event_comes_back_equal_with_its_types(event: Event) -> None:
    row = row_of(event, 1, 0, GENESIS)
    back = decode(row[7], row[9])
    assert back == event
    assert [type(getattr(back, name)) for name in back.__dataclass_fields__ if name != "secret"] == [
        type(getattr(event, name)) for name in back.__dataclass_fields__ if name != "secret"
    ]


@given(EVENT)
def test_a_header_is_canonical_and_holds_no_secret(event: Event) -> None:
    row = row_of(event, 1, 0, GENESIS)
    header = json.loads(row[7])
    assert row[7] == json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert "secret" not in header
    assert None not in header.values()
    assert row[HASH] == sha256(GENESIS + row[7].encode()).digest() == hash_of(GENESIS, row[7])


@given(EVENT)
def test_a_whole_record_has_no_flaw(event: Event) -> None:
    assert list(flaws(raw(event), GENESIS, event.seq)) == []


@given(JSON_VALUES)
def test_canonical_text_is_the_standard_encoders(value: object) -> None:
    assert canonical(value) == json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_control_characters_and_chinese_are_written_as_rfc_8785_says() -> None:
    assert canonical({"b": "\u20ac$\u000f\nA'B\"\\\\\"/", "a": "危机"}) == '{"a":"危机","b":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'


@pytest.mark.parametrize("value", [1.0, {"a": [0.5]}, float("nan"), 2**53, {"年龄": 1}, {1: "a"}, {"at": NOW}, {"a": {"b"}}, b"x"])
def test_what_two_readers_could_write_differently_is_refused(value: object) -> None:
    with pytest.raises(BadInput):
        canonical(value)


def test_a_float_and_a_naive_time_cannot_enter_a_header() -> None:
    fact = FactSet(case="AAA-111", seq=1, at=NOW, by="p-1", name="n", value="v")
    for broken in (replace(fact, value=0.5), replace(fact, at=NOW.replace(tzinfo=None)), replace(fact, value=["x"])):  # type: ignore[arg-type]
        with pytest.raises(BadInput):
            header_of(broken, None, GENESIS)


def test_half_a_character_is_refused_with_a_way_out() -> None:
    with pytest.raises(BadInput, match="Type that text anew"):
        envelope_of({"facts": "\ud83d"})


def test_two_envelopes_of_one_secret_do_not_look_alike() -> None:
    one, other = envelope_of({"facts": "x"}), envelope_of({"facts": "x"})
    assert one != other
    assert json.loads(open_envelope(one[1])[16:]) == json.loads(open_envelope(other[1])[16:]) == {"facts": "x"}
    assert sha256(open_envelope(one[1])).digest() == one[0]


def test_an_envelope_of_a_later_kind_is_refused_and_not_misread() -> None:
    with pytest.raises(StoreError):
        open_envelope(b"\x01" + bytes(40))


def test_a_redacted_secret_is_no_flaw() -> None:
    assert list(flaws(raw(fired())._replace(secret=None), GENESIS, 1)) == []


def flipped(part: bytes, at: int) -> bytes:
    """The same bytes with one bit changed."""
    return part[:at] + bytes([part[at] ^ 1]) + part[at + 1:]


@pytest.mark.parametrize("field", ["secret", "commitment", "prev", "hash"])
@pytest.mark.parametrize("at", [0, -1])
def test_a_flipped_byte_is_named(field: str, at: int) -> None:
    whole = raw(fired())
    stored = getattr(whole, field)
    change: dict[str, Any] = {field: flipped(stored, at % len(stored))}
    assert list(flaws(whole._replace(**change), GENESIS, 1))


def test_every_flipped_byte_of_a_header_is_named() -> None:
    whole = raw(fired())
    data = whole.header.encode()
    for at in range(len(data)):
        header = flipped(data, at).decode(errors="replace")
        assert "header and hash do not fit" in list(flaws(whole._replace(header=header), GENESIS, 1))


@pytest.mark.parametrize(
    "change",
    [{"kind": "moved"}, {"by": "p-9"}, {"at": 5}, {"number": "BBB-222"}, {"second": "p-9"}, {"two": True}, {"rung": 9}, {"times": 9}],
)
def test_a_column_that_tells_another_story_than_its_header_is_named(change: dict[str, Any]) -> None:
    assert list(flaws(raw(fired())._replace(**change), GENESIS, 1)) == ["columns and header do not fit"]


def test_a_gap_and_a_stranger_before_are_named() -> None:
    assert list(flaws(raw(fired()), GENESIS, 2)) == ["the log jumps from 1 to 1"]
    assert list(flaws(raw(fired()), b"\x01" * 32, 1)) == ["does not follow the record before it"]


def test_a_record_without_a_field_that_came_later_has_the_fields_default() -> None:
    moved = Moved(case="AAA-111", seq=1, at=NOW, by="p-1", move="assess", origin="reported", to="assessing")
    header = json.loads(header_of(moved, None, GENESIS))
    del header["signal"]
    assert decode(canonical(header), None) == moved


@pytest.mark.parametrize("header", ["{}", "[]", "null", "x", '{"kind":"of_tomorrow"}', '{"kind":"opened","case":"A"}'])
def test_a_record_that_is_not_ours_is_a_store_error(header: str) -> None:
    with pytest.raises(StoreError):
        decode(header, None)


@given(INSTANTS)
def test_microseconds_keep_an_instant_exactly(at: datetime) -> None:
    assert instant(micros(at)) == at
    assert instant(micros(at)).tzinfo is UTC


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(TypeError):
        micros(NOW.replace(tzinfo=None))
