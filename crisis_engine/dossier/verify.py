"""Checks a dossier of one case without crisis_engine: nothing but Python's standard library (3.9 or newer) is needed.

    python3 verify.py dossier.zip [--key KEY] [--lang zh|en] [--print]

It checks that the archive is as it was written, that every record follows the one before it, that shown contents are those which were
committed to, that the case stands in the Merkle tree of a checkpoint, and that the checkpoint was signed. Exit code 0 when all of this
holds, 6 when not; then each bad record or file is named. KEY is a public key that you have from elsewhere: its signature is then required.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import struct
import sys
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

FORMAT = 1
EVENTS, PROOF, CHECKPOINT, KEYS, MANIFEST = "events.jsonl", "proof.json", "checkpoint.txt", "keys.txt", "manifest.json"
ATTACHMENTS = "attachments/"
DESCRIBED = {"n", "name", "seq", "sha256", "size", "sort"}
ABSENT = ("redacted", "withheld")
SEALER, COSIGNER = "sealer", "cosigner"
SIGNS, COSIGNS = 1, 4
GENESIS = bytes(32)
SALT_BYTES = 16

SAID = {
    "archive": ("压缩包不是当初写下的样子", "the archive is not as it was written"),
    "no_archive": ("这不是完整的卷宗压缩包", "this is no whole dossier"),
    "manifest": ("清单不是当初写下的样子", "the manifest is not as it was written"),
    "missing": ("清单与压缩包里的文件不一致", "the archive does not hold the files of the manifest"),
    "file": ("文件与清单中的哈希不符", "the file does not fit its hash in the manifest"),
    "line": ("记录不是当初写下的样子", "the record is not as it was written"),
    "place": ("记录的序号不对", "the record is not at its place"),
    "case": ("记录属于另一个个案", "the record is of another case"),
    "chain": ("与前一条记录接不上", "the record does not follow the one before it"),
    "hash": ("记录内容与它的哈希不符", "the record does not fit its hash"),
    "commit": ("所示内容不是当时承诺的内容", "the content shown is not what was committed to"),
    "attached": ("附件缺失，或不是当时所附的内容", "an attachment is missing, or is not what was attached"),
    "stray": ("没有记录写到这个附件", "no record that is shown names this attachment"),
    "count": ("记录条数与清单不符", "there are not as many records as the manifest says"),
    "proof": ("存在证明不是当初写下的样子", "the proof is not as it was written"),
    "head": ("封存项与记录不符", "what was sealed is not this record"),
    "included": ("个案不在校验点所签的树中", "the case does not stand in the tree of the checkpoint"),
    "note": ("校验点不是当初写下的样子", "the checkpoint is not as it was written"),
    "keys": ("公钥不是当初写下的样子", "the public keys are not as they were written"),
    "signature": ("签名不是所列公钥所签", "the signature was not made by a key that is listed"),
    "unsigned": ("没有封存人的签名", "there is no signature of the sealer"),
    "wanted": ("您指定的公钥没有签过这张校验点", "the key that you gave did not sign this checkpoint"),
    "record": ("第 {0} 条记录", "record {0}"),
    "bad": ("[不符] {0}：{1}", "[bad] {0}: {1}"),
    "whole": ("个案 {0}：{1} 条记录，首尾相接，一条不少。", "Case {0}: {1} records, each follows the one before it, none is missing."),
    "shown": ("其中 {0} 条的内容可核对并已核对；{1} 条的内容已删去，{2} 条未向导出者出示。",
              "The contents of {0} are shown and are what was committed to; of {1} they were erased, of {2} withheld from the exporter."),
    "files": ("其中附件 {0} 个，均为当时所附的内容。", "{0} attachments, each is what was attached."),
    "sealed": ("封存至第 {0} 条：校验点 {1}，总账 {2}。", "Sealed up to record {0}: checkpoint {1} of the log {2}."),
    "later": ("之后的 {0} 条尚未封存。", "The {0} records after it are chained, but not sealed yet."),
    "signed": ("签名：{0}（{1}）{2}", "Signed by {0} ({1}) {2}"),
    "good": ("全部相符。请将上面的公钥与另处保存的公钥核对。",
             "All of it holds. Compare the keys above with those that you have from elsewhere."),
    "not_good": ("有不符之处：本卷宗不可采信。", "It does not hold: do not rely on this dossier."),
    "unreadable": ("读不了文件 {0}", "The file {0} cannot be read"),
}
"""What is said, in Chinese and in English."""


Key = tuple[str, bytes, int, bytes]
"""A public key: its name, its id, its algorithm, its 32 bytes."""

Note = tuple[str, int, bytes]
"""A checkpoint: the log's origin, its size, its root."""


