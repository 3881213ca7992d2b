"""The console's log: key=value lines or JSON on stderr, from WARNING up unless the environment says otherwise."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

LEVELS: Mapping[str, int] = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}


def drop_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask every value that is a secret or holds one: by its type, whatever it is called, and wherever it hides."""
    from crisis_engine.core.secret import MASK, holds_secret

    for name, value in event.items():
        if holds_secret(value):
            event[name] = MASK
    return event


def configure(env: Mapping[str, str]) -> None:
    """Configure structlog for this process by CRISIS_LOG (text or json) and CRISIS_LOG_LEVEL (debug to critical).

    Commands that only read do not come here: they log nothing, and the import costs 80 ms of their half second.
    """
    import structlog

    level = LEVELS.get(env.get("CRISIS_LOG_LEVEL", "").lower(), LEVELS["debug" if env.get("CRISIS_DEBUG") else "warning"])
    as_json = env.get("CRISIS_LOG", "").lower() == "json"
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            drop_secrets,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # local variables would carry an id number or a fact into the log
            structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False)),
            structlog.processors.JSONRenderer(ensure_ascii=False) if as_json else structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
