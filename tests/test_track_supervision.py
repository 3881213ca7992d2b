"""Supervision (督导): county and city order or advise a unit; a reply is due, accepted or returned, and no child is needed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed, NotFound
from crisis_engine.core.calendar import CHINA

from .story import (
    CITY_OFFICER,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    OPERATOR,
    PRINCIPAL,
    SCHOOL,
    SECOND_CITY_OFFICER,
    City,
    Story,
)

OTHER_COUNTY = "p-111"      # the officer of 平桥区


def ordered(city: City, by: str = COUNTY_OFFICER, unit: str = SCHOOL, **more: Any) -> Story:  # noqa: ANN401 - any field of the form
    """Let an officer give an order to a unit."""
    fields = {"kind": "order", "about": "no_report", "text": "连续两月未报，请说明并补报零报告", **more}
    return Story(city, city.engine.open_case("supervision_v1", by=by, unit=unit, fields=fields).number)


def test_the_school_replies_and_whoever_ordered_accepts(city: City) -> None:
    order = ordered(city)
    assert (order.stage, order.tier, order.answers) == ("ordered", "county", COUNTY_OFFICER)
    assert order.case.subject is None
    assert order.who("supervision_reply") == PRINCIPAL
    order.act(PRINCIPAL, "reply", reply="已补报", evidence="报表")
    assert order.who("supervision_review") == COUNTY_OFFICER
    order.act(COUNTY_OFFICER, "accept")
    assert (order.stage, order.case.ended_by, order.case.ended_second) == ("accepted", COUNTY_OFFICER, PRINCIPAL)


def test_the_order_may_name_a_day_which_counts_where_it_is_nearer(city: City) -> None:
    assert ordered(city, reply_by="2026-03-05").due("supervision_reply") == datetime(2026, 3, 6, tzinfo=CHINA)
    far = ordered(city, reply_by="2027-03-05")
    assert far.due("supervision_reply") == ordered(city).due("supervision_reply")
    with pytest.raises(BadInput, match="past"):
        ordered(city, reply_by="2026-02-01")


def test_a_reply_that_is_returned_is_due_again(city: City) -> None:
    order = ordered(city).act(PRINCIPAL, "reply", reply="无").act(COUNTY_OFFICER, "return", because="没有说明原因", reply_by="2026-03-06")
    assert (order.stage, order.due("supervision_reply")) == ("ordered", datetime(2026, 3, 7, tzinfo=CHINA))


def test_an_order_without_a_reply_comes_to_the_city_by_itself(city: City) -> None:
    order = ordered(city, reply_by="2026-03-05")
    city.wait(days=12)
    assert (order.tier, order.late) == ("city", {"supervision_reply"})
    assert order.answers in {CITY_OFFICER, SECOND_CITY_OFFICER}


def test_the_county_may_bring_it_before_the_city_which_orders_anew(city: City) -> None:
    order = ordered(city).act(COUNTY_OFFICER, "escalate", because="两次回复不实")
    assert (order.stage, order.who("supervision_city")) == ("escalated", CITY_OFFICER)
    order.act(CITY_OFFICER, "order_again", text="市级督办", reply_by="2026-03-10")
    assert (order.stage, order.who("supervision_reply")) == ("ordered", PRINCIPAL)


def test_the_city_supervises_a_county_whose_officer_replies(city: City) -> None:
    order = ordered(city, by=CITY_OFFICER, unit="xinyang/shihe")
    assert order.who("supervision_reply") == COUNTY_OFFICER
    order.act(COUNTY_OFFICER, "reply", reply="已办").act(CITY_OFFICER, "accept")
    assert order.stage == "accepted"


def test_whoever_replied_does_not_accept(city: City) -> None:
    order = ordered(city).act(COUNTY_OFFICER, "reply", reply="代学校回复")
    order.refused(CommandRejected, COUNTY_OFFICER, "accept")
    order.refused(CommandRejected, COUNTY_OFFICER, "return", because="x")


def test_nobody_orders_a_unit_that_is_not_under_the_own_duty(city: City) -> None:
    for by in (OTHER_COUNTY, PRINCIPAL, CLASS_TEACHER, OPERATOR):
        with pytest.raises(NotAllowed):
            ordered(city, by=by)
    with pytest.raises(NotAllowed):
        ordered(city, by=COUNTY_OFFICER, unit="xinyang")
    assert city.cases() == 0


def test_an_order_names_no_child_and_a_unit_that_exists(city: City) -> None:
    with pytest.raises(BadInput, match="names no child"):
        city.engine.open_case("supervision_v1", by=COUNTY_OFFICER, subject="stu-42", fields={})
    with pytest.raises((NotFound, NotAllowed)):
        ordered(city, unit="xinyang/shihe/no-such-school")


def test_the_school_and_those_above_it_see_the_order_and_no_class_or_other_county_does(city: City) -> None:
    order = ordered(city)
    for by in (PRINCIPAL, COUNSELOR, COUNTY_OFFICER, OPERATOR):
        assert city.engine.case(order.number, by=by).number == order.number
    for by in (CLASS_TEACHER, OTHER_COUNTY, CITY_OFFICER):     # the city hears of it when it comes to its level
        with pytest.raises(NotAllowed):
            city.engine.case(order.number, by=by)


def test_an_order_given_in_error_is_revoked_by_two(city: City) -> None:
    order = ordered(city, by=CITY_OFFICER)
    order.agreed(CITY_OFFICER, SECOND_CITY_OFFICER, "revoke", because="发错单位")
    assert order.case.final == "ended"


def test_a_second_click_orders_once(city: City) -> None:
    fields = {"kind": "guidance", "about": "practice", "text": "请完善预案"}
    first, second = (city.engine.open_case("supervision_v1", by=COUNTY_OFFICER, unit=SCHOOL, fields=fields, key="k") for _ in range(2))
    assert first.number == second.number
    assert city.cases() == 1
