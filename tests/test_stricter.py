"""A policy that the loader accepts as stricter never gives a later due time, a lower level or fewer people than its base."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine.almanac import published_calendar
from crisis_engine.core.calendar import parse_offset
from crisis_engine.core.deadline import Steps, budget
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.model import Risk, Tier
from crisis_engine.core.order import DEEPER, LADDER, LONGER, ORDERS, SHORTER, Verdict, lines_of
from crisis_engine.core.parse_policy import DEPTHS, parse_policy
from crisis_engine.core.policy import ClockRule, Policy, Rung
from crisis_engine.core.stricter import OVERRIDABLE, check_stricter, extend
from crisis_engine.definitions import load_policy_doc
from tests.test_policy import HEAD, OWN, SAFETY, TRUST

DOC: dict[str, Any] = load_policy_doc("default_v1")
BASE = parse_policy(DOC, "default_v1.toml")
CALENDAR = published_calendar()
RISKS = tuple(risk.value for risk in Risk)
ROLES = ("tier_holder", "vice_principal", "counselor", "leading_group", "class_teacher", "grade_head", "school_duty")


def extended(own: Mapping[str, Any]) -> Policy:
    found = parse_policy(extend(DOC, {**HEAD, **own}, OWN), OWN)
    check_stricter(BASE, found, OWN)
    return found


# ---- every key that may be written has an order ---------------------------------------------------------------------------------


def changed_keys(doc: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Return every key of a complete policy with a document that overrides it by itself, value for value."""
    found: list[tuple[str, dict[str, Any]]] = []
    for table, keys in doc.items():
        if table in HEAD or table in {"for", "label"} or not isinstance(keys, dict):
            continue
        for key, value in keys.items():
            if table == "clock":
                found += [(f"clock.{key}.{inner}", {"clock": {key: {inner: value[inner], **TRUST}}})
                          for inner in value if inner not in {"source", "mark"}]
            elif key not in {"source", "mark"}:
                found.append((f"{table}.{key}", {table: {key: value, **TRUST}}))
    return found


def has_order(key: str) -> bool:
    parts = key.split(".")
    return any(
        all(mine in {"*", given_} for mine, given_ in zip(pattern.split("."), parts, strict=False)) for pattern in ORDERS
    )


@pytest.mark.parametrize(("key", "own"), changed_keys(DOC), ids=[key for key, _ in changed_keys(DOC)])
def test_a_key_without_an_order_cannot_be_overridden_even_with_the_same_value(key: str, own: dict[str, Any]) -> None:
    if has_order(key):
        assert extended(own).clocks == BASE.clocks or key.startswith("clock.")
        return
    with pytest.raises(DefinitionError) as caught:
        extended(own)
    assert key.startswith(caught.value.key)
    assert "only be stricter" in caught.value.way_out or "stricter" in str(caught.value)


def test_every_order_stands_for_lines_of_the_policy_and_every_line_has_an_order() -> None:
    keys = [line.key for line in lines_of(BASE)]
    assert all(has_order(key) for key in keys)
    assert {pattern for pattern in ORDERS if not any(has_order_of(pattern, key) for key in keys)} == set()
    assert {key.partition(".")[0] for key in keys} == set(OVERRIDABLE)


def has_order_of(pattern: str, key: str) -> bool:
    return all(mine in {"*", given_} for mine, given_ in zip(pattern.split("."), key.split("."), strict=False))


def test_the_words_of_a_cue_of_the_base_cannot_be_changed() -> None:
    with pytest.raises(DefinitionError, match="the words of a cue have no order") as caught:
        extended({"cue": {"means": {"label": {"zh": "没什么", "en": "nothing much"}}, **TRUST}})
    assert caught.value.key == "cue.means.label"


@pytest.mark.parametrize(("ladder", "key", "word"), [
    ([*DOC["ladder"]["safety"][:3], {"at": "7d", "raise": "city"}, DOC["ladder"]["safety"][3]], "ladder.safety[5]", "begins later"),
    ([{"at": "0m", "raise": "school", "tell": ["vice_principal"], "move": "merge"}, *DOC["ladder"]["safety"][1:]],
     "ladder.safety[1].move", "does not make then"),
])
def test_a_longer_or_a_moving_ladder_is_not_a_stricter_one(ladder: list[Any], key: str, word: str) -> None:
    with pytest.raises(DefinitionError, match=word) as caught:
        extended({"ladder": {"safety": ladder, **TRUST}})
    assert (caught.value.file, caught.value.key) == (OWN, key)


