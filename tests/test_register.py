"""Lists and counts obey the same rule as each single case: the WHERE clause against the pure function, row by row."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crisis_engine import BadInput, NotAllowed, NotFound
from crisis_engine.almanac import published_calendar
from crisis_engine.core import events as ev
from crisis_engine.core.access import Actor, counts_of, may_do, sight_of
from crisis_engine.core.case import Case
from crisis_engine.core.evolve import fold
from crisis_engine.core.model import RISKS, TIERS, Duty, Tier, Unit
from crisis_engine.core.resolve import Resolver, Roster
from crisis_engine.core.tally import MERGED, merged
from crisis_engine.definitions import load_access
from crisis_engine.example import EXAMPLE_NOW
from crisis_engine.store import Change, Store

from .story import CHILD, CITY_OFFICER, CLASS, CLASS_TEACHER, COUNSELOR, COUNTY_OFFICER, OPERATOR, PEER, PRINCIPAL, City

ACCESS = load_access()
PLACES = {
    "a": "city", "a/b": "county", "a/b2": "county", "a/b/s": "school", "a/b/s2": "school", "a/b2/s": "school", "a/s": "school",
    "a/b/s/g": "grade", "a/b/s/g/x": "class", "a/b/s/g/y": "class", "a/b/s2/x": "class", "a/b2/s/x": "class", "a/s/x": "class",
    "a/b/h": "partner", "a/b-c": "county", "a/b-c/s": "school",   # "-" stands before "/": a prefix must not take it for below
}
UNITS = {unit: Unit(unit, kind, unit, unit.rpartition("/")[0] or None) for unit, kind in PLACES.items()}
PEOPLE = ("p-1", "p-2", "p-3")
HOURS = st.sampled_from((None, -5, -1, 0, 1, 5))


@st.composite
def duties(draw: Any) -> Duty:  # noqa: ANN401 - hypothesis' own type
    role = draw(st.sampled_from(sorted(ACCESS.roles)))
    fitting = [unit for unit, kind in PLACES.items() if kind == ACCESS.roles[role].level] or ["a"]
    unit = draw(st.sampled_from(fitting) | st.sampled_from(sorted(PLACES)))
    begins, ends = draw(HOURS), draw(HOURS)
    return Duty(role, unit, draw(st.sampled_from(PEOPLE)),
                begins_at=None if begins is None else EXAMPLE_NOW + timedelta(hours=begins),
                ends_at=None if ends is None else EXAMPLE_NOW + timedelta(hours=ends))


@st.composite
def lives(draw: Any) -> dict[str, Any]:  # noqa: ANN401
    return {
        "unit": draw(st.sampled_from([unit for unit, kind in PLACES.items() if kind in {"class", "school"}])),
        "tier": draw(st.sampled_from(TIERS)), "told": draw(st.none() | st.sampled_from(TIERS)), "risk": draw(st.sampled_from(RISKS)),
        "stage": draw(st.sampled_from(("reported", "follow_up", "closure_requested", "county_reviewed"))),
        "workflow": draw(st.sampled_from(("school_crisis_v1", "another_v1"))), "answers": draw(st.none() | st.sampled_from(PEOPLE)),
        "recused": draw(st.frozensets(st.sampled_from(PEOPLE), max_size=2)), "addressee": draw(st.sampled_from((None, "a/b/h", "a/b/s"))),
    }


def change(number: str, life: dict[str, Any]) -> Change:
    """Return a case that lived like that, with its log: the row is what the log folds to."""
    at: dict[str, Any] = {"case": number, "at": EXAMPLE_NOW, "by": "p-9"}
    events: list[ev.Event] = [
        ev.Opened(**at, seq=1, workflow=life["workflow"], procedure="x", unit=life["unit"], subject=None, parent=None, stage=life["stage"],
                  tier=life["tier"], risk=life["risk"], move="report"),
        ev.AnswererChanged(**at, seq=2, role="class_teacher", unit=life["unit"], holder=life["answers"]),
        ev.ClockArmed(**at, seq=3, clock="assessment", n=1, sort="safety", role="counselor", unit=life["unit"], holder=None,
                      due_at=EXAMPLE_NOW, next_at=EXAMPLE_NOW, rung=0),
    ]
    if life["told"] is not None:
        events.append(ev.Told(**at, seq=len(events) + 1, tier=life["told"].value, role="county_duty", people=("p-7",)))
    if life["addressee"] is not None:
        events.append(ev.FactSet(**at, seq=len(events) + 1, name="addressee", value=life["addressee"]))
    for person in sorted(life["recused"]):
        events.append(ev.PersonRecused(**at, seq=len(events) + 1, person=person))
    return Change(before=None, after=fold(events), events=tuple(events), notices=(), two=True, sole=False)


@settings(deadline=None, max_examples=120, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(held=st.lists(duties(), max_size=5), lived=st.lists(lives(), min_size=1, max_size=12))
def test_the_list_of_the_database_is_the_list_of_the_rule_row_by_row(held: list[Duty], lived: list[dict[str, Any]]) -> None:
    posts: defaultdict[str, list[Duty]] = defaultdict(list)
    for duty in held:
        posts[duty.unit].append(duty)
    resolver = Resolver(Roster(UNITS, {unit: tuple(each) for unit, each in posts.items()}, {}), ACCESS, published_calendar(), EXAMPLE_NOW)
    changes = [change(f"AAA-AAA-{place:03}", life) for place, life in enumerate(lived)]
    store = Store.open("sqlite://")
    with store.writing() as tx:
        tx.append(changes)

    for person in PEOPLE:
        actor = Actor(person, tuple(duty for duty in held if duty.person == person))
        cases: list[Case] = [each.after for each in changes]
        sight, counts = sight_of(ACCESS, "case.list", actor, resolver), counts_of(ACCESS, actor, resolver)
        with store.reading() as tx:
            listed = [row.number for row in tx.register(sight, limit=100, ended=True)]
            pages = [row.number for after in (None, *listed) for row in tx.register(sight, after=after, limit=1, ended=True)]
            counted = Counter({(row.unit, row.stage, row.tier, row.risk): row.many for row in tx.counted(counts)})

        allowed = [case.number for case in cases if may_do(ACCESS, "case.list", actor, resolver, case=case).allowed]
        assert listed == allowed
        assert pages == listed
        otherwise = [
            case for case in cases if may_do(ACCESS, "case.count", actor, resolver, case=case).allowed and case.number not in allowed
        ]
        assert counted == Counter((case.unit, case.stage, case.tier.value, case.risk.value) for case in otherwise)
    store.close()


# ---- what people see ----------------------------------------------------------------------------------------------------------------


def test_a_county_lists_what_reached_it_and_counts_the_rest(city: City) -> None:
    raised = city.report(PEER).act(CLASS_TEACHER, "pass_up", to="county")
    below = [city.report("p-31", subject=f"stu-{child}", unit="xinyang/shihe/no-3") for child in (41, 43, 44)]

    assert [line.number for line in city.engine.cases(by=COUNTY_OFFICER)] == [raised.number]
    assert {line.number for line in city.engine.cases(by=COUNSELOR)} == {raised.number, *(one.number for one in below)}
    hidden = [cell for cell in city.engine.counts(by=COUNTY_OFFICER) if not cell.seen]
    found = {(cell.unit, cell.by, cell.value, cell.count) for cell in hidden}
    assert found == {(MERGED, by, MERGED, None) for by in ("risk", "tier", "stage")}


def test_small_cells_are_merged_until_no_number_points_at_a_child(city: City) -> None:
    pupils = [subject["id"] for subject in city.engine.roster("xinyang/shihe/no-3")["subjects"]][:9]
    for place, pupil in enumerate(pupils):
        city.report("p-31", subject=pupil, unit="xinyang/shihe/no-3", cues=["withdrawn"] if place < 7 else ["old_scars"])

    cells = [cell for cell in city.engine.counts(by=COUNTY_OFFICER) if not cell.seen]
    assert {cell.unit for cell in cells} == {"xinyang/shihe/no-3"}
    assert {(cell.value, cell.count) for cell in cells if cell.by == "risk"} == {(MERGED, 9)}   # 7 and 2: the 2 would be what is left
    assert city.engine.counts(by=PRINCIPAL)[0].seen


def test_a_page_follows_the_last_number_and_a_strangers_number_is_no_page(city: City) -> None:
    first, second = city.report(PEER), city.report("p-31", subject="stu-41", unit="xinyang/shihe/no-3")
    assert [line.number for line in city.engine.cases(by=COUNSELOR, after=first.number)] == [second.number]
    assert [line.number for line in city.engine.cases(by=COUNSELOR, limit=1)] == [first.number]
    for number in (first.number, "ZZZ-ZZZ-ZZZ"):
        with pytest.raises(NotFound, match=f"no case {number}"):
            city.engine.cases(by="p-12", after=number)
    with pytest.raises(BadInput):
        city.engine.cases(by=COUNSELOR, limit=0)


def test_whoever_writes_blind_has_no_list_and_no_counts(city: City) -> None:
    city.report(PEER)
    for ask in (city.engine.cases, city.engine.counts):
        with pytest.raises(NotAllowed):
            ask(by=PEER)
    with pytest.raises(NotAllowed):
        city.engine.counts(by=CLASS_TEACHER)
    assert city.engine.cases(by=CITY_OFFICER) == []


def test_a_person_whom_a_case_concerns_finds_it_in_no_list_and_no_count(city: City) -> None:
    city.report(PEER, about_staff=[COUNSELOR, COUNTY_OFFICER, OPERATOR])
    assert city.engine.cases(by=COUNSELOR) == []
    assert city.engine.counts(by=COUNTY_OFFICER) == []
    assert city.engine.counts(by=OPERATOR) == []
    assert [line.unit for line in city.engine.cases(by=CLASS_TEACHER)] == [CLASS]


@settings(deadline=None, max_examples=400, derandomize=True, database=None)
@given(cells=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 12), max_size=8), least=st.integers(2, 6))
def test_no_cell_that_is_told_is_small_and_nothing_is_lost(cells: dict[str, int], least: int) -> None:
    shown = merged(cells, least)
    assert all(count is None or count >= least for _name, count in shown)
    assert all(cells[name] == count for name, count in shown if name != MERGED)
    total = sum(cells.values())
    if any(count is None for _name, count in shown):
        assert total < least
        assert len(shown) == 1
    else:
        assert sum(count or 0 for _name, count in shown) == total


def test_a_child_moves_through_the_list_as_the_case_moves(city: City) -> None:
    """The closure dossier comes to the city's eyes when closure is asked for, and not before."""
    case = city.report(PEER, subject=CHILD).reach("follow_up", "yellow")
    assert city.engine.cases(by=CITY_OFFICER) == []
    case._stay_quiet().ask_closure()  # noqa: SLF001 - the story's own step
    assert case.case.tier is Tier.COUNTY
    assert [line.number for line in city.engine.cases(by=CITY_OFFICER)] == [case.number]
    assert city.engine.case(case.number, by=CITY_OFFICER).subject == CHILD
    assert city.engine.counts(by=CITY_OFFICER)[0].seen
