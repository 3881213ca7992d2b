"""The wording of notices: the catalogue's, or a host's own TOML; five fields may stand in it and no others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from types import MappingProxyType

from crisis_engine.core.parse_table import LANGUAGES, Table, nearest
from crisis_engine.definitions import read_document
from crisis_engine.words import CATALOGUE

FIELDS: tuple[str, ...] = ("number", "what", "when", "urgency", "link")
"""What a notice may say, and all that its body must say."""


@dataclass(frozen=True, slots=True)
class Template:
    """The words around the five fields in one language; `line` is one case in a list of several."""

    subject: str
    body: str
    line: str


def _shipped() -> Mapping[str, Template]:
    parts = [CATALOGUE[key] for key in ("notice.subject", "notice.body", "notice.line")]
    return MappingProxyType({lang: Template(*(part[place] for part in parts)) for place, lang in enumerate(LANGUAGES)})


WORDING: Mapping[str, Template] = _shipped()
"""The words that come with the package, by language."""


def load_templates(path: Path | str) -> Mapping[str, Template]:
    """Return the wording of a host's file, the shipped one for a language that it leaves out.

    DefinitionError with file and key for an unknown field, for a body that leaves one of the five out, for anything but plain
    `{field}` in braces.
    """
    file = Path(path)
    top = Table(read_document(file), file.name)
    top.number("format", 1, 1)
    found = {lang: _template(table, WORDING[lang]) for lang in LANGUAGES if (table := top.table_or_none(lang)) is not None}
    top.close()
    return MappingProxyType({**WORDING, **found})


def _template(table: Table, shipped: Template) -> Template:
    template = Template(
        _checked(table, "subject", shipped.subject), _checked(table, "body", shipped.body, whole=True),
        _checked(table, "line", shipped.line, whole=True),
    )
    table.close()
    return template


def _checked(table: Table, name: str, default: str, *, whole: bool = False) -> str:
    text = table.text(name, default) if whole else table.line(name, default)
    try:
        parts = list(Formatter().parse(text))
    except ValueError as error:
        table.refuse(f"the braces do not fit: {error}.", name, way_out="Write a field as {number}, a brace as {{ or }}.")
    fields = [field for _, field, _, _ in parts if field is not None]
    for field in fields:
        if field not in FIELDS:
            table.refuse(f"{field[:40]!r} is no field of a notice.", name, way_out=nearest(field, FIELDS))
    if any(form or conversion for _, _, form, conversion in parts):
        table.refuse("a field is written plain.", name, way_out="Write {number}, without a colon or an exclamation mark.")
    missing = [field for field in FIELDS if field not in fields]
    if whole and missing:
        table.refuse(f"{', '.join(missing)} must be said here.", name, way_out=f"Write {{{missing[0]}}} in it.")
    return text