@pytest.mark.parametrize(("clock", "remind"), [
    ("acknowledge", ["-3h"]),                  # before the clock of a red case begins: nobody is reminded of it any more
    ("acknowledge", ["-10h"]),                 # of none
    ("assessment", ["25%"]), ("triage", ["50%", "-20h"]),
])
def test_a_reminder_that_never_comes_is_not_an_earlier_one(clock: str, remind: list[str]) -> None:
    with pytest.raises(DefinitionError, match="remind") as caught:
        extended({"clock": {clock: {"remind": remind, **TRUST}}})
    assert (caught.value.file, caught.value.key) == (OWN, f"clock.{clock}.remind")


def test_a_budget_that_ends_before_the_reminder_of_the_base_needs_none() -> None:
    assert extended({"clock": {"acknowledge": {"within": "4m", **TRUST}}}).clocks["acknowledge"].remind == ("-5m",)


@pytest.mark.parametrize(("name", "ladder"), [
    ("first_word", [{"at": "0m", "raise": "city"}, {"every": "2h", "tell": ["tier_holder"]}]),
    ("paper", [{"at": "0m", "raise": "city", "tell": ["tier_holder"]}, {"every": "7d", "tell": ["tier_holder"]}]),
])
def test_one_rung_does_not_stand_for_several(name: str, ladder: list[Any]) -> None:
    with pytest.raises(DefinitionError, match="fewer rungs") as caught:
        extended({"ladder": {name: ladder, **TRUST}})
    assert caught.value.key == f"ladder.{name}[2]"


def test_two_values_are_the_same_stricter_looser_or_unlike() -> None:
    clocks = BASE.clocks
    hours, days = clocks["triage"].within[Risk.RED], clocks["county_review"].within[Risk.RED]
    longer = clocks["triage"].within[Risk.BLUE]
    assert SHORTER.compare(hours, hours) is Verdict.SAME
    assert SHORTER.compare(hours, longer) is Verdict.STRICTER
    assert LONGER.compare(hours, longer) is Verdict.LOOSER
    assert SHORTER.compare(hours, days) is Verdict.UNLIKE
    assert DEEPER.compare(DEPTHS[2], DEPTHS[0]) is Verdict.STRICTER
    assert LADDER.compare(BASE.ladders["safety"], BASE.ladders["work"]) is Verdict.STRICTER
    assert LADDER.compare(BASE.ladders["safety"], BASE.ladders["above"]) is Verdict.UNLIKE


# ---- whatever is accepted keeps the promise -------------------------------------------------------------------------------------


def spans(*, days: bool = False) -> st.SearchStrategy[str]:
    wall = st.sampled_from(["1m", "5m", "10m", "30m", "60m", "1h", "2h", "4h", "24h", "1d", "48h", "3d", "7d", "14d", "21d", "60d", "180d"])
    return st.one_of(wall, st.sampled_from(["1wd", "2wd", "3wd", "5wd", "10wd"])) if days else wall


def by_risk(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(RISKS), values, min_size=1, max_size=5)


@st.composite
def rungs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """A ladder of the base with a few things changed: what a county would do to it, and what it should not get away with."""
    ladder = [dict(rung) for rung in DOC["ladder"][draw(st.sampled_from(sorted(BASE.ladders)))]]
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(ladder) - 1))
        rung = ladder[place]
        match draw(st.sampled_from(["at", "every", "raise", "tell", "untell", "drop", "add", "alarm"])):
            case "at" if "at" in rung:
                rung["at"] = draw(spans())
            case "every" if "every" in rung:
                rung["every"] = draw(spans())
            case "raise":
                rung["raise"] = draw(st.sampled_from(["class", "school", "county", "city", "next"]))
            case "tell":
                rung["tell"] = sorted({*rung.get("tell", ()), draw(st.sampled_from(ROLES))})
            case "untell":
                rung["tell"] = list(rung.get("tell", ()))[1:]
            case "drop" if len(ladder) > 1:
                del ladder[place]
            case "add":
                ladder.insert(-1, {"at": draw(spans()), "raise": draw(st.sampled_from(["school", "county", "city"]))})
            case "alarm":
                rung["alarm"] = draw(st.booleans())
            case _:
                pass
    return ladder


@st.composite
def clocks(draw: st.DrawFn) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from(sorted(BASE.clocks)), max_size=3, unique=True)):
        days = name in {"county_review", "city_evaluation", "confirm_end"}
        possible = {
            "within": st.one_of(spans(days=days), by_risk(spans(days=days))), "again": st.one_of(spans(), by_risk(spans())),
            "cap": by_risk(spans()),
            "remind": st.lists(st.sampled_from(["25%", "50%", "75%", "-5m", "-15m", "-1h", "-3h", "-4h", "-10h", "-2d"]), unique=True),
        }
        found[name] = {**TRUST, **{key: draw(possible[key]) for key in draw(st.sets(st.sampled_from(sorted(possible)), max_size=2))}}
    return found


