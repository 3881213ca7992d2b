"""What a workflow and a policy must mean together before any case may follow them; the loader refuses everything else."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NoReturn

from .calendar import Span
from .check_field import check_secrecy
from .check_track import check_track_cues, check_tracks
from .errors import DefinitionError
from .model import Risk
from .parse_policy import PUPILS
from .parse_table import nearest
from .policy import Access, Policy
from .workflow import ClockDef, MoveDef, Workflow

KNOWN_GUARDS: tuple[str, ...] = (
    "danger",
    "no_danger",
    "raised",
    "rated",
    "assessed",
    "no_signal_since_proposal",
    "no_holding_track",
    "unidentified",
    "guardian_known",
    "guardian_told_or_withheld",
    "some_clock_late",
    "no_clock_late",
    "stable_for",
    "no_once_clock_running",
    "depth_allows_county",
    "not_sampled",
    "not_actor_of",
    "panel_if_peak",
    "risk_below",
    "no_other_open_case",
    "not_shredded",
    "only_own_signals",
    "signal_pending",
    "tracks_handed_over_or_ended",
    "other_open_case_of_subject",
    "parent_ending",
    "checklist_done",
    "members_hold",
    "guardian_withheld",
    "guardian_not_withheld",
    "danger_to_self_or_others",
    "escort_authorised",
    "partner_agreement_valid",
    "partner_not_tried",
    "receiver_fits",
    "home_at_addressee",
    "receipt_matches",
)
"""The guards that code answers for; a name with an argument is written `risk_below:red`."""

GUARD_ARGUMENT: Mapping[str, str] = {
    "not_actor_of": "move", "panel_if_peak": "risk", "risk_below": "risk", "checklist_done": "checklist", "members_hold": "role",
}
"""What follows the colon of a guard that takes an argument."""

WHO_BUILT_IN = frozenset({"tier_holder", "first_receiver", "on_site", "second_signer"})
BY_BUILT_IN = frozenset({"engine", "tier_holder", "addressee"})
TELL_BUILT_IN = frozenset({"tier_holder", "on_site", "first_receiver"})
_ACTOR_OF = "actor_of:"
_OVER_SIGNALS = frozenset({"no_signal_since_proposal", "signal_pending"})
_TWO_PERSONS: tuple[tuple[str, object], ...] = (("danger", False), ("guardian", "withheld"))


def check_workflow(workflow: Workflow, file: str, guards: Collection[str] = KNOWN_GUARDS) -> None:
    """Raise DefinitionError for a workflow in which a case could be forgotten, stuck, or ended by one person.

    It holds afterwards: one move opens it; every stage can be reached and leads to an end; every open stage has a standing clock;
    every clock can be met wherever it runs; no clock is addressed to a pupil; two persons end, withhold, and end a danger.
    """
    _check_opening(workflow, file)
    _check_paths(workflow, file)
    for clock in workflow.clocks.values():
        _check_clock(workflow, clock, file)
    check_tracks(workflow, file, _TWO_PERSONS)
    check_secrecy(workflow, file)
    for move in workflow.moves.values():
        _check_guards(workflow, move, frozenset(guards), file)
        _check_two_persons(workflow, move, file)
        _check_engine(move, file)


def check_together(
    workflow: Workflow,
    policy: Policy,
    access: Access,
    *,
    files: tuple[str, str] = ("", ""),
    other_clocks: Collection[str] = (),
) -> None:
    """Raise DefinitionError where the numbers, the structure and the roles do not fit.

    `files` are the names of the workflow's and the policy's file. `other_clocks` are of other workflows that it is for.
    """
    workflow_file, policy_file = files
    if workflow.id not in policy.applies_to:
        _refuse(policy_file, "for", f"{policy.id} is not made for {workflow.id}.", f"It is for {', '.join(policy.applies_to)}.")
    for name in policy.clocks:
        if name not in workflow.clocks and name not in other_clocks:
            _refuse(policy_file, f"clock.{name}", f"{workflow.id} has no such clock.", nearest(name, workflow.clocks))
    for name, clock in workflow.clocks.items():
        if name not in policy.clocks:
            _refuse(
                policy_file,
                f"clock.{name}",
                f"no budget for this clock of {workflow.id}.",
                f"Write [clock.{name}] with within, ladder, source and mark.",
            )
        _check_numbers(workflow, clock, policy, policy_file)
    _check_ladder_moves(workflow, policy, policy_file)
    check_track_cues(workflow, policy, workflow_file)
    _check_dossiers(workflow, access)
    _check_checklists(workflow, policy, workflow_file)
    for file, key, role, built_in in (*_roles_of_workflow(workflow, workflow_file), *_roles_of_policy(policy, policy_file)):
        if role not in built_in and role not in access.roles:
            _refuse(
                file,
                key,
                f'the role "{role[:80]}" is unknown to {access.name}_v{access.version}.',
                nearest(role[:80], {*access.roles, *built_in}),
            )


def _check_checklists(workflow: Workflow, policy: Policy, file: str) -> None:
    for move in workflow.moves.values():
        named = [field.of or "" for field in move.fields if field.type == "items"] + [move.checklist] * bool(move.checklist)
        for name in named:
            if name not in policy.checklists:
                _refuse(file, f"move.{move.name}", f'{policy.id} has no checklist "{name}".', nearest(str(name), policy.checklists))


def _check_dossiers(workflow: Workflow, access: Access) -> None:
    for of, stage in (named for level in access.dossiers.values() for named in level):
        if of == workflow.id and stage not in workflow.stages:
            file, key = f"{access.name}_v{access.version}.toml", f"dossier.{of}.stages"
            _refuse(file, key, f'"{stage}" is no stage of {of}.', nearest(stage, workflow.stages))


def _refuse(file: str, key: str, message: str, way_out: str = "") -> NoReturn:
    raise DefinitionError(message, file=file, key=key, way_out=way_out)


# ---- the graph ------------------------------------------------------------------------------------------------------------


def _check_opening(workflow: Workflow, file: str) -> None:
    opening = [move for move in workflow.moves.values() if move.opens_case]
    if len(opening) != 1:
        names = ", ".join(move.name for move in opening) or "none"
        _refuse(file, "move", f"exactly one move opens a case, here: {names}.", "That move alone writes from = [].")
    if opening[0].to != workflow.start:
        _refuse(file, f"move.{opening[0].name}.to", "the opening move must lead to the start.", f'Write to = "{workflow.start}".')
    if workflow.stages[workflow.start].final:
        _refuse(file, "start", "a case cannot begin at its end.", "Name an open stage.")
    if workflow.one_open_per_subject is not (workflow.again is not None):
        _refuse(file, "again", "one open case a child and a second report that becomes a move go together.",
                "Write both one_open_per_subject = true and again, or neither.")
    if workflow.again is not None and (missing := _open_stages(workflow) - workflow.moves[workflow.again].from_stages):
        _refuse(
            file,
            "again",
            f"a second report could not be taken in {_list(missing)}.",
            'The move that takes it writes from = "open".',
        )
    if workflow.again is not None and not workflow.moves[workflow.again].signal:
        _refuse(file, f"move.{workflow.again}.signal", "a second report is a word from outside.", "Write signal = true.")
    if workflow.again is not None and not any(workflow.again in clock.once_on for clock in workflow.clocks.values()):
        _refuse(file, "again", "nobody would have to look at a second report.", f'Let a clock start once = {{ on = ["{workflow.again}"] }}.')
    uses_danger = any(clock.flag == "danger" for clock in workflow.clocks.values()) or any(
        "danger" in move.sets for move in workflow.moves.values()
    )
    if uses_danger and workflow.danger is None:
        _refuse(file, "danger", "danger is used and not defined.", "Write [danger] with risk, tier, tells and shows.")
    if workflow.danger is not None and not any(clock.flag == "danger" for clock in workflow.clocks.values()):
        _refuse(file, "danger", "no clock runs while there is danger.", 'Write a clock with while = "danger".')


def _check_paths(workflow: Workflow, file: str) -> None:
    ways = {(source, move.to) for move in workflow.moves.values() if move.to for source in move.from_stages}
    reached = _spread({workflow.start}, ways)
    finals = {stage.name for stage in workflow.stages.values() if stage.final}
    merged = {stage.name for stage in workflow.stages.values() if stage.final == "merged"}  # no end of its own: the other case goes on
    ending = _spread(finals, {(to, source) for source, to in ways if to not in merged})
    for name, stage in workflow.stages.items():
        if name not in reached:
            _refuse(file, f"stage.{name}", "no path leads to this stage.", "Let a move lead here, or take the stage out.")
        if name not in ending:
            _refuse(file, f"stage.{name}", "no path leads from this stage to an end.", "Let a move lead on from here.")
        if stage.final is None and not any(name in clock.stages for clock in workflow.clocks.values()):
            _refuse(
                file,
                f"stage.{name}",
                "an open stage without a standing clock: a case could be forgotten here.",
                f'Let a clock run in = ["{name}"].',
            )


def _spread(start: set[str], ways: Iterable[tuple[str, str]]) -> set[str]:
    """Return all that can be reached from `start`."""
    found = set(start)
    while new := {to for source, to in ways if source in found} - found:
        found |= new
    return found


def _open_stages(workflow: Workflow) -> frozenset[str]:
    return frozenset(name for name, stage in workflow.stages.items() if stage.final is None)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


# ---- clocks ---------------------------------------------------------------------------------------------------------------


def _check_clock(workflow: Workflow, clock: ClockDef, file: str) -> None:
    key = f"clock.{clock.name}"
    open_stages = _open_stages(workflow)
    if clock.who.partition("@")[0] in PUPILS:
        _refuse(file, f"{key}.who", "a clock addressed to a pupil: a pupil answers for nothing.", "Name an adult's role.")
    if final := clock.stages - open_stages:
        _refuse(file, f"{key}.in", f"no clock runs in a final stage ({_list(final)}).", "Name open stages only.")
    dates = {field.name for move in workflow.moves.values() for field in move.fields if field.type in {"date", "time"}}
    if clock.toward is not None and clock.toward not in dates:
        _refuse(file, f"{key}.toward", f'no form asks for the day "{clock.toward}".', nearest(clock.toward, dates))
    if clock.once_on == ("proposed",):
        return  # an answer to the proposal meets it, in every workflow
    met_in = {
        stage
        for move in workflow.moves.values()
        if clock.name in move.meets and not move.engine_only
        for stage in move.from_stages
    }
    if unmet := (clock.stages or open_stages) - met_in:
        _refuse(
            file, key, f"no move meets this clock in {_list(unmet)}.", f'Let a move from there write meets = ["{clock.name}"].'
        )


def _check_numbers(workflow: Workflow, clock: ClockDef, policy: Policy, file: str) -> None:
    key, rule = f"clock.{clock.name}", policy.clocks[clock.name]
    for name, spans in (("within", rule.within), ("again", rule.again)):
        for risk, span in spans.items():
            if clock.kind == "safety" and not span.is_wall:
                _refuse(
                    file,
                    f"{key}.{name}.{risk}",
                    f"a safety clock counts no working or school days, here {span}.",
                    "Write m, h or d: it never stops.",
                )
    if clock.kind == "safety" and rule.pause:
        _refuse(file, f"{key}.pause", "a safety clock cannot pause.", "Only paper waits.")
    reasons = workflow.choices.get("pause_reason", {})
    for reason in rule.pause.reasons if rule.pause else ():
        if reason not in reasons:
            _refuse(file, f"{key}.pause.reasons", f'"{reason}" is no pause_reason of {workflow.id}.', nearest(reason, reasons))


def _check_ladder_moves(workflow: Workflow, policy: Policy, file: str) -> None:
    """Refuse a rung whose move the engine does not make, on the ladders that this workflow's clocks climb."""
    engine_moves = [move.name for move in workflow.moves.values() if "engine" in move.by]
    rules = [policy.clocks[clock] for clock in workflow.clocks]
    climbed = {name for rule in rules for name in (rule.ladder, *rule.ladder_by_risk.values())}
    for name, rungs in policy.ladders.items():
        if name not in climbed:
            continue
        for number, rung in enumerate(rungs, start=1):
            if rung.move and rung.move not in engine_moves:
                message = f'"{rung.move}" is no move that the engine makes.'
                _refuse(file, f"ladder.{name}[{number}].move", message, nearest(rung.move, engine_moves))


