"""Every track, in every stage, beside a case that ends in every way: nothing closes over it, nothing is left behind, no clock survives.

Nothing here names a track or a stage: the definitions are read, and what must happen follows from three of their words: `holds`, the
engine's move `parent_ended`, and the guard by which an ending of the case says what it asks of its tracks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

import pytest

from crisis_engine.almanac import published_calendar
from crisis_engine.core import events as ev
from crisis_engine.core import guard
from crisis_engine.core.case import Case, Done
from crisis_engine.core.decide import Decision
from crisis_engine.core.errors import CommandRejected, NotAllowed
from crisis_engine.core.model import Tier
from crisis_engine.core.pen import Pen
from crisis_engine.core.resolve import paths
from crisis_engine.core.settle import settle
from crisis_engine.core.workflow import MoveDef
from crisis_engine.definitions import load_access
from crisis_engine.example import EXAMPLE_NOW, example_roster
from crisis_engine.simulate import Book, Rehearsal, Shelf
from crisis_engine.simulate.child import Child
from crisis_engine.simulate.form import filled
from crisis_engine.simulate.measure import broken_promises

from .story import CHILD, CLASS, CLASS_TEACHER, PEER
from .tracks import shipped, shipped_tracks

CLOSES, ENDS, YIELDS = "no_holding_track", "tracks_handed_over_or_ended", "no_track_holds"   # what an ending of the case asks of its tracks
ROSTER, ACCESS, CALENDAR, SHELF = example_roster(), load_access(), published_calendar(), Shelf()
STAFF = [duty.person for duty in ROSTER.duties if duty.unit in paths(CLASS)]
EARLIER = "p-37"    # made whatever a second signature counts on


@dataclass
class Family:
    """A case and a track beside it, in memory."""

    rehearsal: Rehearsal
    case: str
    track: str

    @classmethod
    def of(cls, track: str) -> Family:
        """Let somebody report a child, and somebody whom the file allows it open the track."""
        rehearsal = Rehearsal(Book(ROSTER, ACCESS, CALENDAR, SHELF), EXAMPLE_NOW, keep=False)
        case = rehearsal.report(unit=CLASS, subject=CHILD, by=PEER)
        return cls(rehearsal, case, opened(rehearsal, track, case))

    def of_case(self) -> Case:
        return self.rehearsal.book.cases[self.case]

    def of_track(self) -> Case:
        return self.rehearsal.book.cases[self.track]

    def put(self, number: str, stage: str) -> None:
        """Bring a case to a stage as if a move had gone there: its clocks are those of the stage."""
        book, now = self.rehearsal.book, self.rehearsal.now
        case = book.cases[number]
        pen = Pen(case, number, book.pinned(case), book.resolver(now), CLASS_TEACHER, now)
        pen.add(ev.Moved, move=next(iter(pen.procedure.workflow.moves)), origin=case.stage, to=stage)
        settle(pen)
        self.rehearsal.write(pen)

    def ends(self, move: MoveDef) -> Decision:
        """Let the case be ended by people whom the file allows it, two where it asks for two."""
        book = self.rehearsal.book
        case = book.cases[self.case]
        earlier = {word.partition(":")[2] for word in move.second if ":" in word}
        done = {name: Done(EARLIER, case.last_at, case.version) for name in earlier}
        book.cases[self.case] = replace(case, done={**case.done, **done})
        form = filled(book, self.rehearsal.now, Child(CHILD, "none", None), case, book.pinned(case), move, {})  # type: ignore[arg-type]  # no chance is drawn
        decision = self._by_somebody(move.name, form)
        return self._by_somebody("confirm", {"proposal": move.name}) if decision.waits else decision

    def _by_somebody(self, move: str, form: dict[str, object]) -> Decision:
        for person in STAFF:
            if person != EARLIER:
                with suppress(NotAllowed):
                    return self.rehearsal.act(self.case, move, by=person, fields=form)
        raise AssertionError(f"nobody may {move}")


def opened(rehearsal: Rehearsal, track: str, beside: str) -> str:
    """Open a track by whomever its file allows it."""
    book = rehearsal.book
    above = book.cases[beside]
    procedure = book.procedure_for(track, CLASS)
    form = filled(book, rehearsal.now, Child(CHILD, "none", None), above, procedure, procedure.workflow.opening, {})  # type: ignore[arg-type]
    for person in STAFF:
        with suppress(NotAllowed):
            return rehearsal.open_case(track, by=person, parent=beside, fields=form)
    raise AssertionError(f"nobody may open {track}")


def endings(track: str) -> Iterator[MoveDef]:
    """Yield every move by which people end a case beside which the track may stand; one that became part of another is not over."""
    for workflow in shipped().values():
        if workflow.name in shipped()[track].parents:
            yield from (move for move in workflow.moves.values()
                        if move.to is not None and workflow.stages[move.to].final not in {None, "merged"} and not move.engine_only)


def stages(track: str) -> list[str]:
    return [name for name, stage in shipped()[track].stages.items() if stage.final is None]


def kept(family: Family, number: str) -> bool:
    """Whether a clock runs on a case and somebody who is there answers for it."""
    case, book, now = family.rehearsal.book.cases[number], family.rehearsal.book, family.rehearsal.now
    policy = book.pinned(case).policy
    return bool(case.clocks) and broken_promises(case, case.next_at, book.resolver(now), now, policy.terminal_every.wall) == []


@pytest.fixture
def only_tracks_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every other guard be content, so that what is refused is refused for the track."""
    for name in guard.GUARDS:
        if name not in {CLOSES, ENDS, YIELDS}:
            monkeypatch.setitem(guard.GUARDS, name, lambda *_: None)


