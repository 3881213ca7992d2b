"""Every track on both databases and in both languages: its way to the end as its file says it, and its worst way, on which nobody acts.

The way is walked in memory first (tests/walk.py) and made again on the engine, all tracks side by side in one city; no track is named here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crisis_engine.cli import main
from crisis_engine.core import events as ev
from crisis_engine.core.resolve import paths
from crisis_engine.core.workflow import Workflow
from crisis_engine.definitions import load_procedure
from crisis_engine.example import example_roster
from crisis_engine.testing import open_test_engine

from .promise import Watch
from .story import COUNTY_OFFICER, LAW_VICE_PRINCIPAL, PEER, PRINCIPAL, SCHOOL, City, Story, copy_city
from .tracks import shipped, shipped_tracks
from .walk import Step, walk

KIDS = [kid for kid in example_roster().subjects if SCHOOL in paths(kid.unit)]
READER = LAW_VICE_PRINCIPAL      # reads every secrecy of this school
KEY = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b(?!_v\d)")
CHINESE = re.compile(r"[\u3400-\u9fff]+")
NAMES = re.compile(r"[a-z_]+_v\d+")     # of workflows and policies, which are the same in every language


@pytest.fixture(params=["sqlite", "postgresql"])
def city(request: pytest.FixtureRequest, city_template: Path, tmp_path: Path) -> Iterator[City]:
    """Give the example city on either database."""
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgres_url"))
    else:
        copy_city(city_template, tmp_path / "city.db")
        url = f"sqlite:///{tmp_path / 'city.db'}"
    with open_test_engine(url=url) as (engine, clock, channel):
        yield City(engine, clock, channel, url)


def test_every_track_goes_its_way_and_nobody_forgets_the_one_on_which_nobody_works(
    city: City, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    tracks = shipped_tracks()
    ways = {track: walk(track, kid.ref, kid.unit) for track, kid in zip(tracks, KIDS, strict=False)}
    idle = {track: begun(city, track, walk(track, kid.ref, kid.unit)[0], kid.ref)
            for track, kid in zip(tracks, KIDS[len(tracks):], strict=False)}
    busy = {track: begun(city, track, ways[track][0], kid.ref) for track, kid in zip(tracks, KIDS, strict=False)}

    later = [(step, track, place) for track, way in ways.items() for place, step in enumerate(way[1:], 1)]
    for step, track, place in sorted(later, key=lambda one: one[0].at):
        if step.at > city.clock():
            city.clock.set(step.at)
            city.sweep()
        busy[track].act(step.by, step.move, **step.fields)
        if place == len(ways[track]) // 2:
            read_in_both_languages(city, busy[track], ("show", "history"), monkeypatch, capsys)
    city.skip(days=60).sweep()
    for track in tracks:
        if busy[track].case.open:      # its people have settled it, and it ends with its case
            case = Story(city, str(busy[track].case.parent))
            case.act(PRINCIPAL, "request_end", why="left_city", evidence="-").act(COUNTY_OFFICER, "confirm_end", because="-")

    for track in tracks:
        assert busy[track].case.final is not None, track
        assert busy[track].clocks == set(), track
        known = idle[track].tier == "city" or any(event.alarm for event in idle[track].events if isinstance(event, ev.RungFired))
        assert idle[track].case.open, track
        assert known, f"nobody worked on {track} for two months, and the city does not know"
        read_in_both_languages(city, idle[track], ("moves", "explain"), monkeypatch, capsys)
    everything_is_kept(city)


def begun(city: City, track: str, first: Step, child: str) -> Story:
    """Somebody reports the child, and the track opens beside that case as the way begins."""
    kid = next(kid for kid in KIDS if kid.ref == child)
    case = city.report(PEER, subject=child, unit=kid.unit)
    return Story(city, city.engine.open_case(track, by=first.by, parent=case.number, fields=dict(first.fields)).number)


def read_in_both_languages(
    city: City, track: Story, commands: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    """Ask the console about a track: what is said in one language holds no word of the other, and no key of a catalogue."""
    monkeypatch.setenv("CRISIS_NOW", city.clock().isoformat())
    label = shipped()[track.case.workflow].stages[track.stage].label
    sources = " ".join(rule.source for rule in load_procedure(track.case.workflow).policy.clocks.values())   # a law has its own name
    for lang in ("zh", "en"):
        for command in commands:
            assert main(["--db", city.url, "--as", READER, "--lang", lang, command, track.number]) == 0, f"{command} {track.case.workflow}"
            said = capsys.readouterr().out
            plain = NAMES.sub("", said)
            if lang == "zh":
                typed = names_of(shipped()[track.case.workflow]) if command == "moves" else set()
                left = set(KEY.findall(plain)) - typed
                assert not left, f"{command} of {track.case.workflow} says {left}"
            else:
                foreign = [words for words in CHINESE.findall(plain) if words not in sources]
                assert not foreign, f"{command} of {track.case.workflow} says {foreign}"
            if command == "show":
                assert label[lang] in said, f"{command} of {track.case.workflow} does not say the stage"


def names_of(workflow: Workflow) -> set[str]:
    """Return the names that a person types, or reads in a refusal: `crisis moves` says them as they are."""
    fields = {field.name for move in workflow.moves.values() for field in move.fields}
    return {*workflow.moves, *workflow.stages, *workflow.clocks, *fields}


def everything_is_kept(city: City) -> None:
    """Look at the whole database from outside, every promise of every case."""
    roster = example_roster()
    people = [*(one.id for one in roster.persons), *(one.id for one in roster.guardians), *(kid.ref for kid in roster.subjects)]
    where = city.url if city.url.startswith("postgresql") else Path(city.url.removeprefix("sqlite:///"))
    watch = Watch(where, city.engine, people)
    watch.look(city.clock())
    watch.close()
