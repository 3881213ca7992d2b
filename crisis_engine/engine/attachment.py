"""Attachments as people read them: which there are, as far as somebody may know of them, and one of them, written down first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.core.attachment import Attachment, is_description
from crisis_engine.core.decide import check_sight
from crisis_engine.core.errors import NotAllowed, NotFound
from crisis_engine.core.workflow import FieldDef, Label

from .log import log
from .look import local
from .reading import Reading, checked_why
from .worlds import stored_case

if TYPE_CHECKING:
    from crisis_engine.core.events import Event
    from crisis_engine.core.procedure import Procedure


@dataclass(frozen=True, slots=True)
class AttachmentView:
    """One attachment of a case: by which id it is asked for, with which record and field it came, what it is called and is."""

    id: str
    seq: int
    at: datetime
    by: str
    move: str
    field: str
    label: Label
    secrecy: int
    name: str
    sort: str
    size: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"id": self.id, "seq": self.seq, "at": local(self.at), "by": self.by, "move": self.move, "field": self.field,
                "label": dict(self.label), "secrecy": self.secrecy, "name": self.name, "sort": self.sort, "size": self.size}


class Attaching(Reading):
    """The attachments' part of the face."""

    def attachments(self, number: str, *, by: str, why: str = "") -> list[AttachmentView]:
        """Return the attachments that this reader may read, in their order; of all others not even that they are there.

        Written down and raises as `history` does: the name of a file is a fact.
        """
        checked_why(why)
        with self.store.reading() as tx:
            now = self.now()
            world = self._world(tx, now, by, stored := stored_case(tx, number))
            sight = check_sight(world, stored.case, "case.read")
            found = [view for view, _ in attached(tx.events(stored.case.number), world.procedure, sight.reads)]
        tier = max((view.secrecy for view in found), default=0)
        self._write_down(self._entry(by, "attachments", stored.case.number, now, tier, why, sight))
        return found

    def attachment(self, number: str, attachment: str, *, by: str, why: str = "") -> Attachment:
        """Return one attachment, its content as it was attached; `attachment` is its id, as `attachments` and the history say it.

        The reading is written down before the content is given, whatever its secrecy. Raises NotFound (case, attachment, also where
        the reader may not read it), NotAllowed, StoreError where it is not what was attached, and whatever keeps the reading from
        being written down.
        """
        from crisis_engine.store.read_log import ReadEntry  # noqa: PLC0415 - SQLAlchemy comes with the store, at its first use

        checked_why(why)
        with self.store.reading() as tx:
            now = self.now()
            world = self._world(tx, now, by, stored := stored_case(tx, number))
            sight = check_sight(world, stored.case, "case.read")
            seen = attached(tx.events(stored.case.number), world.procedure, sight.reads)
            view, description = next((one for one in seen if one[0].id == attachment.strip()), (None, None))
            content = tx.attachment(stored.case.number, description) if description is not None else None
        if view is None or content is None:
            raise NotFound("There is no such attachment of this case.", way_out="See `crisis attachment` for those that you may read.")
        self._write_down(ReadEntry(by, "attachment", stored.case.number, now, view.secrecy, why, sight.grant))
        log("attachment.read", case=stored.case.number)
        return Attachment(view.name, content)

    def form(
        self, workflow: str, *, by: str, unit: str | None = None, subject: str | None = None, parent: str | None = None,
    ) -> tuple[FieldDef, ...]:
        """Return the fields of the form by which this person would open a case of a workflow there.

        None where there is no such place, child or case, and none where this person may not act on the parent: the answer must not
        tell whether it exists. Raises DefinitionError, and NotFound for a workflow that is not known.
        """
        with self.store.reading() as tx:
            home = unit
            if home is None and subject is not None:
                child = tx.subject(subject)
                home = child.unit if child is not None else None
            if home is None and parent is not None:
                with suppress(NotFound, NotAllowed):
                    above = stored_case(tx, parent)
                    self._allow(tx, self.now(), by, "case.act", stored=above)
                    home = above.case.unit
            return self._sources.loaded_for(tx, workflow, home).workflow.opening.fields if home is not None else ()


def attached(events: Iterable[Event], procedure: Procedure, reads: int) -> Iterator[tuple[AttachmentView, Mapping[str, Any]]]:
    """Yield what a reader of this secrecy may know of the attachments of a log, each once, with what its record describes."""
    seen: set[str] = set()
    for event in events:
        move = procedure.workflow.moves.get(str(getattr(event, "move", "")))
        for field in move.fields if move is not None else ():
            one = event.secret.get(field.name)
            if field.type != "attachment" or field.secrecy > reads or not is_description(one):
                continue
            view = AttachmentView(
                attachment_id(one), event.seq, event.at, event.by, str(getattr(event, "move", "")), field.name, field.label, field.secrecy,
                str(one["name"]), str(one["sort"]), int(one["size"]),
            )
            if view.id not in seen:
                seen.add(view.id)
                yield view, one


def attachment_id(description: Mapping[str, Any]) -> str:
    """Return by what an attachment is asked for: the record that it came with, and its number there."""
    return f"{description['seq']}.{description['n']}"