class Found:
    """What a check found: problems, and what can be said of a whole dossier."""

    def __init__(self) -> None:
        self.problems: list[tuple[str | int, str]] = []   # where (a file, or the number of a record) and what
        self.case = ""
        self.count = 0
        self.records: list[tuple[int, dict[str, Any], str | None]] = []
        self.shown, self.absent = 0, dict.fromkeys(ABSENT, 0)
        self.attached: dict[str, tuple[int, str, int]] = {}   # by file: the record that names it, hash and size
        self.sealed, self.origin, self.size, self.root = 0, "", 0, b""
        self.signers: list[tuple[str, str, int | None]] = []

    def bad(self, where: str | int, what: str) -> None:
        """Note a problem."""
        self.problems.append((where, what))


class Wrong(Exception):
    """A part is not as it would have been written."""


def check(data: bytes, wanted: Sequence[str] = ()) -> Found:
    """Check the bytes of a dossier; `wanted` are public keys (lines) that must have signed."""
    found = Found()
    try:
        entries = files_of(data)
    except Wrong:
        found.bad(MANIFEST, "no_archive")
        return found
    manifest = _manifest(found, entries, data)
    if all(name in entries for name in (EVENTS, PROOF, CHECKPOINT, KEYS)):
        hashes = _records(found, entries[EVENTS], manifest)
        _attachments(found, entries)
        note = _note(found, entries[CHECKPOINT], _keys(found, entries[KEYS]), wanted)
        _proof(found, entries[PROOF], hashes, note)
    return found


# ---- the archive ------------------------------------------------------------------------------------------------------------

_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3L2H"), struct.Struct("<4s6H3L5H2L"), struct.Struct("<4s4H2LH")
_UTF8 = 0x800


def archive_of(files: dict[str, bytes], at: str) -> bytes:
    """Return a zip of these files (name -> bytes), stored and sorted by name, all of one time (ISO, UTC): the same bytes each time."""
    when = datetime.fromisoformat(at).astimezone(timezone.utc)
    day = (max(when.year, 1980) - 1980) << 9 | when.month << 5 | when.day
    clock = when.hour << 11 | when.minute << 5 | when.second // 2
    body: list[bytes] = []
    index: list[bytes] = []
    place = 0
    for name, content in sorted(files.items()):
        known = (20, _UTF8, 0, clock, day, zlib.crc32(content), len(content), len(content), len(name.encode()))
        local = _LOCAL.pack(b"PK\3\4", *known, 0) + name.encode()
        index.append(_CENTRAL.pack(b"PK\1\2", 0x314, *known, 0, 0, 0, 0, 0o100644 << 16, place) + name.encode())
        body += [local, content]
        place += len(local) + len(content)
    central = b"".join(index)
    return b"".join(body) + central + _END.pack(b"PK\5\6", 0, 0, len(files), len(files), len(central), place, 0)


def files_of(data: bytes) -> dict[str, bytes]:
    """Return the files of such a zip; Wrong where it is none. Whether each byte is the one written is for `archive_of` to say."""
    files: dict[str, bytes] = {}
    place = 0
    try:
        while data[place:place + 4] not in {b"PK\1\2", b"PK\5\6"}:
            head = _LOCAL.unpack_from(data, place)
            size, length = head[8], head[9]
            start = place + _LOCAL.size + length
            name = data[place + _LOCAL.size:start].decode()
            if head[0] != b"PK\3\4" or start + size > len(data):
                raise Wrong
            files[name] = data[start:start + size]
            place = start + size
    except (struct.error, UnicodeDecodeError):
        raise Wrong from None
    return files


def canonical(value: object) -> str:
    """Return the one text of a JSON value (RFC 8785 where there are no floats)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def parsed(text: str, *keys: str) -> dict[str, Any]:
    """Return the object of a canonical text with exactly these keys (any, if none are given); Wrong for everything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Wrong from None
    if not isinstance(value, dict) or canonical(value) != text or (keys and set(value) != set(keys)):
        raise Wrong
    return value


