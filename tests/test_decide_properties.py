"""Laws of the pure core under arbitrary worlds: what software alone can never do, and what no form lets through."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crisis_engine.almanac import published_calendar
from crisis_engine.core import events as ev
from crisis_engine.core import rung as rung_room
from crisis_engine.core.access import ENGINE, Actor
from crisis_engine.core.calendar import parse_span
from crisis_engine.core.case import Case
from crisis_engine.core.commands import Act, Open
from crisis_engine.core.deadline import Due, Steps, nearer
from crisis_engine.core.decide import decide_act, decide_again, decide_calendar, decide_due, decide_open, decide_presence
from crisis_engine.core.errors import BadInput, CrisisError
from crisis_engine.core.evolve import evolve
from crisis_engine.core.form import check_fields
from crisis_engine.core.model import RISKS, TIERS, Absence, Duty, Risk, Subject, Tier
from crisis_engine.core.pen import Pen
from crisis_engine.core.policy import Access, Rung
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.resolve import Found, Resolver, Roster
from crisis_engine.core.world import World
from crisis_engine.definitions import load_access, load_procedure
from crisis_engine.example import EXAMPLE_NOW, example_roster

CLASS = "xinyang/shihe/no-3/g7/c2"
CHILD = Subject("key-42", "stu-42", CLASS)
START = EXAMPLE_NOW.astimezone(UTC)
settings.register_profile("laws", deadline=None, derandomize=True, max_examples=150, database=None)
LAWS = settings.get_profile("laws")


@cache
def procedure() -> Procedure:
    return load_procedure("school_crisis_v1", "xinyang_v1")


@cache
def access() -> Access:
    return load_access()


@cache
def roster() -> Roster:
    example, duties = example_roster(), defaultdict[str, list[Duty]](list)
    for duty in example.duties:
        duties[duty.unit].append(duty)
    return Roster({unit.id: unit for unit in example.units}, {unit: tuple(held) for unit, held in duties.items()}, {})


STAFF = (
    "p-11", "p-17", "p-21", "p-31", "p-32", "p-33", "p-34", "p-35", "p-36", "p-37", "p-38", "p-39", "p-101", "p-102", "p-103", "p-3", "p-4",
    "p-7", "p-8")
MOVES = st.sampled_from(sorted(procedure().workflow.moves))
STAGES = st.sampled_from([stage.name for stage in procedure().workflow.stages.values() if stage.final is None])
AWAY = st.frozensets(st.sampled_from(STAFF), max_size=len(STAFF))
CUES = st.lists(st.sampled_from(sorted(procedure().policy.cues)), max_size=2, unique=True)
LATER = st.sampled_from([1, 5, 30, 60, 240, 60 * 24, 60 * 24 * 8, 60 * 24 * 40]).map(lambda minutes: timedelta(minutes=minutes))


def world(now: datetime, by: str, case: Case | None = None, away: frozenset[str] = frozenset(), proc: Procedure | None = None) -> World:
    held = tuple(duty for duties in roster().duties.values() for duty in duties if duty.person == by)
    absences = {person: (Absence(person, START - timedelta(days=1), START + timedelta(days=9_999)),) for person in away}
    resolver = Resolver(replace(roster(), absences=absences), access(), published_calendar(), now)
    return World(now=now, actor=Actor(by, held), procedure=proc or procedure(), resolver=resolver, case=case, number="AAA-BBB-CCC",
                 subject=CHILD)


def opened(by: str = "p-33", cues: list[str] | None = None, proc: Procedure | None = None, **fields: object) -> Pen:
    return decide_open(world(START, by, proc=proc), Open(CLASS, CHILD.id, {"facts": "示例", "cues": cues or [], **fields})).pens[0]


def standing_at(stage: str, cues: list[str], by: str) -> Case:
    """Return a case that came to a stage in somebody's hands: closure and ending were asked for, and every clock of the stage runs."""
    case = opened(cues=cues).case
    for move, to in (("assess", stage), ("request_closure", stage), ("request_end", stage), ("county_agree", stage)):
        case = evolve(case, ev.Moved(case=case.number, seq=case.version + 1, at=case.last_at, by=by, move=move, origin=case.stage, to=to))
    return decide_presence(world(START, ENGINE, case)).case


