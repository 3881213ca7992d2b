"""The proof over all chains: seal what grew, let county and city cosign, verify everything; read logs and rights are not its business."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crisis_engine.core.access import ENGINE
from crisis_engine.core.checkpoint import COSIGNS, SIGNS, Checkpoint, Key
from crisis_engine.core.errors import BadInput, KeyFault, NotFound, ProofFailed, StaleVersion, StoreError
from crisis_engine.core.merkle import leaf_hash
from crisis_engine.store import Store, Tx

from .log import log
from .sweep import calm_collector
from .worlds import Worlds, new_token

if TYPE_CHECKING:
    from crisis_engine.store.prove import Flaw
    from crisis_engine.store.signature import SigningKey
    from crisis_engine.store.tree import Sealed, Verifier

BATCH = 10_000
"""Events in one batch of the sealer: the write lock is held for less than 0.1 s."""

MOST_FLAWS = 100
"""So many flaws are named; all are counted."""

ALONE = 100_000
"""A log of so few events is proven before a second process has begun."""

_SHARES = 8
_AFTER_ALL = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SealReport:
    """What a sealing did: batches, so many signed checkpoints; leaves, one for each case that grew; events looked at."""

    batches: int = 0
    leaves: int = 0
    events: int = 0
    sealed: Sealed | None = None   # the newest checkpoint, also where nothing was to be done

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        newest = self.sealed.checkpoint if self.sealed is not None else None
        return {"batches": self.batches, "leaves": self.leaves, "events": self.events, "size": newest.size if newest else 0,
                "root": newest.root.hex() if newest else None, "short": newest.short if newest else None}


@dataclass(slots=True)
class VerifyReport:
    """What a verification walked through, and the flaws that it found, the first one first."""

    cases: int = 0
    events: int = 0
    leaves: int = 0
    checkpoints: int = 0
    signatures: int = 0
    closed: int = 0                                     # secrets that were not proven: the master key is not at hand
    unsealed: int = 0                                   # events since the last checkpoint: nothing but their chain proves these
    count: int = 0                                      # of flaws
    flaws: list[Flaw] = field(default_factory=list)     # at most MOST_FLAWS of them
    sealed: Sealed | None = None                        # the newest checkpoint, if it can be read

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.count

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        newest = self.sealed.checkpoint if self.sealed is not None else None
        return {
            "ok": self.ok, "cases": self.cases, "events": self.events, "leaves": self.leaves, "checkpoints": self.checkpoints,
            "signatures": self.signatures, "closed": self.closed, "unsealed": self.unsealed, "checkpoint": newest.short if newest else None,
            "count": self.count,
            "flaws": [{"case": one.number or None, "seq": one.seq, "check": one.check, "what": one.what} for one in self.flaws],
        }


class Audit(Worlds):
    """The auditors' part of the face."""

    def __init__(self, *given: Any, **named: Any) -> None:  # noqa: ANN401 (as Worlds takes them)
        """Use `open_engine`."""
        super().__init__(*given, **named)
        self._ephemeral: list[SigningKey] = []   # the sealer's key of a database in memory, which ends with it

    # ---- seal -------------------------------------------------------------------------------------------------------

    def seal(
        self, *, by: str | None = None, key_file: Path | None = None, limit: int | None = None, reconcile: bool = False,
        new_key: bool = False, batch: int = BATCH,
    ) -> SealReport:
        """Append a leaf for each case whose log grew since the last batch, and sign a checkpoint for each batch.

        Re-entrant: several may run at once, and a host may call it from its scheduler (`by` None: the machine itself). `limit` is the
        most batches. `reconcile` looks at every case instead of at the newest events alone. The key is that of `key_file`, else of
        the file beside the database (its name and `.seal`), which the first sealing makes; `new_key` begins another in the place of
        a lost one. Raises StoreError (key), NotAllowed.
        """
        with self.store.reading() as tx:
            if by is not None:
                self._allow(tx, self.now(), by, "audit.seal")
        key = self._sealer(by or ENGINE, key_file, new_key=new_key)
        batches = leaves = events = 0
        until = self._settled_event()
        while limit is None or batches < limit:
            try:
                done = self._seal_batch(key, batch, until, reconcile=reconcile)
            except StaleVersion:   # another sealer was faster: what it left is the next batch
                continue
            if done is None:
                break
            batches, leaves, events = batches + (done[0] > 0), leaves + done[0], events + done[1]
        with self.store.reading() as tx:
            newest = tx.sealed()
        if batches and newest is not None:
            log("audit.sealed", batches=batches, leaves=leaves, size=newest.checkpoint.size, root=newest.checkpoint.short)
        return SealReport(batches, leaves, events, newest)

    def _seal_batch(self, key: SigningKey, batch: int, until: int, *, reconcile: bool) -> tuple[int, int] | None:
        """Seal one batch and return its leaves and events; None when there is nothing left."""
        with self.store.reading() as tx:
            size, origin = tx.tree_size(), _origin(tx, key.public)
            if reconcile:
                found, event, events = tx.ungrown(batch), tx.sealed_event(), 0
            else:
                found, event, events = tx.grew(batch, until)
        if not found and not events:
            return None
        hashes = [leaf_hash(leaf.data) for leaf in found]   # all but the writing is done outside the lock

        with self.store.writing() as tx:
            tx.hold_name("seal", "log")
            top = tx.append_leaves(size, found, hashes, event)
            if found:
                now = self.now()
                checkpoint = Checkpoint(origin, size + len(found), top)
                tx.put_checkpoint(checkpoint, key.sign(checkpoint.text), now)
        return len(found), events

    def _settled_event(self) -> int:
        """Return the id of an event below which none is still on its way into the database."""
        from crisis_engine.store.tree import MOST_ID  # noqa: PLC0415

        if self.store.dialect == "sqlite":
            return MOST_ID   # one writer at a time: ids and commits have one order
        with self.store.writing(alone=True) as tx:
            return tx.last_event_id()

    def _sealer(self, by: str, key_file: Path | None, *, new_key: bool) -> SigningKey:
        """Return the sealer's key: the one this database knows, or the first one, which is made and known from now on."""
        from crisis_engine.store.signature import SigningKey  # noqa: PLC0415 - who never seals does not load `cryptography`
        from crisis_engine.store.tree import SEALER  # noqa: PLC0415

        with self.store.reading() as tx:
            known = [verifier.key for verifier in tx.verifiers() if verifier.duty == SEALER]
            home, homeless = tx.vault.seal, tx.vault.masters.homeless
        path = key_file or home
        if path is None and homeless:
            raise StoreError("Nobody said where the sealer's key of this database lies.",
                             way_out="Set CRISIS_HOME to a folder for its files, or CRISIS_SEAL_KEY_FILE.")
        kept = self._ephemeral[-1:] if path is None else [SigningKey.read(path)] if path.exists() else []
        if kept and (not known or kept[0].public in known or (new_key and kept[0].public.name == known[0].name)):
            key = kept[0]
        elif kept:
            raise StoreError("This key is not the sealer's of this database.",
                             way_out="Name the right file in CRISIS_SEAL_KEY_FILE, or begin anew with `crisis audit seal --new-key`.")
        elif known and not new_key:
            raise StoreError("The sealer's key is not where it was: nothing can be signed.",
                             way_out="Bring the file back or name it in CRISIS_SEAL_KEY_FILE; if lost: `crisis audit seal --new-key`.")
        else:
            key = SigningKey.new(known[0].name if known else f"crisis-engine/{new_token(12)}", SIGNS)
            if path is None:
                self._ephemeral.append(key)
            else:
                key.write(path)
        if key.public.kind != SIGNS:
            raise StoreError("This key cosigns; a sealer needs a key of its own.",
                             way_out="Leave the sealer's key file to `crisis audit seal`.")
        if key.public not in known:
            with self.store.writing(alone=True) as tx:
                tx.put_verifier(key.public, SEALER, by, self.now())
        return key

    # ---- cosign -----------------------------------------------------------------------------------------------------

    def cosign(self, key_file: Path, *, by: str, kept: str | None = None) -> Sealed:
        """Put a county's or city's signature under the newest checkpoint, once it was seen to continue what this key cosigned before.

        `kept` is the text of a checkpoint that the cosigner keeps: the log must begin with it too. Raises ProofFailed where it does
        not, NotFound before the first sealing, NotAllowed.
        """
        from crisis_engine.store.attest import SEALER, compare, root_now, signers  # noqa: PLC0415
        from crisis_engine.store.signature import SigningKey  # noqa: PLC0415
        from crisis_engine.store.tree import COSIGNER  # noqa: PLC0415

        with self.store.writing() as tx:
            tx.hold_name("seal", "log")
            now = self.now()
            self._allow(tx, now, by, "audit.cosign")
            key = SigningKey.read(key_file)
            if key.public.kind != COSIGNS:
                raise BadInput("This key seals; whoever cosigns needs a key of their own.", way_out="Make one with `crisis audit keygen`.")
            sealed = _newest(tx)
            sealers = [verifier.key for verifier in tx.verifiers() if verifier.duty == SEALER]

            before = [one.checkpoint for one in tx.all_sealed() if any(s.key_id == key.public.key_id for s in one.signatures)]
            reasons = [str(flaw) for flaw in compare(tx, kept)] if kept is not None else []
            if not any(found for _, found, _ in signers(sealed.checkpoint, sealed.signatures, sealers)):
                reasons.append("the newest checkpoint was not signed by the sealer")
            if not all(root_now(tx, checkpoint) for checkpoint in [*before[-1:], sealed.checkpoint]):
                reasons.append("the log does not begin with what this key cosigned")
            if reasons:
                raise ProofFailed(f"This checkpoint cannot be cosigned: {reasons[0]}.",
                                  way_out="Run `crisis audit verify`, and ask who changed the log.")

            if key.public.key_id not in {one.key_id for one in sealed.signatures}:
                tx.put_verifier(key.public, COSIGNER, by, now)
                tx.put_cosignature(sealed.checkpoint.size, key.sign(sealed.checkpoint.text, int(now.timestamp())), by, now)
            sealed = _newest(tx)
        log("audit.cosigned", by=by, size=sealed.checkpoint.size)
        return sealed

    def checkpoint(self, *, by: str) -> Sealed:
        """Return the newest checkpoint with all its signatures, to be kept elsewhere. Raises NotFound, NotAllowed."""
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "audit.verify")
            return _newest(tx)

    def verifiers(self, *, by: str) -> list[Verifier]:
        """Return the public keys that are known here, with who added them. Raises NotAllowed."""
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "audit.verify")
            return tx.verifiers()

    # ---- verify -----------------------------------------------------------------------------------------------------

    def verify(
        self, *, by: str, kept: str | None = None, processes: int = 1, progress: Callable[[int], None] | None = None,
    ) -> VerifyReport:
        """Walk through all chains, rows, clocks, leaves, tiles, checkpoints and signatures, and say where they are not what was written.

        `kept` is the text of a checkpoint kept on paper or elsewhere, with which the log must begin. Where there is much to do,
        it is divided among so many `processes` (Python starts them by "spawn": a script needs its `if __name__ == "__main__"`).
        A case that concerns whoever verifies is not named. `progress` is told the number of cases so far. What came of it is noted
        in the read log. Raises NotAllowed, FileError, StoreError.
        """
        from crisis_engine.store.attest import compare  # noqa: PLC0415

        report = VerifyReport()
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "audit.verify")
            hidden = tx.numbers_concerning(by)
            shares = _shares(tx, _SHARES * processes)
            report.unsealed = tx.unsealed_events()
            ours = list(compare(tx, kept)) if kept is not None else []
            if processes > 1 and tx.last_event_id() > ALONE and self._divides():
                parts = self._apart(shares, processes)
            else:
                parts = ((place, verify_part(tx, share)) for place, share in enumerate(shares))
            with calm_collector():
                found: dict[int, list[Flaw]] = {}
                for place, part in parts:
                    report.cases += part.cases
                    report.events += part.events
                    report.leaves += part.leaves
                    report.checkpoints += part.checkpoints
                    report.signatures += part.signatures
                    report.closed += part.closed
                    report.count += part.count
                    found[place] = part.flaws
                    if progress is not None:
                        progress(report.cases)
            if not report.count:
                report.sealed = tx.sealed()
        report.count += len(ours)
        report.flaws = [
            flaw._replace(number="", seq=None) if flaw.number in hidden else flaw for place in sorted(found) for flaw in found[place]
        ][:MOST_FLAWS] + ours
        self._note(by, report)
        log("audit.verified", by=by, cases=report.cases, events=report.events, flaws=report.count)
        return report

    def _note(self, by: str, report: VerifyReport) -> None:
        """Keep in the read log that somebody proved the database and what came of it; a copy that may only be read keeps nothing."""
        from crisis_engine.store.read_log import ReadEntry  # noqa: PLC0415

        first = next((flaw.number for flaw in report.flaws if flaw.number), None)
        with suppress(StoreError), self.store.writing() as tx:
            tx.log_read(ReadEntry(by, "audit.verify", first, self.now(), 0, "" if report.ok else f"flaws: {report.count}"))

    def _divides(self) -> bool:
        """Whether another process can open the same database with the same keys."""
        return isinstance(self.store, Store) and self.store.shared and self.store.vault.masters.source != "caller"

    def _apart(self, shares: Sequence[tuple[int, int] | None], processes: int) -> Iterator[tuple[int, VerifyReport]]:
        """Yield what processes of their own found in each share, as they come."""
        from concurrent.futures import ProcessPoolExecutor, as_completed  # noqa: PLC0415 - rare
        from multiprocessing import get_context  # noqa: PLC0415

        if not isinstance(self.store, Store):
            return
        keys: list[bytes] | None = None
        with suppress(KeyFault):   # a copy without its key is proven too, but for what its secrets say
            keys = [key.secret for key in self.store.vault.masters.keys()]  # noqa: SIM118 (a method, and no dict)
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            running = [pool.submit(verify_share, self.store.url, keys, place, share) for place, share in enumerate(shares)]
            for done in as_completed(running):
                yield done.result()


