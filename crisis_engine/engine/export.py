"""Export: the dossier of one case, as far as whoever asks may read it, with all that a court needs to check it without us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from crisis_engine.core import events as ev
from crisis_engine.core.attachment import descriptions
from crisis_engine.core.case import Case
from crisis_engine.core.errors import NotAllowed, NotFound, ProofFailed
from crisis_engine.core.merkle import inclusion
from crisis_engine.core.move import REPORTER
from crisis_engine.core.procedure import Procedure
from crisis_engine.store.record import SALT_BYTES, RawRecord, decode, open_envelope

from .log import log
from .view import PLAN, history_items
from .worlds import Worlds, stored_case

if TYPE_CHECKING:
    from crisis_engine.dossier import Record
    from crisis_engine.store import Tx
    from crisis_engine.store.tree import Sealed

_ALL = 4
"""Who reads this reads everything of a case but who reported."""

_HEADERS: Mapping[type[ev.Event], int] = {
    ev.PersonRecused: 4, ev.Proposed: 2, ev.GlassBroken: 2, ev.FactSet: 1, ev.Opened: 1, ev.SubjectSet: 1,
}
"""Headers that a reader below this secrecy tier does not get: what the history leaves out of them cannot be cut out of a hash."""

class Export(Worlds):
    """The dossiers' part of the face."""

    def export(self, number: str, *, by: str, because: str = "") -> bytes:
        """Return the dossier of a case as a zip: records, proof up to the newest checkpoint, keys, a document, and `verify.py`.

        What whoever asks may not read is withheld, its hash or commitment stays; who reported is withheld from whoever may not read
        that, `because` being the reason they give. The export is noted in the read log. Raises NotFound (case; not sealed yet),
        NotAllowed, ProofFailed where the case is not what was written.
        """
        from crisis_engine.dossier import Dossier, archive  # noqa: PLC0415 - rare
        from crisis_engine.dossier.verify import attachment_file  # noqa: PLC0415
        from crisis_engine.store.read_log import ReadEntry  # noqa: PLC0415

        with self.store.writing() as tx:
            now = self.now()
            stored = stored_case(tx, number)
            case, reads = stored.case, max(0, self._allow(tx, now, by, "audit.export", stored=stored, because=because).reads)
            number, procedure = case.number, self._sources.pinned(tx, case.procedure)
            sealed = tx.sealed()
            found = tx.last_leaf(number, sealed.checkpoint.size) if sealed is not None else None
            if sealed is None or found is None:
                raise NotFound("This case is not sealed yet.", way_out="Run `crisis audit seal`, then export it again.")
            flaws = list(tx.verify(number))
            if flaws:
                raise ProofFailed(f"This case cannot be exported: {flaws[0].partition(': ')[2]}.",
                                  way_out="Run `crisis audit verify`, and ask who changed the log.")
            reporter = self._reads_reporter(tx, by, stored, because)
            linked = {other for _, other in self._links(tx, self._world(tx, now, by, stored))}

            records = list(_records(map(tx.open_record, tx.records(number)), procedure, reads, linked, reporter=reporter))
            child = tx.subject_by_id(case.subject) if case.subject is not None and reads >= 1 else None
            items = [
                line for event in tx.events(number) if not isinstance(event, ev.Linked) or event.other in linked
                for line in history_items(event, procedure, reads, child.ref if child is not None else None)
            ]
            attached = {attachment_file(one): tx.attachment(number, one) or b"" for record in records for one in _described(record)}
            place, leaf = found
            dossier = Dossier(
                number=number, until=case.last_at.astimezone(UTC).isoformat(), records=records,
                leaf=(place, leaf.seq, leaf.head.hex()), path=inclusion(tx.node(), place, sealed.checkpoint.size),
                size=sealed.checkpoint.size, note=sealed.note, keys=_keys(tx, sealed),
                facts={lang: _facts(case, procedure, child.ref if child is not None else None, lang) for lang in ("zh", "en")},
                history={lang: [_spoken(item, procedure, lang) for item in items] for lang in ("zh", "en")},
                attachments=attached,
            )
            tx.log_read(ReadEntry(by, "audit.export", number, now, reads, because))
        log("audit.exported", by=by, case=number, records=len(records))
        return archive(dossier)

    def _reads_reporter(self, tx: Tx, by: str, stored: Any, because: str) -> bool:  # noqa: ANN401 - a Stored
        if not because:
            return False
        try:
            self._allow(tx, self.now(), by, "case.reporter", stored=stored, because=because)
        except NotAllowed:
            return False
        return True