# ---- moves ----------------------------------------------------------------------------------------------------------------


def _check_guards(workflow: Workflow, move: MoveDef, guards: frozenset[str], file: str) -> None:
    key = f"move.{move.name}.needs"
    for written in move.needs:
        name, _, argument = written.partition(":")
        if name not in guards:
            _refuse(file, key, f'"{name[:80]}" is no guard.', nearest(name, guards))
        if name in _OVER_SIGNALS and not any(each.signal and each.name in clock.once_on
                                             for each in workflow.moves.values() for clock in workflow.clocks.values()):
            _refuse(file, key, f'"{name}" would never refuse: no clock starts when a new word comes.',
                    'Let a clock start once = { on = ["MOVE"] }, a move with signal = true.')
        lists = {field.of or "" for each in workflow.moves.values() for field in each.fields if field.type == "items"}
        seconds = {role for each in workflow.moves.values() for role in each.by}
        known: Collection[str] = {"move": workflow.moves, "risk": tuple(Risk), "checklist": lists, "role": seconds}.get(
            GUARD_ARGUMENT.get(name, ""), ())
        if argument not in known and (argument or known):
            way_out = nearest(argument, known) if known else f'Write "{name}".'
            _refuse(file, key, f'"{written[:80]}" has a wrong argument.', way_out)


