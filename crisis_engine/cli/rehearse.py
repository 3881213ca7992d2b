"""`crisis definitions simulate`: what a procedure does before a child depends on it, as a story, as counts, as a chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crisis_engine.cli.command import command
from crisis_engine.cli.console import Console
from crisis_engine.cli.failure import bad_input

if TYPE_CHECKING:
    from crisis_engine.simulate.measure import Tally
    from crisis_engine.simulate.script import Script, Story
    from crisis_engine.simulate.year import Plan

CRISIS = "school_crisis_v1"
_CHILD = {"unit": "xinyang/shihe/no-3/g7/c2", "subject": "stu-42", "by": "p-71"}
_SHOWN = ("opened", "moved", "proposed", "tier_raised", "risk_raised", "risk_lowered", "danger_began", "danger_ended", "clock_met",
          "handed_over", "answerer_changed", "notice", "refused")
_LONGEST, _MOST_CASES, _MOST_JOBS, _MOST_SCHOOLS = 3650, 1_000_000, 64, 20_000
SCHOOLS, PUPILS = 941, 1_000_000
"""The example city's size (example/city.py)."""


@command("definitions simulate", "crisis definitions simulate xinyang_v1 --days 1")
def simulate(  # noqa: PLR0917 - one for each option of the command
    console: Console,
    policy: Annotated[str, typer.Argument()] = "default_v1",
    script: Annotated[Path | None, typer.Option("--script", metavar="FILE")] = None,
    workflow: Annotated[str, typer.Option("--workflow", metavar="NAME")] = CRISIS,
    cue: Annotated[list[str] | None, typer.Option("--cue", metavar="CUE")] = None,
    days: Annotated[int, typer.Option("--days", metavar="N")] = 3,
    cases: Annotated[int, typer.Option("--cases", metavar="N")] = 0,
    people: Annotated[Path | None, typer.Option("--people", metavar="FILE")] = None,
    schools: Annotated[int, typer.Option("--schools", metavar="N")] = 941,
    seed: Annotated[int, typer.Option("--seed", metavar="N")] = 1,
    jobs: Annotated[int, typer.Option("--jobs", metavar="N")] = 1,
    chart: Annotated[Path | None, typer.Option("--chart", metavar="FILE")] = None,
) -> int:
    """Rehearse: nobody acts after a peer's word, people act as the script says, or a whole city lives through a school year."""
    for value, name, least, most in ((days, "--days", 1, _LONGEST), (cases, "--cases", 0, _MOST_CASES), (jobs, "--jobs", 1, _MOST_JOBS),
                                     (schools, "--schools", 1, _MOST_SCHOOLS)):
        if not least <= value <= most:
            raise bad_input("usage.simulate_bounds", name=name, least=least, most=most)
    if script is not None and cases:
        raise bad_input("usage.simulate_two")
    if cases:
        from crisis_engine.simulate.year import Plan

        pupils = round(PUPILS * schools / SCHOOLS)
        plan = Plan(cases, schools, pupils, seed, policy, workflow, str(people.absolute()) if people else None)
        return _year(console, plan, jobs, chart)
    return _story(console, policy, script, workflow, cue or ["suicide_words"], days, chart)


# ---- one story ----------------------------------------------------------------------------------------------------------------


def _story(console: Console, policy: str, file: Path | None, workflow: str, cues: list[str], days: int, chart: Path | None) -> int:
    from crisis_engine.almanac import published_calendar
    from crisis_engine.definitions import load_access
    from crisis_engine.example import example_roster
    from crisis_engine.simulate import Book, Rehearsal, Shelf
    from crisis_engine.simulate.measure import Measure
    from crisis_engine.simulate.script import REPORT, Script, Step, load_script, play

    if file is not None:
        script = load_script(str(file.absolute()))
    else:
        first = Step(timedelta(), REPORT, by=_CHILD["by"], unit=_CHILD["unit"], subject=_CHILD["subject"], fields={"cues": cues})
        script = Script((first,), lasts=timedelta(days=days), workflow=workflow)
    book = Book(example_roster(), load_access(), published_calendar(), Shelf(policy))
    book.procedure_for(script.workflow, _CHILD["unit"])   # a faulty policy is refused before anything happens
    measure = Measure(book.units)
    story = play(Rehearsal(book, script.start, watch=[measure]), script)
    tally = measure.finish(book.cases.values(), script.start + script.lasts)
    if chart is not None:
        draw_chart(console, tally, policy, script.workflow, chart)
    if console.as_json:
        console.json({
            "policy": policy, "workflow": script.workflow, "start": script.start.isoformat(), "lines": story.lines,
            "refused": story.refused, **tally.to_json(),
        })
    else:
        key = "simulate.script" if file is not None else "simulate.nobody"
        console.print(console.say(key, file=file.name if file is not None else "", policy=policy, days=days), "bold")
        _tell(console, story, script)
        _counts(console, tally)
    return 6 if tally.violations else 0


