"""Graduation (毕业、升学): leaving classes by one form, over a summer in which the old class no longer exists."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from crisis_engine import BadInput, CommandRejected, NotAllowed
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import RosterError
from crisis_engine.core.model import Subject, Unit
from crisis_engine.roster import RosterSet
from crisis_engine.roster.leaver import Leaver, read_leavers

from .story import COUNTY_OFFICER, OPERATOR, VICE_PRINCIPAL, City, Story
from .tracks import track_of, tracks_of

LEAVING, GRADE, SCHOOL = "xinyang/shihe/no-3/g9/c1", "xinyang/shihe/no-3/g9", "xinyang/shihe/no-3"
FAR, FAR_CLASS, FAR_HEAD = "xinyang/gushi/boarding-1", "xinyang/gushi/boarding-1/g10/c1", "p-504"
PEER, TEACHER = "p-81", "p-15"
TERM = date(2026, 9, 1)
TRANSFER = "transfer_v1"


@pytest.fixture
def june(city: City) -> City:
    """The example city on 20 June."""
    city.clock.set(datetime(2026, 6, 20, 8, tzinfo=CHINA))
    return city


def word(city: City, subject: str) -> Story:
    """A case of a child of the leaving class, brought into follow-up by those who answer there."""
    return city.report(PEER, subject=subject, unit=LEAVING).act(TEACHER, "acknowledge")


def home(city: City, subject: str) -> str:
    return next(str(one["unit"]) for one in city.engine.roster()["subjects"] if one["id"] == subject)


# ---- one form ----------------------------------------------------------------------------------------------------------------------------


def test_one_form_hands_over_every_case_and_moves_every_child_on_the_day(june: City) -> None:
    far, unknown, away = word(june, "stu-111"), word(june, "stu-112"), word(june, "stu-113")
    leavers = [
        Leaver("stu-111", FAR_CLASS), Leaver("stu-112", "unknown"), Leaver("stu-113", "leaves_city"), Leaver("stu-114", FAR_CLASS)]
    found = june.engine.graduate(leavers, begins=TERM, by=VICE_PRINCIPAL, key="class-of-2026")

    assert (found.children, found.moves, len(found.transfers)) == (4, 2, 3)
    assert [track_of(june, one, TRANSFER).stage for one in (far, unknown, away)] == ["offered", "awaiting_place", "leaving"]
    offer = track_of(june, far, TRANSFER)
    assert (offer.case.facts["addressee"], offer.who("receiver_answers")) == (FAR, FAR_HEAD)
    assert track_of(june, unknown, TRANSFER).due("place_known") == datetime(2026, 9, 2, tzinfo=CHINA)    # the day is over at midnight
    assert (home(june, "stu-111"), home(june, "stu-114"), far.case.unit) == (LEAVING, LEAVING, LEAVING)
    assert june.engine.export_subject("stu-114", by="p-35")["subject"]["goes_to"] == FAR_CLASS

    again = june.engine.graduate(leavers, begins=TERM, by=VICE_PRINCIPAL, key="class-of-2026")
    assert again == found
    assert june.engine.graduate(leavers, begins=TERM, by=VICE_PRINCIPAL).transfers == ()      # what runs already is kept
    assert len(tracks_of(june, far, TRANSFER)) == 1

    offer.act(FAR_HEAD, "accept", home=FAR)                      # in July there are no classes yet
    assert (home(june, "stu-111"), far.case.unit) == (FAR, FAR)
    june.clock.set(datetime(2026, 8, 31, 23, 59, tzinfo=CHINA))
    june.sweep()
    assert home(june, "stu-114") == LEAVING
    june.clock.set(datetime(2026, 9, 1, 0, 1, tzinfo=CHINA))
    june.sweep()
    assert (home(june, "stu-114"), home(june, "stu-111")) == (FAR_CLASS, FAR)   # the receiver's word overtook the plan
    june.engine.import_roster(RosterSet(subjects=(Subject("", "stu-111", FAR_CLASS),)))
    assert far.case.unit == FAR_CLASS


def test_a_dry_run_says_what_would_happen_and_changes_nothing(june: City) -> None:
    case = word(june, "stu-111")
    found = june.engine.graduate([Leaver("stu-111", FAR_CLASS), Leaver("stu-112", FAR_CLASS)], begins=TERM, by=VICE_PRINCIPAL, dry_run=True)
    assert (found.moves, found.transfers, found.dry_run) == (2, (case.number,), True)
    assert tracks_of(june, case, TRANSFER) == []
    june.clock.set(datetime(2026, 9, 2, tzinfo=CHINA))
    june.sweep()
    assert home(june, "stu-112") == LEAVING


def test_a_whole_unit_goes_without_a_list_where_nobody_knows_yet(june: City) -> None:
    case = word(june, "stu-113")
    found = june.engine.graduate(unit=LEAVING, begins=TERM, by=VICE_PRINCIPAL)
    assert (found.children, found.moves, found.transfers) == (5, 0, (case.number,))
    assert track_of(june, case, TRANSFER).stage == "awaiting_place"


def test_into_the_next_class_of_the_same_school_a_case_goes_with_the_roster_on_the_day(june: City) -> None:
    case = june.report("p-77", subject="stu-101", unit=f"{SCHOOL}/g8/c1")
    found = june.engine.graduate([Leaver("stu-101", f"{GRADE}/c2")], begins=TERM, by=VICE_PRINCIPAL)
    assert (found.moves, found.transfers) == (1, ())
    june.clock.set(datetime(2026, 9, 1, 1, tzinfo=CHINA))
    june.sweep()
    assert (home(june, "stu-101"), case.case.unit) == (f"{GRADE}/c2", f"{GRADE}/c2")
    assert tracks_of(june, case, TRANSFER) == []


def test_a_county_lets_a_class_go_and_learns_of_no_case_that_did_not_reach_it(june: City) -> None:
    case = word(june, "stu-111")
    found = june.engine.graduate([Leaver("stu-111", FAR_CLASS), Leaver("stu-112", FAR_CLASS)], begins=TERM, by=COUNTY_OFFICER)
    assert (found.children, found.moves, found.transfers) == (2, 2, ())
    assert track_of(june, case, TRANSFER).stage == "offered"


def test_whom_a_case_concerns_begins_its_hand_over_without_learning_of_it_and_others_say_whereto(june: City) -> None:
    case = june.report(PEER, subject="stu-111", unit=LEAVING, about_staff=[VICE_PRINCIPAL])
    assert june.engine.graduate([Leaver("stu-111", FAR_CLASS)], begins=TERM, by=VICE_PRINCIPAL).transfers == ()
    move = track_of(june, case, TRANSFER)
    assert (move.stage, move.who("name_receiver")) == ("to_hand_over", "p-35")
    move.act("p-35", "offer", to=FAR, state="情况").act(FAR_HEAD, "accept", home=FAR_CLASS)
    assert case.case.unit == FAR_CLASS


# ---- what is refused, whole --------------------------------------------------------------------------------------------------------------


def test_a_file_with_a_fault_is_refused_whole_with_every_line(june: City, tmp_path: Path) -> None:
    path = tmp_path / "leavers.csv"
    path.write_text("学号,去向\nstu-111,xinyang/gushi/boarding-1/g10/c1\nstu-999,unknown\nstu-112,xinyang/nowhere\nstu-113,xinyang/gushi\n"
                    "stu-111,未定\nstu-114,xinyang/shihe/no-3/g9/c1\n", encoding="utf-8")
    case = word(june, "stu-111")
    with pytest.raises(RosterError) as caught:
        june.engine.graduate(read_leavers(path), begins=TERM, by=VICE_PRINCIPAL, file=str(path))
    said = str(caught.value)
    for line, what in ((3, "no pupil"), (4, "no unit"), (5, "no place for a pupil"), (6, "already in line 2"), (7, "already")):
        assert f"{path}:{line}" in said, said
        assert what in said, said
    assert tracks_of(june, case, TRANSFER) == []


@pytest.mark.parametrize("text", ["", "subject\nstu-1\n", "subject,to,to\n", "subject,to\n,unknown\n", "subject,to\nstu-111\n"])
def test_a_file_that_cannot_be_read_names_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "leavers.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RosterError, match=r"leavers\.csv"):
        read_leavers(path)


def test_a_unit_that_is_not_there_when_the_children_come_is_refused(june: City) -> None:
    ended = Unit(FAR_CLASS, "class", "高一1班", f"{FAR}/g10", ends_at=datetime(2026, 7, 1, tzinfo=CHINA))
    later = Unit(f"{FAR}/g10/c3", "class", "高一3班", f"{FAR}/g10", begins_at=datetime(2026, 10, 1, tzinfo=CHINA))
    june.engine.import_roster(RosterSet(units=(ended, later)))
    with pytest.raises(RosterError, match="has ended by then"):
        june.engine.graduate([Leaver("stu-111", FAR_CLASS)], begins=TERM, by=VICE_PRINCIPAL)
    with pytest.raises(RosterError, match="has not begun by then"):
        june.engine.graduate([Leaver("stu-111", later.id)], begins=TERM, by=VICE_PRINCIPAL)


def test_who_may_not_change_the_roster_there_lets_nobody_go(june: City) -> None:
    for by in (TEACHER, "p-31", "p-504", "p-161"):
        with pytest.raises(NotAllowed):
            june.engine.graduate([Leaver("stu-111", FAR_CLASS)], begins=TERM, by=by)
    with pytest.raises(BadInput, match="is over"):
        june.engine.graduate([Leaver("stu-111", FAR_CLASS)], begins=date(2026, 6, 1), by=VICE_PRINCIPAL)
    with pytest.raises(BadInput):
        june.engine.graduate([], begins=TERM, by=VICE_PRINCIPAL)
    with pytest.raises(BadInput):
        june.engine.graduate([Leaver("stu-111", FAR_CLASS)], unit=LEAVING, begins=TERM, by=VICE_PRINCIPAL)
    june.engine.graduate([Leaver("stu-111", FAR_CLASS)], begins=TERM, by=VICE_PRINCIPAL, key="k")
    with pytest.raises(CommandRejected):
        june.engine.graduate([Leaver("stu-112", FAR_CLASS)], begins=TERM, by=VICE_PRINCIPAL, key="k")


# ---- the summer --------------------------------------------------------------------------------------------------------------------------


def test_over_the_summer_no_clock_is_without_somebody_and_what_nobody_took_is_the_citys_in_september(june: City) -> None:
    """The class ends on 1 July, its grade on 10 July; nobody at the new school answers, and nobody names a place for the second child."""
    far, unknown = word(june, "stu-111"), word(june, "stu-112")
    june.engine.graduate([Leaver("stu-111", FAR_CLASS), Leaver("stu-112", "unknown")], begins=TERM, by=VICE_PRINCIPAL)
    june.engine.import_roster(RosterSet(units=(
        Unit(LEAVING, "class", "九年级1班", GRADE, ends_at=datetime(2026, 7, 1, tzinfo=CHINA)),
        Unit(GRADE, "grade", "九年级", SCHOOL, ends_at=datetime(2026, 7, 10, tzinfo=CHINA)),
    )))
    offer, place = track_of(june, far, TRANSFER), track_of(june, unknown, TRANSFER)
    numbers = [one.number for one in (far, unknown, offer, place)]
    assert far.case.answers == TEACHER
    for _day in range(85):
        june.wait(days=1)
        for number in numbers:
            with june.engine.store.reading() as tx:
                stored = tx.case(number)
            assert stored is not None
            case = stored.case
            assert case.open
            assert case.answers is not None, june.clock()
            assert all(clock.holder is not None for clock in case.clocks), june.clock()
            if june.clock() >= datetime(2026, 7, 1, tzinfo=CHINA):
                assert TEACHER not in {case.answers, *(clock.holder for clock in case.clocks)}
    assert june.clock() >= datetime(2026, 9, 12, tzinfo=CHINA)
    assert (offer.stage, offer.tier) == ("county_decides", "city")
    assert (place.stage, place.tier) == ("awaiting_place", "city")
    raised = [line for line in place.history(OPERATOR) if line["kind"] == "tier_raised"]
    assert [(line["at"][:10], line["tier"]) for line in raised] == [("2026-09-02", "county"), ("2026-09-02", "city")]
    assert june.clock() - timedelta(days=85) < datetime(2026, 6, 21, tzinfo=CHINA)


def test_children_who_cannot_be_moved_keep_no_rung_from_firing_and_the_operator_is_told(
    june: City, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:
    """Promise 1: whatever fails beside it, the sweep goes on."""
    caplog.set_level("INFO", logger="crisis_engine")
    june.engine.graduate([Leaver("stu-114", f"{GRADE}/c2")], begins=TERM, by=VICE_PRINCIPAL)
    june.clock.set(datetime(2026, 9, 1, 7, 59, tzinfo=CHINA))
    case = june.report("p-71")
    late = case.due("acknowledge") + timedelta(minutes=1)

    with monkeypatch.context() as broken:
        broken.setattr("crisis_engine.engine.place.follow_children", lambda *_: 1 // 0)
        june.clock.set(late)
        assert june.engine.sweep().rungs >= 1
        assert june.engine.sweep().rungs == 0
    assert home(june, "stu-114") == LEAVING, "all or none"
    assert "roster.moves_failed" in caplog.text
    with june.engine.store.reading() as tx:
        told = [one.notice.people for one in tx.waiting_notices(late, 100, "move_failed")]
    assert told == [(OPERATOR,)], "once a day"

    june.engine.sweep()
    assert home(june, "stu-114") == f"{GRADE}/c2"
