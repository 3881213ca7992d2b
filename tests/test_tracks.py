"""Tracks in general: opening by themselves, meeting clocks of their case, following it, ending with it, and never behind its back."""

from __future__ import annotations

import re
import shutil
from importlib.resources import files
from pathlib import Path

import pytest

from crisis_engine import CommandRejected, NotFound, definitions
from crisis_engine.core.errors import DefinitionError

from .story import (
    CHILD,
    CLASS_TEACHER,
    COUNSELOR,
    COUNTY_OFFICER,
    LAW_VICE_PRINCIPAL,
    PEER,
    PRINCIPAL,
    VICE_PRINCIPAL,
    City,
    Story,
)
from .tracks import open_track, refer, track_of, tracks_of

GUARDIAN, REFERRAL, REPORT = "guardian_v1", "referral_v1", "mandatory_report_v1"


# ---- opening by themselves ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A city whose main line opens the guardian's track from orange on and the referral at a cue; return the folder of its workflows."""
    folder = tmp_path / "definitions"
    for kind in ("workflows", "policies"):
        shutil.copytree(str(files(f"crisis_engine.{kind}")), folder / kind, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(definitions, "_folder", lambda kind: folder / kind)
    main = folder / "workflows" / "school_crisis_v1.toml"
    rules = '[track.guardian_v1]\nfrom_risk = "orange"\n\n[track.referral_v1]\ncues = ["hears_commands"]\non = ["take_over"]\n\n'
    words = "[choice.yes_no_unknown]"
    main.write_text(main.read_text(encoding="utf-8").replace(words, rules + words, 1), encoding="utf-8")
    return folder / "workflows"


@pytest.mark.usefixtures("own_rules")
def test_a_track_opens_by_itself_when_the_risk_first_reaches_its_colour(city: City) -> None:
    case = city.report(PEER, cues=["withdrawn"])
    assert tracks_of(city, case, GUARDIAN) == []
    case.act(COUNSELOR, "raise_risk", risk="orange", because="夜里离开宿舍")
    talk = track_of(city, case, GUARDIAN)

    assert (talk.stage, talk.risk, talk.case.parent) == ("to_tell", "orange", case.number)
    assert talk.who("tell_guardian") == CLASS_TEACHER
    assert talk.happened("opened")[0].by == "engine"
    case.act(COUNSELOR, "raise_risk", risk="red", because="有计划")
    assert len(tracks_of(city, case, GUARDIAN)) == 1
    assert talk.risk == "red"


@pytest.mark.usefixtures("own_rules")
def test_a_first_word_opens_a_track_at_once_by_its_cue_and_a_second_word_opens_no_other(city: City) -> None:
    case = city.report(PEER, cues=["hears_commands"])
    slip = track_of(city, case, REFERRAL)
    assert slip.clocks >= {"slip"}
    city.report("p-72", cues=["hears_commands"])
    assert len(tracks_of(city, case, REFERRAL)) == 1

    slip.agreed(COUNSELOR, PRINCIPAL, "stop", because="家长已自行就医")
    city.report("p-72", cues=["hears_commands"])
    assert len(tracks_of(city, case, REFERRAL, open_only=True)) == 1


@pytest.mark.usefixtures("own_rules")
def test_a_track_opens_by_itself_at_a_move_of_its_case(city: City) -> None:
    case = city.report(PEER)
    city.wait(hours=2)
    case.act(COUNTY_OFFICER, "take_over", because="学校无人")
    assert track_of(city, case, REFERRAL).case.unit == case.case.unit


def test_a_track_that_cannot_be_read_turns_no_word_away(own_rules: Path, city: City) -> None:
    city.report(PEER, subject="stu-41")    # the main line was read before its track's file broke
    own_rules.joinpath("referral_v1.toml").write_text("format = 2", encoding="utf-8")
    case = city.report(PEER, cues=["hears_commands"])
    assert case.stage == "reported"
    assert tracks_of(city, case, REFERRAL) == []


# ---- what they do to their case -------------------------------------------------------------------------------------------------------


def test_telling_the_guardian_in_the_track_meets_the_clock_of_the_case_in_the_same_transaction(city: City) -> None:
    case = city.report(PEER, cues=["old_scars"])
    assert "guardian_told" in case.clocks
    talk = open_track(city, case, GUARDIAN)
    talk.act(CLASS_TEACHER, "tell", who="母亲", at=city.clock(), mode="phone", told="所见与下一步")

    assert "guardian_told" not in case.clocks
    assert case.case.facts["guardian"] == "told"
    met = case.happened("clock_met", clock="guardian_told")[0]
    assert (met.by, met.at) == (CLASS_TEACHER, city.clock())
    assert case.happened("track_moved")
    talk.act(CLASS_TEACHER, "agree")
    assert case.case.facts["guardian"] == "agreed"


def test_a_second_track_of_one_kind_is_refused_while_the_first_is_open(city: City) -> None:
    case = city.report(PEER)
    open_track(city, case, GUARDIAN)
    with pytest.raises(CommandRejected, match="stands beside"):
        open_track(city, case, GUARDIAN)


# ---- following their case ---------------------------------------------------------------------------------------------------------------


def test_a_track_follows_the_child_who_was_identified(city: City) -> None:
    case = city.report(PEER, subject=None)
    talk = open_track(city, case, GUARDIAN, by=CLASS_TEACHER)
    assert talk.case.subject is None
    case.act(CLASS_TEACHER, "identify", subject=CHILD)
    assert talk.case.subject == case.case.subject is not None


def test_a_case_that_is_merged_hands_its_tracks_over_to_the_other_one(city: City) -> None:
    old = city.report(PEER)
    new = city.report("p-72", subject=None)
    slip = refer(city, new, to=None)
    new.act(CLASS_TEACHER, "identify", subject=CHILD)

    assert new.case.final == "merged"
    assert (slip.stage, slip.case.parent, slip.case.subject) == ("choosing", old.number, old.case.subject)
    assert ("track", slip.number) in old.links()
    old.reach("follow_up")
    city.skip(days=90)
    old.meet()
    assert "hold the case: referral" in str(old.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="好", evidence="有"))


