"""Printed documents: which can be printed of a case now, and one of them filled in, for whoever may put that on paper."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import granted, may_do
from crisis_engine.core.attachment import is_description
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import BadInput, CommandRejected, NotAllowed, NotFound, said
from crisis_engine.core.secret import revealed

from .log import log
from .reading import Reading, checked_why
from .worlds import stored_case

if TYPE_CHECKING:
    from crisis_engine.core.case import Case
    from crisis_engine.core.document import DocumentDef, LineDef
    from crisis_engine.core.events import Event
    from crisis_engine.core.procedure import Procedure
    from crisis_engine.core.workflow import FieldDef, Label
    from crisis_engine.core.world import World
    from crisis_engine.print import Entry, Sheet
    from crisis_engine.store import Tx

LANGS: Mapping[str, tuple[str, ...]] = {"zh": ("zh",), "en": ("en",), "both": ("zh", "en")}
"""In which languages a document is printed: Chinese, English, or both on the one sheet."""


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document of a case: its name and title, whether it can be printed now or why not."""

    name: str
    label: Label
    possible: bool
    why_not: str | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"document": self.name, "label": dict(self.label), "possible": self.possible, "why_not": self.why_not}


class Printing(Reading):
    """The documents' part of the face."""

    def documents(self, number: str, *, by: str) -> list[DocumentView]:
        """Return the documents of a case that this person may print, each with whether now or why not. Raises NotFound, NotAllowed."""
        with self.store.reading() as tx:
            world = self._world(tx, self.now(), by, stored := stored_case(tx, number))
            granted(_may_print(world, stored.case), by, "case.print", stored.case.number)
            return [
                DocumentView(one.name, one.label, reason is None, reason)
                for one in world.procedure.workflow.documents.values() if one.secrecy <= _may_print(world, stored.case).reads
                for reason in (_why_not(stored.case, world.procedure, one),)
            ]

    def document(self, number: str, name: str | None = None, *, by: str, lang: str = "zh", why: str = "") -> str:
        """Return a document of a case as a page of HTML, filled in up to the document's own secrecy; without a name the only one.

        `lang` is zh, en or both. A line that nobody filled in stays blank for a pen. Who reads less than the document's secrecy
        does not print it at all: a paper with holes goes out as if it were whole. The printing is written down first. Raises
        NotFound, NotAllowed, CommandRejected (not now), BadInput, and whatever keeps the reading from being written down.
        """
        from crisis_engine.print import page_of  # noqa: PLC0415 - rare
        from crisis_engine.store.read_log import ReadEntry  # noqa: PLC0415

        checked_why(why)
        if lang not in LANGS:
            raise BadInput(f"There is no language {said(lang)!r} for a document.", way_out="Choose zh, en or both.")
        with self.store.reading() as tx:
            now = self.now()
            world = self._world(tx, now, by, stored := stored_case(tx, number))
            case = stored.case
            sight = granted(_may_print(world, case), by, "case.print", case.number)
            document = _named(world.procedure.workflow.documents, name, case, world.procedure)
            if document.secrecy > sight.reads:
                raise NotAllowed(f"The document {document.name} holds more than {by} may read.",
                                 way_out="Let whoever may read it print it.")
            _refuse_now(case, world.procedure, document)
            page = page_of(_filled(tx, document, world.procedure, case, by, now), LANGS[lang])
        self._write_down(ReadEntry(by, "document", case.number, now, document.secrecy, why, 0))
        log("document.printed", case=case.number)
        return page


def printable(world: World, case: Case) -> tuple[str, ...]:
    """Return the names of the documents that the world's actor can print of the case now."""
    documents = world.procedure.workflow.documents
    if not documents:
        return ()
    sight = _may_print(world, case)
    return tuple(
        one.name for one in documents.values()
        if sight.allowed and one.secrecy <= sight.reads and _why_not(case, world.procedure, one) is None
    )


def _may_print(world: World, case: Case) -> Any:  # noqa: ANN401 - a Verdict
    return may_do(world.resolver.access, "case.print", world.actor, world.resolver, case=case)


def _refuse_now(case: Case, procedure: Procedure, document: DocumentDef) -> None:
    """Refuse to print what no move of this life of the case has brought up yet, or what does not belong to its stage."""
    printing = [move.name for move in procedure.workflow.moves.values() if move.prints == document.name]
    if not any(move in case.done for move in printing):
        raise CommandRejected(f"{document.name} cannot be printed yet: first comes {', '.join(printing)}.",
                              way_out="See `crisis print` for what can be printed.")
    if case.stage not in document.stages:
        raise CommandRejected(f"{document.name} is not printed in the stage {case.stage}.",
                              way_out="See `crisis print` for what can be printed.")


def _why_not(case: Case, procedure: Procedure, document: DocumentDef) -> str | None:
    try:
        _refuse_now(case, procedure, document)
    except CommandRejected as refused:
        return refused.message
    return None


def _named(documents: Mapping[str, DocumentDef], name: str | None, case: Case, procedure: Procedure) -> DocumentDef:
    if name is None:
        now = [one for one in documents.values() if _why_not(case, procedure, one) is None] or list(documents.values())
        if len(now) != 1:
            raise BadInput("It is not said which document." if now else "This workflow prints no document.",
                           way_out=f"Name one: {', '.join(documents) or 'none'}.")
        return now[0]
    if name not in documents:
        raise NotFound(f"There is no document {said(name)!r} here.", way_out=f"Known documents: {', '.join(documents) or 'none'}.")
    return documents[name]


