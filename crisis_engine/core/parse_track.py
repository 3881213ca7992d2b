"""From `[track.NAME]` of a workflow file and `follows` of a move: which tracks open by themselves, and what of its parent one follows."""

from __future__ import annotations

from collections.abc import Mapping

from .model import Risk
from .parse_table import Table
from .workflow import TrackDef

RATED = tuple(risk.value for risk in Risk if risk is not Risk.UNRATED)
YIELDS = ("excluded",)
"""Endings of a parent to which a stage that holds it may yield."""

FOLLOWED: Mapping[str, tuple[str, ...]] = {"guardian": ("told", "agreed", "partly", "refused", "unreachable", "withheld")}
"""Facts of a parent that a track may follow (`follows`), with their values."""


def parse_tracks(table: Table | None, moves: tuple[str, ...]) -> Mapping[str, TrackDef]:
    """Return what stands under [track.NAME]; each says at least one reason to open."""
    tracks: dict[str, TrackDef] = {}
    for name in table.names() if table else ():
        assert table is not None  # noqa: S101 (mypy does not see that the loop is empty without a table)
        entry = table.table(name)
        track = TrackDef(
            name=name,
            from_risk=Risk(entry.one_of("from_risk", RATED)) if entry.has("from_risk") else None,
            cues=entry.words("cues"),
            on=entry.some_of("on", moves),
            policy=entry.flag("policy"),
        )
        if track.policy and (not track.on or track.from_risk or track.cues):
            entry.refuse("the policy says from which risk on, the workflow at which moves.", "policy",
                         way_out='Write on = ["MOVE"] alone, or take policy out.')
        if not (track.from_risk or track.cues or track.on):
            entry.refuse("this track never opens.", way_out='Write from_risk = "red", cues = [...] or on = ["MOVE"].')
        entry.close()
        tracks[name] = track
    return tracks


def parse_follows(table: Table | None) -> Mapping[str, str]:
    """Return the facts of the parent that make the engine move: each one that a parent can come to know."""
    if table is None:
        return {}
    found = {name: table.one_of(name, FOLLOWED[name]) for name in FOLLOWED if table.has(name)}
    table.close()
    return found
