"""What the demo sees of a case: the engine's own answers, read after each minute and kept as entries that a page can print."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from crisis_engine.core.errors import CrisisError
from crisis_engine.core.workflow import Label
from crisis_engine.engine import Engine
from crisis_engine.engine.view import CaseView, ClockView
from crisis_engine.notify import Message, RecordingChannel
from crisis_engine.testing import SettableClock

OPERATOR = "p-9"
"""Through whose eyes the demo reads: the operator sees clocks and kinds, never a fact."""

IDLE = 5
"""Minutes between two sweeps while nothing is due: each leaves its heartbeat on the disk, and 364 of them would be most of the demo."""

Fields = Mapping[str, Any] | Callable[[datetime], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened in one minute. `kind`: people, record, refused, armed, late, remind, met, raised, told."""

    at: datetime
    kind: str
    text: str = ""                                # people, refused: key of a text of the demo
    by: str = ""
    clock: str = ""
    due_at: datetime | None = None
    tier: str = ""
    role: str = ""
    who: str | None = None
    told: tuple[tuple[str, str], ...] = ()        # (tier, role) of everybody who heard of it
    late: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What one person does at a moment: a text for the page, and the move that it is; no move means that nothing was entered."""

    at: str
    text: str
    by: str = ""
    move: str = ""
    fields: Fields = field(default_factory=dict)
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A database for trying out, with its clock and the list of what it sent."""

    engine: Engine
    clock: SettableClock
    channel: RecordingChannel

    def until(self, at: datetime) -> None:
        """Let time pass, sweeping at each moment at which anything is due."""
        while (due := self._next_at()) is not None and due <= at:
            self.clock.set(max(due, self.clock()))
            self.engine.sweep()
        self.clock.set(at)

    def _next_at(self) -> datetime | None:
        with self.engine.store.reading() as tx:
            return tx.next_at()

    def report(self, by: str, subject: str, unit: str, facts: str, *cues: str) -> tuple[str, tuple[str, ...]]:
        """Somebody says a word about a child; return the number of its case and the telephone numbers that the reporter is shown."""
        receipt = self.engine.report(unit=unit, subject=subject, by=by, facts=facts, cues=cues)
        with self.engine.store.reading() as tx:   # the face tells nobody what stands behind a receipt; the demo has to know
            found = tx.receipt(receipt.token)
        return found.number if found else "", receipt.shows

    def act(self, number: str, by: str, move: str, fields: Fields) -> CaseView:
        """Make a move; fields that hang on the time are reckoned now."""
        return self.engine.act(number, move, by=by, fields=fields(self.clock()) if callable(fields) else fields)


class Watch:
    """Follows one case: after each minute it reads what is new and says it as entries."""

    def __init__(self, sandbox: Sandbox, number: str) -> None:
        self.sandbox, self.number = sandbox, number
        self.clocks: dict[tuple[str, int], ClockView] = {}     # each arming of each clock, as it was seen last
        self.labels: dict[str, Label] = {}
        self.marks: dict[str, str] = {}
        self.entries: list[Entry] = []
        self._seq = 0
        self._late: set[tuple[str, int]] = set()
        self._view: CaseView | None = None

    @property
    def view(self) -> CaseView:
        """The case as it stood at the last look."""
        assert self._view is not None  # noqa: S101 - `look` comes before
        return self._view

    def people(self, step: Step) -> None:
        """Do what a step says, and keep it; a refusal that the step expects is kept as one."""
        now, kind = self.sandbox.clock(), "people" if step.by else "record"
        if step.refused:
            try:
                self.sandbox.act(self.number, step.by, step.move, step.fields)
            except CrisisError:
                kind = "refused"
        elif step.move:
            self.sandbox.act(self.number, step.by, step.move, step.fields)
        self.entries.append(Entry(now, kind, text=step.text, by=step.by))

    def look(self) -> bool:
        """Read the case and its log, and keep what is new; return whether anything is."""
        now, before = self.sandbox.clock(), len(self.entries)
        self._view = view = self.sandbox.engine.case(self.number, by=OPERATOR)
        running = [clock for clock in view.deadlines if clock.ended_at is None]
        for clock in running:
            if clock.status == "late" and (clock.name, clock.n) not in self._late:
                self._late.add((clock.name, clock.n))
                held = self.clocks.get((clock.name, clock.n), clock)   # who had it when it became late: the rung may have handed it up
                self.entries.append(Entry(now, "late", clock=clock.name, due_at=clock.due_at, role=held.role, who=held.who))
        for clock in view.deadlines:
            self.labels[clock.name], self.marks[clock.name] = clock.label, clock.mark
            self.clocks[clock.name, clock.n] = clock
        new = [line for line in self.sandbox.engine.history(self.number, by=OPERATOR) if line["seq"] > self._seq]
        self.entries += self._said(new, now)
        self._seq = view.version
        return len(self.entries) > before

    def _said(self, lines: list[dict[str, Any]], now: datetime) -> Iterator[Entry]:
        told: dict[str, list[tuple[str, str]]] = {}
        for line in lines:
            clock = str(line.get("clock", ""))
            known = self.clocks.get((clock, int(line["n"]))) if "n" in line else None
            if line["kind"] == "clock_armed" and known is not None:
                yield Entry(now, "armed", clock=clock, due_at=datetime.fromisoformat(line["due_at"]), role=known.role, who=known.who)
            elif line["kind"] == "clock_met":
                yield Entry(now, "met", clock=clock, late=line["late"], due_at=known.due_at if known else None)
            elif line["kind"] == "tier_raised":
                yield Entry(now, "raised", tier=line["tier"], role=line["role"], who=line.get("holder"))
            elif line["kind"] == "told":
                told.setdefault(clock if self._ahead(clock, now) else "", []).append((line["tier"], line["role"]))
        for clock, pairs in told.items():
            yield Entry(now, "remind" if clock else "told", clock=clock, told=tuple(dict.fromkeys(pairs)))

    def _ahead(self, clock: str, now: datetime) -> bool:
        """Whether a clock runs and is not due yet: who is told of it then is reminded."""
        return any(one.name == clock and one.ended_at is None and one.due_at > now for one in self.view.deadlines)