# ---- ending with their case -------------------------------------------------------------------------------------------------------------


def test_a_case_does_not_close_while_a_track_holds_it_and_a_settled_one_ends_with_it(city: City) -> None:
    case = city.report(PEER).reach("follow_up", risk="yellow")
    talk = open_track(city, case, GUARDIAN)
    city.skip(days=30)
    case.meet()
    assert "hold the case: guardian" in str(case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="好", evidence="有"))
    talk.act(CLASS_TEACHER, "tell", who="母亲", at=city.clock(), mode="face", told="情况").act(CLASS_TEACHER, "agree")
    case.ask_closure()
    case.act(COUNTY_OFFICER, "county_agree", opinion="同意").act("p-3", "city_pass", opinion="通过")

    assert case.case.final == "closed"
    assert (talk.stage, talk.case.final, talk.clocks) == ("over", "closed", set())
    assert talk.happened("moved", move="end_with_case")[0].by == "engine"


@pytest.mark.parametrize("why", ["death", "left_city", "of_age", "lost_contact"])
def test_an_ending_by_two_persons_ends_the_tracks_that_held_it_and_no_clock_survives(city: City, why: str) -> None:
    case = city.report(PEER).reach("intervening")
    slip, talk = refer(city, case), open_track(city, case, GUARDIAN)
    case.act(PRINCIPAL, "request_end", why=why, evidence="材料")
    assert slip.case.open
    case.act(COUNTY_OFFICER, "confirm_end", because="属实")

    assert case.case.final == "ended"
    for track in (slip, talk):
        assert not track.case.open
        assert track.clocks == set()
    assert (slip.stage, talk.stage) == ("stopped", "over")


def test_a_duty_to_report_does_not_end_with_a_child_who_left(city: City) -> None:
    """The file gives no end from there: the ending waits until the police know."""
    case = city.report(PEER).reach("intervening")
    report = open_track(city, case, REPORT, by=LAW_VICE_PRINCIPAL)
    case.act(PRINCIPAL, "request_end", why="left_city", evidence="材料")
    assert "do not end with it: mandatory_report" in str(case.refused(CommandRejected, COUNTY_OFFICER, "confirm_end", because="属实"))

    report.act(LAW_VICE_PRINCIPAL, "report_to_police", category="neglect", at=city.clock(), decided=[LAW_VICE_PRINCIPAL], receipt="回执-1")
    report.act(LAW_VICE_PRINCIPAL, "tell_supervisor", at=city.clock())
    case.act(COUNTY_OFFICER, "confirm_end", because="属实")
    assert (case.case.final, report.stage) == ("ended", "over")


