"""The evidence for the yearly audit of minors' data: rights, readings, erasures, incidents, keys and checkpoints, in counts and ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import BadInput
from crisis_engine.core.model import Duty
from crisis_engine.core.policy import Access

from .log import log
from .worlds import Worlds

if TYPE_CHECKING:
    from crisis_engine.dossier.pack import Table
    from crisis_engine.store import Tx

_FIRST_YEAR, _LAST_YEAR = 2020, 2119
_NOBODY = "(no duty)"


class Compliance(Worlds):
    """The yearly audit's part of the face."""

    def compliance_pack(self, year: int, *, by: str) -> bytes:
        """Return the pack of a year (China's time) as a zip of tables and a cover page. It is noted in the read log.

        Persons stand there by their ids, cases by their numbers; nothing else of a person or a case does, and no case that concerns
        whoever asks. Raises BadInput, NotAllowed.
        """
        from crisis_engine.dossier.pack import pack_of  # noqa: PLC0415 - once a year
        from crisis_engine.store.read_log import ReadEntry  # noqa: PLC0415

        if not _FIRST_YEAR <= year <= _LAST_YEAR:
            raise BadInput(f"{year} is no year of this database.", way_out="Give a year such as 2026.")
        since, until = (datetime(each, 1, 1, tzinfo=CHINA).astimezone(UTC) for each in (year, year + 1))
        with self.store.writing() as tx:
            now = self.now()
            self._allow(tx, now, by, "compliance.pack")
            tables = self._tables(tx, by, since, until)
            kept = [one for one in tx.all_sealed() if one.at < until]
            counts = {name: len(rows) for name, (_, rows) in tables.items()}
            counts["readings"] = sum(int(str(row[4])) for row in map(list, tables["reads"][1]))
            tx.log_read(ReadEntry(by, "compliance.pack", None, now, 0, str(year)))
        log("compliance.packed", by=by, year=year)
        return pack_of(year, tables, counts, kept[-1].note if kept else "", until.isoformat())

    def _tables(self, tx: Tx, by: str, since: datetime, until: datetime) -> dict[str, Table]:
        duties, hidden = tx.duties_under(), tx.numbers_concerning(by)
        return {
            "roles": (("role", "level", "reads", "scope"), [
                (role.name, role.level, role.reads, role.scope) for _, role in sorted(self._sources.access.roles.items())
            ]),
            "actions": (("action", "by", "needs a reason", "forbidden to"), list(_actions(self._sources.access))),
            "holders": (("unit", "role", "person", "from", "until"), [
                (duty.unit, duty.role, duty.person, _at(duty.begins_at), _at(duty.ends_at))
                for duty in sorted(duties, key=lambda d: (d.unit, d.role, d.person, d.begins_at or since)) if _within(duty, since, until)
            ]),
            "reads": (("month", "role", "what", "secrecy", "count", "with a reason", "by emergency reading"),
                      list(_reads(tx, duties, since, until))),
            "erasures": (("kind", "case", "proposed by", "proposed at", "confirmed by", "confirmed at"), [
                (one.kind, one.number, one.proposed_by, _at(one.proposed_at), one.confirmed_by, _at(one.confirmed_at))
                for one in tx.erasures_between(since, until) if one.number not in hidden
            ]),
            "holds": (("kind", "case", "placed by", "placed at", "lifted by", "lifted at"), [
                (one.kind, one.number, one.placed_by, _at(one.placed_at), one.lifted_by, _at(one.lifted_at))
                for one in tx.holds_between(since, until) if one.number not in hidden
            ]),
            "incidents": (("at", "what", "case"), [row for row in sorted(_incidents(tx, since, until)) if row[2] not in hidden]),
            "keys": (("at", "what", "by"), [(_at(at), what, by) for at, what, by in tx.rotations(since, until)] + [
                (_at(one.at), f"{one.duty} {one.key.name} {one.key.key_id.hex()}", one.by)
                for one in tx.verifiers() if since <= one.at < until
            ]),
            "checkpoints": (("at", "size", "root", "signed by"), [
                (_at(one.at), one.checkpoint.size, one.checkpoint.root.hex(), " ".join(sign.name for sign in one.signatures))
                for one in tx.all_sealed() if since <= one.at < until
            ]),
        }


def _actions(access: Access) -> Iterator[tuple[object, ...]]:
    for rule in sorted(access.actions.values(), key=lambda each: each.name):
        places = {"sight": rule.sight, "unit": rule.unit, "near": rule.near, "anywhere": rule.anywhere}
        who = [f"{place}: {' '.join(sorted(roles))}" for place, roles in places.items() if roles]
        who += [name for name, on in (("everybody", rule.everybody), ("workflow", rule.workflow), ("glass", rule.glass)) if on]
        forbidden = [name for name, on in (("concerned", rule.concerned), ("separate", rule.separate)) if on]
        yield rule.name, "; ".join(who), "yes" if rule.reason else "no", " ".join(forbidden)


def _reads(tx: Tx, duties: list[Duty], since: datetime, until: datetime) -> Iterator[tuple[object, ...]]:
    """Count the readings by month, the duties that the reader held then, what, and how secret it was."""
    held: dict[str, list[Duty]] = {}
    for duty in duties:
        held.setdefault(duty.person, []).append(duty)
    counts: Counter[tuple[str, str, str, int]] = Counter()
    reasoned: Counter[tuple[str, str, str, int]] = Counter()
    broken: Counter[tuple[str, str, str, int]] = Counter()
    for one in tx.readings(since, until):
        roles = sorted({duty.role for duty in held.get(one.who, ()) if _held_at(duty, one.at)})
        key = (one.at.astimezone(CHINA).strftime("%Y-%m"), "+".join(roles) or _NOBODY, one.what, one.tier)
        counts[key] += 1
        reasoned[key] += one.reasoned
        broken[key] += one.glass
    for key in sorted(counts):
        yield *key, counts[key], reasoned[key], broken[key]


def _incidents(tx: Tx, since: datetime, until: datetime) -> Iterator[tuple[str, str, str]]:
    """Yield proofs that failed, emergency readings, and the longest known gap of the sweep."""
    for one in tx.readings(since, until):
        if one.bad:
            yield _at(one.at), "proof failed", ""
    for at, number in tx.broken_glasses(since, until):
        yield _at(at), "emergency reading", number
    begin, _, end = (tx.meta("last_gap") or "").partition("/")
    if end and since <= datetime.fromisoformat(end) < until:
        yield _at(datetime.fromisoformat(begin)), f"no sweep until {_at(datetime.fromisoformat(end))}", ""


def _held_at(duty: Duty, at: datetime) -> bool:
    return (duty.begins_at is None or duty.begins_at <= at) and (duty.ends_at is None or duty.ends_at > at)


def _within(duty: Duty, since: datetime, until: datetime) -> bool:
    return (duty.begins_at is None or duty.begins_at < until) and (duty.ends_at is None or duty.ends_at > since)


def _at(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M")
