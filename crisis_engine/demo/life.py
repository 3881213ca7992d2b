"""One case's whole life, from a peer's word to the city's closure evaluation, over months; then an afternoon with four queues."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.workflow import Label
from crisis_engine.engine.look import QueueItem
from crisis_engine.engine.view import CaseView

from .day import CHILD, CLASS, COUNSELOR, COUNTY, LEADER, PANEL, PEER, TEACHER, VICE_PRINCIPAL
from .watch import OPERATOR, Fields, Sandbox

CITY = "p-3"
LATE_CONTACT = 12
"""The follow-up that the counselor of the story misses and makes up for later."""

AHEAD = timedelta(hours=19)
"""Who keeps the rhythm acts when a clock is due within so long: the story's people look in at 10:00 and at 15:00."""

AFTERNOON = datetime(2026, 6, 10, 15, 0, tzinfo=CHINA)
ROLES: Mapping[str, str] = {"class_teacher": TEACHER, "counselor": COUNSELOR, "county_officer": COUNTY, "city_officer": CITY}


@dataclass(frozen=True, slots=True)
class Station:
    """One stage of a life: when the case came there, by whose move, who signed with them."""

    at: datetime
    stage: Label
    by: str
    second: str | None


@dataclass(frozen=True, slots=True)
class Missed:
    """A contact that came late: when it was due, when it was made, who heard of it meanwhile."""

    due_at: datetime
    made_at: datetime
    told: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Life:
    """What the log says about a case that came to its end."""

    number: str
    view: CaseView
    stations: tuple[Station, ...]
    contacts: int
    reviews: int
    missed: tuple[Missed, ...]
    risks: tuple[tuple[datetime, str], ...]
    marks: Mapping[str, str]        # of each clock that ran: how far its number can be trusted


@dataclass(slots=True)
class Course:
    """A case on its way, whose people keep the rhythm."""

    sandbox: Sandbox
    view: CaseView
    labels: dict[str, Label]
    misses: int = 0

    @property
    def number(self) -> str:
        """The case's number."""
        return self.view.number

    def act(self, by: str, move: str, **fields: Any) -> None:  # noqa: ANN401 - any field of a form
        """Make a move and remember what its stage is called."""
        self._do(by, move, fields)

    def agreed(self, by: str, second: str, move: str, **fields: Any) -> None:  # noqa: ANN401 - any field of a form
        """One person proposes, another confirms."""
        self._do(by, move, fields)
        self._do(second, "confirm", {})

    def _do(self, by: str, move: str, fields: Fields) -> None:
        self.view = self.sandbox.act(self.number, by, move, fields)
        self.labels[self.view.stage] = self.view.stage_label

    def keep(self) -> None:
        """Do what is due soon: see the child, look at the whole again. One contact of the story is made after it was due."""
        now = self.sandbox.clock()
        for clock in self.view.deadlines:
            waited = clock.due_at + timedelta(hours=2) if clock.name == "contact" and clock.n == self.misses else clock.due_at - AHEAD
            if clock.ended_at is None and waited <= now:
                if clock.name == "contact":
                    mode = "face" if now.weekday() < 5 else "phone"  # noqa: PLR2004 - Saturday
                    self.act(COUNSELOR, "contact", on=now, mode=mode, note="随访")
                elif clock.name == "review":
                    self.act(VICE_PRINCIPAL, "review", risk=self.view.risk, because="复评")


def live_through(sandbox: Sandbox) -> Life:
    """Live one orange case through to the city's evaluation; beside it a yellow one comes as far as the city's desk."""
    orange = _begin(sandbox, datetime(2026, 3, 4, 10, 0, tzinfo=CHINA), "stu-43", "old_scars", "orange")
    orange.misses = LATE_CONTACT
    _pass(sandbox, (orange,), datetime(2026, 3, 5, 10, 0, tzinfo=CHINA))
    yellow = _begin(sandbox, datetime(2026, 3, 5, 10, 0, tzinfo=CHINA), "stu-45", "withdrawn", "yellow")
    courses = (orange, yellow)
    _pass(sandbox, courses, datetime(2026, 4, 8, 11, 0, tzinfo=CHINA))
    orange.agreed(COUNSELOR, VICE_PRINCIPAL, "lower_risk", risk="yellow", because="五周稳定")
    for course in courses:
        course.act(COUNSELOR, "step_down")
    _pass(sandbox, courses, datetime(2026, 6, 3, 11, 0, tzinfo=CHINA))
    orange.act(VICE_PRINCIPAL, "request_closure", reason="已稳定", evidence="量表与随访记录")
    _pass(sandbox, courses, datetime(2026, 6, 5, 11, 0, tzinfo=CHINA))
    orange.act(COUNTY, "county_agree", opinion="同意")
    yellow.act(VICE_PRINCIPAL, "request_closure", reason="已稳定", evidence="量表与随访记录")
    _pass(sandbox, courses, datetime(2026, 6, 9, 11, 0, tzinfo=CHINA))
    yellow.act(COUNTY, "county_agree", opinion="同意")
    orange.act(CITY, "city_pass", opinion="通过")
    return _told(orange)


