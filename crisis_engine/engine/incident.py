"""A group event: one form opens a case about the unit and a word about each child in it, all in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import may_do
from crisis_engine.core.commands import Open
from crisis_engine.core.decide import Decision, decide_again, decide_open
from crisis_engine.core.errors import BadInput, CommandRejected, CrisisError, NotAllowed, said
from crisis_engine.core.events import Linked
from crisis_engine.core.pen import Pen
from crisis_engine.core.world import World

from .again import again
from .gather import actor_of, subject_of
from .log import log
from .look import local
from .once import Once
from .worlds import Worlds, held_case, new_number, new_token, people_known, stored_case

if TYPE_CHECKING:
    from crisis_engine.core.model import Subject
    from crisis_engine.store import Stored, Tx

INCIDENT = "incident_v1"
"""The workflow of the case about the unit."""

MOST = 500
"""Most children of one form: a large grade of a large school."""

_WORD = ("subject", "facts", "cues", "danger_now", "with_child", "about_staff")


@dataclass(frozen=True, slots=True)
class Incident:
    """What whoever reports a group event gets: the number of its case, and a receipt for each child, in the order of the form."""

    number: str
    received_at: datetime
    receipts: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"number": self.number, "received_at": local(self.received_at), "receipts": list(self.receipts)}


class Incidents(Worlds):
    """Group events."""

    @again
    def open_incident(
        self, *, unit: str, by: str, kind: str, facts: str, children: Sequence[Mapping[str, Any]], about_staff: Sequence[str] = (),
        key: str | None = None,
    ) -> Incident:
        """Open one case about a unit and take a word about each child, all of it or nothing.

        Each of `children` has `subject` (None while nobody knows who it is) and whatever else `report` takes of a child; `facts` of the
        event stand in where a child has none of its own, and whom the event is about each child's case is about too. A child with an
        open case gets the signal there; a receipt is the same either way. Each of these cases is linked `part_of`. `key` makes a
        repeated call harmless. Raises as `report` and `open_case` do; nothing is changed then.
        """
        words = [_word(child, facts, about_staff) for child in children]
        _refuse_twice(words)
        form = {"kind": kind, "facts": facts, "about_staff": list(about_staff)}
        with self.store.writing() as tx:
            now = self.now()
            once = Once(tx, by, key, ["incident", unit, form, words])
            if once.answer is not None:
                return Incident(once.answer["number"], datetime.fromisoformat(once.answer["at"]), tuple(once.answer["receipts"]))
            people_known(tx, about_staff)
            known = _known(tx, words)

            number = self._incident(tx, now, by, unit, form)
            answer = self._parts(tx, now, by, unit, number, known)
            once.keep({"number": number, "at": now.isoformat(), "receipts": list(answer.receipts)}, now)
        log("incident.opened", case=number)   # how many children there are is a fact about the event
        return answer

    @again
    def add_to_incident(
        self, number: str, *, children: Sequence[Mapping[str, Any]], by: str, facts: str | None = None, key: str | None = None,
    ) -> Incident:
        """Take a word about further children of a group event that runs, all of it or nothing; a receipt for each as `open_incident` does.

        `facts` stand in where a child has none of its own; without them those of the event do. Whom the event is about by now each of
        these cases is about too. Only who sees the event, and could have opened it there, may. A child that is part of it already gets
        the word and no second link. Raises as `open_incident` does, CommandRejected where the event is over.
        """
        with self.store.writing() as tx:
            now = self.now()
            stored = held_case(tx, number)
            self._allow(tx, now, by, "case.act", stored=stored)
            case = stored.case
            if case.workflow.rpartition("_v")[0] != INCIDENT.rpartition("_v")[0]:
                raise BadInput(f"Case {case.number} is no group event.", way_out="Report the child; link the cases where it helps.")
            once = Once(tx, by, key, ["incident_add", case.number, [dict(child) for child in children], facts])
            if once.answer is not None:
                return Incident(once.answer["number"], datetime.fromisoformat(once.answer["at"]), tuple(once.answer["receipts"]))
            if not case.open:
                raise CommandRejected(f"The group event {case.number} is over.", way_out="Report the child, or open a new event.")
            self._check_opener(tx, now, by, stored)
            said_first = str(tx.events(case.number)[0].secret.get("facts", ""))
            words = [_word(child, facts or said_first, sorted(case.recused)) for child in children]
            _refuse_twice(words)
            known = _known(tx, words)

            answer = self._parts(tx, now, by, case.unit, case.number, known)
            once.keep({"number": case.number, "at": now.isoformat(), "receipts": list(answer.receipts)}, now)
        log("incident.added", case=case.number)
        return answer

    def _check_opener(self, tx: Tx, now: datetime, by: str, stored: Stored) -> None:
        """Refuse whoever could not have opened the event where it is."""
        actor, unit = actor_of(tx, by, speaks=True), stored.case.unit
        opening = self._sources.pinned(tx, stored.case.procedure).workflow.opening
        resolver = self._sources.resolver(tx, {unit, *(duty.unit for duty in actor.duties)}, now)
        verdict = may_do(self._sources.access, "case.open", actor, resolver, move=opening, within=unit)
        if not verdict.allowed:
            raise NotAllowed(f"{by} may not make the move {opening.name}: {verdict.rule}.", way_out="Ask whoever holds the duty.")

    def _parts(
        self, tx: Tx, now: datetime, by: str, unit: str, number: str, known: Sequence[tuple[int, Subject | None, Mapping[str, Any]]],
    ) -> Incident:
        """Take the word about each child and link its case; the receipts come in the order of the form."""
        receipts: dict[int, str] = {}
        others: list[str] = []
        # in one order everywhere: two forms about the same children wait for each other and never cross
        for place, child, word in sorted(known, key=lambda one: one[1].id if one[1] is not None else ""):
            with _about_child(place):
                others.append(self._part(tx, now, by, unit, number, child, word))
            receipts[place] = new_token(12)
            tx.put_receipt(receipts[place], others[-1], now, by)
        self._link_parts(tx, now, by, number, others)
        return Incident(number, now, tuple(receipts[place] for place in range(len(known))))

    def _incident(self, tx: Tx, now: datetime, by: str, unit: str, form: Mapping[str, Any]) -> str:
        actor = actor_of(tx, by, speaks=True)
        procedure = self._sources.procedure_for(tx, INCIDENT, unit)
        resolver = self._sources.resolver(tx, {unit, *(duty.unit for duty in actor.duties)}, now)
        world = World(now=now, actor=actor, procedure=procedure, resolver=resolver, number=new_number())
        decision = decide_open(world, Open(unit, None, form))
        self._apply(tx, decision, None)
        return decision.pens[0].number

    def _part(self, tx: Tx, now: datetime, by: str, unit: str, incident: str, child: Subject | None, word: Mapping[str, Any]) -> str:
        """Take the word about one child and link its case; return the case's number, which nobody is told."""
        form = {name: value for name, value in word.items() if name != "subject"}
        people_known(tx, form["about_staff"])
        world, stored, _procedure = self._world_of_report(tx, now, by, child, unit, form)
        command = Open(child.unit if child is not None else unit, child.id if child is not None else None, form)
        decision = decide_again(world, command) if stored is not None else decide_open(world, command)
        if stored is None or ("part_of", incident) not in tx.links(stored.case.number):
            decision.pens[0].add(Linked, by="engine", link="part_of", other=incident)
        self._apply(tx, decision, stored)
        return decision.pens[0].number

    def _link_parts(self, tx: Tx, now: datetime, by: str, number: str, others: Sequence[str]) -> None:
        stored = stored_case(tx, number)
        pen = Pen(stored.case, number, self._sources.pinned(tx, stored.case.procedure),
                  self._sources.resolver(tx, {stored.case.unit}, now), by, now)
        parts = {other for link, other in tx.links(number) if link == "part"}
        for other in others:
            if other not in parts:
                pen.add(Linked, link="part", other=other)
        self._apply(tx, Decision((pen,)), stored)


