"""The green channel (转介绿色通道): only the addressee accepts, whoever does not answer is asked no more, and the county knows at once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from crisis_engine import BadInput, CommandRejected, CrisisError, NotAllowed, NotFound
from crisis_engine.core.model import Agreement, Unit
from crisis_engine.roster import RosterSet

from .story import (
    CHILD,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_DUTY,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
)
from .tracks import CENTRE, CENTRE_LIAISON, HOSPITAL, HOSPITAL_LIAISON, OTHER_HOSPITAL, OTHER_LIAISON, open_track, refer, track_beside


@pytest.fixture
def case(city: City) -> Story:
    return city.report(PEER, cues=["old_scars"]).reach("intervening")


@pytest.fixture
def slip(city: City, case: Story) -> Story:
    """The slip that waits at the hospital."""
    return refer(city, case)


def messages_to(city: City, person: str) -> list[str]:
    return [message.subject + message.body for message in city.messages() if message.to == person]


# ---- the whole way ----------------------------------------------------------------------------------------------------------------------


def test_a_child_is_referred_accepted_seen_treated_and_received_back(city: City, slip: Story) -> None:
    assert (slip.stage, slip.who("acceptance")) == ("sent", HOSPITAL_LIAISON)
    assert slip.due("acceptance") == city.clock() + timedelta(hours=12)
    slip.act(HOSPITAL_LIAISON, "accept")
    assert slip.due("seen") == city.clock() + timedelta(hours=24)        # 罗山县
    slip.act(HOSPITAL_LIAISON, "was_seen", when=city.clock())
    city.wait(days=7)
    slip.act(HOSPITAL_LIAISON, "feed_back", document="医院文书：建议继续门诊")
    slip.act(HOSPITAL_LIAISON, "care_ends")
    assert slip.who("receive_back") == COUNSELOR
    slip.agreed(COUNSELOR, VICE_PRINCIPAL, "received", note="班级座位、作业量已安排")
    assert (slip.stage, slip.case.final, slip.clocks) == ("done", "closed", set())


def test_the_case_keeps_its_own_clock_while_the_child_is_at_the_hospital(case: Story, slip: Story) -> None:
    assert "contact" in case.clocks
    assert slip.case.parent == case.number


def test_the_hospital_is_told_at_its_own_unit_and_the_county_is_not_yet(city: City, slip: Story) -> None:
    told = messages_to(city, HOSPITAL_LIAISON)
    assert any(slip.number in text for text in told)
    assert not any("三天未眠" in text for text in told)
    assert slip.tier == "school"
    with pytest.raises(NotAllowed):
        city.engine.case(slip.number, by=COUNTY_OFFICER)


# ---- who accepts ------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [CENTRE_LIAISON, OTHER_LIAISON, COUNSELOR, PRINCIPAL, CLASS_TEACHER, COUNTY_OFFICER])
def test_only_the_addressee_accepts(slip: Story, by: str) -> None:
    slip.refused(NotAllowed, by, "accept")


def test_of_two_who_would_accept_the_second_comes_too_late(slip: Story) -> None:
    slip.act(HOSPITAL_LIAISON, "accept")
    slip.refused(CommandRejected, HOSPITAL_LIAISON, "accept")


def test_whoever_declines_is_asked_no_more_and_the_county_knows_at_once(city: City, slip: Story) -> None:
    slip.act(HOSPITAL_LIAISON, "cannot_take", because="床位已满")
    assert (slip.stage, slip.tier, slip.case.facts["addressee"]) == ("choosing", "county", "")
    assert any(slip.number in text for text in messages_to(city, COUNTY_OFFICER))
    assert slip.clocks >= {"choose_partner", "oversight"}

    assert "was asked before" in str(slip.refused(CommandRejected, COUNSELOR, "send", partner=HOSPITAL))
    slip.act(COUNSELOR, "send", partner=CENTRE)
    assert slip.who("acceptance") == CENTRE_LIAISON
    slip.act(CENTRE_LIAISON, "accept")


def test_a_time_that_passes_is_a_move_of_the_engine_and_wakes_the_county_at_23_00(city: City, case: Story) -> None:
    city.at("11:00")
    slip = refer(city, case)
    assert slip.due("acceptance") == city.time("23:00")
    slip.heard()
    city.at("23:00")

    assert (slip.stage, slip.tier) == ("choosing", "county")
    assert slip.happened("moved", move="expire")[0].by == "engine"
    assert COUNTY_DUTY in {message.to for message in city.messages() if slip.number in message.subject + message.body}
    assert slip.due("choose_partner") == city.time("23:00") + timedelta(hours=4)
    slip.refused(NotAllowed, HOSPITAL_LIAISON, "accept")
    slip.act(COUNSELOR, "send", partner=HOSPITAL, again=True)      # asked again because a person said so
    assert slip.stage == "sent"


# ---- consent ----------------------------------------------------------------------------------------------------------------------------


def test_an_escort_needs_a_written_authorisation_and_an_authorisation_an_escort(city: City, case: Story) -> None:
    slip = open_track(city, case, "referral_v1").act(PRINCIPAL, "stamp", state="情况")
    slip.refused(CommandRejected, COUNSELOR, "consent", form="present", escort=[CLASS_TEACHER])
    slip.refused(CommandRejected, COUNSELOR, "consent", form="authorisation")
    slip.act(COUNSELOR, "consent", form="authorisation", escort=[CLASS_TEACHER])
    assert slip.stage == "choosing"


def test_consent_may_be_withdrawn_after_the_hospital_accepted(city: City, slip: Story) -> None:
    slip.act(HOSPITAL_LIAISON, "accept").act(CLASS_TEACHER, "consent_withdrawn", because="家长改变主意")
    assert (slip.stage, slip.tier, slip.who("consent")) == ("consenting", "county", CLASS_TEACHER)
    with pytest.raises(NotAllowed):
        city.engine.case(slip.number, by=HOSPITAL_LIAISON)


def test_without_consent_only_danger_goes_and_two_persons_say_so(city: City, case: Story) -> None:
    slip = open_track(city, case, "referral_v1").act(PRINCIPAL, "stamp", state="情况")
    assert "only danger" in str(slip.refused(CommandRejected, PRINCIPAL, "go_without_consent", because="家长不来"))
    case.act(COUNSELOR, "raise_risk", risk="red", because="持刀")
    assert slip.risk == "red"
    slip.agreed(PRINCIPAL, LAW_VICE_PRINCIPAL, "go_without_consent", because="持刀，家长不来")
    assert (slip.stage, slip.tier) == ("choosing", "county")
    assert {"110", "120"} <= set(slip.shows)


# ---- partners ------------------------------------------------------------------------------------------------------------------------


def test_a_partner_without_an_agreement_for_this_county_today_is_not_asked(city: City, case: Story) -> None:
    slip = refer(city, case, to=None)
    assert "no agreement" in str(slip.refused(CommandRejected, COUNSELOR, "send", partner=OTHER_HOSPITAL))
    city.skip(days=1000)
    assert "no agreement" in str(slip.refused(CommandRejected, COUNSELOR, "send", partner=HOSPITAL))


def test_a_partner_that_is_full_is_not_asked(city: City, case: Story) -> None:
    begins, ends = city.clock(), city.clock() + timedelta(days=365)
    city.engine.import_roster(RosterSet(agreements=(Agreement("agr-shihe-hospital", HOSPITAL, "xinyang/shihe", begins, ends, 1),)))
    refer(city, city.report(PEER, subject="stu-41"))
    slip = refer(city, case, to=None)
    assert "no room" in str(slip.refused(CommandRejected, COUNSELOR, "send", partner=HOSPITAL))
    slip.act(COUNSELOR, "send", partner=CENTRE)


@pytest.mark.parametrize(("partner", "error"), [
    ("xinyang/police", BadInput), ("xinyang/shihe", BadInput), ("xinyang/nowhere", NotFound), ("", BadInput), ("x" * 5000, NotFound)])
def test_a_child_is_sent_to_hospitals_and_centres_only(city: City, case: Story, partner: str, error: type[CrisisError]) -> None:
    refer(city, case, to=None).refused(error, COUNSELOR, "send", partner=partner)


def test_a_partner_that_is_abolished_while_it_holds_a_child_leaves_it_to_the_county(city: City, slip: Story) -> None:
    slip.act(HOSPITAL_LIAISON, "accept")
    gone = Unit(HOSPITAL, "partner", "浉河区示例医院", "xinyang/shihe", ends_at=city.clock() + timedelta(hours=1), sort="hospital")
    city.engine.import_roster(RosterSet(units=(gone,)))
    assert slip.who("seen") == HOSPITAL_LIAISON
    city.wait(hours=1)

    assert slip.who("seen") == COUNTY_OFFICER
    assert slip.tier == "county"
    with pytest.raises(NotAllowed):
        city.engine.case(slip.number, by=HOSPITAL_LIAISON)
    slip.act(COUNTY_OFFICER, "call_back", because="机构撤销")
    assert "partner no more" in str(slip.refused(CommandRejected, COUNSELOR, "send", partner=HOSPITAL, again=True))


# ---- what a partner sees ----------------------------------------------------------------------------------------------------------------

SEEING: dict[str, Callable[[City, str, str], Any]] = {
    "case": lambda city, number, by: city.engine.case(number, by=by),
    "history": lambda city, number, by: city.engine.history(number, by=by),
    "moves": lambda city, number, by: city.engine.moves(number, by=by),
    "reads": lambda city, number, by: city.engine.reads(number, by=by),
    "glass": lambda city, number, by: city.engine.break_glass(number, by=by, because="看看"),
    "act": lambda city, number, by: city.engine.act(number, "note", by=by, fields={"text": "x"}),
}
"""Each way of looking at a case."""


@pytest.mark.parametrize("way", SEEING)
def test_a_hospital_sees_its_own_referral_and_nothing_else(city: City, case: Story, slip: Story, way: str) -> None:
    talk, other = track_beside(city, case, "guardian_v1"), refer(city, city.report(PEER, subject="stu-41"), to=CENTRE)
    for hidden in (case, talk, other):
        with pytest.raises((NotAllowed, NotFound)):
            SEEING[way](city, hidden.number, HOSPITAL_LIAISON)
    if way in {"case", "history", "moves"}:
        SEEING[way](city, slip.number, HOSPITAL_LIAISON)
        with pytest.raises(NotAllowed):
            SEEING[way](city, slip.number, CENTRE_LIAISON)


def test_a_hospital_reads_the_slip_and_not_who_else_there_is(city: City, case: Story, slip: Story) -> None:
    history = str(city.engine.history(slip.number, by=HOSPITAL_LIAISON))
    assert "三天未眠" in history
    view = city.engine.case(slip.number, by=HOSPITAL_LIAISON)
    assert view.links == ()
    assert view.subject == CHILD
    assert case.number not in str(view.to_json()) + history


def test_a_partner_has_a_queue_of_its_own(city: City, case: Story, slip: Story) -> None:
    assert [(item.number, item.clock) for item in city.engine.queue(by=HOSPITAL_LIAISON)] == [(slip.number, "acceptance")]
    assert city.engine.queue(by=CENTRE_LIAISON) == []
    assert [line.number for line in city.engine.cases(by=HOSPITAL_LIAISON)] == [slip.number]
    assert case.number not in {item.number for item in city.engine.queue(by=HOSPITAL_LIAISON)}


def test_a_partner_that_was_asked_in_vain_sees_it_no_more(city: City, slip: Story) -> None:
    slip.act(HOSPITAL_LIAISON, "cannot_take", because="床位已满")
    with pytest.raises(NotAllowed):
        city.engine.history(slip.number, by=HOSPITAL_LIAISON)
    assert city.engine.cases(by=HOSPITAL_LIAISON) == []
