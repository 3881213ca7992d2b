"""What a workflow and its tracks must mean together: who opens what, who touches whose case, and that none ends over a track."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from .errors import DefinitionError
from .parse_table import nearest
from .policy import Policy
from .workflow import MoveDef, Workflow

HOMES = ("class", "grade", "school")
"""The kinds of unit at which a pupil can be at home."""

GRADUATE_FIELDS = frozenset({"to", "begins", "state", "authority"})
"""What is known of a child who leaves with its class: whereto, from when on, and two sentences that stand for many."""

_OVER_TRACKS = frozenset({"no_holding_track", "tracks_handed_over_or_ended"})


def check_tracks(workflow: Workflow, file: str, two_persons: Iterable[tuple[str, object]]) -> None:
    """Raise DefinitionError where a track has tracks, a rung would touch another case, or a case would end over its tracks."""
    if workflow.tracks and workflow.parents:
        _refuse(file, "track", "a track has no tracks of its own.", "Let its moves write opens = [...]: they open beside its parent.")
    for name, track in workflow.tracks.items():
        for of in track.on:
            if workflow.moves[of].engine_only and workflow.moves[of].when is None:
                _refuse(file, f"track.{name}.on", f'"{of}" is made by a rung, and a rung opens nothing.', "Name a move of people.")
    _check_graduates(workflow, file)
    beside = bool(workflow.tracks) or any(move.opens for move in workflow.moves.values())
    for move in workflow.moves.values():
        _check_move(workflow, move, file, two_persons)
        final = workflow.stages[move.to].final if move.to else None
        if final and final != "merged" and beside and not workflow.parents and not _OVER_TRACKS.intersection(move.needs):
            _refuse(file, f"move.{move.name}.needs", "it would end a case over its tracks.", 'Write needs = ["no_holding_track"].')


def _check_move(workflow: Workflow, move: MoveDef, file: str, two_persons: Iterable[tuple[str, object]]) -> None:
    key, touches = f"move.{move.name}", bool(move.meets_parent or move.sets_parent)
    if touches and not workflow.parents:
        _refuse(file, key, f"{workflow.name} has no parent.", 'Write parent = ["school_crisis"], or take the key out.')
    if (touches or move.opens) and "engine" in move.by and not move.opens_case:
        _refuse(file, f"{key}.by", "the engine's own move touches no other case.", "Take engine out, or the key.")
    if "unit" in move.sets_parent:
        _check_rehoming(move, file)
    if move.sets_parent and move.opens_case:
        _refuse(file, f"{key}.sets_parent", "nothing is set by opening.", "Let a later move set it.")
    for what, value in two_persons:
        if move.sets_parent.get(what) == value and not move.second:
            says = f"to set {what} = {str(value).lower()} takes two persons."
            _refuse(file, f"{key}.second", says, 'Write second = ["leading_group", …].')
    if (move.sets_parent.get("recused") == "guardians") is not (move.sets_parent.get("guardian") == "withheld"):
        _refuse(file, f"{key}.sets_parent", "from whom it is withheld, that guardian is recused; and nobody else's guardian is.",
                'Write both guardian = "withheld" and recused = "guardians", or neither.')
    if move.when == "parent_ended" and (move.to is None or workflow.stages[move.to].final is None):
        _refuse(file, f"{key}.to", "what ends with its parent leads to an end.", "Name a final stage.")


def _check_graduates(workflow: Workflow, file: str) -> None:
    """When a whole class leaves, nobody fills in a form for each child: these moves follow the opening, and ask for nothing else."""
    for whereto, name in workflow.graduates.items():
        move, key = workflow.moves[name], f"graduates.{whereto}"
        if workflow.start not in move.from_stages or move.second or move.engine_only:
            _refuse(file, key, f'"{name}" does not follow the opening by itself.', "Name a move of one person from the start.")
        asked = {field.name for field in move.fields if field.required} - GRADUATE_FIELDS
        if asked:
            _refuse(file, key, f'"{name}" asks for {", ".join(sorted(asked))}.', f"Ask for {', '.join(sorted(GRADUATE_FIELDS))} alone.")


def _check_rehoming(move: MoveDef, file: str) -> None:
    """Nobody gives a child's case away: it goes where somebody takes it, and to a unit at which a pupil can be at home."""
    key, name = f"move.{move.name}", str(move.sets_parent["unit"]).removeprefix("field:")
    field = next(field for field in move.fields if field.name == name)
    if move.by != ("addressee",):
        _refuse(file, f"{key}.by", "a case goes to another unit only when that unit takes it.", 'Write by = ["addressee"].')
    if not move.second:
        _refuse(file, f"{key}.second", "to hand a case over takes two persons.", 'Write second = ["actor_of:MOVE"] of whoever offered it.')
    if "home_at_addressee" not in move.needs:
        _refuse(file, f"{key}.needs", "the case would go to a unit that did not take it.", 'Write needs = ["home_at_addressee"].')
    if not field.required or not field.sorts or not set(field.sorts) <= set(HOMES):
        says = "this field names where the child is at home."
        _refuse(file, f"{key}.fields", says, 'Write of = ["class", "grade", "school"] and required = true.')


def check_track_cues(workflow: Workflow, policy: Policy, file: str) -> None:
    """Raise DefinitionError for a cue that opens a track and that the policy does not know."""
    for name, track in workflow.tracks.items():
        for cue in track.cues:
            if cue not in policy.cues:
                _refuse(file, f"track.{name}.cues", f'"{cue}" is no cue of {policy.id}.', nearest(cue, policy.cues))


def _refuse(file: str, key: str, message: str, way_out: str) -> NoReturn:
    raise DefinitionError(message, file=file, key=key, way_out=way_out)