@st.composite
def overrides(draw: st.DrawFn) -> dict[str, Any]:
    tables = {
        "clock": clocks(),
        "ladder": st.dictionaries(st.sampled_from(sorted(BASE.ladders)), rungs(), min_size=1, max_size=1),
        "cue": st.dictionaries(st.sampled_from(sorted(BASE.cues)), st.fixed_dictionaries({"floor": st.sampled_from(RISKS)}), max_size=1),
        "hold": by_risk(spans()),
        "pause": by_risk(spans()),
        "terminal": st.fixed_dictionaries({"every": spans()}),
        "closure": st.fixed_dictionaries({}, optional={
            "by_peak": by_risk(st.sampled_from(DEPTHS)), "sample": by_risk(st.integers(0, 100)), "stable_for": by_risk(spans()),
        }),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(tables)), min_size=1, max_size=2))
    return {name: draw(tables[name]) | ({} if name == "clock" else TRUST) for name in sorted(chosen)}


def told(policy: Policy, clock: str, risk: Risk, after: timedelta) -> tuple[int, set[str], bool, int]:
    """Return what the ladder has done so long after the due time, by the engine's own plan: height, roles, alarm, how often in all."""
    steps = Steps.of(policy, clock, risk)
    due = datetime(2026, 3, 2, tzinfo=UTC)
    first = len(steps.remind)
    height, roles, alarm, many = 0, set(), False, 0

    def take(rung: Rung | None) -> None:
        nonlocal height, alarm
        assert rung is not None
        height = max(height, Tier(rung.raise_to).rank if rung.raise_to and rung.raise_to != "next" else 0)
        roles.update({*rung.tell, *(["the next level"] if rung.raise_to == "next" else [])})
        alarm = alarm or rung.alarm

    for step in range(first, steps.last + 1):
        if steps.at(step, due, due) <= due + after:
            take(steps.rung(step))
            many += step < steps.last
    every = steps.ladder[-1].every
    assert every is not None
    begins = steps.at(steps.last, due, due) - due
    many += 0 if begins > after else 1 + (after - begins) // every.wall
    return height, roles, alarm, many


def reminded(rule: ClockRule, begins: datetime, due: datetime, until: datetime) -> int:
    """Return how many reminders of a clock come before an instant."""
    return sum(1 for text in rule.remind if begins < parse_offset(text).at(begins, due) < until)


@settings(max_examples=400)
@given(own=overrides(), start=st.datetimes(datetime(2026, 1, 5), datetime(2026, 10, 1)), hours=st.integers(0, 24 * 40))  # noqa: DTZ001 (made aware below)
def test_no_accepted_policy_is_later_lower_or_tells_fewer(own: dict[str, Any], start: datetime, hours: int) -> None:
    try:
        policy = extended(own)
    except DefinitionError as error:
        assert (error.file, bool(error.key)) == (OWN, True)  # noqa: PT017 (to be refused is fine, without a place is not)
        return
    now, unit = start.replace(tzinfo=UTC), "xinyang/shihe/no-3"
    for name, base_rule in BASE.clocks.items():
        rule = policy.clocks[name]
        for risk in Risk:
            for again in (False, True):
                mine, other = (
                    budget(one, risk, now, CALENDAR, unit, again=again, dismissal="17:30").at for one in (rule, base_rule)
                )
                assert mine <= other, f"{name} {risk}"
                assert reminded(rule, now, mine, mine) >= reminded(base_rule, now, other, mine), f"{name} {risk}"
            after = timedelta(hours=hours)
            height, roles, alarm, many = told(policy, name, risk, after)
            base_height, base_roles, base_alarm, base_many = told(BASE, name, risk, after)
            assert height >= base_height
            assert roles >= base_roles
            assert alarm >= base_alarm
            assert many >= base_many
    for risk in Risk:
        assert policy.hold[risk] <= BASE.hold[risk]
        assert policy.pause[risk] <= BASE.pause[risk]
        assert policy.stable_for[risk] >= BASE.stable_for[risk]
        assert DEPTHS.index(policy.closure_by_peak[risk]) >= DEPTHS.index(BASE.closure_by_peak[risk])
        assert policy.sample.get(risk, 0) >= BASE.sample.get(risk, 0)
    assert policy.cues.keys() >= BASE.cues.keys()
    assert all(policy.cues[name].floor.rank >= cue.floor.rank for name, cue in BASE.cues.items())
    assert policy.terminal_every <= BASE.terminal_every
    assert policy.holder == BASE.holder
    assert policy.instead == BASE.instead


def test_the_sequences_above_reach_both_accepted_and_refused_policies() -> None:
    assert extended({"ladder": {"safety": DOC["ladder"]["safety"], **TRUST}}).ladders == BASE.ladders
    with pytest.raises(DefinitionError):
        extended({"ladder": {"safety": SAFETY, **TRUST}})
