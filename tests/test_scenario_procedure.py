"""What a case is pinned to and what is always today's; and a track beside a case, which holds its closure but never its clocks."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

import crisis_engine as ce
from crisis_engine import CommandRejected, NotAllowed
from crisis_engine.core.model import Unit
from crisis_engine.definitions import load_access
from crisis_engine.roster import RosterSet

from .story import (
    CITY_OFFICER,
    CLASS,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    OPERATOR,
    PEER,
    PRINCIPAL,
    SCHOOL,
    VICE_PRINCIPAL,
    City,
    Story,
)

TRACK = """
format  = 1
name    = "slip"
version = 1
subject = "parent"
parent  = ["school_crisis"]
start   = "needed"
label   = { zh = "示例转介", en = "example referral" }
source  = "a test"

[stage]
needed = { lead = "school", holds = true, label = { zh = "待填", en = "needed" } }
sent   = { lead = "school", label = { zh = "已发出", en = "sent" } }
done   = { final = "closed", label = { zh = "完成", en = "done" } }

[clock]
slip          = { in = ["needed", "sent"], who = "counselor", kind = "safety", label = { zh = "填转介单", en = "fill the slip" } }
second_person = { once = { on = ["proposed"] }, who = "second_signer", kind = "safety", label = { zh = "第二人", en = "second" } }

[move.refer]
from  = []
to    = "needed"
by    = ["counselor"]
label = { zh = "提出", en = "refer" }

[move.send]
from  = ["needed"]
to    = "sent"
by    = ["counselor", "county_officer", "city_officer"]
instead = true
meets = ["slip"]
label = { zh = "发出", en = "send" }

[move.finish]
from   = ["needed", "sent"]
to     = "done"
by     = ["counselor", "county_officer", "city_officer"]
instead = true
second = ["vice_principal", "county_officer", "city_officer"]
meets  = ["slip"]
label  = { zh = "完成", en = "finish" }
"""

SLIP_NUMBERS = """
[clock.slip]
within = "24h"
ladder = "safety"
source = "a test"
mark   = "D"
"""


@pytest.fixture
def track(tmp_path: Path) -> tuple[str, str]:
    """Return the paths of a tiny track and of a policy for it: the default numbers with the track's own clocks."""
    default = files("crisis_engine.policies").joinpath("default_v1.toml").read_text(encoding="utf-8")
    head, *tables = re.sub("(?m)^for .*$", 'for = ["slip_v1"]', default).replace('"default"', '"slip_numbers"').split("\n[")
    kept = [table for table in tables if not table.startswith("clock.") or table.startswith("clock.second_person]")]
    workflow, policy = tmp_path / "slip_v1.toml", tmp_path / "slip_numbers_v1.toml"
    workflow.write_text(TRACK, encoding="utf-8")
    policy.write_text("\n[".join([head, *kept]) + SLIP_NUMBERS, encoding="utf-8")
    return str(workflow), str(policy)


def beside(city: City, case: Story, track: tuple[str, str]) -> Story:
    """Open the track beside the case, under a policy of its own that the school chose meanwhile."""
    workflow, policy = track
    school = Unit(SCHOOL, "school", "浉河区第三示例中学", "xinyang/shihe", dismissal="17:30", policy=policy)
    city.engine.import_roster(RosterSet(units=(school,)))
    return Story(city, city.engine.open_case(workflow, by=COUNSELOR, parent=case.number).number)


def test_a_track_has_clocks_and_people_of_its_own(city: City, track: tuple[str, str]) -> None:
    case = city.report(PEER).reach("intervening")
    slip = beside(city, case, track)

    assert (slip.stage, slip.case.parent, slip.case.subject, slip.case.unit) == ("needed", case.number, case.case.subject, CLASS)
    assert slip.due("slip") == city.clock() + timedelta(hours=24)
    assert slip.who("slip") == COUNSELOR
    assert slip.heard() >= {COUNSELOR}


