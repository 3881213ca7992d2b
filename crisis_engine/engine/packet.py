"""A child leaves the city (离开本市): the case's dossier and those of its tracks in one packet that only the receiving authority opens."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from crisis_engine.core.errors import CommandRejected, NotAllowed, NotFound
from crisis_engine.core.workflow import MoveDef, Workflow

from .export import Export
from .worlds import stored_case

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Packet", "Packets", "make_recipient_key", "open_packet"]


@dataclass(frozen=True, slots=True)
class Packet:
    """A sealed dossier: the bytes of its file, their SHA-256, and which cases are in it."""

    data: bytes
    sha256: str
    fingerprint: str
    cases: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain data, without the bytes."""
        return {"sha256": self.sha256, "fingerprint": self.fingerprint, "cases": list(self.cases), "size": len(self.data)}


class Packets(Export):
    """What leaves the city."""

    def _packet(self, number: str, key: str, *, by: str, because: str) -> tuple[Packet, str, str]:
        """Return the packet of a hand-over's case, and the move and the field by which its hash is written down there."""
        from crisis_engine.dossier.verify import archive_of  # noqa: PLC0415 - rare
        from crisis_engine.store.packet import Recipient  # noqa: PLC0415 - who never seals does not load `cryptography`

        recipient = Recipient.parse(key)
        with self.store.reading() as tx:
            now = self.now()
            stored = stored_case(tx, number)
            self._allow(tx, now, by, "case.act", stored=stored)
            move = _sealing(self._sources.pinned(tx, stored.case.procedure).workflow, stored.case.stage)
            confirmed, parent = stored.case.facts.get("recipient"), stored.case.parent
            if move is None or parent is None:
                raise CommandRejected("This case seals nothing.",
                                      way_out="Give the number of the hand-over (transfer_v1), not of the case.")
            if confirmed != recipient.fingerprint:
                raise CommandRejected("This is not the key that two persons confirmed.",
                                      way_out="Compare the fingerprint with the receiver, and confirm that key first (confirm_key).")
            held = [parent]
            for other in tx.tracks_of(parent):
                with suppress(NotAllowed, NotFound):   # what whoever seals may not export stays here
                    self._allow(tx, now, by, "audit.export", stored=other, because=because)
                    held += [other.case.number] if other.case.number != stored.case.number else []

        dossiers = {f"{one}.zip": self.export(one, by=by, because=because) for one in held}
        data = recipient.seal(archive_of(dossiers, now.isoformat()))
        return Packet(data, sha256(data).hexdigest(), recipient.fingerprint, tuple(held)), move.name, str(move.sets["sealed"])


def _sealing(workflow: Workflow, stage: str) -> MoveDef | None:
    """Return the move that writes down what was sealed: the one from this stage, or one that will be refused with the reason."""
    moves = [move for move in workflow.moves.values() if "sealed" in move.sets]
    return next((move for move in moves if stage in move.from_stages), moves[0] if moves else None)


def make_recipient_key(path: Path) -> tuple[str, str]:
    """Write a new private key into a file of its owner's and return the public line and its fingerprint."""
    from crisis_engine.store.packet import RecipientKey  # noqa: PLC0415

    key = RecipientKey.new()
    key.write(path)
    return key.public.text, key.public.fingerprint


def open_packet(path: Path, key_file: Path) -> tuple[bytes, str]:
    """Return the content of a packet, a zip of dossiers, and the packet's SHA-256 for the receipt (回执). Raises FileError."""
    from crisis_engine.store.packet import RecipientKey, read_packet  # noqa: PLC0415

    key, packet = RecipientKey.read(key_file), read_packet(path)
    return key.open(packet), sha256(packet).hexdigest()


def fingerprint_of(line: str) -> str:
    """Return the fingerprint of a public key's line; BadInput when it is none."""
    from crisis_engine.store.packet import Recipient  # noqa: PLC0415

    return Recipient.parse(line).fingerprint