def test_the_core_closes_nothing_over_a_track_even_where_a_file_forgot_the_guard(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    from crisis_engine.core import guard

    case = city.report(PEER).reach("triaging")
    open_track(city, case, GUARDIAN)
    monkeypatch.setitem(guard.GUARDS, "no_holding_track", lambda *_: None)
    case.act(COUNSELOR, "exclude", because="误报")
    assert "tracks hold the case" in str(case.refused(CommandRejected, VICE_PRINCIPAL, "confirm"))


def test_whom_a_case_concerns_does_not_learn_of_a_track_that_opened_before(city: City) -> None:
    case = city.report(PEER)
    talk = open_track(city, case, GUARDIAN)
    case.act(VICE_PRINCIPAL, "exclude_person", person=[CLASS_TEACHER], because="涉及")
    with pytest.raises(NotFound):
        city.engine.case(talk.number, by=CLASS_TEACHER)
    assert talk.who("tell_guardian") != CLASS_TEACHER


# ---- what the loader refuses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("workflow", "change", "key"), [
    ("school_crisis_v1", ('\non = ["withhold_from_guardian"]', '\non = ["no_move"]'), "track.mandatory_report_v1.on"),
    ("school_crisis_v1", ("[track.mandatory_report_v1]", "[track.no_such_v1]"), "track.no_such_v1"),
    ("school_crisis_v1", ("[track.mandatory_report_v1]", '[track.guardian_v1]\ncues = ["no_cue"]\n[track.mandatory_report_v1]'),
     "track.guardian_v1.cues"),
    ("school_crisis_v1", ('"no_signal_since_proposal", "no_danger", "no_holding_track"]', '"no_signal_since_proposal", "no_danger"]'),
     "move.exclude.needs"),
    ("guardian_v1", ('meets_parent = ["guardian_told"]', 'meets_parent = ["guardian_tolt"]'), "meets_parent"),
    ("guardian_v1", ('second = ["law_vice_principal", "leading_group", "county_officer", "city_officer"]\n', ""), "move.withhold.second"),
    ("guardian_v1", ('sets_parent = { guardian = "withheld", recused = "guardians" }', 'sets_parent = { recused = "guardians" }'),
     "move.withhold.sets_parent"),
    ("referral_v1", ('to    = "stopped"\nby    = ["engine"]', 'to    = "back"\nby    = ["engine"]'), "move.stop_with_case.to"),
    ("referral_v1", ('of = ["hospital", "centre"]', 'of = ["hospitals"]'), "of"),
    ("referral_v1", ('by    = ["engine"]\nmeets = ["acceptance"]', 'by    = ["engine"]\nmeets_parent = ["contact"]'), "move.expire.by"),
])
def test_a_file_that_would_break_a_case_is_refused_with_its_key(tmp_path: Path, workflow: str, change: tuple[str, str], key: str) -> None:
    text = files("crisis_engine.workflows").joinpath(f"{workflow}.toml").read_text(encoding="utf-8")
    assert change[0] in text
    path = tmp_path / f"{workflow}.toml"
    path.write_text(text.replace(*change), encoding="utf-8")
    with pytest.raises(DefinitionError) as caught:
        definitions.load_procedure(str(path))
    assert re.search(re.escape(key), caught.value.key or ""), caught.value
    assert caught.value.way_out


def test_both_languages_name_every_track() -> None:
    for name in (GUARDIAN, REFERRAL, REPORT):
        workflow = definitions.load_procedure(name).workflow
        labels = [workflow.label, *(one.label for group in (workflow.stages, workflow.clocks, workflow.moves) for one in group.values())]
        assert all(label["zh"] and label["en"] and label["zh"] != label["en"] for label in labels)


def test_nothing_is_left_due_behind_a_track(city: City) -> None:
    case = city.report(PEER, cues=["means"])
    slip: Story = refer(city, case)
    city.wait(days=3)
    assert case.case.open
    assert slip.stage == "choosing"
