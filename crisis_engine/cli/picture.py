"""A case's life drawn in the terminal: the way through the stages, the tier line, clocks with the time used; and its history."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.cli.console import RISK_STYLE, Console

if TYPE_CHECKING:
    from crisis_engine import CaseView

BAR = 12
"""Columns of a clock's bar."""

ENDED = 10
"""How many clocks that are over are shown; the history has all."""

_TIERS = ("peer", "class", "grade", "school", "county", "city")
_DETAIL = ("move", "stage", "to", "clock", "tier", "risk", "role", "holder", "people", "name", "value", "person", "link", "other",
           "second", "how", "why", "reason", "due_at", "until")
"""What a line of the history tells, in this order, as far as its event has it."""


class Labels:
    """The labels of one workflow's stages, clocks, moves and fields in one language; a name that it does not know stands for itself."""

    def __init__(self, workflow: str, lang: str) -> None:
        from crisis_engine.core.errors import DefinitionError
        from crisis_engine.definitions import load_workflow_doc

        try:
            self._doc: Mapping[str, Any] = load_workflow_doc(workflow)
        except DefinitionError:  # a host's own workflow, which lies elsewhere
            self._doc = {}
        self._lang = lang

    @property
    def title(self) -> str:
        """The label of the workflow itself; empty where its file is not known."""
        label = self._doc.get("label", {})
        return str(label.get(self._lang) or "") if isinstance(label, Mapping) else ""

    def of(self, table: str, name: str) -> str:
        """Return the label of `name` in one of the file's tables."""
        return self._label(self._doc.get(table, {}).get(name, {}), name)

    def choice(self, move: str, field: str, value: str) -> str:
        """Return the label of what was chosen in a field of a move's form; a value of a field of another type stands for itself."""
        made = self._doc.get("move", {}).get(move, {})
        fields = made.get("fields") or self._doc.get("forms", {}).get(made.get("form", ""), {}).get("fields", [])
        definition: Mapping[str, Any] = next((one for one in fields if one.get("name") == field), {})
        options: Mapping[str, Any] = {}
        if definition.get("type") in {"choice", "choices"}:
            options = self._doc.get("choice", {}).get(definition.get("of", ""), {})
        elif definition.get("type") == "items":   # a county's own list has the same names, or is told by them
            from crisis_engine.definitions import load_policy_doc

            options = load_policy_doc("default_v1").get("checklist", {}).get(definition.get("of", ""), {})  # type: ignore[attr-defined]  # a checked file
        return self._label(options.get(value, {}), value)

    def _label(self, entry: object, name: str) -> str:
        label = entry.get("label", entry) if isinstance(entry, Mapping) else {}
        return str(label.get(self._lang) or name)