def _check_two_persons(workflow: Workflow, move: MoveDef, file: str) -> None:
    key = f"move.{move.name}"
    final = workflow.stages[move.to].final if move.to else None
    settled = bool(move.from_stages) and all(workflow.stages[stage].settled for stage in move.from_stages)
    if final and not move.second and final != "merged" and move.when != "parent_ended" and not settled:
        _refuse(file, f"{key}.second", "an ending takes two persons.", 'Write second = ["leading_group", …].')
    if final == "merged" and "merged_into" not in move.sets:   # the other case goes on, so one person is enough: nothing else may call itself so
        _refuse(file, f"{key}.to", "only a move that merges leads to a merged end.", 'Write sets = { merged_into = "field:NAME" }.')
    for what, value in _TWO_PERSONS:
        if what in move.sets and move.sets[what] == value and not move.second:
            _refuse(
                file,
                f"{key}.second",
                f"to set {what} = {str(value).lower()} takes two persons.",
                'Write second = ["leading_group", …].',
            )
    for second in move.second:
        if second.startswith(_ACTOR_OF) and second.removeprefix(_ACTOR_OF) not in workflow.moves:
            name = second.removeprefix(_ACTOR_OF)
            _refuse(file, f"{key}.second", f'"{name[:80]}" is no move.', nearest(name, workflow.moves))
    if PUPILS.intersection((*move.second, *(move.by if move.second else ()))):
        _refuse(file, f"{key}.second", "a pupil neither proposes nor confirms.", "Name adults' roles.")