def _manifest(found: Found, entries: dict[str, bytes], data: bytes) -> dict[str, Any]:
    try:
        manifest = parsed(_text(entries[MANIFEST]), "case", "events", "files", "format", "until")
        rebuilt = archive_of(entries, manifest["until"])
        if manifest["format"] != FORMAT or not isinstance(manifest["files"], dict):
            raise Wrong
    except (Wrong, KeyError, ValueError, TypeError):
        found.bad(MANIFEST, "manifest")
        return {}
    found.case = manifest["case"]
    if set(manifest["files"]) != set(entries) - {MANIFEST}:
        found.bad(MANIFEST, "missing")
    for name, content in sorted(entries.items()):
        if name != MANIFEST and manifest["files"].get(name) != hashlib.sha256(content).hexdigest():
            found.bad(name, "file")
    if rebuilt != data:
        found.bad("zip", "archive")
    return manifest


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise Wrong from None


# ---- the records ------------------------------------------------------------------------------------------------------------


def _records(found: Found, content: bytes, manifest: dict[str, Any]) -> dict[int, bytes]:
    """Check each record and return the hashes by number."""
    hashes = {0: GENESIS}
    lines = content.split(b"\n")
    last, found.count = "", len(lines) - 1
    if lines.pop() != b"" or len(lines) != manifest.get("events"):
        found.bad(EVENTS, "count")
    for number, line in enumerate(lines, 1):
        try:
            record = parsed(_text(line))
            digest, header = bytes.fromhex(record["hash"]), record.get("header")
            if len(digest) != len(GENESIS) or digest.hex() != record["hash"] or record.get("absent", ABSENT[0]) not in ABSENT:
                raise Wrong
            if header is None:   # withheld from whoever exported: the chain still runs through its hash
                _withheld(found, record, number, hashes[number - 1])
            else:
                last = _one(found, record, header, number, hashes[number - 1], digest)
        except (Wrong, KeyError, ValueError, TypeError, AttributeError):
            found.bad(number, "line")
            digest = hashlib.sha256(line).digest()
        hashes[number] = digest
    if last and last != manifest.get("until"):
        found.bad(MANIFEST, "manifest")
    return hashes


def _withheld(found: Found, record: dict[str, Any], number: int, prev: bytes) -> None:
    if set(record) != {"absent", "hash", "prev", "seq"} or record["absent"] != "withheld":
        raise Wrong
    found.absent["withheld"] += 1
    if record["seq"] != number:
        found.bad(number, "place")
    if record["prev"] != prev.hex():
        found.bad(number, "chain")


def _one(found: Found, record: dict[str, Any], header: str, number: int, prev: bytes, digest: bytes) -> str:
    """Check one record whose header is shown, and return its time."""
    values = parsed(header)
    shown = {"hash", "header"} | ({"absent"} if "absent" in record else {"payload", "salt"} if "payload" in record else set())
    if set(record) != shown:
        raise Wrong
    if values["seq"] != number:
        found.bad(number, "place")
    if values["case"] != found.case:
        found.bad(number, "case")
    if values["prev"] != prev.hex():
        found.bad(number, "chain")
    if hashlib.sha256(prev + header.encode()).digest() != digest:
        found.bad(number, "hash")
    commit = values.get("commit")
    if "payload" in record:
        _content(found, record, number, commit)
    elif (commit is None) == ("absent" in record):   # a content is shown, or it is said why not
        raise Wrong
    if "absent" in record:
        found.absent[record["absent"]] += 1
    found.records.append((number, values, record.get("payload")))
    return str(values["at"])


def _content(found: Found, record: dict[str, Any], number: int, commit: str | None) -> None:
    """Check that what is shown of a record is what was committed to, and note the attachments that it names."""
    salt, payload = bytes.fromhex(record["salt"]), parsed(record["payload"])
    whole = len(salt) == SALT_BYTES and salt.hex() == record["salt"]
    if not whole or hashlib.sha256(salt + record["payload"].encode()).hexdigest() != commit:
        found.bad(number, "commit")
    found.shown += 1
    for value in payload.values():
        if isinstance(value, dict) and set(value) == DESCRIBED:
            found.attached[attachment_file(value)] = number, str(value["sha256"]), int(value["size"])


def attachment_file(description: Mapping[str, Any]) -> str:
    """Return where an attachment lies in the archive: under the record that it came with, and never under its own name."""
    return f"{ATTACHMENTS}{int(description['seq'])}-{int(description['n'])}.{description['sort']}"


def _attachments(found: Found, entries: dict[str, bytes]) -> None:
    """Check that each attachment is what the record that names it says, and that there is no other."""
    for name, (number, digest, size) in sorted(found.attached.items()):
        content = entries.get(name)
        if content is None or len(content) != size or hashlib.sha256(content).hexdigest() != digest:
            found.bad(number, "attached")
    for name in sorted(entries):
        if name.startswith(ATTACHMENTS) and name not in found.attached:
            found.bad(name, "stray")


