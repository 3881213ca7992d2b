"""One function to log with: names are identifiers, fields carry case numbers and counts, never a fact about a child."""

from __future__ import annotations

import logging


def log(event: str, **fields: object) -> None:
    """Log one event: through structlog where the host or an entry point configured it, else to the standard logger `crisis_engine`.

    structlog is imported at the first event (100 ms): most reads log nothing and should not pay for it. Unconfigured it would
    print to standard output, which belongs to the host.
    """
    import structlog  # noqa: PLC0415 - see above

    if structlog.is_configured():
        structlog.get_logger("crisis_engine").info(event, **fields)
    else:
        logging.getLogger("crisis_engine").info("%s %s", event, " ".join(f"{key}={value}" for key, value in fields.items()))
