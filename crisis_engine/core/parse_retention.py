"""Reading `policies/retention_vN.toml`: every term there, each with source and mark, nothing that is not known."""

from __future__ import annotations

from collections.abc import Mapping

from .parse_table import Table
from .retention import KEPT, Keep, Retention


def parse_retention(doc: Mapping[str, object], file: str) -> Retention:
    """Return the terms; DefinitionError with file, key and way out for whatever is missing, not known or not a time."""
    top = Table(doc, file)
    top.number("format", 1, 1)
    table = top.table("keep")
    keeps = {what: _keep(table.table(what)) for what in KEPT}
    table.close()
    retention = Retention(keeps, top.word("name"), top.number("version", 1, 9999))
    top.close()
    return retention


def _keep(table: Table) -> Keep:
    keep = Keep(table.wall_span("for"), *table.trust())
    table.close()
    return keep
