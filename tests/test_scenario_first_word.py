"""The word comes in: from a pupil, a teacher, a parent, the child, the hotline, the county; and how it goes up the four-level network."""

from __future__ import annotations

import pytest

from crisis_engine import BadInput, CommandRejected, CrisisError, NotAllowed, NotFound

from .story import (
    CHILD,
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    DEPUTY_TEACHER,
    GRADE_HEAD,
    HOTLINE,
    LEADING_GROUP,
    NIGHT_DUTY,
    OPERATOR,
    PARENT,
    PEER,
    PRINCIPAL,
    SECOND_COUNSELOR,
    SUBJECT_TEACHER,
    VICE_PRINCIPAL,
    City,
)


def test_a_peers_word_waits_at_the_tier_peer_where_the_class_teacher_answers(city: City) -> None:
    """A pupil answers for nothing: the holder of tier `peer` is the class teacher as receiver."""
    word = city.report(PEER)

    assert (word.stage, word.tier, word.risk, word.answers) == ("reported", "peer", "unrated", CLASS_TEACHER)
    assert word.who("acknowledge") == CLASS_TEACHER
    assert word.due("acknowledge") == city.time("08:15")
    assert word.due("assessment") == city.time("12:00")
    assert word.who("assessment") == COUNSELOR
    assert word.heard() == {CLASS_TEACHER, COUNSELOR, SECOND_COUNSELOR}


@pytest.mark.parametrize(
    ("who", "tier", "answers"),
    [
        (CLASS_TEACHER, "class", CLASS_TEACHER), (SUBJECT_TEACHER, "class", CLASS_TEACHER), (GRADE_HEAD, "grade", GRADE_HEAD),
        (COUNSELOR, "school", PRINCIPAL), (NIGHT_DUTY, "school", PRINCIPAL), (PARENT, "class", CLASS_TEACHER),
        (CHILD, "peer", CLASS_TEACHER), (HOTLINE, "school", PRINCIPAL), (COUNTY_OFFICER, "county", COUNTY_OFFICER),
        (CITY_OFFICER, "city", CITY_OFFICER),
    ],
    ids=["class teacher", "subject teacher", "grade head", "counselor", "duty teacher", "parent", "the child", "hotline", "county", "city"],
)
def test_the_tier_begins_where_the_word_came_from(city: City, who: str, tier: str, answers: str) -> None:
    word = city.report(who)

    assert (word.stage, word.tier, word.answers) == ("reported", tier, answers)
    assert "acknowledge" in word.clocks
    assert word.who("acknowledge") == answers


def test_cues_raise_the_risk_to_the_highest_floor_and_a_reporter_never_gives_a_risk(city: City) -> None:
    assert city.report(PEER, subject="stu-41", cues=["withdrawn"]).risk == "yellow"
    assert city.report(PEER, subject="stu-43", cues=["withdrawn", "old_scars"]).risk == "orange"
    assert city.report(PEER, subject="stu-44", cues=["old_scars", "means", "withdrawn"]).risk == "red"
    assert "Did you mean" in str(city.refused(BadInput, PEER, cues=["old_scar"]))


@pytest.mark.parametrize(
    ("cue", "risk", "acknowledge", "assessment"),
    [("means", "red", "08:10", "09:00"), ("old_scars", "orange", "08:10", "12:00"), ("withdrawn", "yellow", "08:30", "2026-03-03 08:00")],
)
def test_the_first_clocks_run_by_the_risk(city: City, cue: str, risk: str, acknowledge: str, assessment: str) -> None:
    word = city.report(PEER, cues=[cue])

    assert word.risk == risk
    assert word.due("acknowledge") == city.time(acknowledge)
    assert word.due("assessment") == city.time(assessment)


def test_a_red_assessment_is_due_before_a_day_pupil_leaves_and_a_boarder_is_not_dismissed(city: City) -> None:
    """The clock of a day school may not end after dismissal (17:30) though four hours would."""
    city.at("15:00")
    day_pupil = city.report(PEER)
    boarder = city.report("p-543", subject="stu-147", unit="xinyang/gushi/boarding-1/g11/c1")

    assert day_pupil.due("assessment") == city.time("17:30")
    assert boarder.due("assessment") == city.time("19:00")


