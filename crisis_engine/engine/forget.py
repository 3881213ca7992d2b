"""Forgetting, as people do it: what is due, one proposes, another confirms, a hold keeps; and all that is held on one child."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Any

from crisis_engine.core.access import NO_DUTY, granted
from crisis_engine.core.errors import BadInput, CommandRejected, NotAllowed, NotFound, ProofFailed
from crisis_engine.core.events import Linked, PersonRecused
from crisis_engine.core.model import Subject
from crisis_engine.core.retention import Retention
from crisis_engine.core.secret import revealed
from crisis_engine.definitions import load_retention
from crisis_engine.store import Tx
from crisis_engine.store.forget import READS, RECEIPTS, Erasure
from crisis_engine.store.instant import micros
from crisis_engine.store.key import CASE, SUBJECT
from crisis_engine.store.read_log import ReadEntry
from crisis_engine.store.shred import read_ledger

from .attachment import attached
from .host import refuse_host
from .log import log
from .look import local
from .reading import Reading
from .view import history_items
from .worlds import stored_case

READS_SHOWN = 100_000
"""Readings of one case that an export lists."""

SHOWN = 1_000
"""Cases and children that are named as due at once; the rest comes when these are done."""

PAGE = 1_000
"""Messages that are looked through in one transaction when old ones are cleared away."""

EXPORTED = 3
"""The highest secrecy tier of an export: reports of abuse and mandatory reports are about others too, and stay with those who decide."""


class Forgetting(Reading):
    """The forgetting part of the face."""

    retention: Retention | None = None
    """The terms; None is the shipped ones."""

    def erasures_due(self, *, by: str) -> dict[str, Any]:
        """Return what retention has reached, as numbers and counts alone, the open proposals and the holds."""
        with self.store.reading() as tx:
            now = self.now()
            self._may(tx, now, by, "erase.propose", READS)
            terms = self.retention or _shipped()
            return {
                "cases": [one for one in tx.cases_due(terms.before("case", now), SHOWN) if not _concerns(tx, by, CASE, one)],
                "subjects": [one for one in tx.subjects_due(terms.before("subject", now), SHOWN) if not _concerns(tx, by, SUBJECT, one)],
                "receipts": tx.receipts_due(terms.before("receipt", now)), "reads": tx.reads_due(terms.before("read_log", now)),
                "proposed": [
                    {"id": one.id, "kind": one.kind, "ref": _shown_ref(one), "because": str(one.because), "by": one.proposed_by,
                     "at": local(one.proposed_at)} for one in tx.open_erasures() if not _concerns(tx, by, one.kind, one.ref)
                ],
                "held": [{"kind": one.kind, "ref": one.ref, "because": str(one.because), "by": one.placed_by, "at": local(one.placed_at)}
                         for one in tx.holds() if not _concerns(tx, by, one.kind, one.ref)],
            }

    def propose_erasure(self, kind: str, ref: str | None = None, *, because: str, by: str) -> int:
        """Propose to erase a closed case's secrets, a child's row, old receipts or the old read log; return the proposal's id.

        `ref` is a case's number or a child's ref or random key; receipts and reads go by their term. Raises NotFound, NotAllowed,
        BadInput, and CommandRejected while a case is open or a hold is in force.
        """
        _reason(because)
        with self.store.writing(alone=True) as tx:
            now = self.now()
            target, seen = self._target(tx, now, kind, ref)
            self._may(tx, now, by, "erase.propose", kind, target)
            _erasable(tx, kind, target)
            if any((one.kind, one.ref) == (kind, target) for one in tx.open_erasures()):
                raise CommandRejected("This erasure was proposed already.", way_out="Another person confirms it.")

            erasure = tx.propose_erasure(kind, target, seen, because.strip(), by, now)
        log("erasure.proposed", id=erasure, kind=kind)
        return erasure

    def confirm_erasure(self, erasure: int, *, by: str) -> dict[str, Any]:
        """Confirm as a second person, and erase at once and for good. Raises as `propose_erasure`, and when the case moved since."""
        refuse_host(self.store)
        with self.store.writing(wipe=True, alone=True) as tx:
            now = self.now()
            found = _open(tx, erasure)
            self._may_answer(tx, now, by, found, "erase.confirm")
            if by == found.proposed_by:
                raise NotAllowed("Whoever proposed an erasure does not confirm it.", way_out="Ask a second person.")
            _erasable(tx, found.kind, found.ref)
            if found.kind == CASE and stored_case(tx, found.ref).case.version != found.seen:
                raise CommandRejected("The case moved since the erasure was proposed.", way_out="Decline it and look again.")

            tx.erase(erasure, by, now)
        self.store.scrub()
        log("erasure.done", id=erasure, kind=found.kind)
        return {"id": erasure, "kind": found.kind, "ref": _shown_ref(found), "erased_at": local(now), "by": found.proposed_by, "second": by}

    def decline_erasure(self, erasure: int, *, by: str) -> None:
        """Take a proposal back, or decline another's. Raises NotFound, NotAllowed."""
        with self.store.writing(alone=True) as tx:
            now = self.now()
            found = _open(tx, erasure)
            self._may_answer(tx, now, by, found, "erase.propose", "erase.confirm")
            tx.drop_erasure(erasure)
        log("erasure.declined", id=erasure, kind=found.kind)

    # ---- holds ------------------------------------------------------------------------------------------------------

    def place_hold(self, kind: str, ref: str, *, because: str, by: str) -> None:
        """Place a legal hold (司法保全) on a case, or on a child and all its cases. Raises NotFound, NotAllowed, CommandRejected."""
        refuse_host(self.store)   # the ledger beside the database has its line whatever the host decides
        _reason(because)
        with self.store.writing(alone=True) as tx:
            now = self.now()
            target = self._held_target(tx, kind, ref)
            self._may_hold(tx, now, by, "hold.place", kind, target)
            if any((hold.kind, hold.ref) == (kind, target) for hold in tx.holds()):
                raise CommandRejected("This is under legal hold already.", way_out="Nothing more is needed.")
            tx.place_hold(kind, target, because.strip(), by, now)
        log("hold.placed", kind=kind)

    def lift_hold(self, kind: str, ref: str, *, by: str) -> None:
        """Lift a legal hold. Raises NotFound, NotAllowed."""
        refuse_host(self.store)
        with self.store.writing(alone=True) as tx:
            now = self.now()
            target = self._held_target(tx, kind, ref)
            self._may_hold(tx, now, by, "hold.lift", kind, target)
            foreign = kind == SUBJECT and _concerns(tx, by, kind, target) and any(
                hold.placed_by != by for hold in tx.holds() if (hold.kind, hold.ref) == (kind, target)
            )
            if foreign or not tx.lift_hold(kind, target, by, now):
                raise NotFound("There is no such hold.", way_out="See `crisis forget due`.")
        log("hold.lifted", kind=kind)

    # ---- the ledger, and the right of access ------------------------------------------------------------------------

    def replay_shreds(self) -> dict[str, int]:
        """Erase again what the ledger says; opening the engine did that already. Raises ProofFailed where the ledger is broken."""
        with self.store.reading() as tx:
            ledger = tx.vault.ledger
        lines, broken = read_ledger(ledger) if ledger is not None else ([], 0)
        if broken:
            raise ProofFailed(f"The shred ledger does not follow itself at line {broken}.", way_out="Restore the ledger from a copy.")
        done = self.store.replay()
        return {"lines": len(lines), "replayed": done}

    def export_subject(self, ref: str, *, by: str) -> dict[str, Any]:
        """Return all that is held on one child (查阅复制权): its row, guardians, cases and who read them.

        As far as whoever exports may read: a case that this person does not see is not there, and what lies above the person's
        secrecy tier, or above 3, is counted, not shown. An attachment stands as base64 under its id. Nothing of other children: links
        to other cases are left out, and whom a
        case concerns. Who reported is not there. It is written down, for each case and where there is none. Raises NotFound, NotAllowed.
        """
        with self.store.reading() as tx:
            now = self.now()
            child = _child(tx, ref)
            self._allow(tx, now, by, "subject.export", unit=child.unit)
            sight = self._sight(tx, now, by, "case.list")
            cases, entries = [], []
            for stored in tx.cases_of(child.id):
                case, procedure = stored.case, self._sources.pinned(tx, stored.case.procedure)
                if not sight.admits(case):
                    continue
                reads = min(EXPORTED, max(term.verdict.reads for term in sight.terms if term.admits(case)))
                entries.append(self._entry(by, "subject.export", case.number, now, reads, ""))
                lines = []
                left_out = 0
                for event in tx.events(case.number):
                    if isinstance(event, (Linked, PersonRecused)):
                        left_out += 1
                        continue
                    shown = history_items(event, procedure, reads, child.ref)
                    left_out += any(name not in shown[0].get("fields", {}) for name in event.secret if _is_field(procedure, event, name))
                    lines += shown
                files = {
                    f"{view.id}.{view.sort}": b64encode(tx.attachment(case.number, one) or b"").decode()
                    for view, one in attached(tx.events(case.number), procedure, reads)
                }
                erased = tx.erased(CASE, case.number)
                cases.append({
                    "number": case.number, "workflow": case.workflow, "unit": case.unit, "stage": case.stage, "risk": case.risk.value,
                    "peak": case.peak.value, "opened_at": local(case.opened_at), "closed_at": local(case.closed_at),
                    "erased_at": local(erased.confirmed_at) if erased is not None else None, "left_out": left_out, "history": lines,
                    "attachments": files,
                    "reads": [{"who": one.who, "what": one.what, "at": local(one.at)} for one in tx.reads_of(case.number, READS_SHOWN)],
                })
            found = {
                "made_at": local(now), "subject": {"id": child.ref, "name": child.name, "unit": child.unit,
                                                   **({"goes_to": to} if (to := tx.planned_move(child.id)) else {})},
                "guardians": [{"id": one.id, "name": one.name, "contact": one.contact} for one in tx.guardians_of(child.ref)],
                "cases": cases,
            }
        for entry in entries or [ReadEntry(by, "subject.export", None, now, 1)]:
            self._write_down(entry)
        log("subject.exported", by=by, cases=len(cases))
        return {name: revealed(value) for name, value in found.items()}

    # ---- targets ----------------------------------------------------------------------------------------------------

    def _may(self, tx: Tx, now: datetime, by: str, action: str, kind: str, target: str = "") -> None:
        """Ask the rule of rights about a case, a child, or what a term reaches in the whole database.

        Whom one of a child's cases concerns is refused in the words that a stranger hears.
        """
        if kind == CASE:
            self._allow(tx, now, by, action, stored=stored_case(tx, target))
        elif kind == SUBJECT:
            child = _child(tx, target)
            self._allow(tx, now, by, action, unit=child.unit)
            if _concerns(tx, by, kind, child.id):
                granted(NO_DUTY, by, action)
        else:
            cities = [unit.id for unit in tx.units_under() if unit.parent is None]
            if not cities:
                granted(NO_DUTY, by, action)
            for city in cities:
                self._allow(tx, now, by, action, unit=city)

    def _may_hold(self, tx: Tx, now: datetime, by: str, action: str, kind: str, target: str) -> None:
        """Ask as `_may`, but of a child also whom one of its cases concerns: a hold keeps, and a refusal would say that there is a case.

        Such a person lifts no hold but the own one; there is no other for them.
        """
        if kind == SUBJECT:
            self._allow(tx, now, by, action, unit=_child(tx, target).unit)
        else:
            self._may(tx, now, by, action, kind, target)

    def _may_answer(self, tx: Tx, now: datetime, by: str, found: Erasure, *actions: str) -> None:
        """Ask whether one of these actions is allowed on what was proposed.

        Whoever answers named a proposal, no case: a refusal does not say which case it is, and for whom it concerns there is none.
        """
        try:
            for action in actions:
                with suppress(NotAllowed):
                    self._may(tx, now, by, action, found.kind, found.ref)
                    return
        except NotFound:
            raise _no_proposal() from None
        granted(NO_DUTY, by, actions[-1])

    # ---- what nobody has to sign ----------------------------------------------------------------------------------------

    def clear_messages(self, now: datetime, go_on: Callable[[], bool] = lambda: True) -> dict[str, int]:
        """Delete messages and digests that went out and whose term is over (`keep.message`); return how many of each.

        Nothing that waits, or was given up and not dropped, goes, and nothing about a case under a legal hold. Who was told of what
        stays: in the log, the notices and the deliveries. `go_on` is asked after each page, and may stop between two.
        """
        before = (self.retention or _shipped()).before("message", now)
        gone = {"messages": 0, "digests": 0}
        for what in gone:
            after = 0
            while True:
                with self.store.writing() as tx:
                    clear = tx.clear_messages if what == "messages" else tx.clear_digests
                    done, after = clear(before, after, PAGE)
                gone[what] += done
                if not after or not go_on():
                    break
        return gone

    def _target(self, tx: Tx, now: datetime, kind: str, ref: str | None) -> tuple[str, int | None]:
        """Return what is to be erased by the name that the table knows, and a case's version."""
        if kind in {RECEIPTS, READS}:
            terms = self.retention or _shipped()
            return str(micros(terms.before("receipt" if kind == RECEIPTS else "read_log", now))), None
        target = self._held_target(tx, kind, ref or "")
        return target, stored_case(tx, target).case.version if kind == CASE else None

    def _held_target(self, tx: Tx, kind: str, ref: str) -> str:
        if kind == CASE:
            return stored_case(tx, ref).case.number
        if kind != SUBJECT:
            raise BadInput(f"{kind[:20]!r} is nothing that can be kept or erased by name.", way_out="Say case or subject.")
        return _child(tx, ref).id


