"""A ninth track as a file only: a school writes a workflow and its numbers into a folder of its own, and the engine drives it."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from crisis_engine import CommandRejected, DefinitionError
from crisis_engine.cli import main
from crisis_engine.core.procedure import Procedure
from crisis_engine.definitions import load_policy, load_procedure
from crisis_engine.roster import read_roster

from .story import CITY_OFFICER, CLASS_TEACHER, COUNSELOR, PEER, VICE_PRINCIPAL, City, Story

EXAMPLE = Path(__file__).parent.parent / "examples" / "ninth_track"
TRACK = "bullying_talks_v1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give a folder of the host with the two files, and nothing else."""
    own = tmp_path / "own"
    own.mkdir()
    for name in (TRACK, "no_3_talks_v1"):
        shutil.copy(EXAMPLE / f"{name}.toml", own)
    return own


@pytest.fixture
def own_city(city: City, folder: Path, tmp_path: Path) -> City:
    """Give the example city in which the school follows its own numbers."""
    units = (EXAMPLE / "units.csv").read_text(encoding="utf-8").replace("examples/ninth_track", str(folder))
    (tmp_path / "units.csv").write_text(units, encoding="utf-8")
    city.engine.import_roster(read_roster([tmp_path / "units.csv"], city.engine.known_roster()))
    return city


def policy_of(case: Story) -> str:
    """Return the policy that a case is pinned to."""
    with case.city.engine.store.reading() as tx:
        body = tx.definition(case.case.procedure)
    assert body is not None
    return Procedure.from_body(body).policy.id


def test_the_files_hold_in_every_situation(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["definitions", "check", str(folder / "no_3_talks_v1.toml"), "--lang", "en"]) == 0
    assert f"{TRACK} with no_3_talks_v1: proven" in capsys.readouterr().out


def test_a_child_is_talked_to_asked_again_and_let_go_by_two(own_city: City) -> None:
    case = own_city.report(PEER).reach("follow_up", "yellow")
    assert policy_of(case) == "no_3_talks_v1", "the child's own case follows the school's numbers too"
    talks = Story(own_city, own_city.engine.open_case(TRACK, by=CLASS_TEACHER, parent=case.number).number)
    assert (talks.stage, talks.who("bullying_talk")) == ("talking", CLASS_TEACHER)
    assert talks.due("bullying_talk") == own_city.clock() + timedelta(days=3)
    own_city.skip(days=40)
    case.meet()
    assert "bullying_talks" in str(case.refused(CommandRejected, VICE_PRINCIPAL, "request_closure", reason="x", evidence="x"))

    talks.act(CLASS_TEACHER, "talked", note="双方已谈").act(COUNSELOR, "asked_again", note="没有再发生")
    talks.agreed(COUNSELOR, VICE_PRINCIPAL, "finish")
    assert talks.case.final == "closed"
    case.ask_closure()


def test_talks_that_nobody_holds_climb_like_everything_else(own_city: City) -> None:
    case = own_city.report(PEER).reach("follow_up", "yellow")
    talks = Story(own_city, own_city.engine.open_case(TRACK, by=CLASS_TEACHER, parent=case.number).number)
    own_city.wait(days=8)
    assert talks.tier == "city"
    assert CITY_OFFICER in talks.heard()


def test_a_school_without_the_files_has_no_such_track(city: City) -> None:
    case = city.report(PEER).reach("follow_up", "yellow")
    with pytest.raises(DefinitionError, match="no such file"):
        city.engine.open_case(TRACK, by=CLASS_TEACHER, parent=case.number)


def test_a_clock_that_no_workflow_has_is_refused_even_where_a_policy_adds_one(folder: Path) -> None:
    policy = folder / "no_3_talks_v1.toml"
    policy.write_text(policy.read_text(encoding="utf-8").replace("clock.bullying_talk]", "clock.bullying_tolk]"), encoding="utf-8")
    with pytest.raises(DefinitionError, match="bullying_tolk"):
        load_procedure(TRACK, str(policy))


def test_a_policy_that_adds_a_workflow_is_still_only_stricter(folder: Path) -> None:
    policy = folder / "no_3_talks_v1.toml"
    looser = '\n[clock.assessment]\nwithin = { red = "5h" }\nsource = "x"\nmark = "D"\n'
    policy.write_text(policy.read_text(encoding="utf-8") + looser, encoding="utf-8")
    with pytest.raises(DefinitionError, match="looser"):
        load_policy(str(policy))


def test_what_a_policy_adds_must_lie_beside_it(folder: Path) -> None:
    (folder / f"{TRACK}.toml").unlink()
    with pytest.raises(DefinitionError, match="no such file"):
        load_procedure("school_crisis_v1", str(folder / "no_3_talks_v1.toml"))
