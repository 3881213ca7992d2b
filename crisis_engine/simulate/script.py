"""A script of a rehearsal: who does what when, as a TOML file says it; and the story that comes of it.

Times are spans after `start`: "+2h", "+15m", "+3d". A step has one of `do` (a move, or `report`), `absent` or `vacant`. What the rules
refuse is told in the story with the reason, and the story goes on: people are refused in real life too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

from crisis_engine.core.calendar import CHINA, Span, parse_span
from crisis_engine.core.errors import CrisisError
from crisis_engine.core.model import Absence
from crisis_engine.core.parse_table import Table
from crisis_engine.core.pen import Pen
from crisis_engine.definitions import load_workflow_doc
from crisis_engine.engine.view import history_items
from crisis_engine.engine.worlds import CRISIS
from crisis_engine.example import EXAMPLE_NOW
from crisis_engine.simulate.rehearsal import Rehearsal

LONGEST = timedelta(days=3660)
"""How long a story may last: ten years are a child's whole school life."""

REPORT, NOTHING = "report", "watch"
_FORM = ("cues", "danger_now", "with_child", "about_staff", "facts")
_ALL_SECRETS = 4


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody does, or that happens to somebody, so long after the start."""

    after: timedelta
    do: str = NOTHING
    by: str = ""
    case: str = ""                     # which of the script's cases, by the name that its report gave it; empty: the first
    unit: str = ""
    subject: str | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)
    absent: str = ""
    lasts: timedelta = timedelta()
    vacant: str = ""
    person: str | None = None


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script, its steps in the order of time."""

    steps: tuple[Step, ...]
    start: datetime = EXAMPLE_NOW
    lasts: timedelta = timedelta(days=3)
    workflow: str = CRISIS


@dataclass(slots=True)
class Story:
    """What came of a script: every line with its time, the cases as they stand at the end, and how many steps were refused."""

    lines: list[dict[str, Any]] = field(default_factory=list)
    cases: dict[str, str] = field(default_factory=dict)
    refused: int = 0


# ---- reading ----------------------------------------------------------------------------------------------------------------


def load_script(path: str) -> Script:
    """Return the script of a TOML file; DefinitionError with file and key for whatever is unknown, missing or out of order."""
    return parse_script(load_workflow_doc(path), path.replace("\\", "/").rpartition("/")[2])


def parse_script(doc: Mapping[str, object], file: str) -> Script:
    """Return the script that a parsed file says."""
    top = Table(doc, file)
    top.number("format", 1, 1)
    start = _instant(top, "start") if top.has("start") else EXAMPLE_NOW
    lasts = top.parsed("lasts", _after) if top.has("lasts") else timedelta(days=3)
    workflow = top.word("workflow", CRISIS)
    steps = [_step(table) for table in top.tables("step")]
    top.close()
    if not any(step.do == REPORT for step in steps):
        top.refuse("nobody reports anything.", "step", way_out='Write [[step]] with do = "report", by, unit and at = "0m".')
    known: set[str] = set()
    for place, step in sorted(enumerate(steps), key=lambda one: one[1].after):
        if step.do == REPORT:
            known.add(step.case)
        elif step.do != NOTHING and step.case not in known and not (known and not step.case):
            top.refuse(f"no case is called {step.case[:40]!r} by then.", f"step[{place + 1}].case", way_out="Report it in an earlier step.")
    return Script(tuple(sorted(steps, key=lambda step: step.after)), start, lasts, workflow)


def _step(table: Table) -> Step:
    after = table.parsed("at", _after)
    kinds = [kind for kind in ("do", "absent", "vacant") if table.has(kind)]
    if len(kinds) != 1:
        table.refuse("a step has one of `do`, `absent` and `vacant`.", way_out='Write for instance do = "acknowledge" and by = "p-11".')
    if kinds == ["absent"]:
        step = Step(after, absent=table.text("absent"), lasts=table.parsed("lasts", _after))
    elif kinds == ["vacant"]:
        step = Step(after, vacant=table.word("vacant"), unit=table.text("unit"), person=table.text("by", "") or None)
    else:
        step = _deed(table, after, table.word("do"))
    table.close()
    return step