# ---- software raises, people lower ----------------------------------------------------------------------------------


@LAWS
@given(cues=CUES, turns=st.lists(st.tuples(st.sampled_from([decide_due, decide_presence, decide_calendar]), LATER, AWAY), max_size=12))
def test_nothing_that_software_does_by_itself_lowers_a_risk_or_a_tier_or_ends_a_case(
    cues: list[str], turns: list[tuple[Any, timedelta, frozenset[str]]],
) -> None:
    case, now = opened(cues=cues).case, START
    for decide, later, away in turns:
        now += later
        pen = decide(world(now, ENGINE, case, away))

        for event in pen.events:
            assert not isinstance(event, (ev.RiskLowered, ev.TierLowered, ev.DangerEnded)), event
            assert event.by == ENGINE, event
        assert pen.case.risk.rank >= case.risk.rank
        assert pen.case.tier.rank >= case.tier.rank
        assert pen.case.open
        assert pen.case.clocks
        case = pen.case


@settings(LAWS, max_examples=1_500)
@given(cues=CUES, stage=STAGES, asker=st.sampled_from(STAFF), later=LATER, by=st.sampled_from(STAFF), move=MOVES, seed=st.integers(0, 99))
def test_one_person_alone_never_lowers_a_high_risk_and_never_ends_a_case(
    cues: list[str], stage: str, asker: str, later: timedelta, by: str, move: str, seed: int,
) -> None:
    case = standing_at(stage, cues, asker)
    fields = {field.name: GOOD[field.type](seed) for field in procedure().workflow.moves[move].fields if field.type in GOOD}
    try:
        decision = decide_act(world(START + later, by, case), Act(move, fields))
    except CrisisError:
        return

    for pen in decision.pens:
        assert pen.case.open or pen.case.final == "merged" or len({pen.case.ended_by, pen.case.ended_second, None}) == 3
        assert pen.case.risk.rank >= case.risk.rank or case.risk not in {Risk.RED, Risk.ORANGE}


# ---- deciding changes nothing ---------------------------------------------------------------------------------------


@LAWS
@given(cues=CUES, stage=STAGES, away=AWAY, later=LATER, by=st.sampled_from(STAFF), move=MOVES, seed=st.integers(0, 99))
def test_deciding_leaves_the_case_the_fields_and_the_roster_as_they_were(
    cues: list[str], stage: str, away: frozenset[str], later: timedelta, by: str, move: str, seed: int,
) -> None:
    case = standing_at(stage, cues, by)
    fields = {field.name: GOOD[field.type](seed) for field in procedure().workflow.moves[move].fields if field.type in GOOD}
    for decide in (
        lambda here: decide_act(here, Act(move, fields)),
        lambda here: decide_again(here, Open(CLASS, CHILD.id, {"facts": "示例", "cues": cues, "danger_now": True})),
        decide_due, decide_presence, decide_calendar,
    ):
        here = world(START + later, by, case, away)
        before = deepcopy((here.case, fields, here.resolver.roster))
        with suppress(CrisisError):
            decide(here)
        assert (here.case, fields, here.resolver.roster) == before


# ---- a peer never gives a risk -----------------------------------------------------------------------------------------


@LAWS
@given(by=st.sampled_from(["p-71", "p-72", "p-73"]), danger=st.booleans())
def test_a_peers_word_carries_no_risk_and_no_tier_above_the_class(by: str, danger: bool) -> None:  # noqa: FBT001
    pen = opened(by, danger_now=danger)
    first = pen.events[0]

    assert isinstance(first, ev.Opened)
    assert (first.risk, first.tier, first.by) == (Risk.UNRATED, Tier.PEER, "reporter")
    assert "risk" not in first.secret
    assert not any(isinstance(event, ev.RiskRaised) for event in pen.events) or danger
    assert pen.case.answers_role != "peer"
    assert not any(by in notice.people for notice in pen.notices)


@pytest.mark.parametrize("name", ["risk", "tier", "stage", "second"])
def test_a_peer_who_adds_a_risk_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match=name):
        decide_open(world(START, "p-71"), Open(CLASS, CHILD.id, {"facts": "示例", name: "red"}))