def test_a_case_that_waits_for_its_track_keeps_its_own_clocks_and_goes_up_by_them(city: City, track: tuple[str, str]) -> None:
    """Promise 1 and the drafts: every open case has an armed clock of its own, whatever its tracks do; no clock is borrowed."""
    case = city.report(PEER).reach("intervening")
    before = {(clock.name, clock.n, clock.due_at) for clock in case.case.clocks}
    slip = beside(city, case, track)
    assert {(clock.name, clock.n, clock.due_at) for clock in case.case.clocks} == before
    due = case.due("contact")
    city.clock.set(due + timedelta(hours=24))
    city.sweep()

    assert case.tier == "county"
    assert slip.tier in {"school", "county", "city"}
    assert slip.happened("rung_fired", clock="slip")


def test_a_track_holds_the_closure_of_its_case_while_its_stage_holds(city: City, track: tuple[str, str]) -> None:
    """The drafts: a track `holds` per stage."""
    case = city.report(PEER).reach("follow_up")
    slip = beside(city, case, track)
    city.skip(days=90)
    case.meet()
    assert "tracks hold the case: slip" in str(case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="好", evidence="有"))
    slip.act(COUNSELOR, "send")
    case.ask_closure()

    assert (case.stage, slip.stage) == ("closure_requested", "sent")


def test_an_accused_teacher_does_not_learn_of_the_track_either(city: City, track: tuple[str, str]) -> None:
    """Promise 3: whom the case concerns does not learn that it exists: the track is about the same child."""
    case = city.report(PEER, about_staff=[CLASS_TEACHER])
    slip = beside(city, case, track)

    assert slip.case.recused == {CLASS_TEACHER}
    with pytest.raises(ce.NotFound):
        city.engine.case(slip.number, by=CLASS_TEACHER)


def test_a_person_excluded_from_a_case_later_loses_its_track_too(city: City, track: tuple[str, str]) -> None:
    """Promise 3: they count as absent everywhere."""
    case = city.report(PEER)
    slip = beside(city, case, track)
    case.act(VICE_PRINCIPAL, "exclude_person", person=[COUNSELOR], because="与心理教师有关")

    assert slip.who("slip") == "p-32"
    with pytest.raises(ce.NotFound):
        city.engine.case(slip.number, by=COUNSELOR)


def test_a_track_ends_by_two_people_and_its_case_goes_on(city: City, track: tuple[str, str]) -> None:
    case = city.report(PEER).reach("intervening")
    slip = beside(city, case, track).agreed(COUNSELOR, VICE_PRINCIPAL, "finish")

    assert (slip.stage, slip.case.final, case.stage) == ("done", "closed", "intervening")
    assert case.clocks


def test_a_track_stands_beside_the_workflows_that_it_names_only(city: City, track: tuple[str, str]) -> None:
    case = city.report(PEER)
    slip = beside(city, case, track)

    with pytest.raises(CommandRejected, match="no track"):
        city.engine.open_case(track[0], by=COUNSELOR, parent=slip.number)
    with pytest.raises(NotAllowed):
        city.engine.open_case(track[0], by=CLASS_TEACHER, parent=case.number)


# ---- pinned and today's ----------------------------------------------------------------------------------------------------------


def test_a_case_keeps_the_numbers_it_was_opened_under_and_a_new_one_takes_the_new(city: City) -> None:
    """Promise 8: the procedure is pinned by content hash."""
    old = city.report(PEER, cues=["means"])
    assert old.due("county_told") == city.clock() + timedelta(hours=1)  # xinyang_v1
    city.engine.import_roster(RosterSet(units=(Unit("xinyang", "city", "信阳市", None, policy="default_v1"),)))
    new = city.report(PEER, subject="stu-41", cues=["means"])

    assert new.due("county_told") == city.clock() + timedelta(hours=2)  # default_v1
    assert old.due("county_told") == city.clock() + timedelta(hours=1)
    assert old.case.procedure != new.case.procedure
    city.report("p-72")
    old.assess("red")
    assert old.due("triage") == city.clock() + timedelta(hours=2)  # xinyang_v1 still; default_v1 says four