def _check_engine(move: MoveDef, file: str) -> None:
    """Software raises, people lower; and a pupil gives cues, never a risk."""
    key = f"move.{move.name}"
    if move.when and not move.engine_only:
        _refuse(file, f"{key}.when", "only the engine's own move is made by itself.", 'Write by = ["engine"].')
    if "engine" in move.by and move.second:
        _refuse(file, f"{key}.by", "the engine cannot propose what two persons decide.", "Take engine out.")
    if "engine" in move.by and (
        move.tier == "lead" or move.sets.get("danger") is False or move.sets.get("guardian") == "withheld"
    ):
        _refuse(file, f"{key}.by", "software raises, people lower: the engine cannot make this move.", "Take engine out.")
    beside_people = "engine" in move.by and not (move.engine_only or move.opens_case)
    if beside_people and not {"risk", "merged_into"} & move.sets.keys():
        _refuse(file, f"{key}.by", "software raises a risk and merges; every other move of people is for people.", "Take engine out.")
    risk = move.sets.get("risk")
    fixed = isinstance(risk, str) and risk in tuple(Risk)
    if fixed and move.second:
        _refuse(
            file,
            f"{key}.sets.risk",
            "a fixed risk with a second person would lower every case above it.",
            'Write risk = "field:NAME".',
        )
    if PUPILS.intersection(move.by) and not (move.opens_case or move.signal):
        _refuse(file, f"{key}.by", "a pupil speaks up, and answers for nothing.", "Take the pupil out, or write signal = true.")
    if PUPILS.intersection(move.by) and any(field.type == "risk" for field in move.fields):
        _refuse(file, f"{key}.by", "a pupil ticks cues and never gives a risk.", "Take the pupil or the field out.")