def test_the_class_teacher_acknowledges_and_the_tier_becomes_class(city: City) -> None:
    word = city.report(PEER)
    city.at("08:05")
    word.act(CLASS_TEACHER, "acknowledge")

    assert (word.stage, word.tier) == ("acknowledged", "class")
    assert "acknowledge" not in word.clocks
    assert "assessment" in word.clocks
    city.at("11:59")
    assert word.tier == "class"


def test_the_deputy_acknowledges_for_an_absent_class_teacher(city: City) -> None:
    city.engine.add_absence(person=CLASS_TEACHER, begins_at=city.time("07:00"), ends_at=city.time("18:00"), by=OPERATOR)
    word = city.report(PEER)

    assert word.who("acknowledge") == DEPUTY_TEACHER
    assert word.tier == "peer"  # a deputy stands at the same level: no vacancy
    word.act(DEPUTY_TEACHER, "acknowledge")
    assert word.stage == "acknowledged"


def test_the_word_is_passed_up_over_the_grade_straight_to_the_school(city: City) -> None:
    """Any level may be skipped upward."""
    word = city.report(PEER)
    word.heard()
    word.act(CLASS_TEACHER, "pass_up", to="school")

    assert (word.stage, word.tier, word.answers) == ("reported", "school", PRINCIPAL)
    assert word.heard() >= LEADING_GROUP
    assert word.clock("acknowledge").n == 2  # the class teacher's part is done; whoever got the word has to confirm it
    assert word.who("acknowledge") == PRINCIPAL


def test_a_late_word_adds_people_who_answer_and_takes_the_duty_from_nobody_below(city: City) -> None:
    word = city.report(PEER)
    city.at("08:30")

    assert (word.tier, word.answers) == ("school", PRINCIPAL)
    assert word.who("acknowledge") == CLASS_TEACHER
    word.act(CLASS_TEACHER, "acknowledge")
    assert (word.stage, word.tier) == ("acknowledged", "school")


def test_passing_up_never_lowers(city: City) -> None:
    word = city.report(COUNSELOR)
    word.refused(CommandRejected, CLASS_TEACHER, "pass_up", to="grade")

    assert word.tier == "school"


def test_the_class_teacher_passes_the_word_up_to_the_county_and_to_the_city(city: City) -> None:
    word = city.report(PEER).act(CLASS_TEACHER, "pass_up", to="county")
    assert (word.tier, word.answers) == ("county", COUNTY_OFFICER)

    word.act(CLASS_TEACHER, "pass_up", to="city")
    assert (word.tier, word.answers) == ("city", CITY_OFFICER)


def test_the_counselor_starts_the_assessment_without_waiting_for_the_acknowledgement(city: City) -> None:
    word = city.report(PEER)
    word.act(COUNSELOR, "start_assessment")

    assert (word.stage, word.tier) == ("assessing", "school")
    assert word.clocks == {"assessment", "guardian_told"}
    assert word.due("assessment") == city.time("12:00")  # one clock from the report through three stages


def test_a_peer_writes_blind_and_can_neither_see_nor_move_the_case(city: City) -> None:
    """Promise 6: a peer writes blind."""
    word = city.report(PEER)

    word.refused(NotAllowed, PEER, "acknowledge")
    for look in (city.engine.case, city.engine.history, city.engine.moves):
        with pytest.raises(NotAllowed):
            look(word.number, by=PEER)
    assert city.engine.queue(by=PEER) == []


def test_who_reported_is_a_secret_that_no_reader_of_the_case_sees(city: City) -> None:
    """Promise 6: who reported is a secret of its own."""
    word = city.report(PEER, facts="他说过不想活了")

    for reader in (CLASS_TEACHER, COUNSELOR, PRINCIPAL, "p-34", OPERATOR):
        assert PEER not in str(word.history(by=reader))
    assert "他说过不想活了" in str(word.history(by=CLASS_TEACHER))
    assert "他说过不想活了" not in str(word.history(by=OPERATOR))


