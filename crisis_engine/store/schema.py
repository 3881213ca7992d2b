"""All tables together: whoever compares them with a database imports this room, so that none is left out."""

from __future__ import annotations

from crisis_engine.store import (
    table_attachment,
    table_child_move,
    table_daemon,
    table_forget,
    table_key,
    table_migration,
    table_notice,
    table_partner,
    table_proof,
    table_signer,
)
from crisis_engine.store.table import metadata

__all__ = [
    "metadata", "table_attachment", "table_child_move", "table_daemon", "table_forget", "table_key", "table_migration",
    "table_notice", "table_partner",
    "table_proof", "table_signer",
]
