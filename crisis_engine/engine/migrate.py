"""Moving the open cases of a procedure to another version: rehearsed, signed by two operators, in batches, and back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine import definitions
from crisis_engine.core.check import check_together, check_workflow
from crisis_engine.core.errors import BadInput, CommandRejected, DefinitionError, NotAllowed, NotFound, said
from crisis_engine.core.events import Migrated
from crisis_engine.core.evolve import fold
from crisis_engine.core.migrate import hindrance, migrate, revert
from crisis_engine.core.order import looser_lines
from crisis_engine.core.parse_workflow import parse_workflow
from crisis_engine.core.procedure import Procedure

from .again import again
from .log import log
from .pinned import Pinned
from .sweep import change_of, units_of
from .worlds import new_token

if TYPE_CHECKING:
    from crisis_engine.core.events import Event
    from crisis_engine.core.pen import Pen
    from crisis_engine.core.resolve import Resolver
    from crisis_engine.store import Stored, Tx
    from crisis_engine.store.pinned import Migration

BATCH = 250
"""Cases moved in one transaction: nobody waits longer for the lock than for a large sweep."""

Decide = Callable[["Sequence[Event]", "Stored", "Resolver"], "Pen | None"]
"""What moving one case comes to, its log read where a migration is undone; None for one that it is not about."""


@dataclass(slots=True)
class MigrationReport:
    """What a migration does, did, or cannot do. `stuck` names each case that cannot move, a word for the reason and what it is about.

    A case that cannot move and concerns whoever asks is not even counted: the difference would say that there is one.
    """

    origin: str
    target: str
    id: str = ""
    cases: int = 0        # that move, or moved
    clocks: int = 0       # of them: clocks whose plan changes
    nearer: int = 0       # of these: clocks that are due earlier
    looser: list[str] = field(default_factory=list)   # keys of the policies that ask less than before; what runs is not put off by them
    stuck: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, part: MigrationReport) -> None:
        """Add what became of one batch."""
        self.cases += part.cases
        self.clocks += part.clocks
        self.nearer += part.nearer
        self.stuck += part.stuck

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {"origin": self.origin, "target": self.target, "id": self.id, "cases": self.cases, "clocks": self.clocks,
                "nearer": self.nearer, "looser": self.looser, "stuck": [{"case": number, "because": why, "of": name} for number, why, name in self.stuck]}


class Migrating(Pinned):
    """The face's part that changes a procedure under running cases. New cases follow what the unit's policy says, as ever."""

    def rehearse_migration(self, old: str, new: str, *, by: str) -> MigrationReport:
        """Return what moving the open cases of `old` to `new` would do, and which cannot move and why. Nothing is changed.

        Both are a workflow, a policy, or WORKFLOW+POLICY; `new` may be a path. Raises NotAllowed, DefinitionError, NotFound.
        """
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "procedure.migrate")
            pairs = self._pairs(tx, old, new)
        report = MigrationReport(old, new)
        report.looser = list(dict.fromkeys(key for before, after in pairs for key in looser_lines(after.policy, before.policy)))
        for before, after in pairs:
            self._each(before, after, by, report, _forward(before, after, "-", "-"), write=False)
        return report

    @again
    def propose_migration(self, old: str, new: str, *, by: str) -> str:
        """Keep the new version and that this operator wants it; return the id by which another operator applies it."""
        with self.store.writing() as tx:
            now = self.now()
            self._allow(tx, now, by, "procedure.migrate")
            pairs = self._pairs(tx, old, new)
            for _, after in pairs:
                tx.put_definition(after.hash, "procedure", f"{after.workflow.id}+{after.policy.id}", after.body, after.signed_moves)
            number = self._propose(tx, old, new, {before.hash: after.hash for before, after in pairs}, by, None)
        log("migration.proposed", by=by, id=number)
        return number

    @again
    def propose_revert(self, number: str, *, by: str) -> str:
        """Keep that this operator wants a migration undone; return the id by which another operator applies it."""
        with self.store.writing() as tx:
            self._allow(tx, self.now(), by, "procedure.migrate")
            done = self._known(tx, number)
            if done.confirmed_by is None or done.reverts is not None:
                raise CommandRejected("Only a migration that was applied can be reverted.", way_out="Propose a new one.")
            pairs = {after: before for before, after in done.pairs.items()}
            back = self._propose(tx, done.target, done.origin, pairs, by, done.id)
        log("migration.revert_proposed", by=by, id=back)
        return back

    def apply_migration(self, number: str, *, by: str) -> MigrationReport:
        """Confirm a migration that another operator proposed, and move its cases, a batch at a time.

        Called again it goes on where it stopped, until another migration of the same procedures was applied: two signed that one.
        Raises NotFound, NotAllowed, CommandRejected when one person would do both.
        """
        with self.store.writing() as tx:
            now = self.now()
            self._allow(tx, now, by, "procedure.migrate")
            one = self._known(tx, number)
            if one.proposed_by == by:
                raise CommandRejected("A migration takes two operators.", way_out="Let another operator apply it.")
            if tx.overtaken(one):
                raise CommandRejected("A later migration stands above this one.", way_out="Propose it anew.")
            if one.confirmed_by is None:
                self._still_operator(tx, now, one.proposed_by)
            tx.confirm_migration(number, by, now)
            one = self._known(tx, number)
        report = MigrationReport(one.origin, one.target, one.id)
        for origin, target in one.pairs.items():
            with self.store.reading() as tx:
                before, after = self._sources.pinned(tx, origin), self._sources.pinned(tx, target)
            self._each(before, after, by, report, self._decide(one, before, after), write=True, undo=one.reverts is not None)
        log("migration.applied", by=by, id=number, cases=report.cases, stuck=len(report.stuck))
        return report

    def _still_operator(self, tx: Tx, now: datetime, proposer: str) -> None:
        """Refuse what somebody proposed who may not any more: two who may today have to want it."""
        try:
            self._allow(tx, now, proposer, "procedure.migrate")
        except NotAllowed:
            raise CommandRejected("Whoever proposed this migration is no operator any more.", way_out="Propose it anew.") from None

    def _decide(self, one: Migration, before: Procedure, after: Procedure) -> Decide:
        signed = {"by": one.confirmed_by or "", "second": one.proposed_by}
        if one.reverts is None:
            return _forward(before, after, **signed)

        def back(events: Sequence[Event], stored: Stored, resolver: Resolver) -> Pen | None:
            place, came = next(((at, event) for at, event in reversed(list(enumerate(events))) if isinstance(event, Migrated)), (0, None))
            if came is None or came.origin != after.hash:   # it began with this version, or came to it from another
                return None
            until = place + 1
            while until < len(events) and events[until].kind == "clock_moved" and getattr(events[until], "why", "") == "migrated":
                until += 1
            return revert(stored.case, fold(events[:place]), fold(events[:until]), (before, after), resolver, resolver.now, **signed)

        return back

    def _each(
        self, before: Procedure, after: Procedure, by: str, report: MigrationReport, decide: Decide, *, write: bool, undo: bool = False,
    ) -> None:
        """Decide every open case that follows `before`, batch by batch, and write what was decided."""
        last: int | None = 0
        while last is not None:
            last, part = self._batch(before, after, by, decide, last, write=write, undo=undo)
            report.add(part)

    @again
    def _batch(
        self, before: Procedure, after: Procedure, by: str, decide: Decide, last: int, *, write: bool, undo: bool,
    ) -> tuple[int | None, MigrationReport]:
        """Return the last row of one batch, None where there was none, and what became of its cases: a transaction of its own."""
        part = MigrationReport("", "")
        with self.store.writing() if write else self.store.reading() as tx:
            now = self.now()
            ids = tx.pinned_ids(before.hash, last, BATCH)
            if not ids:
                return None, part
            if write:
                tx.hold_cases(ids)
            stored = [one for one in tx.cases(ids) if one.case.open and one.case.procedure == before.hash]
            hidden = tx.numbers_concerning(by)
            resolver = self._sources.resolver(tx, units_of(stored), now)
            logs = tx.logs([one.id for one in stored]) if undo else {}
            changes = []
            for one in stored:
                why = hindrance(one.case, after, before, undo=undo)
                if why is None:
                    pen = decide(logs.get(one.id, ()), one, resolver)
                    if pen is not None:
                        changes.append(change_of(one, pen))
                        _count(part, one, pen)
                elif one.case.number not in hidden:
                    part.stuck.append((one.case.number, *why))
            if write and changes:
                tx.append(changes, whole=False)
        return ids[-1], part

    # ---- what becomes what -----------------------------------------------------------------------------------------------------

    def _known(self, tx: Tx, number: str) -> Migration:
        found = tx.migration(number)
        if found is None:
            raise NotFound(f"There is no migration {said(number)}.", way_out="Check the id that proposing it gave.")
        return found

    def _propose(self, tx: Tx, old: str, new: str, pairs: Mapping[str, str], by: str, reverts: str | None) -> str:
        from crisis_engine.store.pinned import Migration  # noqa: PLC0415 - SQLAlchemy comes with the store, at its first use

        number = new_token(8)
        tx.put_migration(Migration(number, old, new.rpartition("/")[2], dict(pairs), by, self.now(), reverts=reverts))
        return number

    def _pairs(self, tx: Tx, old: str, new: str) -> list[tuple[Procedure, Procedure]]:
        """Return each procedure that `old` is a part of with what it becomes, checked as hard as a file that is loaded."""
        found = [
            (before, after) for digest in self._procedures_of(tx, old)
            if (after := self._becomes(before := self._sources.pinned(tx, digest), old, new)).hash != before.hash
        ]
        if not found:
            raise BadInput(f"No case here follows {said(old)}, or it is the same.", way_out="See `crisis definitions diff`.")
        return found

    def _procedures_of(self, tx: Tx, old: str) -> Iterator[str]:
        parts = set(old.split("+"))
        for digest in tx.procedures_of(next(iter(sorted(parts)))):
            procedure = self._sources.pinned(tx, digest)
            if parts <= {procedure.workflow.id, procedure.policy.id} and tx.pinned_ids(digest, 0, 1):
                yield digest

    def _becomes(self, before: Procedure, old: str, new: str) -> Procedure:
        docs = json.loads(before.body)
        workflow_doc, policy_doc = docs["workflow"], docs["policy"]
        olds, news = old.split("+"), new.split("+")
        if len(olds) != len(news):
            raise BadInput("The old and the new version must name the same parts.",
                           way_out="Give two workflows, two policies, or WORKFLOW+POLICY twice.")
        for one, other in zip(olds, news, strict=True):
            if one == before.workflow.id:
                workflow_doc = definitions.load_workflow_doc(other)
            else:
                policy_doc = definitions.load_policy_doc(other)
        files = ("the new workflow", "the new policy")
        after = Procedure.of(workflow_doc, policy_doc, files=files)
        check_workflow(after.workflow, files[0])
        check_together(after.workflow, after.policy, self._sources.access, files=files, other_clocks=_clocks_beside(after))
        return after


def _forward(before: Procedure, after: Procedure, by: str, second: str) -> Decide:
    return lambda _log, stored, resolver: migrate(stored.case, before, after, resolver, resolver.now, by=by, second=second)


def _clocks_beside(procedure: Procedure) -> frozenset[str]:
    """Return the clocks of the other shipped workflows that the policy is for."""
    found: set[str] = set()
    for name in procedure.policy.applies_to:
        if name != procedure.workflow.id:
            try:
                found |= set(parse_workflow(definitions.load_workflow_doc(name), f"{name}.toml").clocks)
            except DefinitionError:   # a host's own, which lies elsewhere
                found |= set(procedure.policy.clocks)
    return frozenset(found)


def _count(report: MigrationReport, one: Stored, pen: Pen) -> None:
    report.cases += 1
    due = {clock.key: clock.due_at for clock in one.case.clocks}
    for event in pen.events:
        if event.kind == "clock_moved" and getattr(event, "why", "") == "migrated":
            report.clocks += 1
            key = f"{getattr(event, 'clock', '')}.{getattr(event, 'n', 0)}"
            report.nearer += key in due and getattr(event, "due_at", due[key]) < due[key]
