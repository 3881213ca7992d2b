"""Changing the master key: data keys are wrapped anew in bounded steps, while both keys are valid and others work."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from crisis_engine.core.errors import KeyFault, StoreError
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.key import KeyRows
from crisis_engine.store.master import MasterKey


class KeyEntry(NamedTuple):
    """What somebody did with a master key."""

    at: datetime
    by: str
    what: str     # retiring, begun, finished or unfinished
    master: str


class RotationRows(KeyRows):
    """Everything that a rotation reads and writes."""

    def keys_by_master(self) -> dict[str, int]:
        """Return how many data keys are wrapped under each master key, by its id."""
        return dict(self._rows("SELECT master, count(*) FROM crisis_data_key GROUP BY master ORDER BY master"))

    def keys_by_kind(self) -> dict[str, int]:
        """Return how many data keys there are of each kind."""
        return dict(self._rows("SELECT kind, count(*) FROM crisis_data_key GROUP BY kind ORDER BY kind"))

    def key_log(self) -> list[KeyEntry]:
        """Return who did what with the master key, the oldest first."""
        rows = self._rows('SELECT at, "by", what, master FROM crisis_key_log ORDER BY id')
        return [KeyEntry(instant(at), by, what, master) for at, by, what, master in rows]

    def log_key(self, by: str, what: str, master: str, at: datetime) -> None:
        """Keep that somebody did something with a master key."""
        self._run('INSERT INTO crisis_key_log (at, "by", what, master) VALUES (:at, :by, :what, :master)',
                  at=micros(at), by=by, what=what, master=master)

    def begin_rotation(self, new: MasterKey, by: str, at: datetime) -> None:
        """Afterwards new data keys are wrapped under the new master key; those there are still open under the old one."""
        self.log_key(by, "retiring", self.master().id, at)
        self.name_master(new)
        self.log_key(by, "begun", new.id, at)

    def rewrap(self, after: tuple[str, str], limit: int) -> tuple[tuple[str, str], int, int]:
        """Wrap at most so many data keys behind (kind, ref) under the present master key; return the last one, how many, how many not.

        A data key that does not open any more is left as it is: one broken row must not keep the others under an old key.
        """
        master = self.master()
        rows = self._rows("SELECT kind, ref, wrapped, master FROM crisis_data_key WHERE (kind, ref) > (:kind, :ref) AND master <> :master"
                          " ORDER BY kind, ref LIMIT :limit", kind=after[0], ref=after[1], master=master.id, limit=limit)
        wrapped_anew = []
        for kind, ref, wrapped, old in rows:
            try:
                wrapped_anew.append((self.vault.wrap(self.vault.unwrap(wrapped, old), master), master.id, kind, ref))
            except KeyFault:
                raise
            except StoreError:
                continue
        self._bulk("UPDATE crisis_data_key SET wrapped = ?, master = ? WHERE kind = ? AND ref = ?", wrapped_anew)
        return ((rows[-1][0], rows[-1][1]) if rows else after), len(rows), len(rows) - len(wrapped_anew)
