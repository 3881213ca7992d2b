"""The history checker finds what it should, in histories made by hand, and nothing in good ones."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crisis_engine.core import events as ev
from crisis_engine.core.events import Notice
from crisis_engine.core.model import Risk, Tier
from tests.chaos.history import (
    FAIL,
    OK,
    UNKNOWN,
    Call,
    Life,
    Sent,
    lost_or_doubled,
    messages,
    rungs,
    sent_again,
    still_due,
    untold,
    verdicts,
    words,
)

NOW = datetime(2026, 3, 2, tzinfo=UTC)


def armed(seq: int, rung: int = 0, holder: str | None = "p-11", clock: str = "contact") -> ev.ClockArmed:
    return ev.ClockArmed(case="A", seq=seq, at=NOW, by="engine", clock=clock, n=1, sort="safety", role="counselor", unit="u", holder=holder,
                         due_at=NOW, next_at=NOW, rung=rung)


def fired(seq: int, rung: int, times: int, following: tuple[int, int], **more: Any) -> ev.RungFired:  # noqa: ANN401 - fields of the event
    return ev.RungFired(case="A", seq=seq, at=NOW + timedelta(minutes=seq), by="engine", clock="contact", n=1, rung=rung, times=times,
                        next_rung=following[0], next_times=following[1], next_at=NOW, **more)


def life(*events: ev.Event, notices: tuple[Notice, ...] = ()) -> Life:
    return Life("A", events, notices)


def flaws(*events: ev.Event, reminders: int = 0) -> list[str]:
    return rungs(life(*events), lambda _clock: reminders)


def notice(at: datetime, *people: str) -> Notice:
    return Notice("A-2", "A", people, "contact", "late", NOW, urgent=True, at=at)


# ---- commands ---------------------------------------------------------------------------------------------------------------


def test_a_good_history_has_no_flaw() -> None:
    calls = [Call("a", UNKNOWN), Call("a", OK, "R1"), Call("b", FAIL), Call("c", UNKNOWN), Call("d", UNKNOWN)]
    calls += [Call("e", OK, "R2")] * 2
    assert lost_or_doubled(calls, {"a": 1, "c": 1, "e": 1}) == []


@pytest.mark.parametrize(("calls", "found", "flaw"), [
    ([Call("a", OK)], {}, "acknowledged and lost: a"),
    ([Call("a", UNKNOWN), Call("a", OK)], {"a": 2}, "done 2 times: a"),
    ([Call("a", UNKNOWN)], {"a": 2}, "done 2 times: a"),
    ([Call("a", FAIL)], {"a": 1}, "refused and yet there: a"),
    ([Call("a", OK, "R1"), Call("a", OK, "R2")], {"a": 1}, "answered in 2 ways: a"),
    ([], {"z": 1}, "nobody ever said this: z"),
])
def test_a_lost_a_doubled_and_an_invented_command_are_named(calls: list[Call], found: dict[str, int], flaw: str) -> None:
    assert lost_or_doubled(calls, found) == [flaw]


def test_one_acknowledgement_outweighs_doubt_and_doubt_outweighs_a_refusal() -> None:
    calls = [Call("a", OK), Call("a", UNKNOWN), Call("b", FAIL), Call("b", UNKNOWN), Call("c", FAIL)]
    assert verdicts(calls) == {"a": OK, "b": UNKNOWN, "c": FAIL}


def test_the_words_of_a_command_are_counted_in_the_records_that_carry_forms_alone() -> None:
    form = {"text": "<k-1>", "risk": "red"}
    moved = ev.Moved(case="A", seq=1, at=NOW, by="p-11", secret=form, move="note", origin="a", to="a")
    noted = ev.FactSet(case="A", seq=2, at=NOW, by="p-11", secret=form, name="x", value="y")
    found = words([life(moved, noted)], lambda text: text.strip("<>") if text.startswith("<") else None)
    assert found == {"k-1": 1}


# ---- rungs ------------------------------------------------------------------------------------------------------------------


def test_a_ladder_that_is_climbed_rung_by_rung_has_no_flaw() -> None:
    assert flaws(armed(1), fired(2, 0, 0, (1, 0)), fired(3, 1, 0, (2, 0)), fired(4, 2, 0, (2, 1)), fired(5, 2, 1, (2, 2))) == []


def test_reminders_may_be_left_out_and_rungs_not() -> None:
    assert flaws(armed(1, 1), fired(2, 1, 0, (2, 0)), reminders=2) == []
    assert flaws(armed(1, 1), reminders=0) == ["A #1: contact begins above its first rung"]


@pytest.mark.parametrize(("events", "flaw"), [
    ((fired(2, 0, 0, (1, 0)), fired(3, 0, 0, (1, 0))), "A #3: contact.1 rung 0.0 fired, 1.0 was next"),
    ((fired(2, 0, 0, (1, 0)), fired(3, 0, 0, (1, 0))), "A #3: contact.1 rung 0.0 fired twice"),
    ((fired(2, 1, 0, (2, 0)),), "A #2: contact.1 rung 1.0 fired, 0.0 was next"),
    ((fired(2, 0, 0, (2, 0)),), "A #2: contact.1 rung 0.0 is followed by 2: [1] passed over"),
    ((fired(2, 0, 0, (0, 0)),), "A #2: contact.1 rung 0.0 is followed by itself or an earlier one"),
])
def test_a_rung_that_comes_twice_out_of_turn_or_not_at_all_is_named(events: tuple[ev.Event, ...], flaw: str) -> None:
    assert flaw in flaws(armed(1), *events)


def test_a_clock_that_was_met_fires_no_more() -> None:
    met = ev.ClockMet(case="A", seq=2, at=NOW, by="p-11", clock="contact", n=1, late=False)
    assert flaws(armed(1), met, fired(3, 0, 0, (1, 0))) == ["A #3: contact.1 rung 0.0 fired and does not run"]


def test_moving_a_clock_passes_no_rung_over() -> None:
    moved = ev.ClockMoved(case="A", seq=2, at=NOW, by="p-11", clock="contact", n=1, due_at=NOW, next_at=NOW, rung=2, why="risk")
    assert flaws(armed(1), moved) == ["A #2: moving contact passed rungs over"]
    assert flaws(armed(1), moved, reminders=2) == []


def test_a_case_beyond_the_end_of_its_new_ladder_fires_the_last_rung_of_that() -> None:
    assert flaws(armed(1), fired(2, 0, 0, (1, 0)), fired(3, 1, 0, (2, 0)), fired(4, 1, 1, (1, 2))) == []


def test_what_is_due_and_did_not_fire_is_named() -> None:
    lives = [("A", NOW), ("B", NOW + timedelta(seconds=1)), ("C", None)]
    assert [flaw[0] for flaw in still_due(lives, NOW)] == ["A", "C"]


# ---- notices ----------------------------------------------------------------------------------------------------------------


def test_whom_a_rung_calls_on_stands_in_a_notice_of_that_moment() -> None:
    rung = fired(2, 0, 0, (1, 0), told=(("school", "counselor"),), tier=Tier.SCHOOL, answers="p-33")
    told = notice(rung.at, "p-11", "p-33")
    assert untold(life(armed(1), rung, notices=(told,))) == []
    assert untold(life(armed(1), rung, notices=(notice(rung.at, "p-33"),))) == ["A #2: p-11 was not told"]
    assert untold(life(armed(1), rung, notices=(notice(NOW, "p-11", "p-33"),))) == ["A #2: p-11 was not told", "A #2: p-33 was not told"]
    over = ev.HandedOver(case="A", seq=2, at=NOW, by="engine", clock="contact", n=1, role="r", unit="u", holder="p-12")
    assert untold(life(armed(1), over, rung, notices=(told,))) == ["A #2: p-12 was not told"]


def test_a_message_may_come_again_under_its_key_and_must_come_once() -> None:
    once = Sent("A-2:p-11", "p-11")
    assert messages([once, once, Sent("A-3:p-1", "p-1", taken=False)], {"A-2:p-11": "p-11"}, finished=True) == []
    assert messages([], {"A-2:p-11": "p-11"}, finished=False) == []
    assert messages([], {"A-2:p-11": "p-11"}, absent={"A-2:p-11"}, finished=True) == []


@pytest.mark.parametrize(("sent", "flaw"), [
    ([], "never arrived: A-2:p-11"),
    ([Sent("A-2:p-11", "p-11", taken=False)], "never arrived: A-2:p-11"),
    ([Sent("A-2:p-11", "p-11"), Sent("A-2:p-11", "p-12")], "one key, two receivers: A-2:p-11"),
    ([Sent("A-2:p-11", "p-11"), Sent("A-2:p-11.again", "p-11")], "nobody owes this message: A-2:p-11.again"),
    ([Sent("A-2:p-11", "p-12")], "p-12 got what is for p-11: A-2:p-11"),
])
def test_a_message_lost_changed_or_made_up_is_named(sent: list[Sent], flaw: str) -> None:
    assert messages(sent, {"A-2:p-11": "p-11"}, finished=True) == [flaw]


def test_a_risk_is_no_key() -> None:
    assert words([life(ev.RiskRaised(case="A", seq=1, at=NOW, by="p-11", risk=Risk.RED, secret={"text": "<k>"}))], lambda text: text) == {}


def test_a_message_goes_again_only_after_its_lease_or_a_failure() -> None:
    lease, later = timedelta(minutes=5), NOW + timedelta(minutes=5)
    first = Sent("k", "p", by="d1", fence=1, claimed=NOW)
    assert sent_again([first, Sent("k", "p", by="d2", fence=2, claimed=NOW)], lease) == ["sent by d1 and again by d2 within the lease: k"]
    assert sent_again([first, Sent("k", "p", by="d2", fence=2, claimed=later)], lease) == []
    for failed in (replace(first, taken=False), replace(first, answered=False)):
        assert sent_again([failed, Sent("k", "p", by="d2", fence=2, claimed=NOW)], lease) == []
    late = [Sent("k", "p", by="d2", fence=2, claimed=later), first]   # d1 stood still, and goes on when its claim has run out
    assert sent_again(late, lease) == []
