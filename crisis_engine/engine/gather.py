"""Gather: everything that a decision looks at, read once: roster, calendar, procedures, rights, the actor."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime

from crisis_engine import definitions
from crisis_engine.almanac import published_calendar
from crisis_engine.core.access import ENGINE, Actor
from crisis_engine.core.calendar import Calendar
from crisis_engine.core.errors import DefinitionError, NotAllowed, NotFound, said
from crisis_engine.core.model import Absence, Duty, Subject, Unit
from crisis_engine.core.policy import Access, Policy
from crisis_engine.core.procedure import Procedure
from crisis_engine.core.resolve import Resolver, Roster, needed_units, paths
from crisis_engine.store import Tx

from .log import log

DEFAULT_POLICY = "default_v1"
MOST_UNITS = 200_000
"""Units kept in memory before the cache begins anew: more than a city has, with its people some 300 MB."""


class Sources:
    """What changes seldom and is asked for always, kept until the database says that it changed."""

    def __init__(self, access: Access | None = None) -> None:
        self.most_units = MOST_UNITS
        self._given = access
        self._access = access
        self._roster_version: int | None = None
        self._units: dict[str, Unit] = {}
        self._known: set[str] = set()
        self._resolver: Resolver | None = None
        self._lock = threading.Lock()
        self._duties: dict[str, tuple[Duty, ...]] = {}
        self._absences: dict[str, tuple[Absence, ...]] = {}
        self._calendar: Calendar | None = None
        self._calendar_version: int | None = None
        self._procedures: dict[str, Procedure] = {}
        self._pinned: dict[tuple[str, str], str] = {}
        self._policies: dict[str, Policy] = {}

    @property
    def access(self) -> Access:
        """Today's rights, never pinned."""
        if self._access is None:
            self._access = definitions.load_access()
        return self._access

    def anew(self, policies: Iterable[str]) -> Sources:
        """Return sources that read every file again, all of them checked: DefinitionError where one cannot be used."""
        fresh = Sources(self._given)
        fresh.most_units = self.most_units
        _ = fresh.access
        for policy in sorted({DEFAULT_POLICY, *policies}):
            for workflow in definitions.load_policy(policy).applies_to:
                definitions.load_procedure(workflow, policy)
        return fresh

    def resolver(self, tx: Tx, units: Iterable[str], now: datetime) -> Resolver:
        """Return a resolver for this instant that knows these units, all above them, and everybody there.

        While the instant, the roster and the calendar stay, it is the same one, with all that it found: units are only added.
        """
        with self._lock:
            return self._resolver_of(tx, units, now)

    def _resolver_of(self, tx: Tx, units: Iterable[str], now: datetime) -> Resolver:
        version = tx.roster_version()
        if version != self._roster_version or len(self._known) > self.most_units:
            self._units, self._duties, self._absences, self._known = {}, {}, {}, set()
            self._roster_version = version
            self._resolver = None
        missing = needed_units(unit for unit in units if unit not in self._known) - self._known
        if missing:
            units, duties = tx.units(missing), tx.duties_at(missing)
            absences = tx.absences_of({duty.person for held in duties.values() for duty in held})
            self._units.update(units)   # all of it or nothing: who is known without their absences would count as present
            self._duties.update(duties)
            self._absences.update(absences)
            self._known |= missing
        calendar = self.calendar(tx)
        if self._resolver is None or self._resolver.now != now or self._resolver.calendar is not calendar:
            self._resolver = Resolver(Roster(self._units, self._duties, self._absences), self.access, calendar, now)
        return self._resolver

    def calendar(self, tx: Tx) -> Calendar:
        """Return the published calendar as the database holds it; until one was put there, the one that came with the library."""
        version = tx.calendar_version()
        if self._calendar is None or version != self._calendar_version:
            self._calendar, self._calendar_version = tx.calendar() if version else published_calendar(), version
        return self._calendar

    def pinned(self, tx: Tx, digest: str) -> Procedure:
        """Return the procedure that a case is pinned to."""
        procedure = self._procedures.get(digest)
        if procedure is None:
            body = tx.definition(digest)
            if body is None:
                raise NotFound(f"The procedure {digest[:12]} is not in this database.", way_out="Run `crisis doctor`.")
            procedure = self._procedures[digest] = Procedure.from_body(body)
        return procedure

    def _loadable(self, workflow: str, policies: list[str]) -> str:
        """Return the hash of the procedure with the first policy that can be read: a broken file must not turn a word away."""
        for policy in policies:
            digest = self._pinned.get((workflow, policy))
            if digest is not None:
                return digest
            try:
                procedure = definitions.load_procedure(workflow, policy)
            except DefinitionError:
                if policy == policies[-1]:
                    raise
                log("policy.unreadable", policy=policy)
                continue
            self._procedures.setdefault(procedure.hash, procedure)   # a resolver knows policies by who they are: none goes while it lives
            self._pinned[workflow, policy] = procedure.hash
            return procedure.hash
        raise AssertionError

    def policy_of(self, chosen: Iterable[str]) -> Policy:
        """Return the first of the chosen policies that can be read, as its file is now; the default where none was chosen."""
        for name in (*filter(None, chosen), DEFAULT_POLICY):
            found = self._policies.get(name)
            try:
                return found or self._policies.setdefault(name, definitions.load_policy(name))
            except DefinitionError:
                if name == DEFAULT_POLICY:
                    raise
                log("policy.unreadable", policy=name)
        raise AssertionError

    def loaded_for(self, tx: Tx, workflow: str, unit: str) -> Procedure:
        """Return the procedure that a new case there would get: the workflow with the policy of the nearest unit that chose one."""
        units = tx.units(paths(unit))
        chosen = [policy for path in paths(unit) if path in units and (policy := units[path].policy)]
        return self._procedures[self._loadable(workflow, [*chosen, DEFAULT_POLICY])]

    def procedure_for(self, tx: Tx, workflow: str, unit: str) -> Procedure:
        """Return the procedure for a new case as `loaded_for` does, and keep its body in the database."""
        procedure = self.loaded_for(tx, workflow, unit)
        if tx.definition(procedure.hash) is None:
            tx.put_definition(procedure.hash, "procedure", f"{procedure.workflow.id}+{procedure.policy.id}", procedure.body,
                              procedure.signed_moves)
        return procedure


