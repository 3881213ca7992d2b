"""The store of crisis_engine: every table, every statement, and the only door to the database."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crisis_engine.store.append import prepare
    from crisis_engine.store.case import AlreadyOpen, Change, Stored
    from crisis_engine.store.open import Store, Tx

__all__ = ["AlreadyOpen", "Change", "Store", "Stored", "Tx", "prepare"]

_HOME = {"Store": "open", "Tx": "open", "prepare": "append"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (one of __all__)
    """Import the room of a name at its first use: SQLAlchemy costs 175 ms, which `crisis --help` does not pay."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'case')}"), name)
