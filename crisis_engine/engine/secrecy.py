"""Secrecy at rest, as people handle it: how the keys stand, a new master key while others work, sealing what is still plain."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

from crisis_engine.core.errors import KeyFault
from crisis_engine.store import Tx
from crisis_engine.store.master import MasterKey, Masters, read_keys, write_keys

from .host import refuse_host
from .log import log
from .look import local
from .worlds import Worlds

BATCH = 2_000
"""Keys or rows in one transaction: a person's command waits for it some tenths of a second at most."""


class Secrecy(Worlds):
    """The keys' part of the face."""

    @property
    def key_source(self) -> str:
        """Return where the master key comes from: caller, environment, file, command, beside or memory."""
        with self.store.reading() as tx:
            return tx.vault.masters.source

    @property
    def plain_rows(self) -> int:
        """Return how many rows of an older version are not sealed yet."""
        with self.store.reading() as tx:
            return sum(tx.unsealed().values())

    def key_status(self, *, by: str) -> dict[str, Any]:
        """Return how the keys stand, without any of them: source, ids, how many data keys, what is not sealed yet, what was done."""
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "key.status")
            master = tx.master()
            return {
                "master": master.id, "source": tx.vault.masters.source, "by_master": tx.keys_by_master(), "by_kind": tx.keys_by_kind(),
                "rotating": len(tx.keys_by_master()) > 1, "unsealed": tx.unsealed(),
                "log": [{"at": local(at), "by": who, "what": what, "master": key} for at, who, what, key in tx.key_log()],
            }

    def rotate_key(self, *, by: str, batch: int = BATCH) -> dict[str, Any]:
        """Wrap every data key under a new master key; one that was broken off is finished. Return ids and counts.

        The new key is the one among those given that was never in use; where the keys lie in a file, it is made there. Both keys are
        valid until the last data key is done; the file's old ones are then put aside, for the backups that need them. Raises
        NotAllowed, KeyFault.
        """
        refuse_host(self.store)
        with self.store.writing(alone=True) as tx:
            now = self.now()
            self._allow(tx, now, by, "key.rotate")
            current = tx.master()
            if set(tx.keys_by_master()) == {current.id}:
                current = _next_key(tx, current)
                tx.begin_rotation(current, by, now)
                log("key.rotation_begun", by=by, master=current.id)

        after, done, broken, step = ("", ""), 0, 0, batch
        while step == batch:
            with self.store.writing(wipe=True, alone=True) as tx:
                after, step, failed = tx.rewrap(after, batch)
            done, broken = done + step - failed, broken + failed

        with self.store.writing(alone=True) as tx:
            masters, left = tx.vault.masters, tx.keys_by_master().keys() - {current.id}
            tx.log_key(by, "unfinished" if left else "finished", current.id, self.now())
        self.store.scrub()
        retired = [] if left else _retire(masters, current)
        log("key.rotation_finished", by=by, master=current.id, keys=done, broken=broken)
        return {"master": current.id, "keys": done, "broken": broken, "retired": retired}

    def seal_plain(self, *, by: str, batch: int = BATCH) -> dict[str, int]:
        """Seal what an older version wrote in plain, step by step, and wipe where it stood. Return how many rows were sealed."""
        with self.store.reading() as tx:
            self._allow(tx, self.now(), by, "key.rotate")
        roster = receipts = events = after = 0
        step = 1
        while step:
            with self.store.writing(wipe=True, alone=True) as tx:
                step = tx.seal_roster(batch)
            roster += step
        step = batch
        while step == batch:
            with self.store.writing(wipe=True, alone=True) as tx:
                step = tx.seal_receipts(batch)
            receipts += step
        step = batch
        while step == batch:
            with self.store.writing(wipe=True, alone=True) as tx:
                after, step = tx.seal_events(after, batch)
            events += step
        self.store.scrub(whole=True)
        log("key.sealed", by=by, roster=roster, receipts=receipts, events=events)
        return {"roster": roster, "receipts": receipts, "events": events}


def new_key_file(path: Path) -> str:
    """Make a file with a fresh master key that its owner alone reads, and return the key's id; KeyFault when the file exists."""
    if path.exists():
        raise KeyFault("There is a file of that name already.", way_out="Choose another name; no key is overwritten.")
    key = MasterKey.of(secrets.token_bytes(32))
    write_keys(path, [key.secret], new=True)
    return key.id


def _next_key(tx: Tx, current: MasterKey) -> MasterKey:
    masters = tx.vault.masters
    used = {current.id, *(entry.master for entry in tx.key_log())}
    fresh = next((key for key in masters.keys(anew=True) if key.id not in used), None)
    if fresh is None:
        if masters.file is None:
            raise KeyFault("No new master key was given.", way_out="Give the new key and the present one together, the new one first.")
        fresh = MasterKey.of(secrets.token_bytes(32))
        present = masters.keys()
        write_keys(masters.file, [fresh.secret, *(key.secret for key in present)])
        masters.keys(anew=True)
    return fresh


def _retire(masters: Masters, current: MasterKey) -> list[str]:
    """Put the old keys of the key file aside, into a file that ends in `.retired`; return their ids."""
    file = masters.file
    old = [key for key in masters.keys(anew=True) if key.id != current.id]
    if file is None or not old:
        return []
    aside = file.with_name(f"{file.name}.retired")
    write_keys(aside, [*(key.secret for key in old), *(read_keys(aside) if aside.exists() else ())])
    write_keys(file, [current.secret])
    masters.keys(anew=True)
    return [key.id for key in old]
