"""What the loader and the proof catch: a sample of all mutants has no survivor without a reason, and each law kills what breaks it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from . import mutate
from .fate import KILLED, fate, files, mutants_of, own
from .mutant import KINDS, dotted, paths
from .reason import REASONS, UNEXPLAINED

SAMPLE, SEED = 60, 5
DOCS = Path(__file__).parent.parent / "docs" / "definitions.md"


def test_a_sample_of_all_mutants_is_killed_or_survives_for_a_known_reason() -> None:
    fates = [mutate.judged(task) for task in mutate.tasks(sample=SAMPLE, seed=SEED)]
    assert [one for one in fates if one.by not in {*KILLED, "survived"}] == []
    assert [one for one in fates if one.why == UNEXPLAINED] == []
    assert sum(one.by in KILLED for one in fates) > SAMPLE // 2
    assert "| all |" in "\n".join(mutate.report(fates))


def test_every_file_of_the_folders_has_mutants_of_every_rule() -> None:
    folders = Path(__file__).parent.parent
    assert set(files()) == {path.stem for folder in ("workflows", "policies") for path in (folders / folder).glob("*.toml")}
    for name in files():
        made = mutants_of(name)
        assert {one.kind for one in made} <= set(KINDS)
        assert {one.key for one in made} >= {dotted(path) for path in paths(own(name))}
        assert len({(one.kind, one.key) for one in made}) == len(made)


def test_a_mutant_differs_from_its_file_and_leaves_it_as_it_was() -> None:
    before = repr(own("glass_review_v1"))
    for one in mutants_of("glass_review_v1"):
        assert repr(one.made(own("glass_review_v1"))) != before
    assert repr(own("glass_review_v1")) == before


def test_a_run_that_was_broken_off_goes_on_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted, kept = mutate.tasks(["retention_v1"], sample=6), tmp_path / "fates.jsonl"
    fates = mutate.judge(wanted[:4], kept, workers=1)
    with kept.open("a", encoding="utf-8") as out:
        out.write('["retention_v1", "torn')
    capsys.readouterr()
    assert mutate.judge(wanted, kept, workers=1)[:4] == fates
    assert "4 of them judged before" in capsys.readouterr().err
    kept.write_text('{"tree": "another"}\n', encoding="utf-8")
    assert mutate.kept(kept) == {}


def test_the_reasons_of_the_survivors_stand_in_the_documentation() -> None:
    told = re.sub(r"\s+", " ", DOCS.read_text(encoding="utf-8"))
    assert [why for _key, _kind, why in REASONS if why not in told] == []
    assert fate("glass_review_v1", next(one for one in mutants_of("glass_review_v1") if one.key == "label")).by == "loader"