# ---- roles ----------------------------------------------------------------------------------------------------------------

_Named = tuple[str, str, str, frozenset[str]]
"""File, key, a role that is named there, and the built-in words that may stand there too."""


def _roles_of_workflow(workflow: Workflow, file: str) -> Iterator[_Named]:
    for clock in workflow.clocks.values():
        yield file, f"clock.{clock.name}.who", clock.who.partition("@")[0], WHO_BUILT_IN if "@" not in clock.who else frozenset()
    for move in workflow.moves.values():
        key = f"move.{move.name}"
        yield from ((file, f"{key}.by", role, BY_BUILT_IN) for role in move.by)
        yield from (
            (file, f"{key}.second", role, frozenset({"tier_holder"})) for role in move.second if not role.startswith(_ACTOR_OF)
        )
        yield from ((file, f"{key}.tells", role, TELL_BUILT_IN) for role in move.tells)
    if workflow.danger:
        yield from ((file, "danger.tells", role, TELL_BUILT_IN) for role in workflow.danger.tells)


def _roles_of_policy(policy: Policy, file: str) -> Iterator[_Named]:
    none: frozenset[str] = frozenset()
    for name, rungs in policy.ladders.items():
        yield from (
            (file, f"ladder.{name}[{number}].tell", role, TELL_BUILT_IN)
            for number, rung in enumerate(rungs, 1)
            for role in rung.tell
        )
    for role, others in policy.instead.items():
        yield from ((file, f"instead.{role}", named, none) for named in (role, *others))
    for role, levels in policy.counterpart.items():
        yield from ((file, f"counterpart.{role}", named, none) for named in (role, *levels.values()))
    yield from ((file, f"holder.{tier}", role, none) for tier, role in policy.holder.items())
    yield from ((file, f"on_duty.{tier}", role, none) for tier, role in policy.on_duty.items())
    yield from ((file, "on_site.roles", role, none) for role in policy.on_site)
    yield from ((file, "terminal.to", role, none) for role in policy.terminal_to)


def span_is_shorter(one: Span, other: Span) -> bool | None:
    """Return whether `one` is at most `other`; None when they cannot be compared, as working days and days of the wall clock."""
    if one.is_wall and other.is_wall:
        return one <= other
    return one.amount <= other.amount if one.unit == other.unit else None
