"""The dossier of one case: events, proof, keys, a document for people, and the program by which a court checks it all without us."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.resources import files
from typing import Any

from crisis_engine.dossier.document import document_of
from crisis_engine.dossier.verify import CHECKPOINT, EVENTS, FORMAT, KEYS, MANIFEST, PROOF, archive_of, canonical

__all__ = ["Dossier", "Record", "archive"]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as far as it may be shown: a header is None where the exporter may not read it, a secret where it is not there."""

    seq: int
    header: str | None
    secret: bytes | None      # salt and payload, as the commitment covers them
    absent: str               # why a secret that was committed to is not shown: redacted or withheld; else empty
    prev: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that a dossier holds: the records, the leaf with its proof, the checkpoint and keys, and a history for people."""

    number: str
    until: str                                  # the time of the last record, ISO in UTC: the time of all files
    records: Sequence[Record]
    leaf: tuple[int, int, str]                  # place, record, head
    path: Sequence[bytes]
    size: int
    note: str
    keys: Sequence[tuple[str, str]]             # duty and line of each key that signed
    facts: Mapping[str, Mapping[str, Any]]      # what the document says at its head, by language
    history: Mapping[str, Iterable[Mapping[str, Any]]]   # its lines by language
    attachments: Mapping[str, bytes] = field(default_factory=dict)   # what the records shown describe, by file name


_SALT = 16


def archive(dossier: Dossier) -> bytes:
    """Return the zip: the same bytes for the same database, reader and checkpoint."""
    place, seq, head = dossier.leaf
    own = files(__package__ or "crisis_engine.dossier")
    content = {
        EVENTS: "".join(f"{_line(record)}\n" for record in dossier.records),
        PROOF: canonical({"leaf": {"case": dossier.number, "head": head, "seq": seq}, "path": [step.hex() for step in dossier.path],
                          "place": place, "size": dossier.size}),
        CHECKPOINT: dossier.note,
        KEYS: "".join(f"{duty} {key}\n" for duty, key in dossier.keys),
        "document.html": document_of(dossier.number, dossier.facts, dossier.history, dossier.note),
        "VERIFY.md": own.joinpath("VERIFY.md").read_text(encoding="utf-8"),
        "verify.py": own.joinpath("verify.py").read_text(encoding="utf-8"),
    }
    written = {**{name: text.encode() for name, text in content.items()}, **dossier.attachments}
    hashes = {name: sha256(data).hexdigest() for name, data in written.items()}
    manifest = canonical({
        "case": dossier.number, "events": len(dossier.records), "files": hashes, "format": FORMAT, "until": dossier.until,
    })
    return archive_of({**written, MANIFEST: manifest.encode()}, dossier.until)


def _line(record: Record) -> str:
    if record.header is None:
        return canonical({"absent": "withheld", "hash": record.hash.hex(), "prev": record.prev.hex(), "seq": record.seq})
    line: dict[str, str] = {"hash": record.hash.hex(), "header": record.header}
    if record.secret is not None:
        line |= {"payload": record.secret[_SALT:].decode(), "salt": record.secret[:_SALT].hex()}
    elif record.absent:
        line["absent"] = record.absent
    return json.dumps(line, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