def _records(
    raw: Iterable[RawRecord], procedure: Procedure, reads: int, linked: set[str], *, reporter: bool,
) -> Iterator[Record]:
    from crisis_engine.dossier import Record  # noqa: PLC0415

    for one in raw:
        event = decode(one.header, one.secret)
        hidden = reads < _HEADERS.get(type(event), 0) or (isinstance(event, ev.Linked) and event.other not in linked)
        shown = one.secret is not None and _may_read(event, procedure, reads, reporter=reporter)
        absent = "" if one.commitment is None or shown else "redacted" if one.secret is None else "withheld"
        yield Record(one.seq, None if hidden else one.header, open_envelope(one.secret) if shown and one.secret is not None else None,
                     absent, one.prev, one.hash)


def _described(record: Record) -> Iterator[Mapping[str, Any]]:
    """Yield what a record that is shown describes of its attachments: they alone go with it, for it alone proves them."""
    if record.secret is not None:
        yield from descriptions(json.loads(record.secret[SALT_BYTES:]))


def _may_read(event: ev.Event, procedure: Procedure, reads: int, *, reporter: bool) -> bool:
    """Whether every field of an event's secret may be read: a commitment covers all of them together."""
    move = procedure.workflow.moves.get(str(getattr(event, "move", "")))
    secrecy = {field.name: field.secrecy for field in move.fields} if move is not None else {}
    if isinstance(event, ev.GlassBroken):
        secrecy = dict.fromkeys(event.secret, PLAN)
    return all(reporter if name == REPORTER else secrecy.get(name, _ALL) <= reads for name in event.secret)


def _keys(tx: Tx, sealed: Sealed) -> list[tuple[str, str]]:
    """Return duty and line of the keys that signed this checkpoint, in the order of their signatures."""
    from crisis_engine.store.attest import signers  # noqa: PLC0415 - who never exports does not load `cryptography`

    duties = {verifier.key: verifier.duty for verifier in tx.verifiers()}
    return [(duties[key], key.text) for _, key, _ in signers(sealed.checkpoint, sealed.signatures, duties) if key is not None]


def _facts(case: Case, procedure: Procedure, child: str | None, lang: str) -> dict[str, Any]:
    """Return what stands at the head of the document."""
    return {
        "subject": child, "unit": case.unit, "stage": procedure.workflow.stages[case.stage].label[lang], "tier": case.tier.value,
        "risk": case.risk.value, "peak": case.peak.value, "opened": case.opened_at.astimezone(UTC).isoformat(),
        "closed": case.closed_at.astimezone(UTC).isoformat() if case.closed_at is not None else None,
    }


def _spoken(item: Mapping[str, Any], procedure: Procedure, lang: str) -> dict[str, Any]:
    """Return a line of the history with moves, clocks, stages and fields called as the procedure calls them."""
    workflow, line = procedure.workflow, dict(item)
    move = workflow.moves.get(str(item.get("move")))
    if move is not None:
        line["move"] = move.label[lang]
        if "fields" in item:
            labels = {field.name: field.label[lang] for field in move.fields}
            line["fields"] = {labels.get(name, name): value for name, value in item["fields"].items()}
    if item.get("clock") in workflow.clocks:
        line["clock"] = workflow.clocks[item["clock"]].label[lang]
    for name in ("stage", "origin", "to"):
        if item.get(name) in workflow.stages:
            line[name] = workflow.stages[item[name]].label[lang]
    return line
