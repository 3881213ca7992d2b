"""The compliance pack: tables of a year and a cover page, for the yearly audit of minors' data; no fact and no name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from html import escape

from crisis_engine.core.spreadsheet import line
from crisis_engine.dossier.document import STYLE
from crisis_engine.dossier.verify import archive_of, canonical
from crisis_engine.words import say

Table = tuple[Sequence[str], Sequence[Iterable[object]]]
"""The heads of a table, and its rows."""


def pack_of(year: int, tables: Mapping[str, Table], counts: Mapping[str, int], note: str, until: str) -> bytes:
    """Return the zip: a CSV a table, a cover page with the counts, the newest checkpoint of the year, a manifest of hashes."""
    files = {f"{name}.csv": _csv(*table).encode() for name, table in tables.items()}
    files["cover.html"] = _cover(year, counts, note).encode()
    if note:
        files["checkpoint.txt"] = note.encode()
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    files["manifest.json"] = canonical({"files": hashes, "format": 1, "year": year}).encode()
    return archive_of(files, until)


def _csv(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Return CSV that a spreadsheet opens as UTF-8, no cell a formula."""
    return "\ufeff" + "".join(f"{line(row)}\r\n" for row in (heads, *rows))


def _cover(year: int, counts: Mapping[str, int], note: str) -> str:
    sections = ""
    for lang in ("zh", "en"):
        rows = "".join(f"<tr><td>{escape(say(f'pack.{name}', lang))}</td><td>{count}</td></tr>\n" for name, count in counts.items())
        sections += (
            f'<section lang="{lang}"><h1>{escape(say("pack.title", lang, year=year))}</h1><p>{escape(say("pack.law", lang))}</p>'
            f"<table><tbody>{rows}</tbody></table><p>{escape(say('pack.about', lang))}</p><pre>{escape(note)}</pre></section>\n"
        )
    return (f'<!DOCTYPE html>\n<html lang="zh"><head><meta charset="utf-8"><title>{year}</title><style>{STYLE}</style></head>\n'
            f"<body>{sections}</body></html>\n")
