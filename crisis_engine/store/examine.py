"""What a doctor asks the database: queries that find broken promises by case number; store/prove.py walks through the logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from crisis_engine.core.events import Event, PersonRecused
from crisis_engine.store.dialect import dialect_of
from crisis_engine.store.instant import instant, micros
from crisis_engine.store.open import Tx
from crisis_engine.store.record import decode

_ARMED = "SELECT 1 FROM crisis_deadline d WHERE d.case_id = c.id AND d.status = 'armed'"
# The places of a clock in the case's `clocks`: see store/case.py.
_DUE, _NEXT, _PAUSED, _PAUSED_UNTIL = (f"json_extract(k.value, '$[{place}]')" for place in (7, 8, 16, 17))
_LEAST = "SELECT min({0}) FROM json_each(c.clocks) k"
_OF_CLOCKS = "SELECT json_group_array(p) FROM (SELECT json_array({}) AS p FROM json_each(c.clocks) k ORDER BY p)".format(
    ", ".join(f"json_extract(k.value, '$[{place}]')" for place in (0, 1, 2, 3, 4, 5, 6, 7, 11)))
_OF_ROWS = ("SELECT json_group_array(p) FROM (SELECT json_array(d.name, d.n, d.sort, d.role, d.unit, d.holder, d.armed_at, d.due_at,"
            " d.at_tier) AS p FROM crisis_deadline d WHERE d.case_id = c.id AND d.status = 'armed' ORDER BY p)")
# A clock that goes with the tier has no place in a queue but that of whoever answers for its case.
_ASTRAY = ("SELECT 1 FROM json_each(c.clocks) k WHERE json_extract(k.value, '$[11]') AND (json_extract(k.value, '$[3]'),"
           " json_extract(k.value, '$[4]'), json_extract(k.value, '$[5]')) IS NOT (c.answers_role, c.answers_unit, c.answers)")
_HEARD = (
    " AND c.id NOT IN (SELECT n.case_id FROM crisis_notice n WHERE n.why = 'alarm')"   # read once: notices have no index by case
    " AND NOT EXISTS (SELECT 1 FROM crisis_event e WHERE e.case_id = c.id AND e.kind = 'rung_fired' AND e.header LIKE '%\"alarm\"_true%')"
)
# Holding a post is a duty that had begun by now and had not ended when the last sweep looked, and no absence at that moment.
_GONE = (
    " AND (NOT EXISTS (SELECT 1 FROM crisis_duty p WHERE p.person = {0} AND p.role = {1} AND p.unit = {2}"
    " AND (p.begins_at IS NULL OR p.begins_at <= :now) AND (p.ends_at IS NULL OR p.ends_at > :swept))"
    " OR EXISTS (SELECT 1 FROM crisis_absence a WHERE a.person = {0} AND a.begins_at <= :swept"
    " AND a.ends_at > :swept AND a.ends_at > :now))"
)
_RECUSED = "SELECT 1 FROM crisis_recusal r WHERE r.case_id = c.id AND r.person = {0}"

# ruff: noqa: S608 - every piece of these statements is a constant of this file
QUERIES: Mapping[str, str] = MappingProxyType({
    "clocked": f"SELECT c.number FROM crisis_case c WHERE c.final IS NULL"
               f" AND (c.next_at IS NULL OR c.clocks = '[]' OR NOT EXISTS ({_ARMED}))",
    "next": "SELECT c.number FROM crisis_case c WHERE c.final IS NULL"
            f" AND (c.next_at IS NOT ({_LEAST.format(_NEXT)}) OR c.due_at IS NOT ({_LEAST.format(_DUE)}))",
    "queues": f"SELECT c.number FROM crisis_case c WHERE ({_OF_CLOCKS}) IS NOT ({_OF_ROWS}) OR EXISTS ({_ASTRAY})",
    "pauses": f"SELECT DISTINCT c.number FROM crisis_case c, json_each(c.clocks) k WHERE {_PAUSED} IS NOT NULL"
              f" AND ({_PAUSED_UNTIL} IS NULL OR {_NEXT} > {_PAUSED_UNTIL})",
    "answered": "SELECT c.number FROM crisis_case c WHERE c.final IS NULL"
                f" AND (c.answers IS NULL OR EXISTS ({_ARMED} AND d.holder IS NULL)){_HEARD}",
    "rungs": "SELECT DISTINCT c.number FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id WHERE e.kind = 'rung_fired'"
             " GROUP BY c.number, e.deadline, e.rung, e.times HAVING count(*) > 1",
    "notice_keys": "SELECT min(c.number) FROM crisis_notice n JOIN crisis_case c ON c.id = n.case_id GROUP BY n.key HAVING count(*) > 1",
    "notice_cases": "SELECT n.key FROM crisis_notice n LEFT JOIN crisis_case c ON c.id = n.case_id WHERE c.id IS NULL",
    "recused_holders": "SELECT c.number FROM crisis_case c WHERE c.final IS NULL"
                       f" AND (EXISTS ({_RECUSED.format('c.answers')})"
                       f" OR EXISTS ({_ARMED} AND d.holder IN (SELECT r.person FROM crisis_recusal r WHERE r.case_id = c.id)))",
    "gone_holders": "SELECT DISTINCT c.number FROM crisis_deadline d JOIN crisis_case c ON c.id = d.case_id"
                    f" WHERE d.status = 'armed' AND d.holder IS NOT NULL{_GONE.format('d.holder', 'd.role', 'd.unit')}"
                    " UNION SELECT c.number FROM crisis_case c WHERE c.final IS NULL AND c.answers IS NOT NULL"
                    + _GONE.format("c.answers", "c.answers_role", "c.answers_unit"),
    "endings": "SELECT c.number FROM crisis_case c WHERE c.final IS NOT NULL AND c.final <> 'merged' AND c.two"
               " AND (c.ended_by IS NULL OR c.ended_second IS NULL OR c.ended_by = c.ended_second)",
    "signers": "SELECT DISTINCT c.number FROM crisis_event e JOIN crisis_case c ON c.id = e.case_id"
               " WHERE (e.two OR e.kind = 'danger_ended') AND (e.second IS NULL OR e.second = e.\"by\")",
    "notice_words": "SELECT DISTINCT c.number FROM crisis_notice n JOIN crisis_case c ON c.id = n.case_id"
                    " WHERE n.what GLOB '*[^a-z0-9_]*' OR n.why GLOB '*[^a-z0-9_]*' OR length(n.what) > 64 OR length(n.why) > 64"
                    " OR n.key GLOB '*[^A-Za-z0-9-]*' OR n.people GLOB '*[ \t\n]*' OR n.people = ''",
    "unfired": "SELECT number FROM crisis_case WHERE final IS NULL AND next_at < :patience ORDER BY next_at",
    "undelivered": "SELECT DISTINCT c.number FROM crisis_notice n JOIN crisis_case c ON c.id = n.case_id"
                   " WHERE n.status = 'waiting' AND coalesce(n.not_before, n.at) < :patience AND (n.next_try_at < 4611686018427387904"
                   # shared out: what rests for quiet hours or a limit is not stuck; what is due, or was tried and failed, is
                   " OR EXISTS (SELECT 1 FROM crisis_message_notice l JOIN crisis_message m ON m.id = l.message_id WHERE l.notice_id = n.id"
                   " AND m.status = 'waiting' AND (m.next_try_at < :patience OR m.tries > 0)))",
    "dead_notices": "SELECT DISTINCT c.number FROM crisis_notice n JOIN crisis_case c ON c.id = n.case_id WHERE n.status = 'dead'",
    "unpinned": "SELECT c.number FROM crisis_case c LEFT JOIN crisis_definition d ON d.hash = c.procedure WHERE d.hash IS NULL",
    "backwards": "SELECT DISTINCT c.number FROM crisis_event e JOIN crisis_event p ON p.case_id = e.case_id AND p.seq = e.seq - 1"
                 " JOIN crisis_case c ON c.id = e.case_id WHERE e.at < p.at",
})  # fmt: skip
"""Each finds what must not be: one row a case, its number first (`notice_cases` has no case and names the notice's key)."""

GUARDIANS: Mapping[str, tuple[str, str]] = MappingProxyType({
    "crisis_event_kept": ("trigger", ""), "crisis_event_never_renumbered": ("trigger", ""), "crisis_event_never_deleted": ("trigger", ""),
    "crisis_event_rung": ("index", "UNIQUE"), "crisis_case_sole": ("index", "UNIQUE"),
    "crisis_case": ("table", "crisis_case_clocked"), "crisis_event": ("table", "crisis_event_two"),
    "crisis_notice": ("table", "crisis_notice_key"), "crisis_message": ("table", "crisis_message_key"),
    "crisis_digest": ("table", "crisis_digest_once"), "crisis_deadline_last_kept": ("trigger", ""),
    "crisis_deadline_never_deleted": ("trigger", ""), "crisis_case_never_deleted": ("trigger", ""),
    "crisis_event_never_replaced": ("trigger", ""), "crisis_event_lowered_by_two": ("trigger", ""),
    "crisis_case_rules_kept": ("trigger", ""), "crisis_event_move_by_two": ("trigger", ""), "crisis_case_pinned": ("trigger", ""),
    "crisis_event_migrated_by_two": ("trigger", ""), "crisis_migration": ("table", "crisis_migration_two"),
    "crisis_migration_never_deleted": ("trigger", ""), "crisis_migration_never_unsigned": ("trigger", ""),
    "crisis_attachment": ("table", "crisis_attachment_whole"), "crisis_attachment_held": ("trigger", ""),
    **{f"crisis_attachment_{rule}": ("trigger", "") for rule in ("with_record", "never_replaced", "never_updated", "never_deleted")},
    "crisis_data_key_two": ("trigger", ""), "crisis_data_key_held": ("trigger", ""), "crisis_erasure_held": ("trigger", ""),
    "crisis_erasure": ("table", "crisis_erasure_two"), "crisis_subject_two": ("trigger", ""), "crisis_receipt_held": ("trigger", ""),
    **{f"{table}_never_{change}": ("trigger", "") for table in ("crisis_leaf", "crisis_checkpoint", "crisis_cosignature", "crisis_verifier")
       for change in ("updated", "deleted")},
    "crisis_tile_never_deleted": ("trigger", ""), "crisis_tile_only_grows": ("trigger", ""), "crisis_leaf_in_turn": ("trigger", ""),
    "crisis_clock_word_never_deleted": ("trigger", ""), "crisis_clock_word_never_updated": ("trigger", ""),
    "crisis_checkpoint_in_turn": ("trigger", ""), "crisis_leaf": ("table", "crisis_leaf_whole"),
})  # fmt: skip
"""What the database itself must hold so that it refuses the never-cases, with a word that stands in its text."""


_OF_FILES = frozenset({"crisis_event_never_replaced", "crisis_attachment_never_replaced"})
"""What only SQLite needs: INSERT OR REPLACE is known nowhere else."""


class Leak(NamedTuple):
    """A notice that named, or reached, somebody whom its case concerns, after the recusal."""

    number: str
    key: str


def broken(tx: Tx, query: str, *, now: datetime, swept: datetime, patience: datetime) -> Iterator[str]:
    """Yield the case numbers that one of QUERIES finds.

    `swept` is when a sweep last looked; what should have happened before `patience` and did not is late.
    """
    binds = {"now": micros(now), "swept": micros(swept), "patience": micros(patience)}
    sql = _on_server().QUERIES.get(query, QUERIES[query]) if _serves(tx) else QUERIES[query]
    for row in _stream(tx, sql, **{name: value for name, value in binds.items() if f":{name}" in sql}):
        yield str(row[0])


def settings(tx: Tx) -> dict[str, str]:
    """Return `synchronous` and `journal_mode` as they are in force; on a server "full" and "wal" where nothing is lost."""
    if _serves(tx):
        return dict(zip(("synchronous", "journal_mode"), next(_stream(tx, _on_server().SETTINGS)), strict=True))
    return {name: str(next(_stream(tx, f"PRAGMA {name}"))[0]).lower() for name in ("synchronous", "journal_mode")}


def damages(tx: Tx, *, quick: bool = False) -> Iterator[str]:
    """Yield what the database's own check finds, at most twenty sentences; nothing when it is whole."""
    if _serves(tx):
        failures = int(next(_stream(tx, _on_server().CHECKSUMS))[0])
        yield from [f"{failures} pages had another checksum than their own"] if failures else []
        return
    for (sentence,) in _stream(tx, f"PRAGMA {'quick' if quick else 'integrity'}_check(20)"):
        if sentence != "ok":
            yield str(sentence)


def missing_guardians(tx: Tx) -> list[str]:
    """Return the names of the constraints, indexes and triggers of GUARDIANS that the database does not have."""
    objects = _on_server().OBJECTS if _serves(tx) else "SELECT type, name, sql FROM sqlite_master"
    there = {(kind, name): sql or "" for kind, name, sql in _stream(tx, objects)}
    return [
        name for name, (kind, word) in GUARDIANS.items() if ((kind, name) not in there or word not in there[kind, name])
        and not (_serves(tx) and name in _OF_FILES)
    ]


def definitions(tx: Tx) -> Iterator[tuple[str, str]]:
    """Yield hash and body of each procedure that is kept."""
    for digest, body in _stream(tx, "SELECT hash, body FROM crisis_definition ORDER BY hash"):
        yield str(digest), str(body)


def leaks(tx: Tx) -> Iterator[Leak]:
    """Yield the notices that named or reached a recused person after the recusal; those from before are no leak.

    A notice's key ends with the version of its case, so that order is exact even within one instant.
    """
    named = (
        "SELECT c.number, r.case_id, r.person, n.key, d.at FROM crisis_notice n JOIN crisis_recusal r ON r.case_id = n.case_id"
        " JOIN crisis_case c ON c.id = n.case_id"
        " LEFT JOIN crisis_delivery d ON d.notice_id = n.id AND d.person = r.person AND d.ok"
        " WHERE instr(',' || n.people || ',', ',' || r.person || ',') > 0"
    )
    for number, case_id, person, key, reached_at in _stream(tx, named):
        recused = _recusal(tx, case_id, person)
        version = key.rpartition("-")[2]
        after = recused is not None and version.isdigit() and int(version) > recused.seq
        if after or (recused is not None and reached_at is not None and instant(reached_at) > recused.at):
            yield Leak(number, key)


def _recusal(tx: Tx, case_id: int, person: str) -> Event | None:
    sql = "SELECT header FROM crisis_event WHERE case_id = :id AND kind = 'person_recused' ORDER BY seq"
    events = (decode(header, None) for (header,) in _stream(tx, sql, id=case_id))
    return next((event for event in events if isinstance(event, PersonRecused) and event.person == person), None)


def _stream(tx: Tx, sql: str, **binds: object) -> Iterator[Any]:
    """Yield rows as the database finds them, so that memory does not grow with the database."""
    return dialect_of(tx.connection).stream(tx.connection, sql, binds)


def _serves(tx: Tx) -> bool:
    """Whether the database is on a server."""
    return dialect_of(tx.connection).NAME != "sqlite"


def _on_server() -> ModuleType:
    from crisis_engine.store import examine_postgres  # noqa: PLC0415 (texts that SQLite's users never need)

    return examine_postgres