def erased_lines(tx: Tx, number: str, version: int) -> list[dict[str, Any]]:
    """Return the line that ends the history of a case whose secrets were erased; none for others."""
    erased = tx.erased(CASE, number)
    if erased is None:
        return []
    return [{"seq": version, "at": local(erased.confirmed_at), "by": erased.proposed_by, "kind": "erased", "second": erased.confirmed_by}]


@cache
def _shipped() -> Retention:
    return load_retention()


def _child(tx: Tx, ref: str) -> Subject:
    child = tx.subject_by_id(ref) or tx.subject(ref)
    if child is None:
        raise NotFound("No such child is in the roster.", way_out="Give the school's own id, or the key that `crisis forget due` shows.")
    return child


def _open(tx: Tx, erasure: int) -> Erasure:
    found = tx.erasure(erasure)
    if found is None or found.confirmed_at is not None:
        raise _no_proposal()
    return found


def _no_proposal() -> NotFound:
    return NotFound("There is no such open proposal.", way_out="See `crisis forget due`.")


def _concerns(tx: Tx, by: str, kind: str, ref: str) -> bool:
    """Whether a case concerns this person, or one of a child's cases: for them it does not exist (回避)."""
    if kind == CASE:
        stored = tx.case(ref)
        return stored is not None and by in stored.case.recused
    return kind == SUBJECT and any(by in one.case.recused for one in tx.cases_of(ref))