def _deed(table: Table, after: timedelta, do: str) -> Step:
    by, case = table.text("by"), table.word("case") if table.has("case") else ""
    if do == REPORT:
        form = {name: table.raw(name) for name in _FORM if table.has(name)}
        subject = table.text("subject") if table.has("subject") else None
        return Step(after, do, by, case, table.text("unit"), subject, form)
    fields = table.raw("fields") if table.has("fields") else {}
    if not isinstance(fields, Mapping):
        _refuse_fields(table)
    return Step(after, do, by, case, fields=fields)


def _refuse_fields(table: Table) -> NoReturn:
    table.refuse("this must be a table.", "fields", way_out='Write it such as { risk = "red" }.')


def _after(value: object) -> timedelta:
    """Return the span of "+2h" or "2h"; ValueError with a sentence for anything else."""
    span: Span = parse_span(value.removeprefix("+") if isinstance(value, str) else value)
    if not span.is_wall or span.wall > LONGEST:
        raise ValueError(f"{span} is no span of this story: write minutes, hours or days, ten years at most.")
    return span.wall


def _instant(table: Table, name: str) -> datetime:
    value = table.raw(name)
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        table.refuse("this is no time.", name, way_out="Write it as 2026-03-02T08:00:00+08:00.")
    return (at if at.tzinfo is not None else at.replace(tzinfo=CHINA)).astimezone(UTC)


# ---- playing ----------------------------------------------------------------------------------------------------------------


def play(rehearsal: Rehearsal, script: Script) -> Story:
    """Let the script happen on the rehearsal's clock, which stands at its start, and return what came of it."""
    story = Story()

    def written(pen: Pen) -> None:
        for event in pen.events:
            for line in history_items(event, pen.procedure, _ALL_SECRETS, None):
                story.lines.append({"case": pen.number, **line})
        for notice in pen.notices:
            story.lines.append({
                "case": pen.number, "seq": pen.case.version, "at": notice.at.astimezone(CHINA).isoformat(), "by": "engine",
                "kind": "notice", "people": list(notice.people), "what": notice.what, "why": notice.why, "urgent": notice.urgent,
                "due_at": notice.due_at.astimezone(CHINA).isoformat() if notice.due_at else None,
            })

    rehearsal.watch.append(written)
    for step in script.steps:
        rehearsal.plan(script.start + step.after, lambda step=step: _try(rehearsal, script, step, story))  # type: ignore[misc]  # mypy cannot infer a default of a lambda
    rehearsal.run(script.start + script.lasts)
    rehearsal.watch.remove(written)
    names = {number: name for name, number in reversed(story.cases.items())}
    for line in story.lines:
        line["name"] = names.get(line["case"], "")
    return story


def _try(rehearsal: Rehearsal, script: Script, step: Step, story: Story) -> None:
    try:
        take(rehearsal, script, step, story.cases)
    except CrisisError as error:
        story.refused += 1
        story.lines.append({
            "case": story.cases.get(step.case, ""), "at": rehearsal.now.astimezone(CHINA).isoformat(), "by": step.by,
            "kind": "refused", "move": step.do, "why": error.message, "way_out": error.way_out,
        })


def take(rehearsal: Rehearsal, script: Script, step: Step, cases: dict[str, str]) -> None:
    """Let one step happen now; `cases` maps the script's names to numbers. Raises as the engine does."""
    if step.absent:
        rehearsal.book.people_known([step.absent])
        rehearsal.absent(Absence(step.absent, rehearsal.now, rehearsal.now + step.lasts))
    elif step.vacant:
        rehearsal.vacate(step.vacant, step.unit, step.person)
    elif step.do == REPORT:
        cases[step.case] = rehearsal.report(unit=step.unit, by=step.by, subject=step.subject, workflow=script.workflow, **step.fields)
    else:
        number = cases.get(step.case) or next(iter(cases.values()), "")
        rehearsal.act(number, step.do, by=step.by, fields=fields_at(rehearsal, number, step))


def fields_at(rehearsal: Rehearsal, number: str, step: Step) -> dict[str, Any]:
    """Return a step's form with its spans ("+1h") made times, where the field is a time."""
    case = rehearsal.book.case(number)
    move = rehearsal.book.pinned(case).workflow.moves.get(step.do)
    times = {one.name for one in move.fields if one.type == "time"} if move is not None else set()
    return {
        name: rehearsal.now + _after(value) if name in times and isinstance(value, str) and value.startswith("+") else value
        for name, value in step.fields.items()
    }
