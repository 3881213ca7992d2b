"""Words in which the scenario tests tell a child's story: people by their work, a day that passes, a case that can be asked."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

import pytest

from crisis_engine import CrisisError, Engine, MoveView, SweepReport
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.case import Case, Clock
from crisis_engine.core.events import Event
from crisis_engine.core.evolve import fold
from crisis_engine.notify import Message, RecordingChannel
from crisis_engine.testing import SettableClock

# The people of the example school 浉河区第三示例中学, class 七年级2班, and those above it. All invented.
CHILD, CLASS, SCHOOL = "stu-42", "xinyang/shihe/no-3/g7/c2", "xinyang/shihe/no-3"
PEER, PARENT, OTHER_PARENT = "p-71", "gd-42", "gd-42b"
CLASS_TEACHER, DEPUTY_TEACHER, SUBJECT_TEACHER, GRADE_HEAD = "p-11", "p-17", "p-19", "p-21"
COUNSELOR, SECOND_COUNSELOR = "p-31", "p-32"
VICE_PRINCIPAL, LAW_VICE_PRINCIPAL, PRINCIPAL = "p-33", "p-34", "p-35"
LEADING_GROUP = {"p-35", "p-36", "p-37"}
DAY_DUTY, NIGHT_DUTY = "p-38", "p-39"
COUNTY_OFFICER, COUNTY_DUTY, COUNTY_EXPERT = "p-101", "p-102", "p-103"
CITY_OFFICER, SECOND_CITY_OFFICER, CITY_EXPERT, CITY_DUTY = "p-3", "p-4", "p-5", "p-7"
CITY_LEADERS, OPERATOR, HOTLINE = {"p-1", "p-2"}, "p-9", "p-41"

MAIN_LINE = (
    "reported", "acknowledged", "assessing", "triaging", "planning", "intervening", "follow_up", "closure_requested", "county_reviewed",
)
QUIET_DAYS = {"red": 180, "orange": 90, "yellow": 30, "blue": 14}  # policies/default_v1.toml: without a new signal before closure


def copy_city(template: Path, path: Path) -> None:
    """Copy a database and the key beside it, without which nobody reads its roster."""
    for end in ("", ".key"):
        shutil.copy(f"{template}{end}", f"{path}{end}")


class City:
    """The example city on a database of its own, with a clock that moves only when the story says so."""

    def __init__(self, engine: Engine, clock: SettableClock, channel: RecordingChannel, url: str) -> None:
        self.engine, self.clock, self.channel, self.url = engine, clock, channel, url

    def time(self, when: str) -> datetime:
        """Return "15:30" of the present day, or "2026-03-04 08:00", as an instant."""
        text = when if " " in when else f"{self.clock().astimezone(CHINA):%Y-%m-%d} {when}"
        return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=CHINA)

    def at(self, when: str) -> Self:
        """Let time pass until then, the daemon sweeping at each moment that anything is due."""
        return self._pass(self.time(when))

    def wait(self, **span: float) -> Self:
        """Let so many minutes, hours or days pass, the daemon sweeping at each moment that anything is due."""
        return self._pass(self.clock() + timedelta(**span))

    def skip(self, **span: float) -> Self:
        """Let time pass while the daemon is down: nothing is swept, neither on the way nor at the end."""
        self.clock.advance(timedelta(**span))
        return self

    def sweep(self) -> SweepReport:
        """Sweep once, now; every case must be decided."""
        report = self.engine.sweep()
        assert report.failed == 0, f"{report.failed} cases could not be decided"
        return report

    def _pass(self, until: datetime) -> Self:
        due = self.sweep().next_at
        while due is not None and due <= until:
            assert due > self.clock(), "a sweep left something due behind"
            self.clock.set(due)
            due = self.sweep().next_at
        self.clock.set(until)
        self.sweep()
        return self

    def report(self, by: str = PEER, *, subject: str | None = CHILD, unit: str = CLASS, facts: str = "听到的话", **more: Any) -> Story:  # noqa: ANN401 - any field of the form
        """Somebody says a word about a child; return the story of the case into which it went."""
        receipt = self.engine.report(unit=unit, subject=subject, by=by, facts=facts, **more)
        return self.story(receipt.token)

    def story(self, token: str) -> Story:
        """Return the story behind a receipt."""
        with self.engine.store.reading() as tx:
            found = tx.receipt(token)
        assert found is not None
        return Story(self, found.number)

    def refused(self, error: type[CrisisError], by: str = PEER, **report: Any) -> CrisisError:  # noqa: ANN401 - any field of the form
        """Expect that this report is refused; return the refusal."""
        with pytest.raises(error) as caught:
            self.report(by, **report)
        return caught.value

    def messages(self) -> list[Message]:
        """Send what the outbox holds and return every message so far."""
        self.engine.deliver()
        return self.channel.sent

    def cases(self) -> int:
        """Return how many cases there are."""
        with self.engine.store.reading() as tx:
            return tx.counts()["cases"]


class Story:
    """One case, which can be acted on and asked. Each time it is asked, promises 1 and 5 are looked after."""

    def __init__(self, city: City, number: str) -> None:
        self.city, self.number = city, number
        self.shows: tuple[str, ...] = ()
        self.waits = False
        self._listened = 0

    # ---- what people do ---------------------------------------------------------------------------------------------

    def act(self, by: str, move: str, **fields: Any) -> Self:  # noqa: ANN401 - any field of the form
        """Somebody makes a move, proposes it or answers a proposal."""
        view = self.city.engine.act(self.number, move, by=by, fields=fields)
        self.shows, self.waits = view.shows, view.waits
        return self

    def refused(self, error: type[CrisisError], by: str, move: str, **fields: Any) -> CrisisError:  # noqa: ANN401 - any field of the form
        """Expect that a move is refused and changes nothing; return the refusal."""
        before = self.case
        with pytest.raises(error) as caught:
            self.act(by, move, **fields)
        assert self.case == before
        return caught.value

    def agreed(self, by: str, second: str, move: str, **fields: Any) -> Self:  # noqa: ANN401 - any field of the form
        """One person proposes and another confirms."""
        self.act(by, move, **fields)
        assert self.waits, f"{move} did not wait for a second person"
        return self.act(second, "confirm")

    def assess(self, risk: str, by: str = COUNSELOR, **answers: str) -> Self:
        """The counselor assesses the child."""
        return self.act(by, "assess", risk=risk, **{"ideation": "yes", "plan": "no", "means": "no", "attempt": "unknown", **answers})

    def panel(self, risk: str, by: str = VICE_PRINCIPAL, second: str = COUNSELOR) -> Self:
        """The panel (研判) decides the risk, two of its members sign."""
        return self.agreed(by, second, "triage", risk=risk, members=[VICE_PRINCIPAL, COUNSELOR, CLASS_TEACHER], minutes="研判会纪要")

    def tell_guardian(self, by: str = CLASS_TEACHER, answer: str = "agreed") -> Self:
        """The class teacher tells the guardian."""
        return self.act(by, "guardian_told", who="示例家长", at=self.city.clock(), told="所见与下一步", answer=answer)

    def meet(self, by: str = COUNSELOR, **more: str) -> Self:
        """The counselor meets the child (随访)."""
        return self.act(by, "contact", on=self.city.clock(), mode="face", note="见面记录", **more)

    def ask_closure(self, by: str = VICE_PRINCIPAL) -> Self:
        """The school requests the closure."""
        return self.act(by, "request_closure", reason="已稳定", evidence="量表与随访记录")

    def reach(self, stage: str, risk: str = "orange") -> Self:
        """Bring a fresh case along the main line to a stage, everybody doing what the policy asks; the panel says `risk`."""
        steps: Mapping[str, Callable[[], object]] = {
            "acknowledged": lambda: self.act(CLASS_TEACHER, "acknowledge"),
            "assessing": lambda: self.act(COUNSELOR, "start_assessment"),
            "triaging": lambda: self.assess(risk),
            "planning": lambda: self.panel(risk),
            "intervening": self._sign_plan,
            "follow_up": self._step_down,
            "closure_requested": lambda: self._stay_quiet().ask_closure(),
            "county_reviewed": lambda: self.act(COUNTY_OFFICER, "county_agree", opinion="同意"),
        }
        for one in MAIN_LINE[1:MAIN_LINE.index(stage) + 1]:
            steps[one]()
            assert self.stage == one
        return self

    def _sign_plan(self) -> None:
        self.tell_guardian()
        if self.clock_or_none("county_told") is not None:
            self.act(PRINCIPAL, "report_to_county")
        self.agreed(COUNSELOR, VICE_PRINCIPAL, "plan", goals="安全", measures="每周面谈", safety_plan="陪护与联系人")

    def _step_down(self) -> None:
        if self.risk == "red":
            self.agreed(COUNSELOR, VICE_PRINCIPAL, "lower_risk", risk="orange", because="两周稳定")
        self.act(COUNSELOR, "step_down")

    def _stay_quiet(self) -> Self:
        self.city.skip(days=QUIET_DAYS[self.case.peak.value])
        return self.meet()

    # ---- what can be asked ------------------------------------------------------------------------------------------

    @property
    def case(self) -> Case:
        """The case as the database has it; the log must fold to it, and an open one must have a clock and somebody who answers."""
        with self.city.engine.store.reading() as tx:
            stored, events = tx.case(self.number), tx.events(self.number)
        assert stored is not None
        assert fold(events) == stored.case, "promise 5: the log does not fold to the row"
        if stored.case.open:
            assert stored.case.next_at is not None, "promise 1: nothing will ever happen to this open case"
            assert stored.case.answers_role, "promise 1: nobody answers for this open case"
        return stored.case

    @property
    def stage(self) -> str:
        return self.case.stage

    @property
    def tier(self) -> str:
        return self.case.tier.value

    @property
    def risk(self) -> str:
        return self.case.risk.value

    @property
    def answers(self) -> str | None:
        """Who answers for the case now."""
        return self.case.answers

    @property
    def clocks(self) -> set[str]:
        """The names of the running clocks."""
        return {clock.name for clock in self.case.clocks}

    @property
    def late(self) -> set[str]:
        """The names of the clocks that are past due."""
        return {clock.name for clock in self.case.clocks if clock.due_at <= self.city.clock() and clock.paused_at is None}

    def clock(self, name: str) -> Clock:
        """Return a running clock."""
        clock = self.case.clock(name)
        assert clock is not None, f"{name} does not run; running: {sorted(self.clocks)}"
        return clock

    def clock_or_none(self, name: str) -> Clock | None:
        return self.case.clock(name)

    def due(self, name: str) -> datetime:
        """Return when a running clock is due."""
        return self.clock(name).due_at

    def who(self, name: str) -> str | None:
        """Return who must meet a running clock."""
        return self.clock(name).holder

    def heard(self) -> set[str]:
        """Return the people to whom a message about this case went since this was asked last."""
        sent = [message for message in self.city.messages() if self.number in message.subject + message.body]
        new, self._listened = sent[self._listened:], len(sent)
        return {message.to for message in new}

    @property
    def events(self) -> list[Event]:
        """The log, with what is secret in it."""
        with self.city.engine.store.reading() as tx:
            return tx.events(self.number)

    def happened(self, kind: str, **like: object) -> list[Event]:
        """Return the events of a kind whose header has these values."""
        return [e for e in self.events if e.kind == kind and all(getattr(e, name) == value for name, value in like.items())]

    def history(self, by: str = OPERATOR) -> list[dict[str, Any]]:
        """Return the case's life as the face tells it."""
        return self.city.engine.history(self.number, by=by)

    def raises(self) -> list[tuple[str, str]]:
        """Return when the case came to which level, as ("14:45", "grade")."""
        return [(line["at"][11:16], line["tier"]) for line in self.history() if line["kind"] == "tier_raised"]

    def told_at(self, tier: str) -> str | None:
        """Return the time of day at which a level was first told."""
        return next((line["at"][11:16] for line in self.history() if line["kind"] == "told" and line["tier"] == tier), None)

    def moves(self, by: str) -> Mapping[str, MoveView]:
        """Return what this person could do, by name."""
        return {move.name: move for move in self.city.engine.moves(self.number, by=by)}

    def links(self) -> set[tuple[str, str]]:
        """Return the relations to other cases."""
        with self.city.engine.store.reading() as tx:
            return set(tx.links(self.number))
