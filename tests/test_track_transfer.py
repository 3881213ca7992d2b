"""Change of school (转学、升学): the case stays with the old school until the new one accepts, and then its clocks find new people."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crisis_engine import BadInput, CommandRejected, CrisisError, NotAllowed, NotFound
from crisis_engine.core.errors import DefinitionError
from crisis_engine.core.model import Absence, Duty, Person, Subject, Unit
from crisis_engine.definitions import load_procedure
from crisis_engine.roster import RosterSet
from crisis_engine.testing import open_test_engine

from .story import (
    CHILD,
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    GRADE_HEAD,
    LAW_VICE_PRINCIPAL,
    OPERATOR,
    PEER,
    PRINCIPAL,
    SCHOOL,
    VICE_PRINCIPAL,
    City,
    Story,
    copy_city,
)
from .tracks import HOSPITAL_LIAISON, open_track, refer, track_beside

FAR, FAR_CLASS = "xinyang/gushi/boarding-1", "xinyang/gushi/boarding-1/g10/c1"      # in another county
FAR_COUNSELOR, FAR_VICE, FAR_LAW, FAR_HEAD, FAR_SECOND, FAR_TEACHER = "p-501", "p-502", "p-503", "p-504", "p-505", "p-521"
FAR_OFFICER = "p-161"
NEAR, NEAR_CLASS = "xinyang/shihe/no-4", "xinyang/shihe/no-4/g7/c9"
NEAR_HEAD, NEAR_TEACHER = "p-9001", "p-9002"
CITY_SCHOOL = "xinyang/exp-1"                                                       # 市直: no county above it
OLD_PEOPLE = (CLASS_TEACHER, GRADE_HEAD, COUNSELOR, VICE_PRINCIPAL, LAW_VICE_PRINCIPAL, PRINCIPAL)


def a_school_near(city: City) -> None:
    """A second school of the same county, with a head and one class."""
    city.engine.import_roster(RosterSet(
        units=(Unit(NEAR, "school", "浉河区第四示例中学", "xinyang/shihe"), Unit(f"{NEAR}/g7", "grade", "七年级", NEAR),
               Unit(NEAR_CLASS, "class", "七年级9班", f"{NEAR}/g7")),
        persons=(Person(NEAR_HEAD), Person(NEAR_TEACHER)),
        duties=(Duty("leading_group", NEAR, NEAR_HEAD), Duty("class_teacher", NEAR_CLASS, NEAR_TEACHER)),
    ))


@pytest.fixture
def case(city: City) -> Story:
    return city.report(PEER, cues=["old_scars"]).reach("intervening")


def begun(city: City, case: Story) -> Story:
    return open_track(city, case, "transfer_v1", by=VICE_PRINCIPAL, kind="change")


def offered(city: City, case: Story, to: str = FAR, **more: Any) -> Story:  # noqa: ANN401 - any field of the form
    """The hand-over that waits at the receiving school."""
    return begun(city, case).act(VICE_PRINCIPAL, "offer", to=to, state="每周面谈，班主任知情", **more)


def unread(city: City, number: str, by: str) -> None:
    """Expect that this person neither reads, nor lists, nor may do anything to the case."""
    for look in (city.engine.case, city.engine.history, city.engine.moves):
        with pytest.raises((NotAllowed, NotFound)):
            look(number, by=by)
    assert number not in {line.number for line in city.engine.cases(by=by)}
    assert number not in {item.number for item in city.engine.queue(by=by)}


# ---- the whole way ---------------------------------------------------------------------------------------------------------------------


def test_a_case_goes_with_the_child_when_the_new_school_accepts_and_not_before(city: City, case: Story) -> None:
    move = offered(city, case)
    assert (move.stage, move.who("receiver_answers")) == ("offered", FAR_HEAD)
    assert move.due("receiver_answers") == city.clock() + timedelta(hours=72)
    assert (case.case.unit, case.who("contact")) == (CLASS, COUNSELOR)
    unread(city, case.number, FAR_HEAD)
    before = {clock.name: clock.due_at for clock in case.case.clocks}
    city.wait(hours=5)

    move.act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert (move.stage, move.case.final, move.clocks) == ("accepted", "closed", set())
    assert (move.case.ended_by, move.case.ended_second) == (FAR_HEAD, VICE_PRINCIPAL)
    assert (case.case.unit, case.stage, case.answers) == (FAR_CLASS, "intervening", FAR_HEAD)
    assert {clock.name: clock.due_at for clock in case.case.clocks} == before           # nothing is later, nothing is lost
    assert case.who("contact") == FAR_VICE                                              # the counselor there is away: a stand-in
    assert all(clock.holder is not None and clock.unit.startswith(FAR) for clock in case.case.clocks)
    assert case.happened("unit_set", unit=FAR_CLASS)[0].by == FAR_HEAD
    assert city.engine.roster(FAR_CLASS, by=FAR_HEAD)["subjects"][-1] == {"id": CHILD, "unit": FAR_CLASS}
    case.meet(by=FAR_VICE)


def test_the_old_school_reads_no_more_and_keeps_that_it_handed_over(city: City, case: Story) -> None:
    move = offered(city, case)
    move.act(FAR_HEAD, "accept", home=FAR_CLASS)
    for by in OLD_PEOPLE:
        unread(city, case.number, by)
    view = city.engine.case(move.number, by=VICE_PRINCIPAL)
    assert (view.final, view.links) == ("closed", ())
    assert case.number not in str(city.engine.history(move.number, by=VICE_PRINCIPAL))
    for by in (FAR_HEAD, FAR_VICE, FAR_COUNSELOR, FAR_TEACHER):
        city.engine.history(case.number, by=by)


def test_both_counties_are_told_and_the_new_one_reads_what_the_old_one_knew(city: City, case: Story) -> None:
    move = offered(city, case)
    case.heard()
    move.act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert FAR_OFFICER in case.heard()
    assert COUNTY_OFFICER in move.heard()
    city.engine.case(case.number, by=FAR_OFFICER)
    with pytest.raises(NotAllowed):
        city.engine.case(case.number, by=COUNTY_OFFICER)


def test_within_one_county_the_county_keeps_what_it_took_over_and_across_its_border_not(city: City) -> None:
    a_school_near(city)
    stay, leave = city.report(PEER, subject="stu-41"), city.report(PEER)
    for one in (stay, leave):
        city.skip(hours=1)
        city.sweep()
        one.act(COUNTY_OFFICER, "take_over", because="学校无人")
    offered(city, stay, NEAR).act(NEAR_HEAD, "accept", home=NEAR_CLASS)
    assert (stay.case.lead, stay.answers, stay.case.unit) == ("county", COUNTY_OFFICER, NEAR_CLASS)
    offered(city, leave).act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert (leave.case.lead, leave.tier, leave.answers) == (None, "county", FAR_OFFICER)
    assert "oversight" in leave.clocks


def test_a_school_under_the_city_has_no_county_and_nobody_is_missing(city: City, case: Story) -> None:
    offered(city, case, CITY_SCHOOL).act("p-204", "accept", home=f"{CITY_SCHOOL}/c1")
    assert (case.case.unit, case.answers) == (f"{CITY_SCHOOL}/c1", "p-204")
    assert all(clock.holder is not None for clock in case.case.clocks)


def test_where_nobody_is_at_the_new_class_the_case_goes_up_at_that_moment(city: City) -> None:
    a_school_near(city)
    case = city.report(PEER)
    now = city.clock()
    city.engine.import_roster(RosterSet(absences=(Absence(NEAR_TEACHER, now, now + timedelta(days=30)),)))
    assert case.tier == "peer"
    offered(city, case, NEAR).act(NEAR_HEAD, "accept", home=NEAR_CLASS)
    assert (case.tier, case.answers, case.who("acknowledge")) == ("school", NEAR_HEAD, NEAR_HEAD)


def test_tracks_of_the_child_go_along_and_the_hospital_keeps_its_referral(city: City, case: Story) -> None:
    slip, talk = refer(city, case), track_beside(city, case, "guardian_v1")
    offered(city, case).act(FAR_HEAD, "accept", home=FAR_CLASS)
    for track in (slip, talk):
        assert track.case.unit == FAR_CLASS
        unread(city, track.number, VICE_PRINCIPAL)
    assert slip.who("acceptance") == HOSPITAL_LIAISON
    assert talk.who("regular_talk") == FAR_TEACHER
    slip.act(HOSPITAL_LIAISON, "accept")
    with pytest.raises((NotAllowed, NotFound)):
        city.engine.case(case.number, by=HOSPITAL_LIAISON)


def test_what_the_old_school_proposed_is_void_and_what_the_city_proposed_stands(city: City, case: Story) -> None:
    move = offered(city, case)
    case.act(COUNSELOR, "lower_risk", risk="yellow", because="稳定")
    assert "second_person" in case.clocks
    move.act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert case.case.proposals == ()
    assert "second_person" not in case.clocks
    assert case.happened("proposal_ended")[-1].how == "voided"  # type: ignore[attr-defined]  # of proposal_ended


def test_what_the_old_school_took_in_hand_climbs_again_at_the_new_one(city: City) -> None:
    case = city.report(PEER)
    move = offered(city, case)
    city.at("08:59")
    due = case.due("acknowledge")
    case.act(PRINCIPAL, "take_in_hand", clock="acknowledge", until=city.time("09:29"), because="已联系班主任")
    city.at("09:05")
    assert (case.tier, case.clock("acknowledge").next_at) == ("school", city.time("09:29"))    # the county's rung of 09:00 waits
    move.act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert (case.due("acknowledge"), case.answers) == (due, FAR_HEAD)
    city.sweep()
    assert (case.tier, case.answers) == ("county", FAR_OFFICER)


def test_recusals_go_along_and_a_broken_glass_ends(city: City, case: Story) -> None:
    a_school_near(city)
    case.act(VICE_PRINCIPAL, "exclude_person", person=[NEAR_TEACHER], because="亲属")
    move = offered(city, case, NEAR)
    city.engine.break_glass(case.number, by="p-12", because="隔壁班主任，夜间在场")
    city.engine.case(case.number, by="p-12")
    move.act(NEAR_HEAD, "accept", home=NEAR_CLASS)
    with pytest.raises(NotFound):
        city.engine.case(case.number, by=NEAR_TEACHER)
    unread(city, case.number, "p-12")             # the same county: without its end the reading would have run on


def test_a_second_word_about_the_child_goes_to_the_new_school(city: City, case: Story) -> None:
    offered(city, case).act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert city.report(PEER, cues=["means"]).number == case.number
    assert (case.risk, case.who("handled_signal")) == ("red", FAR_VICE)
    unread(city, case.number, CLASS_TEACHER)


# ---- who accepts, who does not ---------------------------------------------------------------------------------------------------------


def test_only_the_receiving_school_accepts(city: City, case: Story) -> None:
    move = offered(city, case)
    for by in (VICE_PRINCIPAL, PRINCIPAL, CLASS_TEACHER, COUNTY_OFFICER, FAR_OFFICER, FAR_TEACHER, FAR_COUNSELOR):
        move.refused(NotAllowed, by, "accept", home=FAR_CLASS)
    assert case.case.unit == CLASS


def test_of_two_who_accept_at_once_one_wins_and_the_other_hears(city: City, case: Story) -> None:
    move = offered(city, case)
    move.act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert "no move from stage" in str(move.refused(CommandRejected, FAR_SECOND, "accept", home=f"{FAR}/g11/c1"))
    assert case.case.unit == FAR_CLASS


WRONG_HOMES: tuple[tuple[str, type[CrisisError], str], ...] = (
    (CLASS, CommandRejected, "not at the school that was asked"), ("xinyang/gushi", BadInput, "no unit of such a sort"),
    ("xinyang/nowhere", NotFound, "no unit"), (f"{CITY_SCHOOL}/c1", CommandRejected, "not at the school that was asked"),
    ("", BadInput, "needs the field"),
)
WRONG_RECEIVERS: tuple[tuple[str, type[CrisisError], str], ...] = (
    ("xinyang/nowhere", NotFound, "There is no unit"), (SCHOOL, CommandRejected, "child's own school"),
    ("xinyang/gushi", BadInput, "no unit of such a sort"), (FAR_CLASS, BadInput, "no unit of such a sort"),
    ("xinyang/shihe/hospital", BadInput, "no unit of such a sort"), ("", BadInput, "needs the field"),
)


def test_a_receiver_is_another_school_of_the_roster_and_names_a_place_of_its_own(city: City, case: Story) -> None:
    move = begun(city, case)
    for to, error, says in WRONG_RECEIVERS:
        assert says in str(move.refused(error, VICE_PRINCIPAL, "offer", to=to, state="情况"))
    move.act(VICE_PRINCIPAL, "offer", to=FAR, state="情况")
    for home, error, says in WRONG_HOMES:
        assert says in str(move.refused(error, FAR_HEAD, "accept", home=home))


def test_a_school_that_is_abolished_or_ends_before_the_child_comes_is_no_receiver(city: City, case: Story) -> None:
    move = begun(city, case)
    end = city.clock() + timedelta(days=60)
    city.engine.import_roster(RosterSet(units=(Unit(FAR, "school", "固始县示例寄宿高中", "xinyang/gushi", ends_at=end),)))
    assert "ends before the child comes" in str(
        move.refused(CommandRejected, VICE_PRINCIPAL, "offer", to=FAR, state="情况", begins="2026-09-01"))
    move.act(VICE_PRINCIPAL, "offer", to=FAR, state="情况")
    city.skip(days=61)
    city.sweep()
    assert (move.stage, case.case.open) == ("county_decides", True)      # nobody there any more, and the time is over
    assert "is abolished" in str(move.refused(CommandRejected, COUNTY_OFFICER, "decide_receiver", to=FAR, state="情况"))


def test_a_receiver_that_is_abolished_while_it_is_asked_leaves_it_to_the_county(city: City, case: Story) -> None:
    move = offered(city, case)
    end = city.clock() + timedelta(hours=1)
    city.engine.import_roster(RosterSet(units=(Unit(FAR, "school", "固始县示例寄宿高中", "xinyang/gushi", ends_at=end),)))
    assert move.who("receiver_answers") == FAR_HEAD
    city.wait(hours=1)
    assert (move.who("receiver_answers"), move.tier) == (COUNTY_OFFICER, "county")
    move.refused(NotAllowed, FAR_HEAD, "accept", home=FAR_CLASS)
    assert case.who("contact") == COUNSELOR


def test_a_second_hand_over_is_refused_while_one_is_open(city: City, case: Story) -> None:
    offered(city, case)
    with pytest.raises(CommandRejected, match="stands beside"):
        begun(city, case)


def test_whoever_declines_says_why_and_the_county_decides(city: City, case: Story) -> None:
    a_school_near(city)
    move = offered(city, case)
    move.act(FAR_VICE, "not_ours", because="not_enrolled")
    assert (move.stage, move.tier, move.who("county_places")) == ("county_decides", "county", COUNTY_OFFICER)
    unread(city, move.number, FAR_HEAD)
    move.refused(NotAllowed, VICE_PRINCIPAL, "decide_receiver", to=NEAR, state="情况")
    move.act(COUNTY_OFFICER, "decide_receiver", to=NEAR, state="情况").act(NEAR_HEAD, "accept", home=NEAR_CLASS)
    assert case.case.unit == NEAR_CLASS


def test_no_answer_in_time_is_a_move_of_the_engine_and_the_county_knows_at_once(city: City, case: Story) -> None:
    move = offered(city, case)
    move.heard()
    city.wait(hours=72)
    assert (move.stage, move.tier) == ("county_decides", "county")
    assert move.happened("moved", move="expire")[0].by == "engine"
    assert COUNTY_OFFICER in move.heard()
    move.refused(NotAllowed, FAR_HEAD, "accept", home=FAR_CLASS)
    city.wait(days=6)
    assert (move.tier, move.answers) == ("city", CITY_OFFICER)       # the county decided nothing either


def test_a_case_does_not_close_while_its_hand_over_is_open_and_a_child_who_stays_stays_by_two(city: City) -> None:
    case = city.report(PEER).reach("follow_up", risk="yellow")
    move = offered(city, case)
    city.skip(days=30)
    case.meet()
    assert "hold the case: transfer" in str(case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="好", evidence="有"))
    move.agreed(VICE_PRINCIPAL, PRINCIPAL, "stays", because="家长改变主意")
    assert (move.stage, case.case.unit) == ("stays", CLASS)
    case.ask_closure()


@pytest.mark.parametrize("why", ["death", "lost_contact"])
def test_an_ending_by_two_ends_the_hand_over_and_the_receiver_sees_it_no_more(city: City, case: Story, why: str) -> None:
    move = offered(city, case)
    case.act(PRINCIPAL, "request_end", why=why, evidence="材料").act(COUNTY_OFFICER, "confirm_end", because="属实")
    assert (case.case.final, move.stage, move.clocks) == ("ended", "stopped", set())
    unread(city, move.number, FAR_HEAD)


# ---- the roster and the case -------------------------------------------------------------------------------------------------------------


def test_between_classes_of_one_school_the_case_follows_the_roster_at_once(city: City, case: Story) -> None:
    slip = refer(city, case)
    city.engine.import_roster(RosterSet(subjects=(Subject("", CHILD, f"{SCHOOL}/g7/c3"),)))
    assert (case.case.unit, slip.case.unit) == (f"{SCHOOL}/g7/c3", f"{SCHOOL}/g7/c3")
    unread(city, case.number, CLASS_TEACHER)
    city.engine.history(case.number, by="p-12")


def test_an_import_gives_no_case_away_to_another_school(city: City, case: Story) -> None:
    city.engine.import_roster(RosterSet(subjects=(Subject("", CHILD, FAR_CLASS),)))
    assert (case.case.unit, case.who("contact")) == (CLASS, COUNSELOR)
    unread(city, case.number, FAR_HEAD)
    move = offered(city, case)
    move.act(FAR_HEAD, "accept", home=FAR_CLASS)
    city.engine.import_roster(RosterSet(subjects=(Subject("", CHILD, CLASS),)))       # an old file once more
    assert case.case.unit == FAR_CLASS


def test_a_class_that_ends_leaves_its_clocks_to_whoever_answers_next_at_that_moment(city: City) -> None:
    case = city.report(PEER)
    assert case.who("acknowledge") == CLASS_TEACHER
    end = city.clock() + timedelta(minutes=5)
    ended = Unit(CLASS, "class", "七年级2班", f"{SCHOOL}/g7", ends_at=end)
    city.engine.import_roster(RosterSet(units=(ended,)))
    assert case.who("acknowledge") == CLASS_TEACHER
    city.wait(minutes=5)
    assert (case.who("acknowledge"), case.tier) == (GRADE_HEAD, "grade")
    with pytest.raises(NotAllowed):
        city.engine.history(case.number, by=CLASS_TEACHER)
    city.engine.import_roster(RosterSet(duties=(Duty("class_teacher", CLASS, "p-12"),)))    # a post at a class that is no more is none
    assert case.who("acknowledge") == GRADE_HEAD
    assert city.engine.history(case.number, by=OPERATOR)


# ---- whatever happens -------------------------------------------------------------------------------------------------------------------

NEW_PEOPLE = (FAR_HEAD, FAR_SECOND, FAR_VICE, FAR_COUNSELOR, FAR_TEACHER, "p-510")
STEP = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from((1, 10, 40, 80))),
    st.tuples(st.just("away"), st.sampled_from((*OLD_PEOPLE, *NEW_PEOPLE))),
    st.tuples(st.just("leaves"), st.sampled_from(((VICE_PRINCIPAL, "vice_principal", SCHOOL), (FAR_HEAD, "leading_group", FAR),
                                                  (FAR_TEACHER, "class_teacher", FAR_CLASS), (CLASS_TEACHER, "class_teacher", CLASS)))),
    st.tuples(st.just("moves"), st.sampled_from((
        ("offer", {"to": FAR, "state": "情况"}), ("accept", {"home": FAR_CLASS}), ("accept", {"home": FAR}),
        ("not_ours", {"because": "other"}),
        ("decide_receiver", {"to": FAR, "state": "情况"}), ("back_to_school", {"because": "重来"}), ("call_back", {"because": "重来"}),
        ("place_unknown", {"begins": "2026-09-01"})))),
    st.tuples(st.just("word"), st.sampled_from((("means",), ("withdrawn",)))),
)
ASKED = (VICE_PRINCIPAL, PRINCIPAL, "p-36", COUNTY_OFFICER, CITY_OFFICER, FAR_HEAD, FAR_SECOND, FAR_VICE)


class Way:
    """A case with a hand-over and a track beside it: after each step somebody answers for everything, and who has lost it reads nothing."""

    def __init__(self, city: City) -> None:
        self.city, self.case = city, city.report(PEER, cues=["old_scars"])
        self.slip, self.move = refer(city, self.case), begun(city, self.case)

    def step(self, what: str, arg: Any) -> None:  # noqa: ANN401 - whatever the step names
        engine, now = self.city.engine, self.city.clock()
        if what == "wait":
            self.city.wait(hours=arg)
        elif what == "away":
            engine.add_absence(person=arg, begins_at=now, ends_at=now + timedelta(hours=30), by=arg)
        elif what == "leaves":
            with suppress(CrisisError):
                engine.end_duty(role=arg[1], unit=arg[2], person=arg[0], by=OPERATOR)
        elif what == "word":
            self.city.report(PEER, cues=list(arg))
        else:
            for by in ASKED:
                with suppress(CrisisError):
                    engine.act(self.move.number, arg[0], by=by, fields=arg[1])
                    break
        self.look()

    def look(self) -> None:
        for one in (self.case, self.slip, self.move):
            case = one.case
            assert case.answers is not None or not case.open
            assert all(clock.holder is not None for clock in case.clocks), (one.number, self.city.clock())
        taken = self.move.stage == "accepted"
        assert self.case.case.unit.startswith(FAR if taken else SCHOOL)
        assert self.slip.case.unit == self.case.case.unit
        for by in (*OLD_PEOPLE, "p-36") if taken else (FAR_HEAD, FAR_TEACHER):
            for number in (self.case.number, self.slip.number):
                with pytest.raises((NotAllowed, NotFound)):
                    self.city.engine.history(number, by=by)
            assert self.case.number not in {item.number for item in self.city.engine.queue(by=by)}


@settings(max_examples=8, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(before=st.lists(STEP, max_size=4), after=st.lists(STEP, max_size=4))
def test_at_no_instant_is_a_clock_without_somebody_and_the_old_school_reads_nothing_after_acceptance(
    before: list[tuple[str, Any]], after: list[tuple[str, Any]], city_template: Path, tmp_path: Path,
) -> None:
    path = tmp_path / "way.db"
    for old in tmp_path.glob("way.db*"):
        old.unlink()
    copy_city(city_template, path)
    with open_test_engine(url=f"sqlite:///{path}") as (engine, clock, channel):
        way = Way(City(engine, clock, channel, ""))
        for step in (*before, ("moves", ("offer", {"to": FAR, "state": "情况"})), ("moves", ("accept", {"home": FAR_CLASS})), *after):
            way.step(*step)


# ---- what the loader refuses ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("change", "key"), [
    (('by    = ["addressee"]\nsecond', 'by    = ["addressee", "county_officer"]\nsecond'), "move.accept.by"),
    (('needs = ["home_at_addressee"]\n', ""), "move.accept.needs"),
    (('of = ["class", "grade", "school"], required = true', 'of = ["class", "county"], required = true'), "move.accept.fields"),
    (('of = ["class", "grade", "school"], required = true', 'of = ["class"]'), "move.accept.fields"),
    (('sets_parent = { unit = "field:home" }', 'sets_parent = { unit = "field:note" }'), "sets_parent.unit"),
    (('unit        = "offer"', 'unit        = "ofer"'), "graduates.unit"),
    (('leaves_city = "to_another_city"', 'leaves_city = "confirm_key"'), "graduates.leaves_city"),
    (('unknown     = "place_unknown"', 'unknown     = "still_naming"'), "graduates.unknown"),
    (('unknown     = "place_unknown"\n', ""), "graduates"),
])
def test_a_file_that_would_give_a_case_away_is_refused_with_its_key(tmp_path: Path, change: tuple[str, str], key: str) -> None:
    text = files("crisis_engine.workflows").joinpath("transfer_v1.toml").read_text(encoding="utf-8")
    assert text.count(change[0]) == 1
    path = tmp_path / "transfer_v1.toml"
    path.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_procedure(str(path))
    assert key in (caught.value.key or ""), caught.value
    assert caught.value.way_out
