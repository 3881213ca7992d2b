"""Idempotency keys: the same command under the same key is answered once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from crisis_engine.core.attachment import Attachment
from crisis_engine.core.errors import CommandRejected, said
from crisis_engine.store import Tx


def _plain(value: object) -> object:
    """Return what a command is known again by: of an attachment name and hash, for it shows nothing of itself."""
    if not isinstance(value, Attachment) or not isinstance(value.content, bytes):
        return str(value)
    return ["attachment", value.name, value.sha256]


class Once:
    """An idempotency key: the same command under the same key is answered once; another command under it is refused."""

    def __init__(self, tx: Tx, by: str, key: str | None, content: Sequence[Any]) -> None:
        self._tx = tx
        self._key: str | None = None
        self.answer: dict[str, Any] | None = None
        if key is not None:
            # Blind, for who reported is a secret of its own, and what can be guessed must not be found by its hash; with the actor,
            # for one person's key must not answer another.
            self._key = tx.blind("command", f"{by}\0{key}")
            self._digest = tx.blind("command", json.dumps(content, sort_keys=True, default=_plain))
            tx.hold_name("command", self._key)   # the same command twice at once: the second waits for the first one's answer
            known = tx.command(self._key)
            if known is not None:
                if known[0] != self._digest:
                    raise CommandRejected(f"The key {said(key)!r} was used for another command before.",
                                          way_out="Use a new key for a new command.")
                self.answer = json.loads(known[1])

    def keep(self, answer: Mapping[str, Any], now: datetime) -> None:
        """Remember the answer under the key."""
        if self._key is not None:
            self._tx.put_command(self._key, self._digest, json.dumps(answer), now)