def actor_of(tx: Tx, by: str, *, speaks: bool = False) -> Actor:
    """Return who acts: a person with duties, a pupil, a guardian; nobody unknown.

    Whether somebody with a duty is a pupil or guardian too matters only where they speak up (`speaks`): elsewhere nothing sealed is asked.
    """
    if by == ENGINE:
        raise NotAllowed("Nobody acts as the engine.", way_out="Name a person of the roster (--as, CRISIS_ACTOR).")
    duties = tuple(tx.duties_of(by))
    if duties and not speaks:
        return Actor(by, duties)
    pupil = tx.subject(by)
    guardian = tx.guardian(by)
    ward = tx.subject(guardian.subject) if guardian is not None else None
    if not duties and pupil is None and ward is None:
        raise NotAllowed(f"Nobody with a duty is known as {said(by)!r}.", way_out="Name a person of the roster (--as, CRISIS_ACTOR).")
    return Actor(by, duties, pupil.id if pupil is not None else None, (ward.id,) if ward is not None else ())


def subject_of(tx: Tx, ref: str | None) -> Subject | None:
    """Return the child by the school's own id; None stays None (nobody knows yet who it is)."""
    if ref is None:
        return None
    subject = tx.subject(ref)
    if subject is None:
        raise NotFound(f"No child is known as {said(ref)!r}.",
                       way_out="Leave the subject out if nobody knows who it is; the clock `identity` will run.")
    return subject