def test_every_ending_of_a_case_beside_which_a_track_may_stand_asks_something_of_its_tracks() -> None:
    for track in shipped_tracks():
        for move in endings(track):
            assert {CLOSES, ENDS, YIELDS} & {need.partition(":")[0] for need in move.needs}, (track, move.name)


@pytest.mark.usefixtures("only_tracks_matter")
@pytest.mark.parametrize("track", shipped_tracks())
def test_no_case_closes_over_a_track_and_none_leaves_one_behind(track: str) -> None:
    for stage in stages(track):
        for move in endings(track):
            ends_with(track, stage, move)


def ends_with(track: str, stage: str, move: MoveDef) -> None:
    """Let the case end by this move while the track stands there; look at both."""
    workflow = shipped()[track]
    holds, goes = workflow.stages[stage].holds, workflow.ending_from(stage) is not None
    final = next(one.stages[str(move.to)].final for one in shipped().values() if one.moves.get(move.name) is move)
    special = ENDS in move.needs or final in workflow.stages[stage].yields   # over a stage that yields the case may end so
    said = f"{track} in {stage}, the case ends by {move.name}"
    family = Family.of(track)
    family.put(family.case, min(move.from_stages))
    family.put(family.track, stage)
    before = family.of_case(), family.of_track()

    if holds and not (special and goes):
        with pytest.raises(CommandRejected) as caught:
            family.ends(move)
        assert workflow.name in str(caught.value), said
        assert family.of_track() == before[1], said
        assert family.of_case().open, said
        assert kept(family, family.track), said
        return

    decision = family.ends(move)
    case, left = family.of_case(), family.of_track()
    (moved,) = (event for event in decision.pens[0].events if isinstance(event, ev.Moved))
    assert not case.open, said
    assert case.clocks == (), f"a clock survives: {said}"
    assert moved.second is not None, f"one person: {said}"
    assert moved.second != moved.by, f"one person: {said}"
    if goes:
        assert not left.open, said
        assert left.clocks == (), f"a clock of the track survives: {said}"
    else:
        assert left.open, said
        assert kept(family, family.track), f"a track goes on and nobody answers for it: {said}"


@pytest.mark.usefixtures("only_tracks_matter")
@pytest.mark.parametrize("track", shipped_tracks())
def test_the_core_closes_nothing_over_a_track_even_where_the_case_asks_nothing_of_its_tracks(
    track: str, monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (CLOSES, ENDS, YIELDS):
        monkeypatch.setitem(guard.GUARDS, name, lambda *_: None)
    for stage in stages(track):
        for move in endings(track):
            ends_with(track, stage, move)


@pytest.mark.parametrize("track", shipped_tracks())
def test_a_case_that_becomes_part_of_another_hands_its_tracks_over_in_every_stage(track: str) -> None:
    for stage in stages(track):
        family = Family.of(track)
        rehearsal = family.rehearsal
        other = rehearsal.report(unit=CLASS, subject=None, by=CLASS_TEACHER)
        beside = opened(rehearsal, track, other)
        family.put(beside, stage)
        clocks = {clock.name for clock in rehearsal.book.cases[beside].clocks}
        rehearsal.act(other, "identify", by=CLASS_TEACHER, fields={"subject": CHILD})
        moved = rehearsal.book.cases[beside]
        assert rehearsal.book.cases[other].final == "merged"
        assert rehearsal.book.cases[other].clocks == ()
        assert (moved.parent, moved.open, {clock.name for clock in moved.clocks}) == (family.case, True, clocks), f"{track} in {stage}"
        assert kept(family, beside), f"{track} in {stage}"


@pytest.mark.parametrize("track", shipped_tracks())
def test_a_track_that_nobody_works_on_comes_to_the_city_or_sounds_an_alarm(track: str) -> None:
    """The worst case: its people do nothing, in whatever stage it stands."""
    for stage in stages(track):
        family = Family.of(track)
        alarms: list[str] = []
        family.rehearsal.watch.append(partial(_sounds, alarms))
        family.put(family.track, stage)
        for _week in range(30):
            family.rehearsal.run(family.rehearsal.now + timedelta(days=7))
            assert kept(family, family.track), f"{track} in {stage}"
            if family.of_track().tier is Tier.CITY or family.track in alarms:
                break
        else:
            raise AssertionError(f"nobody acts for thirty weeks: {track} in {stage} is known at {family.of_track().tier}")


def _sounds(alarms: list[str], pen: Pen) -> None:
    alarms += [pen.number for event in pen.events if isinstance(event, ev.RungFired) and event.alarm]
