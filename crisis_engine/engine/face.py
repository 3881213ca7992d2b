"""The stable face: report, act, look, sweep, deliver. Each method gathers, decides, applies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crisis_engine.clock import wall_clock
from crisis_engine.core.access import ENGINE, Verdict, may_do
from crisis_engine.core.commands import Act, Open
from crisis_engine.core.decide import Decision, check_sight, decide_act, decide_again, decide_open, needs_second, possible_moves
from crisis_engine.core.errors import BadInput, CommandRejected, NotFound, StaleVersion
from crisis_engine.core.events import Linked
from crisis_engine.core.model import Risk
from crisis_engine.core.move import cue_floor
from crisis_engine.core.policy import Access
from crisis_engine.core.retention import Retention
from crisis_engine.core.track import may_open
from crisis_engine.core.world import World
from crisis_engine.store import Store, Stored, Tx

from .again import again
from .attachment import Attaching
from .audit import Audit
from .backtest import Backtest
from .candidate import Candidates
from .compliance import Compliance
from .document import Printing, printable
from .explain import Explaining
from .forget import Forgetting, erased_lines
from .gather import Sources, actor_of, subject_of
from .glass import Glass
from .graduation import Graduations
from .incident import Incidents
from .log import log
from .look import local
from .migrate import Migrating
from .once import Once
from .packet import Packet, Packets
from .place import make_moves
from .post import Post
from .reading import LOGGED_FROM, checked_why
from .secrecy import Secrecy
from .supervise import Supervising
from .sweep import Pace, sweep
from .view import CaseView, DeliverReport, MoveView, Receipt, SweepReport, case_view, history_items, secrecy_shown
from .worlds import held_case, new_number, new_token, people_known, refuse_subject, stored_case

if TYPE_CHECKING:
    from crisis_engine.notify import Channel
    from crisis_engine.store.master import Given


def open_engine(
    url: str = "sqlite:///crisis.db", *, clock: Callable[[], datetime] | None = None, channels: Sequence[Channel] = (),
    create: bool = True, access: Access | None = None, lang: str = "zh", link: str = "", master_key: Given | None = None,
    retention: Retention | None = None,
) -> Engine:
    """Open an engine on a database, which is made or migrated when `create` is true.

    `clock` gives the present instant (aware); `channels` take what `deliver` sends; `link` begins the links in notices.
    `master_key` is the key that secrets are sealed under: 32 bytes, several of them (the newest first), or what returns these;
    without one it comes from the environment or from the file beside the database (docs/secrecy.md). `retention` says how
    long things are kept, where the shipped terms are not yours.
    Raises StoreError when the database cannot be used, and when a newer version of the library made it.
    """
    store = Store.open(url, create=create, master_key=master_key)
    engine = Engine(store, Sources(access), clock or wall_clock, tuple(channels), lang=lang, link=link)
    engine.retention = retention
    return engine


class Engine(
    Audit, Backtest, Packets, Compliance, Glass, Graduations, Incidents, Supervising, Candidates, Secrecy, Forgetting, Post, Explaining,
    Migrating, Attaching, Printing,
):
    """The face of crisis_engine. Every method is one transaction; an error changes nothing. Safe to share between threads."""

    # ---- the first word ---------------------------------------------------------------------------------------------

    @again
    def report(
        self, *, unit: str, by: str, facts: str, subject: str | None = None, cues: Sequence[str] = (), danger_now: bool = False,
        with_child: str | None = None, about_staff: Sequence[str] = (), key: str | None = None,
    ) -> Receipt:
        """Take a word about a child; return a receipt that is the same whether or not a case existed.

        `subject` is the school's own id of the child, None while nobody knows who it is. `cues` are facts that were seen, never a
        risk. `about_staff` names whom it is about: they are not told and do not learn that the case exists. `key` makes a repeated
        call harmless. Raises BadInput, NotFound (unit, child), NotAllowed.
        """
        form = {"facts": facts, "cues": list(cues), "danger_now": danger_now, "with_child": with_child, "about_staff": list(about_staff)}
        with self.store.writing() as tx:
            now = self.now()
            once = Once(tx, by, key, ["report", unit, subject, form])
            if once.answer is not None:
                return Receipt(once.answer["receipt"], datetime.fromisoformat(once.answer["at"]), tuple(once.answer["shows"]))
            child = subject_of(tx, subject)

            world, stored, procedure = self._world_of_report(tx, now, by, child, unit, form)
            command = Open(child.unit if child is not None else unit, child.id if child is not None else None, form)
            people_known(tx, about_staff)
            decision = decide_again(world, command) if stored is not None else decide_open(world, command)

            self._apply(tx, decision, stored)
            urgent = danger_now or cue_floor(procedure.policy, form) is Risk.RED
            receipt = Receipt(new_token(12), now, procedure.workflow.danger.shows if urgent and procedure.workflow.danger else ())
            tx.put_receipt(receipt.token, decision.pens[0].number, now, by)
            once.keep({"receipt": receipt.token, "at": now.isoformat(), "shows": list(receipt.shows)}, now)
        log("report.received")   # neither the case nor whether there was one: the reporter may read this log
        return receipt

    def receipt(self, token: str) -> dict[str, Any]:
        """Return what a reporter may know: that the word arrived and when. Nothing about a case. Raises NotFound."""
        with self.store.reading() as tx:
            found = tx.receipt(token)
        if found is None:
            raise NotFound("There is no such receipt.", way_out="Check the letters; a receipt has twelve.")
        return {"receipt": token, "received_at": local(found.made_at), "state": "received"}

    @again
    def open_case(
        self, workflow: str, *, by: str, unit: str | None = None, subject: str | None = None, fields: Mapping[str, Any] | None = None,
        parent: str | None = None, key: str | None = None,
    ) -> CaseView:
        """Open a case of any workflow by its opening move, beside a parent case where it is a track. Raises as `act` does."""
        with self.store.writing() as tx:
            now = self.now()
            once = Once(tx, by, key, ["open", workflow, unit, subject, dict(fields or {}), parent])
            if once.answer is not None:
                return self._view(tx, stored_case(tx, once.answer["number"]), by, now)
            above = held_case(tx, parent) if parent is not None else None
            child = subject_of(tx, subject)
            tx.hold_child(child.id if child is not None else None)
            home = unit or (child.unit if child is not None else above.case.unit if above is not None else None)
            if home is None:
                raise BadInput("A case needs a unit, a subject or a parent.", way_out="Give --unit, --subject or --parent.")
            actor = actor_of(tx, by, speaks=True)
            if above is not None:
                self._allow(tx, now, by, "case.act", stored=above)
            procedure = self._sources.procedure_for(tx, workflow, home)
            refuse_subject(procedure.workflow, child, above)
            if procedure.workflow.subject == "unit":
                tx.hold_name("unit", home)   # a rule that opens the same about this unit looks at what is there before
            resolver = self._sources.resolver(tx, {home, *(duty.unit for duty in actor.duties)}, now)
            if procedure.workflow.again is not None:
                sees = may_do(self._sources.access, "case.list", actor, resolver, unit=home).allowed
                if not sees or child is None or any(one.case.open for one in tx.cases_of(child.id)):
                    raise CommandRejected("This word cannot be opened as a case.", way_out="Use `report`: it always finds its case.")
                people_known(tx, list((fields or {}).get("about_staff", ())))
            if above is not None and above.case.workflow.rpartition("_v")[0] not in procedure.workflow.parents:
                raise CommandRejected(f"{procedure.workflow.id} is no track of {above.case.workflow}.", way_out="Open it without a parent.")
            key_of_child = child.id if child is not None else above.case.subject if above is not None else None
            world = World(
                now=now, actor=actor, procedure=procedure, resolver=resolver, number=new_number(), subject=child,
                others=tuple(one.case for one in tx.cases_of(child.id) if one.case.workflow == procedure.workflow.id) if child else (),
                parent=above.case if above is not None else None,
                parent_procedure=self._sources.pinned(tx, above.case.procedure) if above is not None else None,
                siblings=self._tracks(tx, above) if above is not None else (),
                openable=self._openable(tx, procedure.workflow.name, home, (), may_open(
                    procedure, None, {procedure.workflow.opening.name}, fields or {})),
            )

            decision = decide_open(world, Open(home, key_of_child, fields or {}))

            self._apply(tx, decision, above)
            number = decision.pens[0].number
            once.keep({"number": number}, now)
            world = self._world(tx, now, by, stored := stored_case(tx, number))
            sight = may_do(self._sources.access, "case.read", world.actor, world.resolver, case=stored.case)
            view = self._answered(tx, world, stored.id, sight, decision, "open")
        log("case.opened", case=number, workflow=procedure.workflow.id)
        return view

    # ---- acting -----------------------------------------------------------------------------------------------------

    @again
    def act(
        self, number: str, move: str, *, by: str, fields: Mapping[str, Any] | None = None, version: int | None = None,
        key: str | None = None,
    ) -> CaseView:
        """Make a move, propose it where two persons are due, or answer a proposal (`confirm`, `decline`, `withdraw`).

        `version` is the version that the caller read: StaleVersion when the case changed since. Raises NotFound, NotAllowed,
        BadInput (fields), CommandRejected (stage, guards) with the way out; nothing is changed then.
        """
        with self.store.writing() as tx:
            now = self.now()
            once = Once(tx, by, key, ["act", number, move, dict(fields or {})])
            stored = held_case(tx, number)
            if once.answer is not None:
                return self._view(tx, stored, by, now)
            world = self._world_of_act(tx, now, by, stored, move, fields or {})
            if version is not None and version != stored.case.version:
                raise StaleVersion(f"Case {number} is at version {stored.case.version}, you read {version}.",
                                   way_out="Read it again and decide anew.", version=stored.case.version)

            decision = decide_act(world, Act(move, fields or {}))

            self._apply(tx, decision, stored)
            once.keep({"number": number}, now)
            after = decision.pens[0].case
            # the act may have shown whom the case concerns
            sight = may_do(self._sources.access, "case.read", world.actor, world.resolver, case=after)
            view = self._answered(tx, world if sight.hidden else replace(world, case=after), stored.id, sight, decision, "act")
        log("case.acted", case=number)
        return view

    def seal_packet(self, number: str, key: str, *, by: str, because: str = "") -> Packet:
        """Seal the dossier of a child who leaves the city for the receiver's public key, and note its hash on the hand-over `number`.

        The key must be the one whose fingerprint two persons confirmed there. In the packet is what `export` gives of the case and of each
        of its tracks that whoever seals may export: what they may not read is withheld. Called again it makes another packet, and the new
        hash counts. Raises BadInput (no key), NotFound, NotAllowed, CommandRejected (another key, not the time for it), ProofFailed.
        """
        packet, move, field = self._packet(number, key, by=by, because=because)
        self.act(number, move, by=by, fields={field.removeprefix("field:"): packet.sha256})
        return packet

    # ---- looking ----------------------------------------------------------------------------------------------------

    def case(self, number: str, *, by: str, why: str = "") -> CaseView:
        """Return a case as this reader may see it; at tier 2 and above, or behind broken glass, the reading is written down first.

        `why` goes into the read log. Raises NotFound, NotAllowed, and whatever keeps the reading from being written down.
        """
        checked_why(why)
        with self.store.reading() as tx:
            now = self.now()
            world = self._world(tx, now, by, stored := stored_case(tx, number))
            sight = check_sight(world, stored.case, "case.read")
            view = self._seen(tx, world, stored.id, sight, None)
        self._write_down(self._entry(by, "case", stored.case.number, now, min(sight.reads, LOGGED_FROM), why, sight))
        return view

    def _view(self, tx: Tx, stored: Stored, by: str, now: datetime, decision: Decision | None = None, what: str = "act") -> CaseView:
        """Show a case in answer to a command, in the command's own transaction, to whoever may read it."""
        world = self._world(tx, now, by, stored)
        return self._answered(tx, world, stored.id, check_sight(world, stored.case, "case.read"), decision, what)

    def _answered(self, tx: Tx, world: World, row: int, sight: Verdict, decision: Decision | None, what: str) -> CaseView:
        view = self._seen(tx, world, row, sight, decision)
        entry = self._entry(world.actor.id, what, view.number, world.now, min(sight.reads, LOGGED_FROM), "", sight)
        if entry is not None:
            tx.log_read(entry)
        return view

    def _seen(self, tx: Tx, world: World, row: int, sight: Verdict, decision: Decision | None) -> CaseView:
        """Return the case as far as the sight goes; what was just done shows its numbers to call."""
        case = world.case
        if case is None:
            raise NotFound("There is no such case.", way_out="Check the number.")
        child = tx.subject_by_id(case.subject) if case.subject is not None else None
        return case_view(
            case, world.procedure, world.now, reads=sight.reads, subject=child.ref if child is not None else None,
            links=self._links(tx, world), ended=self._ended(tx, row, world.procedure),
            shows=decision.shows if decision is not None else (), waits=decision.waits if decision is not None else False,
            prints=printable(world, case),
        )

    def moves(self, number: str, *, by: str) -> list[MoveView]:
        """Return what is possible now, and for the rest why not. Raises NotFound, NotAllowed."""
        with self.store.reading() as tx:
            stored = stored_case(tx, number)
            world = self._world_of_act(tx, self.now(), by, stored, "", {})

            moves = possible_moves(world)

            return [
                MoveView(move.name, move.label, reason is None, reason, needs_second(world, stored.case, move), move.fields)
                for move, reason in moves
            ]

    def history(self, number: str, *, by: str, why: str = "") -> list[dict[str, Any]]:
        """Return the case's life as lines of plain data, secrets above the reader's tier absent. Written down and raises as `case`."""
        checked_why(why)
        with self.store.reading() as tx:
            now = self.now()
            world = self._world(tx, now, by, stored := stored_case(tx, number))
            sight = check_sight(world, stored.case, "case.read")
            child = tx.subject_by_id(stored.case.subject) if stored.case.subject is not None else None
            shown = {other for _link, other in self._links(tx, world)}
            events = [event for event in tx.events(stored.case.number) if not isinstance(event, Linked) or event.other in shown]
            erased = erased_lines(tx, stored.case.number, stored.case.version)
            alone = stored.case.parent is not None and not self._sees(tx, world, stored.case.parent)
        tier = max((secrecy_shown(event, world.procedure, sight.reads) for event in events), default=0)
        self._write_down(self._entry(by, "history", stored.case.number, now, tier, why, sight))
        ref = child.ref if child is not None else None
        lines = [line for event in events for line in history_items(event, world.procedure, sight.reads, ref)]
        # a partner sees what was sent to it, and not beside which case it stands
        return [{key: value for key, value in line.items() if not (alone and key == "parent")} for line in lines] + erased

    # ---- the clock's side -------------------------------------------------------------------------------------------

    def sweep(self, *, limit: int | None = None, share: tuple[int, int] = (0, 1), pace: Pace | None = None) -> SweepReport:
        """Fire what is due and hand over what somebody left. Re-entrant; several may run at once; call it as often as you like.

        `share` (k, n) divides a large backlog among n sweepers, each a process of its own: (0, 2) and (1, 2) use two cores.
        `pace` is asked before and after each batch, and may stop between two.
        """
        if not 0 <= share[0] < share[1]:
            raise BadInput(f"{share} is no share.", way_out="Give (k, n) with 0 <= k < n, such as (0, 2) and (1, 2).")
        now = self.now()
        moved = make_moves(self.store, self._sources, now)
        report = sweep(self.store, self._sources, self.now, self._failing, limit=limit, share=share, pace=pace)
        if not moved:
            self.tell_operators("move_failed", now, once_in=now.date().isoformat(), by=ENGINE)
        self._watch(now, report)
        return report

    def deliver(self, *, limit: int | None = None, go_on: Callable[[], bool] | None = None) -> DeliverReport:
        """Send what the outbox holds to the channels, at least once, always under one key. Several may do so at once.

        Without a channel nothing is marked: a notice that nobody carried stays in the outbox. At most `limit` messages are tried.
        `go_on` is asked after each one, and may stop between two.
        """
        from .deliver import Delivery  # noqa: PLC0415 - the channels are needed here alone

        return Delivery(self.store, self._sources, self._channels, self.now, self._lang, self._link, go_on or (lambda: True)).run(limit)