@contextmanager
def _about_child(place: int) -> Iterator[None]:
    """Say on an error which of the children it is about, counted from 0, for whoever knows in which line that child stood."""
    try:
        yield
    except CrisisError as error:
        error.data.setdefault("child", place)
        raise


def _known(tx: Tx, words: Sequence[Mapping[str, Any]]) -> list[tuple[int, Subject | None, Mapping[str, Any]]]:
    found = []
    for place, word in enumerate(words):
        with _about_child(place):
            found.append((place, subject_of(tx, word["subject"]), word))
    return found


def _word(child: Mapping[str, Any], facts: str, about_staff: Sequence[str]) -> dict[str, Any]:
    """Return the form of one child, complete; BadInput for what no report has."""
    for name in child:
        if name not in _WORD:
            raise BadInput(f"A child of a group event has no field {said(name)!r}.", way_out=f"Known fields: {', '.join(_WORD)}.")
    word: dict[str, Any] = {"subject": None, "cues": [], "danger_now": False, "with_child": None, **child}
    concerned = dict.fromkeys([*about_staff, *(child.get("about_staff") or ())])
    return {**word, "facts": child.get("facts") or facts, "about_staff": list(concerned), "cues": list(word["cues"])}


def _refuse_twice(words: Sequence[Mapping[str, Any]]) -> None:
    if not words or len(words) > MOST:
        raise BadInput(f"A group event names between 1 and {MOST} children.", way_out="Name each child once; report others by themselves.")
    named = [word["subject"] for word in words if word["subject"] is not None]
    for subject in named:
        if named.count(subject) > 1:
            raise BadInput(f"The child {said(subject)!r} is named twice.", way_out="Name each child once; report others by themselves.")
