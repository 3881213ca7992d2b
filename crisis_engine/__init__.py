"""crisis_engine: nobody in danger is forgotten. The stable face; everything else may change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.attachment import Attachment
    from .core.errors import (
        BadInput,
        Busy,
        CommandRejected,
        CrisisError,
        DefinitionError,
        KeyFault,
        NotAllowed,
        NotFound,
        ProofFailed,
        RosterError,
        StaleVersion,
        StoreError,
    )
    from .engine import Engine, open_engine
    from .engine.attachment import AttachmentView
    from .engine.document import DocumentView
    from .engine.look import QueueItem
    from .engine.view import CaseView, DeliverReport, MoveView, Receipt, SweepReport

__version__ = "0.1.0"

_HOME = {
    **dict.fromkeys(
        ("BadInput", "Busy", "CommandRejected", "CrisisError", "DefinitionError", "KeyFault", "NotAllowed", "NotFound", "ProofFailed",
         "RosterError", "StaleVersion", "StoreError"), "core.errors"),
    **dict.fromkeys(("Engine", "open_engine"), "engine"),
    **dict.fromkeys(("CaseView", "DeliverReport", "MoveView", "Receipt", "SweepReport"), "engine.view"),
    "QueueItem": "engine.look",
    "Attachment": "core.attachment",
    "AttachmentView": "engine.attachment",
    "DocumentView": "engine.document",
}

__all__ = [
    "Attachment", "AttachmentView", "BadInput", "Busy", "CaseView", "CommandRejected", "CrisisError", "DefinitionError", "DeliverReport",
    "DocumentView", "Engine", "KeyFault", "MoveView", "NotAllowed", "NotFound", "ProofFailed", "QueueItem", "Receipt", "RosterError",
    "StaleVersion", "StoreError", "SweepReport", "open_engine",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import a public name when it is first asked for: a console that prints its help must not load a database layer."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value
