"""The pen: writes events and notices about one case and keeps the case as it then stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from .attachment import Kept, kept
from .calendar import parse_hours
from .case import Case
from .events import ClockArmed, Event, Notice, RungFired, Told
from .evolve import also_armed, evolve
from .model import Risk
from .policy import counts_as
from .procedure import Procedure
from .resolve import Found, Resolver


class Pen:
    """Collects what one decision does to one case. Nothing outside changes until the store appends it."""

    __slots__ = (
        "attached", "before", "bounds", "by", "case", "events", "heard", "met", "notices", "now", "number", "procedure", "resolver",
        "triggers",
    )

    def __init__(self, case: Case | None, number: str, procedure: Procedure, resolver: Resolver, by: str, now: datetime) -> None:
        """Begin at the case as it stands; time within a case never runs back."""
        self.before = case
        self._set(case)
        self.number = number
        self.procedure = procedure
        self.resolver = resolver
        self.by = by
        self.now = max(now, case.last_at) if case is not None else now
        self.events: list[Event] = []
        self.notices: list[Notice] = []
        self.attached: list[Kept] = []              # files of these events, for the store
        self.heard: set[str] = set()                # who has a notice of this sweep already: each person is told once
        self.triggers: set[str] = set()             # moves made and built-in words, which start `once` clocks
        self.met: set[str] = set()                  # clocks that a move met
        self.bounds: dict[str, datetime] = {}       # clocks that must not be due after a confirmed time

    def _set(self, case: Case | None) -> None:
        self.case: Case = case  # type: ignore[assignment]  # None only until the first event, which is always `opened`

    def add(self, kind: type[Event], secret: Mapping[str, Any] | None = None, *, by: str | None = None, **fields: Any) -> Event:  # noqa: ANN401 - header fields of the event's own class
        """Write one event and evolve the case by it."""
        seq = 1 if self.case is None else self.case.version + 1
        secret, attached = kept(secret, seq) if secret else ({}, ())
        self.attached += attached
        event = kind(case=self.number, seq=seq, at=self.now, by=by or self.by, secret=secret, **fields)
        self.put(event)
        return event

    def put(self, event: Event) -> None:
        """Evolve the case by an event that was made elsewhere."""
        self._set(evolve(self.case, event))
        self.events.append(event)

    def arms(self) -> tuple[int, str]:
        """Return seq and `by` of a clock that is started now.

        What a rung started right behind it stands in the rung's own record: a raise is one event to hash and keep.
        """
        last = self.events[-1] if self.events else None
        return (last.seq, last.by) if isinstance(last, RungFired) else (1 if self.case is None else self.case.version + 1, self.by)

    def arm(self, armed: ClockArmed) -> None:
        """Start a clock, with the seq that `arms` gave."""
        last = self.events[-1] if self.events else None
        if isinstance(last, RungFired):
            self.events[-1] = replace(last, armed=(*(last.armed or ()), armed))
            self._set(also_armed(self.case, armed))
        else:
            self.put(armed)

    @property
    def urgent(self) -> bool:
        """Whether people are to be woken: danger now, or red."""
        return self.case.danger or counts_as(self.procedure.policy, self.case.risk) is Risk.RED

    def tell(self, role: str, what: str, why: str, due_at: datetime | None = None, *, safety: bool = True) -> None:
        """Tell the people of a role; `tier_holder` means who answers now. A paper matter waits for its receiver's hours."""
        case = self.case
        if role == "tier_holder":
            role = case.answers_role
        found, people = self.resolver.people(case.unit, role, self.procedure.policy, case.recused, urgent=safety)
        self.tell_people(found, people, what, why, due_at, safety=safety)

    def tell_people(
        self, found: Found, people: Iterable[str], what: str, why: str, due_at: datetime | None = None, *, safety: bool = True,
    ) -> None:
        """Owe these people a notice and log that they were told. One person hears one thing once in a decision."""
        people = tuple(people)
        if not people:
            return
        if any(n.what == what and n.why == why and set(people) <= set(n.people) for n in self.notices):
            return
        self.add(Told, tier=found.tier, role=found.role, people=people)
        not_before = None if safety or self.urgent else self._opening(found, people)
        self.notices.append(Notice(
            key=f"{self.number}-{self.case.version}", case=self.number, people=people, what=what, why=why, due_at=due_at,
            urgent=self.urgent, at=self.now, not_before=not_before,
        ))

    def _opening(self, found: Found, people: tuple[str, ...]) -> datetime | None:
        duties = self.resolver.roster.duties.get(found.unit, ())
        hours = [duty.hours for duty in duties if duty.person in people and duty.role == found.role]
        opens = [parse_hours(text).next_opening(self.now, self.resolver.calendar) for text in hours]
        return None if not opens or min(opens) <= self.now else min(opens)

    def alarm(self, what: str) -> None:
        """Tell the terminal: nobody answers, up to the city."""
        policy = self.procedure.policy
        people = self.resolver.terminal(self.case.unit, policy, self.case.recused)
        top = self.resolver.answerer(self.case.unit, self.case.tier, policy, self.case.recused)
        self.tell_people(top, people, what, "alarm")
