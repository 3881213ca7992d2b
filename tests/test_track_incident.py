"""Group events: one form opens a case about the school and a word about each child, all in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed, NotFound
from crisis_engine.engine.incident import Incident

from .story import (
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    PEER,
    PRINCIPAL,
    SCHOOL,
    VICE_PRINCIPAL,
    City,
    Story,
)

CHILDREN = ({"subject": "stu-41"}, {"subject": "stu-42", "cues": ["suicide_words"]}, {"subject": None, "facts": "还有一个不认识的学生"})


def event(city: City, by: str = VICE_PRINCIPAL, children: Sequence[Mapping[str, Any]] = CHILDREN, **more: Any) -> Incident:  # noqa: ANN401 - what the call takes
    """Let somebody report that a class saw an attempt."""
    given = {"unit": SCHOOL, "kind": "attempt", "facts": "同学目睹", "children": children, **more}
    return city.engine.open_incident(by=by, **given)


def test_one_form_opens_a_case_about_the_school_and_one_for_each_child(city: City) -> None:
    found = event(city)
    school = Story(city, found.number)
    assert (school.stage, school.case.subject, school.clocks) == ("managing", None, {"incident_brief", "incident_county_told"})
    assert school.who("incident_brief") == PRINCIPAL
    children = [city.story(receipt) for receipt in found.receipts]
    assert city.cases() == 1 + len(children)
    assert [child.risk for child in children] == ["unrated", "red", "unrated"]
    assert all(("part_of", found.number) in child.links() for child in children)
    assert school.links() == {("part", child.number) for child in children}
    assert "identity" in children[2].clocks


def test_a_child_with_an_open_case_gets_the_signal_there_and_the_receipt_is_the_same(city: City) -> None:
    known = city.report(PEER).reach("follow_up", "yellow")
    found = event(city)
    assert city.story(found.receipts[1]).number == known.number
    assert "handled_signal" in known.clocks
    assert ("part_of", found.number) in known.links()
    assert {len(receipt) for receipt in found.receipts} == {12}
    assert known.number not in str(found.to_json())


def test_where_one_child_is_unknown_nothing_is_opened_at_all(city: City) -> None:
    for children, error in (
        ([{"subject": "stu-41"}, {"subject": "stu-nobody"}], NotFound), ([{"subject": "stu-41"}, {"subject": "stu-41"}], BadInput),
        ([{"subject": "stu-41", "risk": "red"}], BadInput), ([{"subject": "stu-41", "cues": ["no_such_cue"]}], BadInput), ([], BadInput),
    ):
        with pytest.raises(error):
            event(city, children=children)
    assert city.cases() == 0


def test_a_second_click_opens_it_once_and_another_form_under_its_key_is_refused(city: City) -> None:
    first, second = (event(city, key="k") for _ in range(2))
    assert first == second
    assert city.cases() == 4
    with pytest.raises(CommandRejected, match="another command"):
        event(city, key="k", facts="别的事")


def test_only_people_of_the_school_or_above_it_open_one(city: City) -> None:
    for by in (PEER, CLASS_TEACHER, "p-111"):
        with pytest.raises(NotAllowed):
            event(city, by=by)
    assert city.cases() == 0
    assert Story(city, event(city, by=COUNTY_OFFICER).number).tier == "county"


def test_whom_the_event_is_about_hears_of_no_case_of_it(city: City) -> None:
    found = event(city, about_staff=[PRINCIPAL])
    for number in (found.number, *(city.story(receipt).number for receipt in found.receipts)):
        with pytest.raises(NotFound):
            city.engine.case(number, by=PRINCIPAL)
    assert Story(city, found.number).who("incident_brief") != PRINCIPAL


def test_each_childs_case_is_about_whom_the_event_is_about_and_whom_its_own_form_names(city: City) -> None:
    child = {"subject": "stu-41", "about_staff": [LAW_VICE_PRINCIPAL]}
    found = event(city, about_staff=[PRINCIPAL], children=[child])
    assert city.story(found.receipts[0]).case.recused == {PRINCIPAL, LAW_VICE_PRINCIPAL}


def test_who_sees_the_event_sees_of_its_children_only_what_they_may_see(city: City) -> None:
    known = city.report(PEER)
    known.act(COUNSELOR, "exclude_person", person=[LAW_VICE_PRINCIPAL], because="与其有关")
    found = event(city)
    shown = {number for _link, number in city.engine.case(found.number, by=LAW_VICE_PRINCIPAL).links}
    assert known.number not in shown
    assert len(shown) == len(found.receipts) - 1
    assert known.number not in str(city.engine.history(found.number, by=LAW_VICE_PRINCIPAL))


def test_an_event_of_which_nobody_speaks_reaches_the_county_in_hours(city: City) -> None:
    school = Story(city, event(city).number)
    city.wait(hours=3)
    assert "incident_county_told" in school.late
    assert school.tier in {"county", "city"}


def test_it_is_briefed_daily_calms_down_and_is_finished_by_two_with_a_review(city: City) -> None:
    found = event(city)
    with pytest.raises(NotAllowed):
        city.engine.case(found.number, by=COUNTY_OFFICER)
    school = Story(city, found.number).act(PRINCIPAL, "brief", brief="已稳定现场").act(PRINCIPAL, "tell_county")
    assert (school.tier, city.engine.case(found.number, by=COUNTY_OFFICER).number) == ("school", found.number)   # told, and so it may read
    school.act(PRINCIPAL, "calm", brief="复课")
    school.act(COUNSELOR, "flare_up", facts="又有学生不到校").act(PRINCIPAL, "calm", brief="已家访")
    school.agreed(PRINCIPAL, VICE_PRINCIPAL, "finish", brief="信息应更早通报")
    assert school.case.final == "closed"
    assert city.story(found.receipts[0]).case.open, "the children's cases go on by themselves"


# ---- further children ------------------------------------------------------------------------------------------------------------------


def test_children_who_turn_out_to_be_part_of_it_are_added_each_with_a_receipt_that_says_nothing(city: City) -> None:
    found = event(city, children=[{"subject": "stu-41"}])
    known = city.report(PEER, subject="stu-43").reach("follow_up", "yellow")
    added = city.engine.add_to_incident(found.number, by=PRINCIPAL, children=[{"subject": "stu-43"}, {"subject": "stu-44"}], key="k")

    assert added.number == found.number
    assert {len(receipt) for receipt in added.receipts} == {12}
    assert city.story(added.receipts[0]).number == known.number
    assert "handled_signal" in known.clocks
    fresh = city.story(added.receipts[1])
    assert fresh.events[0].secret["facts"] == "同学目睹", "the event's facts stand in"
    school = Story(city, found.number)
    assert school.links() >= {("part", known.number), ("part", fresh.number)}
    assert ("part_of", found.number) in known.links() & fresh.links()
    again = city.engine.add_to_incident(found.number, by=PRINCIPAL, children=[{"subject": "stu-43"}, {"subject": "stu-44"}], key="k")
    assert again == added


def test_a_child_that_is_part_of_it_already_gets_the_word_and_no_second_link(city: City) -> None:
    found = event(city, children=[{"subject": "stu-41"}])
    child, school = city.story(found.receipts[0]), Story(city, found.number)
    city.engine.add_to_incident(found.number, by=PRINCIPAL, children=[{"subject": "stu-41"}], facts="又看到一次")
    assert len(child.happened("linked", link="part_of")) == len(school.happened("linked", link="part")) == 1
    assert child.happened("moved", signal=True)


def test_whom_the_event_is_about_by_now_each_added_childs_case_is_about_too(city: City) -> None:
    found = event(city, children=[{"subject": "stu-41"}], about_staff=[PRINCIPAL])
    child = {"subject": "stu-44", "about_staff": [LAW_VICE_PRINCIPAL]}
    added = city.engine.add_to_incident(found.number, by=VICE_PRINCIPAL, children=[child])
    assert city.story(added.receipts[0]).case.recused == {PRINCIPAL, LAW_VICE_PRINCIPAL}
    with pytest.raises(NotFound):
        city.engine.add_to_incident(found.number, by=PRINCIPAL, children=[{"subject": "stu-43"}])


def test_nothing_is_added_by_a_stranger_to_another_case_to_one_that_is_over_or_in_part(city: City) -> None:
    found = event(city, children=[{"subject": "stu-41"}])
    before = city.cases()
    for by, error in ((CLASS_TEACHER, NotAllowed), ("p-111", NotAllowed), (PEER, NotAllowed)):
        with pytest.raises(error):
            city.engine.add_to_incident(found.number, by=by, children=[{"subject": "stu-43"}])
    one: Mapping[str, Any] = {"subject": "stu-43"}
    refused: tuple[tuple[Sequence[Mapping[str, Any]], type[Exception]], ...] = (
        ([], BadInput), ([one, one], BadInput), ([one, {"subject": "nobody"}], NotFound),
        ([one, {"subject": "stu-44", "cues": ["no_such_cue"]}], BadInput),
    )
    for children, wrong in refused:
        with pytest.raises(wrong):
            city.engine.add_to_incident(found.number, by=PRINCIPAL, children=children)
    with pytest.raises(BadInput, match="no group event"):
        city.engine.add_to_incident(city.story(found.receipts[0]).number, by=PRINCIPAL, children=[{"subject": "stu-43"}])
    Story(city, found.number).agreed(PRINCIPAL, VICE_PRINCIPAL, "no_event", because="误会")
    with pytest.raises(CommandRejected, match="over"):
        city.engine.add_to_incident(found.number, by=PRINCIPAL, children=[{"subject": "stu-43"}])
    assert city.cases() == before