# ---- filling in -----------------------------------------------------------------------------------------------------------------


def _filled(tx: Tx, document: DocumentDef, procedure: Procedure, case: Case, by: str, now: datetime) -> Sheet:
    from crisis_engine.print import Entry, Section, Sheet  # noqa: PLC0415

    events = tx.events(case.number)
    facts = _Facts(tx, case, by, now)

    def entry(line: LineDef) -> Entry:
        if line.kind in {"text", "blank"}:
            return Entry(line.name or "text", line.label, {})
        value = facts.value(line.name) if line.kind == "fact" else _value_of(tx, events, procedure, line.name)
        return Entry("value", line.label, value)

    return Sheet(document.label, case.number, tuple(
        Section(part.label, tuple(entry(line) for line in part.lines), part.cut) for part in document.parts
    ))


class _Facts:
    """The facts of core/document.py FACTS, of one case."""

    def __init__(self, tx: Tx, case: Case, by: str, now: datetime) -> None:
        self.tx, self.case, self.by, self.now = tx, case, by, now

    def value(self, name: str) -> Label:
        """Return a fact by its name, empty where nobody knows it."""
        text: str = getattr(self, f"_{name}")()
        return {"zh": text, "en": text}

    def _number(self) -> str:
        return self.case.number

    def _school(self) -> str:
        return self._unit_of_kind("school")

    def _class(self) -> str:
        grade, own = self._unit_of_kind("grade"), self._unit_of_kind("class")
        return own if own.startswith(grade) else f"{grade} {own}".strip()

    def _unit_of_kind(self, kind: str) -> str:
        names = self.case.unit.split("/")
        units = self.tx.units({"/".join(names[:length]) for length in range(1, len(names) + 1)})
        return next((unit.name for unit in units.values() if unit.kind == kind), "")

    def _opened(self) -> str:
        return _day(self.case.opened_at)

    def _printed(self) -> str:
        return _day(self.now)

    def _printed_by(self) -> str:
        return _person(self.tx, self.by)

    def _child(self) -> str:
        child = self.tx.subject_by_id(self.case.subject) if self.case.subject is not None else None
        return str(child.name) if child is not None else ""

    def _ref(self) -> str:
        child = self.tx.subject_by_id(self.case.subject) if self.case.subject is not None else None
        return str(child.ref) if child is not None else ""

    def _guardians(self) -> str:
        """Return the guardians and how to reach them, but never one whom the case concerns: nobody must call them by this paper."""
        if self.case.facts.get("guardian") == "withheld":
            return ""
        found = self.tx.guardians_of(self._ref()) if self._ref() else []
        people = [(str(one.name), str(one.contact)) for one in found if one.id not in self.case.recused]
        return "\n".join(" ".join((name, contact.partition(":")[2] or contact)).strip() for name, contact in people)

    def _addressee(self) -> str:
        unit = self.case.facts.get("addressee", "")
        return _unit(self.tx, unit) if unit else ""


def _value_of(tx: Tx, events: Iterable[Event], procedure: Procedure, name: str) -> Label:
    """Return what was last filled in for MOVE.FIELD; empty where the move was never made, or its field left out."""
    move_name, _, field_name = name.partition(".")
    made = [one for one in events if one.kind in {"opened", "moved"} and getattr(one, "move", "") == move_name and field_name in one.secret]
    if not made:
        return {}
    field = next(one for one in procedure.workflow.moves[move_name].fields if one.name == field_name)
    value = made[-1].secret[field_name]
    if is_description(value):
        return dict.fromkeys(("zh", "en"), str(value["name"]))
    return {lang: _spoken(tx, procedure, field, revealed(value), lang) for lang in ("zh", "en")}


def _spoken(tx: Tx, procedure: Procedure, field: FieldDef, value: object, lang: str) -> str:
    """Return a field's value as a person reads it."""
    if isinstance(value, list):
        return ("、" if lang == "zh" else ", ").join(_spoken(tx, procedure, field, one, lang) for one in value)
    if isinstance(value, bool):
        from crisis_engine.words import say  # noqa: PLC0415

        return say("yes" if value else "no", lang)
    text = str(value)
    if field.type == "time":
        return datetime.fromisoformat(text).astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
    if field.type in {"person", "persons"}:
        return _person(tx, text)
    if field.type == "unit":
        return _unit(tx, text)
    return _label(procedure, field, text, lang)


def _label(procedure: Procedure, field: FieldDef, text: str, lang: str) -> str:
    policy, workflow = procedure.policy, procedure.workflow
    if field.type == "cues" or field.of == "cue":
        return policy.cues[text].label[lang] if text in policy.cues else text
    labels = policy.checklists.get(field.of or "", {}) if field.type == "items" else workflow.choices.get(field.of or "", {})
    return labels[text][lang] if text in labels else text


def _person(tx: Tx, person: str) -> str:
    found = tx.person(person)
    return str(found.name) if found is not None and found.name else person


def _unit(tx: Tx, unit: str) -> str:
    found = tx.units({unit})
    return found[unit].name if unit in found else unit


def _day(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%Y-%m-%d")
