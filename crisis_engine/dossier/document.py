"""The document of a dossier: one HTML page in Chinese and English that prints, without anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from crisis_engine.words import knows, say

STYLE = (
    "body{font-family:serif;max-width:60em;margin:2em auto;line-height:1.5}table{border-collapse:collapse;width:100%}"
    "th,td{border-bottom:1px solid #999;padding:.2em .5em;text-align:left;vertical-align:top;overflow-wrap:anywhere}"
    "td:first-child{white-space:nowrap}dt{font-weight:bold}pre{white-space:pre-wrap;overflow-wrap:anywhere}"
    "@media print{body{margin:0;max-width:none}tr{break-inside:avoid}section+section{break-before:page}}"
)
_PLAIN = ("seq", "at", "by", "kind")


def document_of(
    number: str, facts: Mapping[str, Mapping[str, Any]], history: Mapping[str, Iterable[Mapping[str, Any]]], note: str,
) -> str:
    """Return the page: for each language the case, its history, and how the dossier is checked."""
    sections = "".join(_section(lang, number, facts[lang], lines, note) for lang, lines in history.items())
    return (
        f'<!DOCTYPE html>\n<html lang="zh"><head><meta charset="utf-8"><title>{escape(number)}</title><style>{STYLE}</style></head>\n'
        f"<body>{sections}</body></html>\n"
    )


def _section(lang: str, number: str, facts: Mapping[str, Any], lines: Iterable[Mapping[str, Any]], note: str) -> str:
    def word(key: str, **fields: object) -> str:
        return escape(say(f"dossier.{key}", lang, **fields))

    head = "".join(
        f"<dt>{word(name)}</dt><dd>{escape(_value(name, value, lang))}</dd>" for name, value in facts.items() if value is not None
    )
    rows = "".join(_row(line, lang) for line in lines)
    heads = "".join(f"<th>{word(name)}</th>" for name in ("seq", "at", "by", "what", "more"))
    return (
        f'<section lang="{lang}"><h1>{word("title", number=number)}</h1><dl>{head}</dl><p>{word("about")}</p>'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
        f"<h2>{word('checkpoint')}</h2><pre>{escape(note)}</pre><p>{word('how')}</p></section>\n"
    )


def _row(line: Mapping[str, Any], lang: str) -> str:
    more = "; ".join(
        f"{name}: {_value(name, value, lang)}" for key, one in line.items() if key not in _PLAIN
        for name, value in (one.items() if isinstance(one, Mapping) else [(key, one)])
    )
    kind = _value("event", line["kind"], lang)
    return "<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in (line["seq"], line["at"], line["by"], kind, more)) + "</tr>\n"


def _value(name: str, value: object, lang: str) -> str:
    """Return a value as a person reads it; roles, tiers, risks and kinds of event have words."""
    if isinstance(value, Mapping):   # an attachment: the file lies in the folder beside this page
        return f"{value.get('name')} ({value.get('size')} B) [{value.get('attachment')}]"
    if isinstance(value, list | tuple):
        return ", ".join(_value(name, one, lang) for one in value)
    family = "risk" if name == "peak" else name.rpartition("_")[2]
    text = str(value)
    return say(f"{family}.{text}", lang) if knows(f"{family}.{text}") else text
