"""The daemon's rules alone: when it wakes, whether it believes the clock, who steps aside, how large a batch is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crisis_engine.daemon.pace import LARGEST, SMALLEST, TARGET, next_size
from crisis_engine.daemon.rule import (
    ABSENCE,
    ALIVE,
    BREATH,
    GRACE,
    KEPT_SILENT,
    LEAP,
    STEP,
    Anchor,
    first_anchor,
    forgotten,
    is_off,
    look,
    others_living,
    period_of,
    place_among,
    rest,
    steps_aside,
)
from crisis_engine.daemon.vitals import Vitals
from crisis_engine.store.daemon import Living

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)
SECOND, HOUR = timedelta(seconds=1), timedelta(hours=1)
ORDER = ("0001", "0006", "0008")
spans = st.timedeltas(min_value=timedelta(days=-9_000), max_value=timedelta(days=9_000))


def living(name: str, **changed: object) -> Living:
    one = Living(name, "host", 1, "0.1.0", "0008", "a" * 16, NOW, NOW, NOW)
    return replace(one, **changed)  # type: ignore[arg-type]  # each test names fields of Living


# ---- when to wake -------------------------------------------------------------------------------------------------------------


def test_it_sleeps_to_the_next_thing_due_but_never_past_the_next_look() -> None:
    assert rest(NOW, NOW + timedelta(seconds=0.12), poll=0.2) == pytest.approx(0.12)
    assert rest(NOW, NOW + HOUR, poll=0.2) == 0.2
    assert rest(NOW, None, poll=0.2) == 0.2


def test_what_is_due_already_waits_for_a_breath_so_that_it_comes_with_its_neighbours() -> None:
    assert rest(NOW, NOW - HOUR, poll=0.2) == BREATH


def test_what_could_not_be_written_is_not_tried_without_end() -> None:
    assert rest(NOW, NOW - HOUR, poll=0.2, idle=True) >= 1


def test_a_second_daemon_leaves_what_is_due_to_the_first_for_a_second() -> None:
    assert rest(NOW, NOW, poll=5.0, grace=GRACE) == 1.0
    assert rest(NOW, NOW - 2 * SECOND, poll=5.0, grace=GRACE) == BREATH


@given(spans, st.floats(0.1, 60))
def test_it_never_sleeps_longer_than_until_the_next_look(ahead: timedelta, poll: float) -> None:
    assert BREATH <= rest(NOW, NOW + ahead, poll=poll) <= max(poll, BREATH)


# ---- the clock ------------------------------------------------------------------------------------------------------------------


def test_a_clock_that_runs_is_believed_and_did_not_step() -> None:
    assert look(Anchor(NOW, 100.0), NOW + HOUR, 3_700.0) == (timedelta(), True)


@pytest.mark.parametrize("off", [timedelta(hours=-1), timedelta(seconds=-5), timedelta(seconds=5), timedelta(hours=20)])
def test_a_step_of_five_seconds_is_told_and_believed(off: timedelta) -> None:
    assert look(Anchor(NOW, 0.0), NOW + HOUR + off, 3_600.0) == (off, True)


def test_less_is_no_step() -> None:
    assert look(Anchor(NOW, 0.0), NOW + STEP - SECOND, 0.0).step == timedelta()


def test_a_clock_that_is_years_ahead_is_not_believed() -> None:
    assert not look(Anchor(NOW, 0.0), NOW + timedelta(days=1_500), 60.0).believed


def test_a_day_that_the_stopwatch_saw_pass_is_no_leap() -> None:
    assert look(Anchor(NOW, 0.0), NOW + timedelta(days=40), 40 * 86_400.0).believed


def test_another_machines_clock_or_an_operators_word_makes_a_leap_believed() -> None:
    later = NOW + timedelta(days=400)
    assert look(Anchor(NOW, 0.0), later, 60.0, witness=later + SECOND).believed
    assert look(Anchor(NOW, 0.0), later, 60.0, confirmed=later - timedelta(minutes=3)).believed
    assert not look(Anchor(NOW, 0.0), later, 60.0, witness=NOW).believed
    assert not look(Anchor(NOW, 0.0), later, 60.0, confirmed=later - timedelta(days=3)).believed, "an old word is none"


def test_after_a_holiday_without_a_daemon_the_clock_is_believed_and_after_a_year_it_is_not() -> None:
    first = first_anchor(NOW, NOW + timedelta(days=20), 5.0)
    assert look(first, NOW + timedelta(days=20), 5.0) == (timedelta(), True)
    assert not look(first, NOW + timedelta(days=400), 5.0).believed
    assert look(first, NOW - HOUR, 5.0) == (-HOUR, True), "no time is before the last round: the clock was set back"


def test_a_new_database_knows_no_better_than_the_clock() -> None:
    assert look(first_anchor(None, NOW, 5.0), NOW, 5.0) == (timedelta(), True)


@given(spans, st.floats(0, 1e6), st.booleans())
def test_nothing_is_ever_believed_beyond_the_leap_without_a_witness(off: timedelta, mono: float, measured: bool) -> None:  # noqa: FBT001 (drawn)
    anchor = Anchor(NOW, 0.0, measured=measured)
    seen = look(anchor, anchor.expected(mono) + off, mono)
    assert seen.believed == (off <= (LEAP if measured else ABSENCE))


@pytest.mark.parametrize(("off", "found"), [(0.0, False), (1.9, False), (2.0, True), (-2.5, True)])
def test_two_seconds_from_the_database_nobody_sweeps(off: float, found: bool) -> None:  # noqa: FBT001 (a parameter)
    assert is_off(NOW, NOW + timedelta(seconds=off)) is found
    assert not is_off(NOW, None)


# ---- several ----------------------------------------------------------------------------------------------------------------------


def test_only_those_that_showed_life_lately_count() -> None:
    found = others_living("me", [living("me"), living("b"), living("dead", beat_at=NOW - ALIVE)], NOW)
    assert [one.id for one in found] == ["b"]


def test_an_older_schema_steps_aside_and_so_do_older_definitions() -> None:
    me = living("me")
    assert steps_aside(me, [living("b")], ORDER) == ""
    assert steps_aside(me, [living("b", revision="0006")], ORDER) == ""
    assert steps_aside(me, [living("b", revision="0099")], ORDER) == "schema"
    assert steps_aside(me, [living("b", definitions="b" * 16, definitions_at=NOW + SECOND)], ORDER) == "definitions"


@pytest.mark.parametrize("idle", [
    {"state": "apart"}, {"state": "clock"}, {"state": "schema"},
    {"round_at": NOW + HOUR},                                        # its rounds begin, and none ever ended well
    {"round_at": NOW + 2 * HOUR, "success_at": NOW + HOUR},
])
def test_nobody_steps_aside_for_one_that_does_not_sweep(idle: dict[str, object]) -> None:
    newer = living("b", revision="0099", definitions_at=NOW + SECOND)
    assert steps_aside(living("me"), [newer], ORDER) == "schema"
    assert steps_aside(living("me"), [replace(newer, **idle)], ORDER) == ""  # type: ignore[arg-type]  # fields of Living
    assert steps_aside(living("me"), [replace(newer, round_at=NOW + HOUR, success_at=NOW)], ORDER) == ""
    assert steps_aside(living("me"), [replace(newer, round_at=NOW + HOUR, success_at=NOW + HOUR - SECOND)], ORDER) == "schema"


@given(st.lists(st.tuples(st.sampled_from([*ORDER, "0099"]), st.integers(0, 3)), min_size=1, max_size=6))
def test_of_any_number_of_daemons_never_all_step_aside(kinds: list[tuple[str, int]]) -> None:
    all_of_them = [living(str(n), revision=revision, definitions_at=NOW + at * SECOND) for n, (revision, at) in enumerate(kinds)]
    aside = [steps_aside(one, [other for other in all_of_them if other is not one], ORDER) for one in all_of_them]
    assert "" in aside


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["working", "clock"])), min_size=1, max_size=6))
def test_daemons_that_see_each_other_agree_on_their_places(kinds: list[tuple[int, str]]) -> None:
    all_of_them = [living(str(n), started_at=NOW + at * SECOND, state=state) for n, (at, state) in enumerate(kinds)]
    working = [one for one in all_of_them if one.state == "working"]
    places = [place_among(one, [other for other in all_of_them if other is not one]) for one in working]
    assert sorted(places) == [(k, len(working)) for k in range(len(working))]


def test_periods_follow_chinas_calendar() -> None:
    late = datetime(2026, 12, 31, 17, 30, tzinfo=UTC)   # 01:30 of New Year's Day in China
    assert period_of("housekeeping", late) == "2027-01-01"
    assert period_of("seal", late) == "2027-01-01T01"
    assert period_of("digest.weekly", late) == "2026-W53"


# ---- pace and vitals --------------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(-100, 100_000), max_size=60))
def test_the_rows_of_living_daemons_are_never_forgotten_and_of_silent_ones_the_latest_are_kept(ages: list[int]) -> None:
    known = [living(f"d{place}", beat_at=NOW - age * SECOND) for place, age in enumerate(ages)]
    gone = set(forgotten("d0", known, NOW))
    kept = [one for one in known if one.id not in gone]
    silent = [one for one in kept if abs(NOW - one.beat_at) >= ALIVE and one.id != "d0"]
    assert not gone & {"d0", *(one.id for one in others_living("d0", known, NOW))}
    assert len(silent) <= KEPT_SILENT
    assert not gone or len(silent) == KEPT_SILENT
    assert max((one.beat_at for one in known if one.id in gone), default=NOW - 10**6 * SECOND) <= min(
        (one.beat_at for one in silent), default=NOW + 10**6 * SECOND)


@given(st.integers(SMALLEST, LARGEST), st.integers(1, LARGEST), st.floats(0, 100))
def test_a_batch_never_grows_more_than_twofold_and_never_vanishes(size: int, wrote: int, took: float) -> None:
    assert SMALLEST <= next_size(size, wrote, took) <= max(SMALLEST, min(2 * size, LARGEST))


def test_a_slow_batch_is_followed_by_one_that_fits() -> None:
    assert next_size(LARGEST, LARGEST, 4 * TARGET) == LARGEST // 4


def test_a_round_that_does_not_come_further_is_found_and_one_that_does_is_not() -> None:
    vitals = Vitals()
    with vitals.at_work("sweep"):
        assert vitals.stuck(60) == ""
        vitals.running["sweep"] -= 61
        assert vitals.stuck(60) == "sweep"
        vitals.moved("sweep")
        assert vitals.stuck(60) == ""
    assert vitals.running == {}


def test_it_says_why_nobody_should_rely_on_it() -> None:
    vitals = Vitals()
    assert vitals.unready(60) == "no round"
    vitals.succeeded = vitals.mono
    assert vitals.unready(60) == ""
    vitals.state = "clock"
    assert vitals.unready(60) == "clock"
    vitals.lost = vitals.mono
    assert vitals.unready(60) == "database"