@dataclass(frozen=True, slots=True)
class Day:
    """One way in which the day went: everything in it is what the engine answered."""

    name: str
    number: str
    entries: tuple[Entry, ...]
    view: CaseView
    labels: Mapping[str, Label]
    marks: Mapping[str, str]
    shows: tuple[str, ...]
    messages: tuple[Message, ...]
    asked_at: datetime

    @property
    def late(self) -> dict[str, datetime]:
        """The clocks that are late at the end, each with the moment since which it is."""
        return {clock.name: clock.due_at for clock in self.view.deadlines if clock.status == "late"}

    @property
    def ever_late(self) -> dict[str, datetime]:
        """Every clock that was ever late, with the moment of the first time."""
        late = [entry for entry in self.entries if entry.kind == "late" or entry.late]
        return {entry.clock: entry.due_at for entry in reversed(late) if entry.due_at is not None}

    @property
    def raised(self) -> list[tuple[datetime, str]]:
        """When the case came to which level."""
        return [(entry.at, entry.tier) for entry in self.entries if entry.kind == "raised"]

    def first_told(self) -> dict[tuple[str, str], datetime]:
        """Return when each (tier, role) heard of it first, in that order."""
        found: dict[tuple[str, str], datetime] = {}
        for entry in self.entries:
            for pair in entry.told:
                found.setdefault(pair, entry.at)
        return found

    def told_at(self, tier: str) -> datetime | None:
        """Return when anybody of that level heard of it first."""
        return min((at for (level, _role), at in self.first_told().items() if level == tier), default=None)


def replay(sandbox: Sandbox, name: str, first: Step, steps: tuple[Step, ...], until: datetime, *, subject: str, unit: str) -> Day:
    """Play a day minute by minute: people act as the steps say, the sweep comes after them, and whatever is new is kept.

    It sweeps in each minute in which anything is due or anybody acted, and every IDLE minutes otherwise.
    """
    sandbox.until(_at(until, first.at))
    fields = first.fields if isinstance(first.fields, Mapping) else {}
    number, shows = sandbox.report(first.by, subject, unit, str(fields["facts"]), *fields["cues"])
    watch = Watch(sandbox, number)
    watch.people(Step(first.at, first.text, first.by))
    watch.look()
    by_minute: dict[str, list[Step]] = {}
    for step in steps:
        by_minute.setdefault(step.at, []).append(step)
    now, next_at = sandbox.clock(), sandbox.engine.sweep().next_at
    while now < until:
        now = sandbox.clock.advance(timedelta(minutes=1))
        doing = by_minute.get(now.strftime("%H:%M"), [])
        for step in doing:
            watch.people(step)
        if doing or now.minute % IDLE == 0 or (next_at is not None and next_at <= now):
            next_at = sandbox.engine.sweep().next_at
            watch.look()
    watch.look()
    sandbox.engine.deliver()
    return Day(name, number, tuple(watch.entries), watch.view, watch.labels, watch.marks, shows, tuple(sandbox.channel.sent), now)


def _at(day: datetime, time: str) -> datetime:
    hour, minute = map(int, time.split(":"))
    return day.replace(hour=hour, minute=minute)
