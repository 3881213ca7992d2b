"""School H's day (DOMAIN.md 1.5): a note "要自杀吗" is found at 14:30. What the clocks make of it when nobody acts, and when people do."""

from __future__ import annotations

from .story import (
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    GRADE_HEAD,
    LEADING_GROUP,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
)


def test_nobody_acts_on_the_note_so_the_guardian_clock_is_late_by_15_00_and_the_county_and_the_city_are_told(city: City) -> None:
    """Promises 1 and 3 on School H's day: the ticked cue makes it red, and each late clock goes up, to the city."""
    city.at("14:30")
    note = city.report(PEER, facts="抽屉里的纸条：要自杀吗", cues=["suicide_words"])
    assert (note.stage, note.tier, note.risk) == ("reported", "peer", "red")
    assert note.clocks == {"acknowledge", "assessment", "guardian_told", "county_told"}
    assert note.due("guardian_told") == city.time("15:00")
    assert note.due("county_told") == city.time("15:30")  # xinyang_v1: one hour
    assert note.heard() >= {CLASS_TEACHER, COUNSELOR, PRINCIPAL}

    city.at("15:00")
    assert note.late == {"acknowledge", "guardian_told"}
    assert note.tier == "school"
    assert note.heard() >= {CLASS_TEACHER, GRADE_HEAD, VICE_PRINCIPAL, *LEADING_GROUP}

    city.at("15:30")
    assert note.tier == "county"
    assert note.answers == COUNTY_OFFICER
    assert COUNTY_OFFICER in note.heard()

    city.at("16:45")
    assert note.tier == "city"
    assert note.answers == CITY_OFFICER
    assert CITY_OFFICER in note.heard()
    assert note.raises() == [("14:40", "grade"), ("14:55", "school"), ("15:25", "county"), ("16:40", "city")]
    assert note.told_at("county") == "15:25"


def test_the_same_note_without_a_cue_is_unrated_and_climbs_at_14_45_15_00_15_30_and_16_45(city: City) -> None:
    """The drafts' table: School H unrated: grade 14:45, school 15:00, county 15:30, city 16:45."""
    city.at("14:30")
    note = city.report(PEER, facts="抽屉里的纸条")
    assert note.risk == "unrated"
    assert note.heard() == {CLASS_TEACHER, COUNSELOR, "p-32"}

    city.at("16:45")

    assert note.raises() == [("14:45", "grade"), ("15:00", "school"), ("15:30", "county"), ("16:45", "city")]
    assert note.stage == "reported"


def test_the_city_that_was_told_in_vain_is_told_again_and_again_and_the_case_never_falls_silent(city: City) -> None:
    """Promise 1: the last rung of a ladder repeats for ever."""
    city.at("14:30")
    note = city.report(PEER)
    city.at("18:00")
    note.heard()

    times = [line["at"] for line in note.history() if line["kind"] == "rung_fired" and line["clock"] == "acknowledge"]
    city.wait(hours=8)

    later = [line["at"] for line in note.history() if line["kind"] == "rung_fired" and line["clock"] == "acknowledge"][len(times):]
    assert [at[11:16] for at in later] == ["18:45", "20:45", "22:45", "00:45"]
    assert CITY_OFFICER in note.heard()
    assert note.case.next_at is not None
    assert note.case.next_at > city.clock()


def test_as_people_acted_then_the_talks_do_not_stop_the_clocks_that_nobody_met(city: City) -> None:
    """The grade head heard at 16:00 and talked at 17:30 and 18:14; the guardian was never told. The clocks say so hours before 20:34."""
    city.at("14:30")
    note = city.report(PEER, cues=["suicide_words"])
    city.at("16:00")
    note.act(GRADE_HEAD, "acknowledge")
    city.at("17:30")
    note.act(GRADE_HEAD, "note", text="第一次谈话")
    city.at("18:14")
    note.act(GRADE_HEAD, "note", text="第二次谈话")

    assert note.late >= {"guardian_told", "assessment", "county_told"}
    assert note.told_at("county") == "15:25"
    assert note.tier == "city"  # guardian_told went up at 17:00: two hours late
    assert note.case.final is None


def test_as_the_policy_asks_the_county_is_told_in_time_and_no_clock_is_ever_late(city: City) -> None:
    city.at("14:30")
    note = city.report(PEER, cues=["suicide_words"], danger_now=True)
    assert set(note.heard()) >= {CLASS_TEACHER, GRADE_HEAD, COUNSELOR, VICE_PRINCIPAL, *LEADING_GROUP}
    city.at("14:35")
    note.act(CLASS_TEACHER, "acknowledge").act(CLASS_TEACHER, "child_is_safe", with_child="班主任陪同", until=city.time("15:30"))
    city.at("14:45")
    note.tell_guardian()
    city.at("14:50")
    note.act(PRINCIPAL, "report_to_county")
    city.at("15:10")
    note.act(COUNTY_OFFICER, "join")
    city.at("15:20")
    note.assess("red").agreed(COUNSELOR, VICE_PRINCIPAL, "danger_over", because="家长已到校", handed_to="示例家长")
    city.at("16:00")
    note.panel("red")
    city.at("16:30")
    note.agreed(COUNSELOR, VICE_PRINCIPAL, "plan", goals="安全", measures="每日见面", safety_plan="家长陪护")

    assert note.stage == "intervening"
    assert note.tier == "county"
    assert not any(event.late for event in note.events if event.kind == "clock_met")  # type: ignore[attr-defined]
    assert note.late == set()


def test_the_reporter_learns_that_the_word_arrived_and_which_numbers_to_call_and_nothing_else(city: City) -> None:
    city.at("14:30")
    receipt = city.engine.report(unit="xinyang/shihe/no-3/g7/c2", subject="stu-42", by=PEER, facts="纸条", cues=["suicide_words"])

    assert receipt.shows == ("110", "120", "12356")
    assert city.engine.receipt(receipt.token) == {
        "receipt": receipt.token, "received_at": "2026-03-02T14:30:00+08:00", "state": "received",
    }
