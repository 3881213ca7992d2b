"""A sheet as HTML: one page that needs nothing from elsewhere, prints on A4, and holds every value as text and nothing else."""

from __future__ import annotations

import base64
import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from html import escape

from crisis_engine.words import say

from .sheet import Entry, Section, Sheet, Words

STYLE = """
@page { size: A4; margin: 16mm 18mm 18mm;
  @bottom-left { content: string(number); font-size: 8pt; color: #444 }
  @bottom-right { content: counter(page) " / " counter(pages); font-size: 8pt; color: #444 } }
html { font-family: "Noto Serif CJK SC", "Source Han Serif SC", "Songti SC", SimSun, "Noto Serif", serif; font-size: 10.5pt; color: #000 }
body { margin: 0 auto; max-width: 174mm; line-height: 1.45 }
h1 { font-size: 18pt; text-align: center; margin: 0 0 1mm; string-set: number attr(data-number) }
h2 { font-size: 11pt; margin: 4mm 0 1mm; padding-bottom: .5mm; border-bottom: .4mm solid #000; break-after: avoid }
.number { text-align: right; font-size: 9pt; margin: 0 0 2mm }
dl { margin: 0; display: table; width: 100%; border-collapse: collapse }
dl > div { display: table-row; break-inside: avoid }
dt, dd { display: table-cell; padding: 1.2mm 1.5mm; vertical-align: top; border: .2mm solid #555 }
dt { width: 32%; background: #f3f3f3 }
dd { white-space: pre-wrap; overflow-wrap: anywhere; unicode-bidi: isolate; margin: 0 }
p { margin: 1.5mm 0; white-space: pre-wrap; overflow-wrap: anywhere; orphans: 3; widows: 3 }
.line { height: 7mm } .lines { height: 24mm } .signature { height: 10mm } .stamp { height: 26mm } .date { height: 7mm }
.stamp, .signature { color: #777; font-size: 9pt; vertical-align: bottom; text-align: right }
.box { display: inline-block; width: 3.2mm; height: 3.2mm; border: .3mm solid #000; margin-right: 2mm; vertical-align: -.3mm }
.cut { border-top: .3mm dashed #000; margin: 7mm 0 3mm; text-align: center; font-size: 8pt; color: #444; break-after: avoid }
.whole { break-inside: avoid }
.care { font-size: 8pt; color: #444; margin-top: 4mm }
"""
"""All of the page's style; its hash stands in the page's own policy, so that no other style and no script at all is taken."""

_HASH = base64.b64encode(sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def page_of(sheet: Sheet, langs: Sequence[str]) -> str:
    """Return the page in these languages: one of them, or both beside each other on the one sheet."""
    body = "".join(_section(section, langs) for section in sheet.sections)
    number = escape(sheet.number)
    return (
        f'<!DOCTYPE html>\n<html lang="{"zh-CN" if "zh" in langs else "en"}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name="referrer" content="no-referrer">'
        f'<meta name="viewport" content="width=device-width"><title>{number}</title><style>{STYLE}</style></head>\n'
        f'<body><h1 data-number="{number}">{_said(sheet.title, langs, "<br>")}</h1>'
        f'<p class="number">{_word("sheet.number", langs)} {number}</p>\n'
        f'{body}<p class="care">{_word("sheet.care", langs)}</p></body></html>\n'
    )


def _section(section: Section, langs: Sequence[str]) -> str:
    cut = f'<div class="cut">{_word("sheet.cut", langs)}</div>' if section.cut else ""
    rows, open_list = [], False
    for entry in section.entries:
        is_row = entry.kind not in {"text", "box"}
        if is_row != open_list:
            rows.append("<dl>" if is_row else "</dl>")
            open_list = is_row
        rows.append(_entry(entry, langs))
    rows.append("</dl>" if open_list else "")
    # what is signed or torn off stays on one side of the paper
    whole = ' class="whole"' if section.cut or any(entry.kind in {"signature", "stamp", "box"} for entry in section.entries) else ""
    return f"{cut}<section{whole}><h2>{_said(section.label, langs)}</h2>{''.join(rows)}</section>\n"


def _entry(entry: Entry, langs: Sequence[str]) -> str:
    if entry.kind == "text":
        return f"<p>{_said(entry.label, langs, '<br>')}</p>"
    label = _said(entry.label, langs)
    if entry.kind == "box":
        return f'<p><span class="box"></span>{label}</p>'
    if entry.kind == "value":
        value = _said(entry.value, langs)
        blank = "" if value else ' class="line"'
        return f"<div><dt>{label}</dt><dd{blank}>{value}</dd></div>"
    note = _word(f"sheet.{entry.kind}", langs) if entry.kind in {"date", "signature", "stamp"} else ""
    return f'<div><dt>{label}</dt><dd class="{entry.kind}">{note}</dd></div>'


def _said(words: Words, langs: Sequence[str], between: str = " / ") -> str:
    """Return words in these languages, each once, as text that cannot be anything else."""
    return between.join(dict.fromkeys(escape(_seen(words[lang])) for lang in langs if words.get(lang)))


def _seen(text: str) -> str:
    """Return a text in which nothing is hidden: a turn of the direction, by which a line reads as another, is shown as its number."""
    return "".join(
        char if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Zl", "Zp"} else f"<{ord(char):04X}>" for char in text
    )


def _word(key: str, langs: Sequence[str]) -> str:
    return _said({lang: say(key, lang) for lang in langs}, langs)
