"""What every command holds in its hand: language, output as words or JSON, the actor, the engine on its database."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crisis_engine.cli.failure import bad_input, spoken
from crisis_engine.words import LANGUAGES, say

if TYPE_CHECKING:
    from rich.console import Console as Rich

    from crisis_engine import Engine
    from crisis_engine.engine import Look
    from crisis_engine.notify import Channel

DEFAULT_DB = "sqlite:///crisis.db"
PIPE_WIDTH = 10_000
"""A line is never broken for a program that reads it."""


RISK_STYLE = {"unrated": "", "blue": "blue", "yellow": "yellow", "orange": "dark_orange", "red": "bold red"}
"""Colours repeat the word beside them; nobody needs to see colours to read the screen."""


@dataclass(slots=True)
class Given:
    """What was given beside the command itself: the environment, and the options of every command wherever they stood."""

    lang: str
    env: Mapping[str, str]
    options: dict[str, Any] = field(default_factory=dict)
    done: bool = False  # the engine has done what was asked: what fails now is only the telling

    def take(self, db: str | None, actor: str | None, lang: str | None, *, as_json: bool) -> None:
        """Keep the options of one level of the command line; the innermost wins."""
        if lang is not None and lang not in LANGUAGES:
            raise bad_input("usage.lang", name=lang[:20])
        found = {"db": db, "actor": actor, "lang": lang, "as_json": as_json or None}
        self.options.update({name: value for name, value in found.items() if value is not None})

    def console(self) -> Console:
        """Return the console as all levels together want it."""
        return Console(
            given=self,
            db=url_of(self.options.get("db") or self.env.get("CRISIS_DB") or DEFAULT_DB),
            by=self.options.get("actor") or self.env.get("CRISIS_ACTOR") or "",
            as_json=bool(self.options.get("as_json")),
            lang=self.options.get("lang") or self.lang,
            env=self.env,
        )


def lang_of(args: Sequence[str], env: Mapping[str, str]) -> str:
    """Return the language to speak before anything is parsed: --lang, CRISIS_LANG, the locale; English otherwise."""
    wanted = [env.get("CRISIS_LANG", "")]
    for place, arg in enumerate(args):
        if arg == "--lang":
            wanted.append("".join(args[place + 1:place + 2]))
        elif arg.startswith("--lang="):
            wanted.append(arg.partition("=")[2])
    for lang in reversed(wanted):
        if lang in LANGUAGES:
            return lang
    locale = env.get("LC_ALL") or env.get("LC_MESSAGES") or env.get("LANG") or ""
    return "zh" if locale.lower().startswith("zh") else "en"


def url_of(db: str) -> str:
    """Return the URL of a database that may be given as a bare path."""
    return db if "://" in db else f"sqlite:///{db}"


class Console:
    """Prints words for people and JSON for programs, never both; opens the engine for whoever acts."""

    def __init__(self, *, given: Given, db: str, by: str, as_json: bool, lang: str, env: Mapping[str, str]) -> None:
        self._given = given
        self.db, self.by, self.as_json, self.lang, self.env = db, by, as_json, lang, env

    # ---- who and when --------------------------------------------------------------------------------------------------------

    @property
    def actor(self) -> str:
        """Who acts; BadInput when nobody is named."""
        if not self.by:
            raise bad_input("usage.no_actor")
        return self.by

    @contextmanager
    def engine(
        self, *, create: bool = False, reads: bool = False, sandbox: bool = False, channels: Sequence[Channel] = (),
        level: str = "",
    ) -> Iterator[Engine]:
        """Open the engine and close it again. CRISIS_NOW sets its clock where the database is a sandbox, and is refused elsewhere.

        `reads` says that the command logs nothing, so that it need not pay for a logger; `sandbox` makes a new database one; `level`
        is from where up it logs where the environment does not say.
        """
        if not reads:
            from crisis_engine.cli.log import configure

            configure({"CRISIS_LOG_LEVEL": level, **self.env} if level else self.env)
        from crisis_engine import open_engine

        clock = self._sandbox_clock()
        link = self.env.get("CRISIS_LINK", "")
        with open_engine(self.db, clock=clock, channels=channels, create=create, lang=self.lang, link=link) as engine:
            if self.env.get("CRISIS_RETENTION"):
                from crisis_engine.definitions import load_retention

                engine.retention = load_retention(self.env["CRISIS_RETENTION"])
            if sandbox:
                engine.mark_sandbox()
            if clock is not None and not engine.sandbox:
                raise bad_input("usage.sandbox_now")
            yield engine
        self._given.done = not reads

    @contextmanager
    def look(self) -> Iterator[Look]:
        """Open the database for a queue alone: none of the rules is loaded."""
        from crisis_engine.engine import open_look

        clock = self._sandbox_clock()
        with open_look(self.db, clock=clock) as look:
            if clock is not None and not look.sandbox:
                raise bad_input("usage.sandbox_now")
            yield look

    def _sandbox_clock(self) -> Callable[[], datetime] | None:
        text = self.env.get("CRISIS_NOW", "").strip()
        if not text:
            return None
        now = self.time(text)
        return lambda: now

    def time(self, text: str) -> datetime:
        """Return the instant that somebody wrote; China's time where no zone is given."""
        from crisis_engine.core.calendar import CHINA

        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise bad_input("usage.time", name=text[:40]) from None
        return at if at.tzinfo is not None else at.replace(tzinfo=CHINA)

    def number(self, engine: Engine, number: str, *, to_act: bool = False) -> str:
        """Return a case's number; `next` stands for the one on top of the actor's queue, to act only where it is alone there."""
        if number != "next":
            return number
        waiting = engine.queue(by=self.actor, limit=2)
        if not waiting:
            raise bad_input("usage.next_none")
        if to_act and len(waiting) > 1:
            raise bad_input("usage.next_many")
        return waiting[0].number

    # ---- what is printed -------------------------------------------------------------------------------------------------------

    def say(self, key: str, **fields: object) -> str:
        """Return a text of the catalogue in this console's language."""
        return say(key, self.lang, **fields)

    def refusal(self, text: str) -> str:
        """Return a reason of the engine in this console's language."""
        return spoken(text, self.lang)

    def json(self, data: object) -> None:
        """Print one JSON document."""
        sys.stdout.write(json.dumps(data, ensure_ascii=False, indent=2, default=str) + "\n")

    def print(self, text: str = "", style: str = "") -> None:
        """Print a line; it is styled at a terminal only."""
        if style and self.coloured:
            self.rich(text, style)
        else:
            sys.stdout.write(text + "\n")

    @property
    def coloured(self) -> bool:
        """Whether a person watches who did not ask for plain text."""
        return sys.stdout.isatty() and not self.env.get("NO_COLOR") and self.env.get("TERM") != "dumb"

    def rich(self, renderable: object, style: str = "") -> None:
        """Print what rich can draw: in colour at a terminal, plain and unbroken elsewhere."""
        self.pen().print(renderable, style=style or None, soft_wrap=isinstance(renderable, str))

    def pen(self, width: int = PIPE_WIDTH) -> Rich:
        """Return rich's console on the standard output; `width` counts where no terminal has its own."""
        from rich.console import Console as Rich

        class Pen(Rich):
            """Leaves a broken pipe to whoever runs the command; rich would end the process with 1."""

            def on_broken_pipe(self) -> None:
                raise BrokenPipeError

        return Pen(
            file=sys.stdout, highlight=False, markup=False, emoji=False, no_color=not self.coloured,
            color_system="auto" if self.coloured else None, width=None if sys.stdout.isatty() else width,
        )

    def numbers(self, risk: str = "", *, danger: bool = False, shows: Sequence[str] = ()) -> None:
        """Print the numbers to call wherever red is on the screen, or where the procedure shows some."""
        wanted = list(shows) or (["12356", "110", "120"] if danger or risk == "red" else [])
        if wanted:
            named = [self.say(f"number.{one}") if one in {"110", "120", "12356"} else one for one in wanted]
            self.print(self.say("numbers", numbers="  ".join(named)), "bold red")

    def word(self, kind: str, name: str | None) -> str:
        """Return the word of a tier, risk or role; a name that the catalogue does not know stands for itself."""
        try:
            return self.say(f"{kind}.{name}")
        except KeyError:
            return name or ""

    def label(self, label: Mapping[str, str], name: str = "") -> str:
        """Return a definition's label in this console's language."""
        return label.get(self.lang) or name

    def who(self, role: str | None, person: str | None) -> str:
        """Return role and person; nobody is said, not left blank."""
        return f"{self.word('role', role)} {person or self.say('who.nobody')}".strip()

    def when(self, at: datetime | None) -> str:
        """Return China's time to the minute."""
        from crisis_engine.core.calendar import CHINA

        return "" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")

    def soon(self, at: datetime, now: datetime) -> str:
        """Return China's time to the minute, without the year where it is this one."""
        return self.when(at)[5:] if self.when(at)[:4] == self.when(now)[:4] else self.when(at)

    def span(self, due_at: datetime, now: datetime) -> str:
        """Return how late, or how long until, in the two largest units."""
        late = due_at <= now
        minutes = int(abs((now - due_at).total_seconds()) // 60)
        parts = [("time.days", minutes // 1440), ("time.hours", minutes % 1440 // 60), ("time.minutes", minutes % 60)]
        while len(parts) > 1 and not parts[0][1]:
            parts.pop(0)
        text = "".join(self.say(key, n=n) for key, n in parts[:2])
        return self.say("time.late" if late else "time.left", span=text)

    def grid(self, heads: Sequence[str], rows: Sequence[Sequence[Any]], *, firm: Sequence[str] = ()) -> None:
        """Print a table without lines. Chinese is measured as it is drawn; a cell is folded where the screen is narrow, never cropped.

        `firm` names the columns that keep their width as long as the others can give way: numbers, times, bars.
        """
        from rich.table import Table

        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for head in heads:
            table.add_column(self.say(head), overflow="fold", no_wrap=head in firm)
        for row in rows:
            table.add_row(*row)
        self.rich(table)


def channels_of(to: Path | None, channels: Path | None, env: Mapping[str, str]) -> tuple[Channel, ...]:
    """Return the channels of a file (--channels, CRISIS_CHANNELS), or the notice file where there is none (--to, CRISIS_NOTICES)."""
    from crisis_engine.notify import LogFileChannel, load_channels

    chosen = channels or (Path(env["CRISIS_CHANNELS"]) if to is None and env.get("CRISIS_CHANNELS") else None)
    if chosen is not None:
        return load_channels(chosen, env=env)
    return (LogFileChannel(to or Path(env.get("CRISIS_NOTICES") or "crisis-notices.jsonl")),)