def _tell(console: Console, story: Story, script: Script) -> None:
    from crisis_engine.cli.picture import Labels

    labels = Labels(script.workflow, console.lang)
    for line in story.lines:
        if line["kind"] in _SHOWN:
            at = datetime.fromisoformat(line["at"])
            after = at - script.start
            name = f"[{line['name']}] " if line.get("name") else ""
            minutes = int(after.total_seconds() // 60)
            clock = f"+{minutes // 1440}d {minutes % 1440 // 60:02}:{minutes % 60:02}"
            console.print(f"{clock:>10}  {name}{_said(console, labels, line)}", "bold red" if line["kind"] == "danger_began" else "")
    console.numbers("red")


def _said(console: Console, labels: Any, line: Mapping[str, Any]) -> str:  # noqa: ANN401 - cli.picture's Labels
    kind = line["kind"]
    if kind == "notice":
        what = labels.of("clock", line["what"])
        due = datetime.fromisoformat(line["due_at"]) if line["due_at"] else None
        more = " " + console.say("simulate.due", when=console.when(due)[5:]) if due is not None else ""
        return console.say("simulate.told", people=" ".join(line["people"]), what=what) + more
    if kind == "refused":
        return console.say("simulate.refused", by=line["by"], move=labels.of("move", line["move"]), why=console.refusal(line["why"]))
    words = [console.word("event", kind)]
    words += [labels.of(table, line[name]) for name, table in (("move", "move"), ("to", "stage"), ("clock", "clock")) if line.get(name)]
    words += [console.word(name, line[name]) for name in ("tier", "risk") if line.get(name)]
    words += [console.who(line["role"], line.get("holder"))] if line.get("role") else []
    return f"{'  '.join(words)}  ({line['by']})"


# ---- a year -------------------------------------------------------------------------------------------------------------------


def _year(console: Console, plan: Plan, jobs: int, chart: Path | None) -> int:
    from crisis_engine.simulate.year import live

    tally = live(plan, jobs)
    if chart is not None:
        draw_chart(console, tally, plan.policy, plan.workflow, chart)
    if console.as_json:
        console.json({"policy": plan.policy, "workflow": plan.workflow, "schools": plan.schools, "pupils": plan.pupils, "seed": plan.seed,
                      **tally.to_json()})
    else:
        pupils = f"{plan.pupils:,}"
        console.print(console.say("simulate.year", schools=plan.schools, pupils=pupils, cases=tally.cases, seed=plan.seed), "bold")
        for by, head in (("clock", "head.clock"), ("role", "head.role"), ("unit_kind", "head.unit"), ("risk", "head.risk"),
                         ("workflow", "head.workflow")):
            console.grid((head, "head.deadlines", "head.missed", "head.share"), [
                (_named(console, (plan.workflow, *tally.tracks), by, name), str(share.deadlines), str(share.missed), f"{share.share:.1%}")
                for (group, name), share in sorted(tally.missed.items()) if group == by
            ])
            console.print()
        _tracks(console, tally)
        _load(console, tally)
        _counts(console, tally)
        console.print(console.say("simulate.invented"))
    return 6 if tally.violations else 0


def _named(console: Console, workflows: Sequence[str], by: str, name: str) -> str:
    from crisis_engine.cli.picture import Labels

    if by == "workflow":
        return Labels(name, console.lang).title or name
    if by == "clock":
        found = (Labels(workflow, console.lang).of("clock", name) for workflow in workflows)
        return next((label for label in found if label != name), name)
    return console.word({"unit_kind": "tier"}.get(by, by), name)


def _tracks(console: Console, tally: Tally) -> None:
    """Say of each kind of track how many there were, who opened them, and how they ended."""
    if not tally.tracks:
        return
    ends = sorted({end for counts in tally.tracks.values() for end in counts} - {"opened", "by_itself", "by_a_person"})
    console.grid(("head.track", "head.opened", "head.by_itself", "head.by_a_person", "head.ended"), [
        (_named(console, (), "workflow", name), *(str(counts[word]) for word in ("opened", "by_itself", "by_a_person")),
         ", ".join(f"{end} {counts[end]}" for end in ends if counts[end]))
        for name, counts in sorted(tally.tracks.items())
    ])
    console.print()


def _load(console: Console, tally: Tally) -> None:
    """Say what notices and moves fell to a person of each duty."""
    console.grid(("head.role", "head.people", "head.load", "head.each", "head.most"), [
        (console.word("role", role), str(people), str(whole), f"{whole / people:.1f}", str(most))
        for role, (people, whole, most) in tally.load().items()
    ])


# ---- counts and chart -----------------------------------------------------------------------------------------------------------


def _counts(console: Console, tally: Tally) -> None:
    console.print()
    console.print(console.say("simulate.ended", outcomes=", ".join(f"{name} {count}" for name, count in sorted(tally.outcomes.items()))))
    whole = tally.missed[("all", "all")]
    console.print(console.say("simulate.missed", deadlines=whole.deadlines, missed=whole.missed, share=f"{whole.share:.1%}"))
    console.print(console.say("simulate.city", cases=len(tally.at_city), alarms=tally.alarms))
    console.print(console.say("simulate.busiest"))
    for person, load, most, day in tally.busiest(5):
        console.print("  " + console.say("simulate.busy", person=person, load=load, most=most, day=day))
    if tally.violations:
        kinds = ", ".join(f"{name} {count}" for name, count in sorted(tally.violations.items()))
        console.print(console.say("simulate.broken", count=tally.violations.total(), kinds=kinds), "bold red")
    else:
        console.print(console.say("simulate.kept", decisions=tally.decisions))
    console.print(console.say("simulate.digest", digest=tally.digest))


def draw_chart(console: Console, tally: Tally, policy: str, workflow: str, file: Path) -> None:
    """Write the chart; a file that cannot be written is refused with the reason."""
    from crisis_engine.simulate.chart import Heads, draw

    clocks = {name: _named(console, (workflow, *tally.tracks), "clock", name) for by, name in tally.missed if by == "clock"}
    heads = Heads(console.say("simulate.chart_title", policy=policy), console.say("simulate.chart_days"),
                  console.say("simulate.chart_missed"), clocks)
    try:
        file.write_text(draw(tally, heads), encoding="utf-8")
    except OSError as error:
        raise bad_input("usage.chart_file", reason=error.strerror or type(error).__name__) from None
    if not console.as_json:
        console.print(console.say("simulate.chart", file=file))


# ---- the backtest -----------------------------------------------------------------------------------------------------------------

_COLUMNS = ("before", "after", "missed_before", "missed_after", "now_missed", "now_met", "nearer", "later")


@command("definitions backtest", "crisis definitions backtest xinyang_v1 --as p-9")
def backtest(console: Console, policy: Annotated[str, typer.Argument()]) -> None:
    """Replay past cases under another policy: people's acts stay, clocks and ladders are the new ones; counts alone."""
    by = console.actor
    with console.engine(reads=True) as engine:
        view = engine.backtest(policy, by=by)
    if console.as_json:
        console.json(view.to_json())
        return
    many = [str(count) if count is not None else console.say("backtest.few") for count in (view.cases, view.skipped, view.failed)]
    console.print(console.say("backtest.title", policy=policy, cases=many[0], skipped=many[1], failed=many[2]), "bold")
    for group, head in (("all", "head.deadlines"), ("clock", "head.clock"), ("role", "head.role"), ("risk", "head.risk")):
        counts = _by_name(view.cells, group)
        console.grid((head, *(f"backtest.{column}" for column in _COLUMNS)), [
            (_named(console, (CRISIS,), group, name), *(_count(console, row, column) for column in _COLUMNS))
            for name, row in sorted(counts.items())
        ])
        console.print()
    for measure in ("told", "raised"):
        before, after = _by_name(view.cells, f"{measure}_before"), _by_name(view.cells, f"{measure}_after")
        kind = "role" if measure == "told" else "tier"
        console.grid((f"backtest.{measure}", "backtest.before", "backtest.after"), [
            (console.word(kind, name), _count(console, before.get(name, {}), measure), _count(console, after.get(name, {}), measure))
            for name in sorted(before.keys() | after.keys())
        ])
        console.print()
    console.print(console.say("backtest.about"))


def _by_name(cells: tuple[dict[str, Any], ...], group: str) -> dict[str, dict[str, int | None]]:
    found: dict[str, dict[str, int | None]] = {}
    for cell in cells:
        if cell["group"] == group:
            found.setdefault(cell["name"], {})[cell["measure"]] = cell["count"]
    return found


def _count(console: Console, row: Mapping[str, int | None], measure: str) -> str:
    count = row.get(measure, 0)
    return console.say("backtest.few") if count is None else str(count)