# ---- rungs -------------------------------------------------------------------------------------------------------------


def _uneven() -> Procedure:
    """Return a procedure whose ladders have different lengths for different risks, the worst case for counting rungs."""
    policy = procedure().policy
    tail = policy.ladders["safety"][-1]
    long = (*(Rung(at=parse_span(f"{minutes}m")) for minutes in (0, 7, 9, 20, 50, 90)), tail)
    ladders = {**policy.ladders, "short": (tail,), "long": long}
    clocks = {
        name: replace(rule, ladder_by_risk={Risk.RED: "short", Risk.ORANGE: "long", Risk.YELLOW: rule.ladder, Risk.BLUE: "short"})
        for name, rule in policy.clocks.items()
    }
    return replace(procedure(), policy=replace(policy, ladders=ladders, clocks=clocks))


UNEVEN = _uneven()


@LAWS
@given(turns=st.lists(st.tuples(st.sampled_from([None, *RISKS[1:]]), LATER, AWAY), min_size=1, max_size=14))
def test_no_rung_fires_twice_under_any_changes_of_risk_and_absences(turns: list[tuple[Risk | None, timedelta, frozenset[str]]]) -> None:
    case, now = opened(proc=UNEVEN).case, START
    fired: set[tuple[str, int, int, int]] = set()
    for risk, later, away in turns:
        now += later
        pen = decide_due(world(now, ENGINE, case, away, UNEVEN))
        for event in pen.events:
            if isinstance(event, ev.RungFired):
                rung = (event.clock, event.n, event.rung, event.times)
                assert rung not in fired, rung
                assert (event.next_times, event.next_rung) > (event.times, event.rung)
                fired.add(rung)
        assert all(clock.next_at > now for clock in pen.case.clocks), "a rung is still due after all due rungs fired"
        case = pen.case
        if risk is not None and risk is not case.risk:
            kind = ev.RiskRaised if risk.rank > case.risk.rank else ev.RiskLowered
            case = evolve(case, kind(case=case.number, seq=case.version + 1, at=case.last_at, by="p-33", risk=risk))
            case = decide_presence(world(now, ENGINE, case, away, UNEVEN)).case


def _outcome(pen: Pen) -> object:
    """Return what a decision comes to, whatever the order in which it was written down."""
    case = pen.case
    return (
        case.tier, case.answers_role, case.answers_unit, case.answers, sorted(case.clocks, key=lambda clock: clock.key), case.armings,
        case.facts, [(notice.people, notice.what, notice.why, notice.due_at, notice.urgent) for notice in pen.notices],
    )


@LAWS
@given(
    cues=CUES, stage=STAGES, away=AWAY, recused=st.frozensets(st.sampled_from(STAFF), max_size=6), uneven=st.booleans(),
    turns=st.lists(st.tuples(LATER, AWAY), min_size=1, max_size=5),
)
def test_a_raise_that_keeps_its_clocks_in_its_own_record_comes_to_what_settling_alone_comes_to(
    cues: list[str], stage: str, away: frozenset[str], recused: frozenset[str], uneven: bool,  # noqa: FBT001
    turns: list[tuple[timedelta, frozenset[str]]],
) -> None:
    """The common case has a way of its own, at half the price: the same clocks run afterwards, and the same people heard the same."""
    proc, now = UNEVEN if uneven else procedure(), START
    case = decide_presence(world(now, ENGINE, replace(standing_at(stage, cues, "p-33"), recused=recused), away, proc)).case
    for later, gone in turns:
        now += later
        pen = decide_due(world(now, ENGINE, case, away | gone, proc))
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(rung_room, "armed_by_raise", lambda _pen, _answers: None)
            alone = decide_due(world(now, ENGINE, case, away | gone, proc))

        assert _outcome(pen) == _outcome(alone)
        assert all((clock.role, clock.unit, clock.holder) == (pen.case.answers_role, pen.case.answers_unit, pen.case.answers)
                   for clock in pen.case.clocks if clock.at_tier), "a clock that goes with the tier is not with whoever answers"
        case = pen.case


