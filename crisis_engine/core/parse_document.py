"""From [document.NAME] of a workflow file to its documents: every fact, field and stage found, nothing above the document's secrecy."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from .document import BLANKS, FACTS, DocumentDef, LineDef, PartDef
from .parse_table import Table
from .workflow import MoveDef

LINE_KINDS = ("fact", "field", "blank", "text")
SECRECY_MOST = 4


def document_names(top: Table) -> tuple[str, ...]:
    """Return the names under [document]; a workflow needs none."""
    table = top.table_or_none("document")
    return table.names() if table else ()


def parse_documents(
    top: Table, moves: Mapping[str, MoveDef], open_stages: Collection[str], stages: Collection[str],
) -> Mapping[str, DocumentDef]:
    """Return the documents by name; DefinitionError where a line names what is not there, or what is more secret than the document."""
    found = {}
    for name in document_names(top):
        table = top.table("document").table(name)
        if not any(move.prints == name for move in moves.values()):
            table.refuse("no move prints this document.", way_out=f'Write prints = "{name}" at the move from which on it may be printed.')
        found[name] = _document(table, name, moves, open_stages, stages)
    return found


def _document(
    table: Table, name: str, moves: Mapping[str, MoveDef], open_stages: Collection[str], stages: Collection[str],
) -> DocumentDef:
    secrecy = table.number("secrecy", 0, SECRECY_MOST)
    fields = {f"{move.name}.{field.name}": field.secrecy for move in moves.values() for field in move.fields}
    parts = tuple(_part(part, secrecy, fields) for part in table.tables("part"))
    if not parts:
        table.refuse("nothing stands on this document.", "part", way_out=f"Write [[{table.key}.part]] with label and lines.")
    source, mark = table.trust()
    document = DocumentDef(
        name=name, label=table.label(), secrecy=secrecy, parts=parts, source=source, mark=mark,
        stages=frozenset(table.some_of("in", stages) if table.has("in") else open_stages),
    )
    if not document.stages:
        table.refuse("a document for no stage.", "in", way_out="Name at least one stage, or leave this key out for all that are open.")
    table.close()
    return document


def _part(table: Table, secrecy: int, fields: Mapping[str, int]) -> PartDef:
    lines = tuple(_line(line, secrecy, fields) for line in table.tables("lines"))
    if not lines:
        table.refuse("a part without a line.", "lines", way_out='Write such as lines = [{ fact = "number" }].')
    part = PartDef(table.label(), lines, cut=table.flag("cut"))
    table.close()
    return part


def _line(table: Table, secrecy: int, fields: Mapping[str, int]) -> LineDef:
    kinds = [kind for kind in LINE_KINDS if table.has(kind)]
    if len(kinds) != 1:
        table.refuse("a line says exactly one thing.", way_out='Write one of fact = "…", field = "MOVE.FIELD", blank = "…", text = { … }.')
    kind = kinds[0]
    if kind == "text":
        line = LineDef(kind, "", table.label("text"))
        table.close()
        return line
    if kind == "blank":
        line = LineDef(kind, table.one_of(kind, BLANKS), table.label())
        table.close()
        return line
    known = {name: fact.secrecy for name, fact in FACTS.items()} if kind == "fact" else fields
    name = table.one_of(kind, known)
    if known[name] > secrecy:
        table.refuse(
            f"{name} is of secrecy {known[name]}, the document of {secrecy}.", kind,
            way_out="Leave the line out, or raise the document's secrecy: then fewer may print it.",
        )
    label = table.label() if kind == "field" or table.has("label") else FACTS[name].label
    table.close()
    return LineDef(kind, name, label)