def test_a_second_report_about_the_same_child_becomes_a_signal_and_the_receipts_look_the_same(city: City) -> None:
    """Promise 6: a reporter gets a receipt, the same whether or not a case exists."""
    first = city.engine.report(unit=CLASS, subject=CHILD, by=PEER, facts="纸条", cues=["withdrawn"])
    second = city.engine.report(unit=CLASS, subject=CHILD, by=SUBJECT_TEACHER, facts="上课哭", cues=["withdrawn"])

    assert city.cases() == 1
    story = city.story(second.token)
    assert story.number == city.story(first.token).number
    assert story.risk == "yellow"
    assert "handled_signal" in story.clocks
    assert first.token != second.token
    assert {key: type(value) for key, value in first.to_json().items()} == {key: type(value) for key, value in second.to_json().items()}
    assert first.to_json() | {"receipt": ""} == second.to_json() | {"receipt": ""}
    seen = [city.engine.receipt(token) | {"receipt": ""} for token in (first.token, second.token)]
    assert seen[0] == seen[1]


def test_a_second_report_with_a_graver_cue_raises_the_risk_and_brings_the_clocks_nearer(city: City) -> None:
    """Promise 4: a clock only comes nearer. due = min(due, now + new budget)."""
    word = city.report(PEER, cues=["withdrawn"]).act(CLASS_TEACHER, "acknowledge")
    assert word.due("assessment") == city.time("2026-03-03 08:00")
    city.at("10:00")
    city.report("p-72", cues=["suicide_words"])

    assert (word.risk, word.case.peak.value) == ("red", "red")
    assert word.due("assessment") == city.time("11:00")
    assert word.due("guardian_told") == city.time("10:30")
    assert word.due("county_told") == city.time("11:00")
    assert word.due("handled_signal") == city.time("10:30")


def test_nobody_reports_about_a_child_or_a_unit_that_does_not_exist_or_as_a_stranger(city: City) -> None:
    """Bad input: each gets its own clear error, and no case is opened."""
    assert city.refused(NotFound, PEER, subject="stu-9999").way_out
    assert city.refused(NotFound, PEER, subject=None, unit="xinyang/nowhere").way_out
    assert city.refused(NotAllowed, "p-9999").way_out
    assert city.refused(NotAllowed, "engine").way_out
    assert city.refused(NotAllowed, "p-1").way_out  # the city's leading group reports nothing
    assert "10000000" in str(city.refused(BadInput, PEER, facts="x" * 10_000_000))
    assert city.refused(BadInput, PEER, facts="").way_out
    assert city.cases() == 0


def test_moves_out_of_their_stage_or_by_the_wrong_role_are_refused_with_the_way_out(city: City) -> None:
    word = city.report(PEER)

    assert "stage" in str(word.refused(CommandRejected, VICE_PRINCIPAL, "review", risk="red", because="早了"))
    assert word.refused(NotAllowed, CLASS_TEACHER, "start_assessment").way_out
    assert "Did you mean 'acknowledge'" in str(word.refused(BadInput, CLASS_TEACHER, "acknowlege"))
    assert word.refused(NotAllowed, COUNTY_OFFICER, "take_over", because="未到县级").way_out  # it has not reached the county
    assert "no field 'colour'" in str(word.refused(BadInput, CLASS_TEACHER, "pass_up", to="school", colour="red"))
    possible = {name for name, move in word.moves(CLASS_TEACHER).items() if move.possible}
    assert {"acknowledge", "pass_up", "danger_now", "note", "guardian_told"} <= possible
    assert all(move.why_not for move in word.moves(CLASS_TEACHER).values() if not move.possible)
    assert VICE_PRINCIPAL not in word.heard()


def test_a_refused_report_does_not_say_whether_the_child_has_a_case(city: City) -> None:
    city.report(subject="stu-42")
    for by, facts in ((PEER, ""), (PARENT, " "), (OPERATOR, "a word"), ("p-52", "a word"), (PEER, "x" * 30_000)):
        refused = [str(city.refused(CrisisError, by, subject=child, facts=facts)) for child in ("stu-41", "stu-42")]
        assert refused[0] == refused[1]