@LAWS
@given(minutes=st.integers(-10_000, 10_000), later=LATER, risk=st.sampled_from(RISKS), cues=CUES)
def test_nearer_never_moves_a_due_time_or_a_rung_further_away(minutes: int, later: timedelta, risk: Risk, cues: list[str]) -> None:
    now = START + later
    for clock in decide_due(world(now, ENGINE, opened(cues=cues).case)).case.clocks:
        due = Due(clock.due_at + timedelta(minutes=minutes))
        moved = nearer(clock, due, Steps.of(procedure().policy, clock.name, risk), now)

        assert (moved is None) == (due.at >= clock.due_at)
        if moved is not None:
            step, when = moved
            assert step >= clock.rung
            assert when <= max(clock.next_at, due.at), "a rung moved away"   # a reminder whose moment is past by now is left out


# ---- forms ----------------------------------------------------------------------------------------------------------------

GOOD: Mapping[str, Any] = {
    "text": lambda seed: "示例" * (seed % 3 + 1),
    "bool": lambda seed: seed % 2 == 0,
    "time": lambda seed: START + timedelta(minutes=seed * 37),
    "date": lambda seed: date(2026, 3, 2) + timedelta(days=seed),
    "risk": lambda seed: RISKS[1 + seed % 4],
    "tier": lambda seed: TIERS[seed % 6],
    "persons": lambda seed: [STAFF[(seed + place) % len(STAFF)] for place in range(3)],
    "cues": lambda seed: sorted(procedure().policy.cues)[: seed % 3],
    "choice": lambda _seed: "yes",
    "clock": lambda _seed: "assessment",
}
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=5) | st.datetimes() | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2), max_leaves=5,
)
FORMS = sorted((move.name, field.name) for move in procedure().workflow.moves.values() for field in move.fields)


@settings(LAWS, max_examples=600)
@given(which=st.sampled_from(FORMS), value=ANYTHING)
def test_a_form_lets_nothing_of_a_wrong_type_through(which: tuple[str, str], value: object) -> None:
    workflow, policy = procedure().workflow, procedure().policy
    move = workflow.moves[which[0]]
    field = next(each for each in move.fields if each.name == which[1])
    clean = None
    with suppress(BadInput):
        clean = check_fields(move, {field.name: value}, workflow, policy, partly=True)
    if clean is None:
        return

    if field.name not in clean:
        assert value in (None, "", [])
        return
    found = clean[field.name]
    choices = set(policy.cues if field.type == "cues" or field.of == "cue" else workflow.choices.get(field.of or "", {}))
    fits: Mapping[str, Callable[[], bool]] = {
        "bool": lambda: isinstance(found, bool),
        "risk": lambda: isinstance(found, Risk) and found is not Risk.UNRATED,
        "tier": lambda: isinstance(found, Tier),
        "time": lambda: isinstance(found, datetime) and found.tzinfo is not None,
        "date": lambda: date.fromisoformat(found).isoformat() == found,
        "choice": lambda: found in choices,
        "choices": lambda: set(found) <= choices,
        "cues": lambda: set(found) <= choices,
        "persons": lambda: isinstance(found, list) and all(isinstance(one, str) for one in found) and len(found) >= (field.least or 0),
    }
    assert fits.get(field.type, lambda: isinstance(found, str) and len(found) <= (field.most or 20_000))(), (field, found)


# ---- who is told ----------------------------------------------------------------------------------------------------------


def test_a_partner_beside_two_counties_has_the_people_on_duty_of_each_cases_own_county() -> None:
    """A hospital sleeps; whoever is on duty in the county hears instead, and nobody of another county."""
    hospital = Duty("hospital_liaison", "xinyang/hospital", "p-900", hours="mon-fri 08:00-12:00")
    watches = {county: (Duty("county_duty", county, person, on_call=True),) for county, person in
               (("xinyang/shihe", "p-901"), ("xinyang/pingqiao", "p-902"))}
    resolver = Resolver(Roster(roster().units, {hospital.unit: (hospital,), **watches}, {}), access(), published_calendar(),
                        START + timedelta(hours=12))
    liaison = Found(hospital.role, hospital.unit, Tier.COUNTY, hospital.person)

    told = [resolver.named(county, liaison, procedure().policy, frozenset(), safety=True) for county in watches]
    assert told == [("p-900", "p-901"), ("p-900", "p-902")]
