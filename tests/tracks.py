"""Words for the stories of tracks: opening one, finding it beside its case, sending a child to a partner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any
from unittest.mock import patch

from crisis_engine import definitions
from crisis_engine.core.workflow import Workflow

from .story import COUNSELOR, PRINCIPAL, City, Story

HOSPITAL, CENTRE, OTHER_HOSPITAL = "xinyang/shihe/hospital", "xinyang/shihe/centre", "xinyang/pingqiao/hospital"
HOSPITAL_LIAISON, CENTRE_LIAISON, OTHER_LIAISON = "p-105", "p-106", "p-115"


@cache
def shipped() -> dict[str, Workflow]:
    """Return every shipped workflow by the name of its file."""
    names = sorted(one.name.removesuffix(".toml") for one in files("crisis_engine.workflows").iterdir() if one.name.endswith(".toml"))
    return {name: definitions.load_procedure(name).workflow for name in names}


@cache
def shipped_tracks() -> tuple[str, ...]:
    """Return the tracks that a person may open beside a crisis case, whichever there are: no test that asks this names one."""
    return tuple(name for name, one in shipped().items() if "school_crisis" in one.parents and not one.opening.engine_only)


@contextmanager
def opened_by_rules(folder: Path, rules: str) -> Iterator[None]:
    """Let the main line open tracks by itself as `rules` say (`[track.NAME_vN]`), in a copy of the definitions in this folder."""
    for kind in ("workflows", "policies"):
        copytree(str(files(f"crisis_engine.{kind}")), folder / kind, ignore=ignore_patterns("__pycache__"), dirs_exist_ok=True)
    main, words = folder / "workflows" / "school_crisis_v1.toml", "[choice.yes_no_unknown]"
    text = main.read_text(encoding="utf-8")
    for name in re.findall(r"^\[track\.(\w+)\]", rules, re.MULTILINE):   # of which the shipped file may have a rule of its own
        text = re.sub(rf"\[track\.{name}\].*?\n\n", "", text, count=1, flags=re.DOTALL)
    main.write_text(text.replace(words, rules + words, 1), encoding="utf-8")
    with patch.object(definitions, "_folder", lambda kind: folder / kind):
        yield


def open_track(city: City, case: Story, workflow: str, by: str = COUNSELOR, **fields: Any) -> Story:  # noqa: ANN401 - any field of the form
    """Somebody opens a track beside a case."""
    return Story(city, city.engine.open_case(workflow, by=by, parent=case.number, fields=fields).number)


def track_beside(city: City, case: Story, workflow: str) -> Story:
    """Return the open track of a workflow beside a case: the one that opened by itself, or one that somebody opens now."""
    standing = tracks_of(city, case, workflow, open_only=True)
    return standing[0] if standing else open_track(city, case, workflow)


def tracks_of(city: City, case: Story, workflow: str, *, open_only: bool = False) -> list[Story]:
    """Return the tracks of a workflow beside a case, in the order in which they began."""
    with city.engine.store.reading() as tx:
        found = [one.case for one in tx.tracks_of(case.number)]
    return [Story(city, one.number) for one in found if one.workflow == workflow and (one.open or not open_only)]


def track_of(city: City, case: Story, workflow: str) -> Story:
    """Return the one track of a workflow beside a case."""
    (track,) = tracks_of(city, case, workflow)
    return track


def refer(city: City, case: Story, *, to: str | None = HOSPITAL) -> Story:
    """The school refers a child in the steps of the green channel, up to the slip that waits at a partner."""
    slip = open_track(city, case, "referral_v1", state="三天未眠，自述想伤害自己")
    slip.act(PRINCIPAL, "stamp", state="三天未眠，自述想伤害自己").act(COUNSELOR, "consent", form="present")
    return slip if to is None else slip.act(COUNSELOR, "send", partner=to)