def _begin(sandbox: Sandbox, at: datetime, subject: str, cue: str, risk: str) -> Course:
    """Bring a child's case from the first word to the signed plan within a day, everybody in time."""
    sandbox.until(at)
    number, _shows = sandbox.report(PEER, subject, CLASS, "同学说的话", cue)
    first = sandbox.engine.case(number, by=OPERATOR)
    course = Course(sandbox, first, {first.stage: first.stage_label})
    for minutes, by, move in ((8, TEACHER, "acknowledge"), (30, COUNSELOR, "start_assessment")):
        sandbox.until(at + timedelta(minutes=minutes))
        course.act(by, move)
    sandbox.until(at + timedelta(minutes=80))
    course.act(COUNSELOR, "assess", risk=risk, ideation="unknown", plan="no", means="no", attempt="no")
    course.act(TEACHER, "guardian_told", who="示例家长", at=sandbox.clock(), told="所见与下一步", answer="agreed")
    sandbox.until(at + timedelta(hours=4))
    course.agreed(VICE_PRINCIPAL, COUNSELOR, "triage", risk=risk, members=PANEL, minutes="研判会纪要")
    sandbox.until(at + timedelta(hours=6))
    course.agreed(COUNSELOR, VICE_PRINCIPAL, "plan", goals="安全", measures="定期面谈", safety_plan="陪护与联系人")
    return course


def _pass(sandbox: Sandbox, courses: Sequence[Course], until: datetime) -> None:
    """Let days pass; at 10:00 and 15:00 people look at what is due."""
    for moment in _looks(sandbox.clock(), until):
        sandbox.until(moment)
        for course in courses:
            course.keep()
    sandbox.until(until)


def _looks(begin: datetime, end: datetime) -> Iterator[datetime]:
    day = begin.replace(hour=0, minute=0)
    while day <= end:
        yield from (moment for hour in (10, 15) if begin < (moment := day.replace(hour=hour)) < end)
        day += timedelta(days=1)


def _told(course: Course) -> Life:
    """Read the life from the log, as the operator may see it."""
    engine = course.sandbox.engine
    lines = engine.history(course.number, by=OPERATOR)
    view = engine.case(course.number, by=OPERATOR)
    opened = next(line for line in lines if line["kind"] == "opened")
    stations = [Station(_time(opened), course.labels[opened["stage"]], opened["by"], None)] + [
        Station(_time(line), course.labels[line["to"]], line["by"], line.get("second"))
        for line in lines if line["kind"] == "moved" and line["origin"] != line["to"]
    ]
    met = [line for line in lines if line["kind"] == "clock_met"]
    missed = [line for line in met if line["clock"] == "contact" and line["late"]]
    return Life(
        number=course.number, view=view, stations=tuple(stations),
        contacts=sum(line["clock"] == "contact" for line in met), reviews=sum(line["clock"] == "review" for line in met),
        missed=tuple(_missed(line, lines) for line in missed),
        risks=tuple((_time(line), line["risk"]) for line in lines if line["kind"] in {"opened", "risk_raised", "risk_lowered"}),
        marks={clock.name: clock.mark for clock in view.deadlines},
    )


def _missed(met: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> Missed:
    armed = next(line for line in lines if line["kind"] == "clock_armed" and (line["clock"], line["n"]) == (met["clock"], met["n"]))
    due_at = datetime.fromisoformat(armed["due_at"])
    told = [
        (line["tier"], line["role"]) for line in lines
        if line["kind"] == "told" and line.get("clock") == "contact" and due_at <= _time(line) <= _time(met)
    ]
    return Missed(due_at, _time(met), tuple(dict.fromkeys(told)))


def _time(line: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(line["at"])


@dataclass(frozen=True, slots=True)
class Afternoon:
    """What waits for each role at one moment, as `engine.queue` gives it."""

    at: datetime
    queues: Mapping[str, Sequence[QueueItem]]


def look_around(sandbox: Sandbox) -> Afternoon:
    """Bring an afternoon on which three words come in, one of them unheard, and return what waits for four roles."""
    for before, subject, cues in ((175, CHILD, ()), (40, "stu-41", ("suicide_words",)), (9, "stu-44", ("withdrawn",))):
        at = AFTERNOON - timedelta(minutes=before)
        sandbox.until(at)
        number, _shows = sandbox.report(PEER, subject, CLASS, "同学说的话", *cues)
        if subject == "stu-41":
            sandbox.until(at + timedelta(minutes=4))
            sandbox.act(number, TEACHER, "acknowledge", {})
            sandbox.act(number, LEADER, "report_to_county", {})
    sandbox.until(AFTERNOON)
    return Afternoon(AFTERNOON, {role: sandbox.engine.queue(by=person, limit=5) for role, person in ROLES.items()})