def _erasable(tx: Tx, kind: str, ref: str) -> None:
    """Refuse what is under hold, what is still worked on and what is gone already."""
    if kind in {CASE, SUBJECT} and tx.held(kind, ref):
        raise CommandRejected("This is under legal hold: nothing of it is erased.", way_out="The hold has to be lifted first.")
    if kind == CASE:
        if stored_case(tx, ref).case.open:
            raise CommandRejected(f"Case {ref} is still open.", way_out="Only what is closed is erased.")
        if tx.erased(CASE, ref) is not None:
            raise CommandRejected(f"Case {ref} was erased already.", way_out="Nothing more is needed.")
    if kind == SUBJECT and any(one.case.open for one in tx.cases_of(ref)):
        raise CommandRejected("This child has an open case.", way_out="Only when all are closed is the child's row erased.")


def _reason(because: str) -> None:
    if not because.strip():
        raise BadInput("A reason is needed.", way_out="Say which rule, order or wish it is, without names.")


def _shown_ref(one: Erasure) -> str | None:
    return one.ref if one.kind in {CASE, SUBJECT} else None


def _is_field(procedure: Any, event: Any, name: str) -> bool:  # noqa: ANN401 (a Procedure and any event)
    move = procedure.workflow.moves.get(str(getattr(event, "move", "")))
    return move is not None and any(field.name == name for field in move.fields)
