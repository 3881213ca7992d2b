"""What a doctor asks PostgreSQL in its own words: those queries that take JSON or patterns apart, and how the server is set."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CLOCKS = "jsonb_array_elements(c.clocks::jsonb) AS k(v)"
# The places of a clock in the case's `clocks`: see store/case.py.
_DUE, _NEXT, _PAUSED, _PAUSED_UNTIL = (f"(k.v ->> {place})::bigint" for place in (7, 8, 16, 17))
_LEAST = "SELECT min({0}) FROM {1}"
_OF_CLOCKS = ("SELECT coalesce(jsonb_agg(p ORDER BY p), '[]') FROM (SELECT jsonb_build_array("
              + ", ".join(f"k.v -> {place}" for place in (0, 1, 2, 3, 4, 5, 6, 7, 11)) + ") AS p FROM " + _CLOCKS + ") AS one")
_OF_ROWS = ("SELECT coalesce(jsonb_agg(p ORDER BY p), '[]') FROM (SELECT jsonb_build_array(d.name, d.n, d.sort, d.role, d.unit, d.holder,"
            " d.armed_at, d.due_at, d.at_tier::int) AS p FROM crisis_deadline d WHERE d.case_id = c.id AND d.status = 'armed') AS two")
_ASTRAY = (f"SELECT 1 FROM {_CLOCKS} WHERE k.v ->> 11 = '1' AND (k.v ->> 3, k.v ->> 4, k.v ->> 5)"
           " IS DISTINCT FROM (c.answers_role, c.answers_unit, c.answers)")

# ruff: noqa: S608 - every piece of these statements is a constant of this file
QUERIES: Mapping[str, str] = MappingProxyType({
    "next": "SELECT c.number FROM crisis_case c WHERE c.final IS NULL"
            f" AND (c.next_at IS DISTINCT FROM ({_LEAST.format(_NEXT, _CLOCKS)}) OR c.due_at IS DISTINCT FROM"
            f" ({_LEAST.format(_DUE, _CLOCKS)}))",
    "queues": f"SELECT c.number FROM crisis_case c WHERE ({_OF_CLOCKS}) IS DISTINCT FROM ({_OF_ROWS}) OR EXISTS ({_ASTRAY})",
    "pauses": f"SELECT DISTINCT c.number FROM crisis_case c, {_CLOCKS} WHERE {_PAUSED} IS NOT NULL"
              f" AND ({_PAUSED_UNTIL} IS NULL OR {_NEXT} > {_PAUSED_UNTIL})",
    "notice_words": "SELECT DISTINCT c.number FROM crisis_notice n JOIN crisis_case c ON c.id = n.case_id"
                    " WHERE n.what ~ '[^a-z0-9_]' OR n.why ~ '[^a-z0-9_]' OR length(n.what) > 64 OR length(n.why) > 64"
                    " OR n.key ~ '[^A-Za-z0-9-]' OR n.people ~ '[ \t\n]' OR n.people = ''",
})  # fmt: skip
"""In the place of those of store/examine.py that have these names."""

OBJECTS = (
    "SELECT 'trigger', tgname, '' FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    " WHERE NOT tgisinternal AND tgenabled <> 'D' AND pg_table_is_visible(c.oid)"
    " UNION ALL SELECT 'index', c.relname, CASE WHEN i.indisunique AND i.indisvalid THEN 'UNIQUE' ELSE '' END FROM pg_index i"
    " JOIN pg_class c ON c.oid = i.indexrelid WHERE pg_table_is_visible(i.indrelid)"
    " UNION ALL SELECT 'table', c.relname, string_agg(k.conname, ' ') FROM pg_class c JOIN pg_constraint k ON k.conrelid = c.oid"
    " WHERE k.convalidated AND pg_table_is_visible(c.oid) GROUP BY c.relname"
)
"""Every trigger that is switched on, index and table that a statement finds by its bare name, with the words that stand in it."""

SETTINGS = (
    "SELECT CASE WHEN current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' THEN 'full'"
    " ELSE 'off' END, CASE WHEN current_setting('full_page_writes') = 'on' THEN 'wal' ELSE 'torn' END"
)
"""Whether what is acknowledged is on the disk, and whether a page that was half written is whole again after a crash."""

CHECKSUMS = "SELECT coalesce(sum(checksum_failures), 0) FROM pg_stat_database WHERE datname = current_database()"
"""How many pages were read whose checksum did not fit."""
