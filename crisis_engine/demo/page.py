"""The demo on a screen or in a pipe: plain lines of at most 100 columns, no frames, red only where a person watches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.workflow import Label
from crisis_engine.engine.look import QueueItem
from crisis_engine.engine.view import ClockView
from crisis_engine.words import knows, say

from .life import Afternoon, Life
from .text import tell
from .watch import Day, Entry

WIDEST = 100
"""Columns beyond which lines are hard to read."""

_STYLES = {"late": "bold red", "raised": "bold", "refused": "bold", "people": "bold", "record": "bold", "remind": "dim", "armed": "dim"}
_FIRST = {"people": 0, "record": 0, "refused": 0, "met": 1, "late": 2, "raised": 3, "told": 4, "remind": 5, "armed": 6}
_UNVERIFIED = frozenset({"B", "D"})


class Page:
    """Prints the parts of the demo, one after another, in one language."""

    def __init__(self, console: Console, lang: str, roles: Mapping[str, str]) -> None:
        """Use a console; `roles` says which role each person holds."""
        self.console, self.lang, self.roles = console, lang, roles
        self.room = min(console.width, WIDEST)
        self._marks: dict[str, str] = {}
        self._shows: tuple[str, ...] = ("12356", "110", "120")

    # ---- parts ----------------------------------------------------------------------------------------------------------------

    def opening(self, day: str) -> None:
        """Say where the times come from, and what the letters mean."""
        self._title(tell("title", self.lang))
        self._line(tell("source", self.lang, day=day))
        self._line(tell("marks", self.lang))

    def day(self, day: Day) -> None:
        """Print one way in which the day went: minute by minute, then who knew when, then what is late."""
        self._marks |= day.marks
        self._shows = day.shows or self._shows
        self._title(tell(f"way.{day.name}", self.lang))
        self._line(tell(f"about.{day.name}", self.lang))
        self._numbers(day.shows)
        self.console.print()
        shown = [entry for entry in day.entries if entry.kind != "armed" or (day.name == "nobody" and entry.at == day.entries[0].at)]
        last = None
        for entry in sorted(shown, key=lambda one: (one.at, _FIRST[one.kind])):
            self._entry(entry, day, "" if entry.at == last else f"{entry.at:%H:%M}")
            last = entry.at
        self._knew(day)
        if day.name == "nobody":
            self._message(day)
        self._state(day)

    def life(self, life: Life) -> None:
        """Print a case's whole life: its stages, its rhythm, the one late contact, the two who ended it."""
        self._marks |= life.marks
        self._title(tell("life", self.lang))
        closed = life.view.closed_at or life.view.opened_at
        self._line(tell("about.life", self.lang, number=life.number, days=(closed - life.view.opened_at).days))
        self.console.print()
        for station in life.stations:
            who = self._person(station.by)
            if station.second is not None:
                who = tell("by_two", self.lang, who=who, second=self._person(station.second))
            self._line(f"{station.stage[self.lang]}: {who}" if self.lang == "en" else f"{station.stage[self.lang]}：{who}",
                       f"{station.at:%Y-%m-%d %H:%M}")
        self.console.print()
        risks = tell("comma", self.lang).join(
            tell("risk_since", self.lang, day=f"{at:%m-%d}", risk=say(f"risk.{risk}", self.lang)) for at, risk in life.risks)
        kept = life.contacts - len(life.missed)
        self._line(tell("rhythm", self.lang, contacts=life.contacts, kept=kept, reviews=life.reviews, risks=risks))
        for missed in life.missed:
            self._line(tell("missed", self.lang, due=_clock(missed.due_at), made=_clock(missed.made_at), roles=self._roles(missed.told)))
        end = life.stations[-1]
        self._line(tell("ended", self.lang, who=self._person(end.by), second=self._person(end.second)))

    def afternoon(self, afternoon: Afternoon, people: Mapping[str, str]) -> None:
        """Print what waits for each of four people."""
        self._title(tell("queues", self.lang, at=f"{afternoon.at:%Y-%m-%d %H:%M}"))
        self._line(tell("about.queues", self.lang))
        if any(item.risk == "red" for items in afternoon.queues.values() for item in items):
            self._numbers(self._shows)
        for role, items in afternoon.queues.items():
            self.console.print()
            self.console.print(Text(self._person(people[role]), style="bold"))
            self._queue(items, afternoon.at)

    def ending(self, commands: Sequence[str]) -> None:
        """Say honestly what the numbers are worth, and what to try next."""
        unverified = sum(mark in _UNVERIFIED for mark in self._marks.values())
        self._title(tell("next", self.lang))
        for command in commands:
            for line in command.splitlines():
                self.console.print(Text("  " + line, style="bold", no_wrap=True), soft_wrap=True)
        self.console.print()
        self._line(tell("honest", self.lang, count=len(self._marks), unverified=unverified))
        self._line(tell("no_diagnosis", self.lang))

    # ---- pieces of a day --------------------------------------------------------------------------------------------------------

    def _entry(self, entry: Entry, day: Day, time: str) -> None:
        clock = self._clock(entry.clock, day) if entry.clock else ""
        who = self._who(entry.role, entry.who) if entry.role else ""
        due = _clock(entry.due_at, day.asked_at) if entry.due_at else ""
        texts = {
            "armed": lambda: tell("armed", self.lang, clock=clock, due=due, who=who),
            "late": lambda: tell("late", self.lang, clock=clock, due=due, who=who),
            "met": lambda: tell("met_late" if entry.late else "met", self.lang, clock=clock, due=due),
            "raised": lambda: tell("raised", self.lang, tier=say(f"tier.{entry.tier}", self.lang), who=who),
            "told": lambda: self._roles(entry.told),
            "remind": lambda: tell("remind", self.lang, clock=clock, roles=self._roles(entry.told)),
        }
        text = texts[entry.kind]() if entry.kind in texts else tell(entry.text, self.lang) + (f" ({entry.by})" if entry.by else "")
        word = tell(f"word.{entry.kind}", self.lang)
        pad = 8 if self.lang == "en" else 4
        self._line(text, f"{time:<5}  {word}{' ' * (pad - cell_len(word))}", _STYLES.get(entry.kind, ""))

    def _knew(self, day: Day) -> None:
        self._head(tell("who_knew", self.lang))
        by_tier: dict[str, list[tuple[datetime, str]]] = {}
        for (tier, role), at in day.first_told().items():
            by_tier.setdefault(tier, []).append((at, say(f"role.{role}", self.lang)))
        for tier in ("class", "grade", "school", "county", "city"):
            if tier in by_tier:
                heard = tell("comma", self.lang).join(f"{at:%H:%M} {role}" for at, role in by_tier[tier])
                word = say(f"tier.{tier}", self.lang)
                self._line(heard, f"{word}{' ' * (8 - cell_len(word))}")

    def _message(self, day: Day) -> None:
        told = [message for message in day.messages if message.to == day.view.answers] or list(day.messages)
        self.console.print()
        people = {message.to for message in day.messages}
        self._line(tell("messages", self.lang, count=len(day.messages), people=len(people), who=self._person(told[0].to)))
        for line in told[0].body.splitlines():
            self._line(line, "   ", "dim")

    def _state(self, day: Day) -> None:
        at = f"{day.asked_at:%H:%M}"
        late = sorted((clock for clock in day.view.deadlines if clock.status == "late"), key=lambda clock: clock.due_at)
        if late:
            self._head(tell("still_late", self.lang, at=at))
            for clock in late:
                span = self._span(day.asked_at - clock.due_at)
                due = _clock(clock.due_at, day.asked_at)
                self._line(tell("late_line", self.lang, clock=self._clock(clock.name, day), due=due, span=span, who=self._holder(clock)),
                           "  ", "bold red")
        else:
            self._head(tell("none_late", self.lang, at=at) if not day.ever_late else
                       tell("some_late", self.lang, clocks=tell("comma", self.lang).join(self._clock(name, day) for name in day.ever_late)))
            self._line(tell("now", self.lang, stage=day.view.stage_label[self.lang], tier=say(f"tier.{day.view.tier}", self.lang)))
            for clock in sorted((one for one in day.view.deadlines if one.ended_at is None), key=lambda one: one.due_at):
                due = _clock(clock.due_at, day.asked_at)
                self._line(tell("next_line", self.lang, clock=self._clock(clock.name, day), due=due, who=self._holder(clock)), "  ")
        county, guardian = day.told_at("county"), day.late.get("guardian_told")
        farewell = next((entry.at for entry in day.entries if entry.text == "farewell"), None)
        if county is not None and guardian is not None and farewell is not None:
            self.console.print()
            self._line(tell("then_end", self.lang, county=f"{county:%H:%M}", early=self._span(farewell - county),
                            guardian=_clock(guardian, day.asked_at)))
        if day.name == "policy":
            self.console.print()
            self._line(tell("policy_end", self.lang))

    def _queue(self, items: Sequence[QueueItem], now: datetime) -> None:
        if not items:
            self._line(tell("queue_empty", self.lang), "  ")
            return
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for head in ("head.due", "head.number", "head.clock", "head.stage", "head.risk", "head.tier"):
            table.add_column(say(head, self.lang), overflow="fold")
        for item in items:
            span = tell("queue_late" if item.late else "queue_left", self.lang, span=self._span(abs(now - item.due_at)))
            table.add_row(
                Text(span, style="bold red" if item.late else ""), item.number, item.clock_label[self.lang], item.stage_label[self.lang],
                say(f"risk.{item.risk}", self.lang), say(f"tier.{item.tier}", self.lang),
            )
        self.console.print(table, width=self.room)

    # ---- words ------------------------------------------------------------------------------------------------------------------

    def _clock(self, name: str, day: Day) -> str:
        label: Label = day.labels.get(name, {})
        return f"{label.get(self.lang, name)} [{day.marks[name]}]" if name in day.marks else name

    def _holder(self, clock: ClockView) -> str:
        return self._who(clock.role, clock.who)

    def _who(self, role: str, person: str | None) -> str:
        return f"{say(f'role.{role}', self.lang) if knows(f'role.{role}') else role} {person or tell('nobody', self.lang)}"

    def _person(self, person: str | None) -> str:
        if person is None or person == "reporter":
            return tell("reporter" if person else "nobody", self.lang)
        return self._who(self.roles.get(person, ""), person).strip()

    def _roles(self, told: Iterable[tuple[str, str]]) -> str:
        return tell("comma", self.lang).join(dict.fromkeys(say(f"role.{role}", self.lang) for _tier, role in told))

    def _span(self, span: timedelta) -> str:
        minutes = int(span.total_seconds()) // 60
        if minutes >= 2 * 24 * 60:
            return tell("days", self.lang, d=minutes // (24 * 60))
        parts = [tell("hours", self.lang, h=minutes // 60)] * bool(minutes // 60)
        parts += [tell("minutes", self.lang, m=minutes % 60)] * bool(minutes % 60 or not parts)
        return ("" if self.lang == "zh" else " ").join(parts)

    # ---- lines ------------------------------------------------------------------------------------------------------------------

    def _numbers(self, numbers: Sequence[str]) -> None:
        if numbers:
            named = "  ".join(say(f"number.{one}", self.lang) for one in numbers)
            self._line(say("numbers", self.lang, numbers=named), style="bold red")

    def _title(self, text: str) -> None:
        self.console.print()
        self.console.print()
        self.console.print(Text(text, style="bold"))
        self.console.print("-" * min(self.room, cell_len(text)))

    def _head(self, text: str) -> None:
        self.console.print()
        self._line(text, style="bold")

    def _line(self, text: str, margin: str = "", style: str = "") -> None:
        """Print a text beside a margin; what does not fit goes on below, beside the same margin."""
        gap = "  " if margin.strip() else ""
        indent = cell_len(margin) + len(gap)
        for place, line in enumerate(folded(text, self.room - indent)):
            left = margin + gap if place == 0 else " " * indent
            self.console.print(Text.assemble(left, (line, style)), soft_wrap=True)


def folded(text: str, room: int) -> Iterator[str]:
    """Yield the lines of a text: broken at blanks and between Chinese characters, never before a closing mark."""
    line = ""
    for piece in _pieces(text):
        if line and cell_len(line + piece.rstrip()) > room:
            yield line.rstrip()
            line = ""
        line += piece
    yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    piece = ""
    for char, following in zip(text, [*text[1:], " "], strict=True):
        piece += char
        wide = (cell_len(char) > 1 or cell_len(following) > 1) and char not in "「（" and following not in "，。；：、？！）」"
        if char == " " or wide:
            yield piece
            piece = ""
    if piece:
        yield piece


def _clock(at: datetime, today: datetime | None = None) -> str:
    """Return China's time to the minute, the day left out where it is today."""
    local = at.astimezone(CHINA)
    return f"{local:%H:%M}" if today is not None and local.date() == today.astimezone(CHINA).date() else f"{local:%m-%d %H:%M}"