def make_key(path: Path, *, name: str) -> Key:
    """Make a cosigner's key in a new file of its owner's alone, and return its public half. No database has a part in it."""
    from crisis_engine.store.signature import SigningKey  # noqa: PLC0415

    key = SigningKey.new(name, COSIGNS)
    key.write(path)
    return key.public


def verify_share(url: str, keys: list[bytes] | None, place: int, share: tuple[int, int] | None) -> tuple[int, VerifyReport]:
    """Verify one share of the database at a URL, in a process of its own."""
    store = Store.open(url, create=False, master_key=keys)
    try:
        with calm_collector(), store.reading() as tx:
            return place, verify_part(tx, share)
    finally:
        store.close()


def verify_part(tx: Tx, share: tuple[int, int] | None) -> VerifyReport:
    """Verify the cases of a share, by their row ids (after, last); None stands for the Merkle log."""
    report = VerifyReport()
    if share is None:
        from crisis_engine.store.attest import attest  # noqa: PLC0415

        found = attest(tx)
        report.leaves, report.checkpoints, report.signatures = found.leaves, found.checkpoints, found.signatures
        report.count, report.flaws = len(found.flaws), found.flaws[:MOST_FLAWS]
        return report
    walk = tx.walk()
    for seen in walk.every(*share):
        report.cases += 1
        report.events += seen.records
        report.count += len(seen.flaws)
        if seen.flaws:
            report.flaws += seen.flaws[:MOST_FLAWS - len(report.flaws)]
    report.closed = walk.closed
    return report


def _shares(tx: Tx, most: int) -> list[tuple[int, int] | None]:
    """Divide the cases by their row ids; the cases come first in a report, the Merkle log is the last share."""
    last = tx.last_case_id()
    step = max(1_000, -(-last // most))
    ends = [*range(step, last, step), _AFTER_ALL]
    return [*zip([-_AFTER_ALL - 1, *ends], ends, strict=False), None]


def _origin(tx: Tx, key: Key) -> str:
    newest = tx.sealed()
    return newest.checkpoint.origin if newest is not None else key.name


def _newest(tx: Tx) -> Sealed:
    sealed = tx.sealed()
    if sealed is None:
        raise NotFound("Nothing is sealed yet.", way_out="Run `crisis audit seal`.")
    return sealed