def test_who_may_read_is_always_todays_also_for_an_old_case(city: City) -> None:
    """Promise 8: the procedure is pinned, the rights are not."""
    case = city.report(PEER, facts="他说过不想活了")
    assert "不想活" in str(case.history(by=CLASS_TEACHER))
    rights = load_access()
    strict = replace(rights, roles={**rights.roles, "class_teacher": replace(rights.roles["class_teacher"], reads=0)})

    with ce.open_engine(city.url, clock=city.clock, access=strict) as engine:
        assert "不想活" not in str(engine.history(case.number, by=CLASS_TEACHER))
        assert engine.case(case.number, by=CLASS_TEACHER).subject is None


def test_who_does_it_is_always_todays_roster(city: City) -> None:
    """Promise 8: roster and calendars are never pinned."""
    case = city.report(PEER)
    pinned = case.case.procedure
    city.engine.end_duty(role="counselor", unit=SCHOOL, person=COUNSELOR, by=OPERATOR)

    assert case.who("assessment") == "p-32"
    assert case.case.procedure == pinned
    case.refused(NotAllowed, COUNSELOR, "start_assessment")


def test_a_database_reopened_by_another_process_goes_on_where_it_was(city: City) -> None:
    """Promise 2: an acknowledged command is on the disk."""
    case = city.report(PEER).reach("planning")
    seen = case.case
    city.engine.close()

    with ce.open_engine(city.url, clock=city.clock) as engine:
        view = engine.case(case.number, by=COUNSELOR)
        assert (view.stage, view.version) == ("planning", seen.version)
        city.clock.set(seen.next_at or city.clock())
        assert engine.sweep().cases == 1


def test_counties_and_the_city_see_only_what_reached_them(city: City) -> None:
    """Promise 6: need to know, deny by default."""
    case = city.report(PEER)
    for stranger in (COUNTY_OFFICER, CITY_OFFICER, "p-12", "p-22", "p-111", "p-201", "p-105"):
        case.refused(NotAllowed, stranger, "note", text="看看")
        with pytest.raises(NotAllowed):
            city.engine.case(case.number, by=stranger)
    case.act(CLASS_TEACHER, "pass_up", to="county")

    assert city.engine.case(case.number, by=COUNTY_OFFICER).tier == "county"
    with pytest.raises(NotAllowed):
        city.engine.case(case.number, by="p-111")  # another county
    with pytest.raises(NotAllowed):
        city.engine.case(case.number, by=CITY_OFFICER)


def test_the_operator_sees_clocks_and_kinds_and_no_facts(city: City) -> None:
    """Promise 6: the operator runs the machine."""
    case = city.report(PEER, facts="他说过不想活了").reach("intervening", "red")
    view = city.engine.case(case.number, by=OPERATOR)

    assert view.subject is None
    assert view.facts == {}
    assert {deadline.name for deadline in view.deadlines} >= {"contact", "review"}
    text = str(case.history(by=OPERATOR)) + str(view.to_json())
    assert not any(secret in text for secret in ("不想活", "stu-42", "研判会纪要", "示例家长", "见面记录"))
    case.refused(NotAllowed, OPERATOR, "note", text="看看")


def test_counselling_notes_are_read_by_counselors_and_not_by_class_teachers_or_principals(city: City) -> None:
    """Promise 6: what is written by many is read by few."""
    case = city.report(PEER).reach("intervening").act(COUNSELOR, "note", text="咨询内容一二三")

    assert "咨询内容一二三" in str(case.history(by=COUNSELOR))
    assert "咨询内容一二三" not in str(case.history(by=CLASS_TEACHER)) + str(case.history(by=PRINCIPAL))
    assert "研判会纪要" in str(case.history(by=PRINCIPAL))
    assert "研判会纪要" not in str(case.history(by=CLASS_TEACHER))