def draw_case(console: Console, case: CaseView, history: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """Print the whole picture of a case."""
    labels = Labels(case.workflow, console.lang)
    red = case.danger or "red" in {case.risk, case.peak}
    console.print(console.say("show.title", number=case.number, risk=console.word("risk", case.risk), peak=console.word("risk", case.peak),
                              version=case.version), RISK_STYLE.get(case.risk, ""))
    if case.danger:
        console.print(console.say("show.danger"), "bold red")
    if red:
        console.numbers("red")
    place = "  ".join(part for part in (case.unit, case.subject) if part)
    console.print(f"{console.say('show.opened', when=console.when(case.opened_at))}  {place}")
    if case.closed_at is not None:
        console.print(console.say("show.closed", when=console.when(case.closed_at)))

    console.print(f"\n{console.say('show.stages')}", "bold")
    console.print("  " + _way(history, case, labels, console))
    console.print(f"\n{console.say('show.tiers')}", "bold")
    console.print("  " + _ladder(case, console))
    if case.final is None:
        who = case.answers or console.say("who.nobody")
        console.print("  " + console.say("show.answers", role=console.word("role", case.answers_role), who=who))

    console.print(f"\n{console.say('show.clocks')}", "bold")
    _clocks(console, case, now)
    if case.proposals:
        moves = ", ".join(labels.of("move", str(one["move"])) for one in case.proposals)
        console.print("\n" + console.say("show.proposals", moves=moves))
    if any(clock.mark in {"B", "D"} for clock in case.deadlines):
        console.print("\n" + console.say("show.unverified"))
    console.print(console.say("show.no_diagnosis"))


def draw_history(console: Console, case: CaseView, lines: Sequence[Mapping[str, Any]]) -> None:
    """Print a case's history, one event a line, its form below it."""
    labels = Labels(case.workflow, console.lang)
    for line in lines:
        at = console.when(datetime.fromisoformat(str(line["at"])))
        kind = console.word("event", str(line["kind"]))
        told = "  ".join(part for name in _DETAIL if name in line and (part := _detail(console, labels, name, line[name])))
        danger = line["kind"] == "danger_began" or line.get("risk") == "red"
        console.print(f"{line['seq']:>4}  {at}  {kind}{': ' if told else ''}{told}  ({line['by']})", "bold red" if danger else "")
        for name, value in (line.get("fields") or {}).items():
            shown = harmless(_chosen(console, labels, str(line.get("move", "")), name, value))
            console.print(f"      {labels.of('field_label', name)}: {shown}")
    console.numbers(case.peak, danger=case.danger)


def _detail(console: Console, labels: Labels, name: str, value: object) -> str:
    if name in {"tier", "risk", "role"}:
        return console.word(name, str(value))
    if name in {"move", "stage", "clock"}:
        return labels.of(name, str(value))
    if name == "to":
        return labels.of("stage", str(value))
    if name in {"due_at", "until"}:
        return console.when(datetime.fromisoformat(str(value)))
    return _value(console, value)


def _chosen(console: Console, labels: Labels, move: str, field: str, value: object) -> str:
    """Return what stands in a form, a choice by its label."""
    if isinstance(value, (list, tuple)):
        return ", ".join(labels.choice(move, field, str(one)) for one in value)
    return labels.choice(move, field, value) if isinstance(value, str) else _value(console, value)


def _value(console: Console, value: object) -> str:
    if isinstance(value, bool):
        return console.say("yes" if value else "no")
    if isinstance(value, Mapping):   # an attachment
        return f"{value.get('name')} ({value.get('size'):,} B) [{value.get('attachment')}]"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _way(history: Sequence[Mapping[str, Any]], case: CaseView, labels: Labels, console: Console) -> str:
    """Return the stages in the order in which the case came through them, with the time it entered each; the last is where it is."""
    steps: list[tuple[str, str]] = []
    for line in history:
        stage = line.get("stage") if line["kind"] == "opened" else line.get("to") if line["kind"] == "moved" else None
        if stage and (not steps or steps[-1][0] != stage):
            steps.append((str(stage), console.when(datetime.fromisoformat(str(line["at"])))[5:]))
    if not steps:
        return f"[{console.label(case.stage_label, case.stage)}]"
    *before, (last, since) = steps
    return " > ".join([*(f"{labels.of('stage', stage)} {at}" for stage, at in before), f"[{labels.of('stage', last)} {since}]"])


def _ladder(case: CaseView, console: Console) -> str:
    """Return the tiers with the one that answers in brackets; `=` leads to it, `-` leads on."""
    reached = _TIERS.index(case.tier)
    line = ""
    for place, tier in enumerate(_TIERS):
        word = console.word("tier", tier)
        line += f"[{word}]" if place == reached else word
        if place < len(_TIERS) - 1:
            line += " == " if place < reached else " -- "
    return line


def _clocks(console: Console, case: CaseView, now: datetime) -> None:
    from rich.text import Text

    running = [clock for clock in case.deadlines if clock.ended_at is None]
    ended = sorted((clock for clock in case.deadlines if clock.ended_at is not None), key=lambda clock: clock.ended_at or now)[-ENDED:]
    rows: list[tuple[Any, ...]] = []
    for clock in (*running, *ended):
        late = clock.status in {"late", "met_late"}
        over = clock.ended_at is not None
        style = "bold red" if clock.status == "late" else "dim" if over else ""
        said = console.word("status", clock.status)
        if not over and clock.status != "paused":
            said = console.span(clock.due_at, now)
        rows.append((
            Text(console.label(clock.label, clock.name), style=style),
            Text(_bar(clock.armed_at, clock.due_at, clock.ended_at or now), style="red" if late else "dim" if over else "green"),
            Text(console.soon(clock.due_at, now), style=style), Text(said, style=style),
            Text(console.who(clock.role, clock.who), style=style),
            Text(f"[{clock.mark}]" if clock.mark else "", style="dim"),
        ))
    console.grid(("head.clock", "head.state", "head.due", "head.what", "head.who", "head.mark"), rows,
                 firm=("head.state", "head.due", "head.what", "head.mark"))


def _bar(armed_at: datetime, due_at: datetime, until: datetime) -> str:
    """Return the time used of a clock's budget: `#` is used, `.` is left, all `#` when it is late."""
    whole = (due_at - armed_at).total_seconds()
    used = BAR if whole <= 0 else max(0, min(BAR, int((until - armed_at).total_seconds() / whole * BAR)))
    return "#" * used + "." * (BAR - used)


def harmless(text: str) -> str:
    """Return a person's text so that it can neither steer a terminal nor pass for a line of ours: controls are shown, lines indented."""
    shown = "".join(
        char if char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp"} else f"<{ord(char):04X}>" for char in text
    )
    return shown.replace("\n", "\n        | ")