# ---- the Merkle tree (RFC 6962, RFC 9162 section 2.1.3.2) ---------------------------------------------------------------------


def _proof(found: Found, content: bytes, hashes: dict[int, bytes], note: Note | None) -> None:
    try:
        proof = parsed(_text(content), "leaf", "path", "place", "size")
        leaf = parsed(canonical(proof["leaf"]), "case", "head", "seq")
        path = [bytes.fromhex(step) for step in proof["path"]]
        place, size = proof["place"], proof["size"]
        if any(not isinstance(one, int) for one in (place, size, leaf["seq"])) or any(len(step) != len(GENESIS) for step in path):
            raise Wrong
    except (Wrong, ValueError, TypeError, KeyError):
        found.bad(PROOF, "proof")
        return
    found.sealed = leaf["seq"]
    if leaf["case"] != found.case or hashes.get(leaf["seq"], b"").hex() != leaf["head"] or leaf["seq"] < 1:
        found.bad(PROOF, "head")
    own = hashlib.sha256(b"\0" + canonical(leaf).encode()).digest()
    if note is None or size != note[1] or not is_included(own, place, size, path, note[2]):
        found.bad(PROOF, "included")


def is_included(leaf: bytes, place: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether an audit path leads from a leaf's hash to the root."""
    if not 0 <= place < size:
        return False
    last = size - 1
    for step in path:
        if last == 0:
            return False
        if place & 1 or place == last:
            leaf = hashlib.sha256(b"\1" + step + leaf).digest()
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            leaf = hashlib.sha256(b"\1" + leaf + step).digest()
        place, last = place >> 1, last >> 1
    return last == 0 and leaf == root


# ---- the checkpoint and its signatures (C2SP tlog-checkpoint, signed-note, tlog-cosignature) ----------------------------------


def _b64(text: str) -> bytes:
    try:
        value = b64decode(text, validate=True)
    except ValueError:
        raise Wrong from None
    if b64encode(value).decode() != text:
        raise Wrong
    return value


def key_of(line: str) -> Key:
    """Return (name, id, algorithm, public key) of a public key's line; Wrong where it is none."""
    name, _, rest = line.partition("+")
    key_id, _, body = rest.partition("+")
    value = _b64(body)
    if not name or len(value) != 33 or value[0] not in (SIGNS, COSIGNS):
        raise Wrong
    own = hashlib.sha256(name.encode() + b"\n" + value).digest()[:4]
    if own.hex() != key_id:
        raise Wrong
    return name, own, value[0], value[1:]


def _keys(found: Found, content: bytes) -> dict[Key, str]:
    keys: dict[Key, str] = {}
    try:
        lines = _text(content).split("\n")
        if lines.pop() != "":
            raise Wrong
        for line in lines:
            duty, _, key = line.partition(" ")
            if duty not in (SEALER, COSIGNER):
                raise Wrong
            keys[key_of(key)] = duty
    except Wrong:
        found.bad(KEYS, "keys")
    return keys


def _note(found: Found, content: bytes, keys: dict[Key, str], wanted: Sequence[str]) -> Note | None:
    """Check the checkpoint and return (origin, size, root); None where it cannot be read."""
    try:
        text, blank, below = _text(content).rpartition("\n\n")
        lines = text.split("\n")
        origin, size, root = lines[0], int(lines[1]), _b64(lines[2])
        signatures = [_line(line) for line in below.split("\n")[:-1]]
        if not blank or not below.endswith("\n") or str(size) != lines[1] or len(root) != len(GENESIS) or not origin:
            raise Wrong
    except (Wrong, ValueError, IndexError):
        found.bad(CHECKPOINT, "note")
        return None
    sealed, used = False, set()
    for name, key_id, body in signatures:
        key = next((key for key in keys if key[:2] == (name, key_id) and signed(key, text + "\n", body)), None)
        if key is None:
            found.bad(CHECKPOINT, "signature")
            continue
        sealed = sealed or keys[key] == SEALER
        used.add(key)
        at = int.from_bytes(body[:8], "big") if key[2] == COSIGNS else None
        found.signers.append((name, key_id.hex(), at))
    if not sealed:
        found.bad(CHECKPOINT, "unsigned")
    if set(keys) - used:
        found.bad(KEYS, "keys")
    if any(key not in used for key in map(key_of, wanted)):
        found.bad(CHECKPOINT, "wanted")
    found.origin, found.size, found.root = origin, size, root
    return origin, size, root


def _line(line: str) -> tuple[str, bytes, bytes]:
    dash, _, rest = line.partition(" ")
    name, _, body = rest.partition(" ")
    value = _b64(body)
    if dash != "\u2014" or not name or len(value) <= 4:
        raise Wrong
    return name, value[:4], value[4:]


def signed(key: Key, text: str, body: bytes) -> bool:
    """Whether a key made the signature in a line under this text."""
    if key[2] == SIGNS:
        return len(body) == 64 and ed25519(key[3], text.encode(), body)
    if len(body) != 72:
        return False
    at = int.from_bytes(body[:8], "big")
    return ed25519(key[3], f"cosignature/v1\ntime {at}\n{text}".encode(), body[8:])


# ---- Ed25519 (RFC 8032 section 5.1) -------------------------------------------------------------------------------------------

Point = tuple[int, int, int, int]

_P = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_HALF_TURN = pow(2, (_P - 1) // 4, _P)   # a square root of -1


def _add(one: Point, other: Point) -> Point:
    """Return the sum of two points in extended coordinates (X, Y, Z, T), x = X/Z, y = Y/Z, xy = T/Z."""
    a, b = (one[1] - one[0]) * (other[1] - other[0]) % _P, (one[1] + one[0]) * (other[1] + other[0]) % _P
    c, d = 2 * one[3] * other[3] * _D % _P, 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _times(count: int, point: Point) -> Point:
    total: Point = (0, 1, 1, 0)
    while count:
        if count & 1:
            total = _add(total, point)
        point = _add(point, point)
        count >>= 1
    return total


def _point(text: bytes) -> Point | None:
    """Return the point of 32 bytes; None where there is none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, _P - 2, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _HALF_TURN % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    x = _P - x if x & 1 != sign else x
    return x, y, 1, x * y % _P


_BASE: Any = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little"))


def ed25519(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether an Ed25519 signature of 64 bytes over a message was made by the key of this public half."""
    point = _point(public)
    scalar = int.from_bytes(signature[32:], "little")
    if point is None or len(signature) != 64 or scalar >= _ORDER:
        return False
    turn = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % _ORDER
    x, y, z, t = _times(turn, point)
    x, y, z, _ = _add(_times(scalar, _BASE), (_P - x, y, z, _P - t))
    inverse = pow(z, _P - 2, _P)
    x, y = x * inverse % _P, y * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little") == signature[:32]


# ---- what is said -------------------------------------------------------------------------------------------------------------


def report(found: Found, lang: str) -> list[str]:
    """Return the lines that tell a person what was found."""

    def say(key: str, *values: object) -> str:
        return SAID[key][0 if lang == "zh" else 1].format(*values)

    lines: list[str] = []
    for where, what in found.problems:
        lines.append(say("bad", say("record", where) if isinstance(where, int) else where, say(what)))
    if found.problems:
        return [*lines, say("not_good")]
    lines.append(say("whole", found.case, found.count))
    lines.append(say("shown", found.shown, found.absent["redacted"], found.absent["withheld"]))
    if found.attached:
        lines.append(say("files", len(found.attached)))
    lines.append(say("sealed", found.sealed, f"{found.size}:{found.root.hex()[:16]}", found.origin))
    if found.count > found.sealed:
        lines.append(say("later", found.count - found.sealed))
    for name, key_id, at in found.signers:
        lines.append(say("signed", name, key_id, "" if at is None else datetime.fromtimestamp(at, timezone.utc).isoformat()))
    return [*lines, say("good")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Check a dossier and say what was found."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("dossier")
    asked.add_argument("--key", action="append", default=[], help="a public key that must have signed")
    asked.add_argument("--lang", choices=["zh", "en"], default="zh" if os.environ.get("LANG", "").startswith("zh") else "en")
    asked.add_argument("--print", action="store_true", dest="show", help="print the records that were checked")
    given = asked.parse_args(arguments)
    try:
        for key in given.key:
            key_of(key)
        with open(given.dossier, "rb") as file:
            data = file.read()
    except Wrong:
        asked.error("--key: this is no public key")
    except OSError:
        print(SAID["unreadable"][0 if given.lang == "zh" else 1].format(given.dossier), file=sys.stderr)
        return 2
    found = check(data, given.key)
    if given.show:
        for number, values, payload in found.records:
            print(number, canonical(values), payload or "")
    print("\n".join(report(found, given.lang)))
    return 6 if found.problems else 0


if __name__ == "__main__":
    sys.exit(main())
