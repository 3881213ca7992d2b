"""PostgreSQL's errors as ours: what happened in a plain sentence and what to do; no value and no password stands in it."""

from __future__ import annotations

import psycopg
from psycopg.errors import DataError, OperationalError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crisis_engine.core.errors import BadInput, Busy, CrisisError, StoreError
from crisis_engine.store.breach import BREACHES, Collided

_AGAIN = "Try again in a moment."
_LOOK = "Check the address after --db or in CRISIS_DB, and whether the server runs."
_LOGIN = "Check user and password: in the address, in PGPASSWORD or in ~/.pgpass."

# By SQLSTATE, the longest beginning that fits.
_STATES: dict[str, tuple[type[StoreError], str, str]] = {
    "40": (Collided, "Another command changed the same thing at this moment.", _AGAIN),
    "55P03": (Busy, "Another writer holds the database.", _AGAIN),
    "57014": (Busy, "The database took too long to answer.", _AGAIN),
    "53100": (StoreError, "The disk is full; nothing was changed.", "Make room and try again."),
    "53300": (Busy, "The database server has no connection left.", "Try again in a moment, or raise its max_connections."),
    "53": (Busy, "The database server is short of memory.", _AGAIN),
    "57P03": (Busy, "The database server is starting or stopping.", _AGAIN),
    "57P": (StoreError, "The connection to the database was lost.", _LOOK),
    "08": (StoreError, "The connection to the database was lost.", _LOOK),
    "25P03": (StoreError, "The connection to the database was lost.", _LOOK),
    "25006": (StoreError, "The database may only be read.", "Use the primary server: this one is a copy, or was set to read only."),
    "28": (StoreError, "The database server does not know this user and password.", _LOGIN),
    "3D000": (StoreError, "There is no database of that name on the server.", "Make it with `createdb`, or check CRISIS_DB."),
    "42501": (StoreError, "This user may not use the database.", "Give the user the rights on the database and its schema."),
    "3F000": (StoreError, "This user may not use the database.", "Give the user the rights on the database and its schema."),
    "58": (StoreError, "The disk could not be read or written; nothing was changed.", "Check the disk and try again."),
    "XX001": (StoreError, "The database is damaged.", "Stop all writers and restore the last backup."),
    "XX002": (StoreError, "The database is damaged.", "Stop all writers and restore the last backup."),
}
# A login that fails has no SQLSTATE in the driver: it has the server's words, which are English unless lc_messages says otherwise.
_LOGINS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("password authentication failed", "no password supplied", "no pg_hba.conf entry", "authentication failed"), "28"),
    (("too many connections", "too many clients", "remaining connection slots"), "53300"),
    (("starting up", "shutting down", "recovery mode", "not yet accepting"), "57P03"),
)
_SAY_VALUES = frozenset({"22", "23", "P0"})   # wrong data, broken rules: the server quotes the row
_NO_TEXT = frozenset({"22021", "22P05", "22P02"})   # bytes or escapes that no text of the database can be


def translate(error: DBAPIError | Exception) -> CrisisError:
    """Return our own error for the server's or the driver's."""
    if isinstance(error, CrisisError):
        return error
    origin = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(origin, psycopg.Error):
        return _of_server(origin)
    if isinstance(origin, PoolTimeout):
        return Busy("All connections to the database are in use.", way_out=_AGAIN)
    if isinstance(origin, UnicodeEncodeError):
        return BadInput("A text holds half a character.", way_out="Type that text anew.")
    return StoreError(f"The database cannot be read or written: {type(origin).__name__}.", way_out="Run `crisis doctor`.")


def lost() -> CrisisError:
    """Return what is said of a connection that was lost."""
    return _said("08")


def _of_server(origin: psycopg.Error) -> CrisisError:
    state = origin.sqlstate or ""
    if state[:2] in _SAY_VALUES:   # it is the cause of ours, and a host may log its traceback
        origin.args = (f"SQLSTATE {state}",)
    if state in _NO_TEXT or (isinstance(origin, DataError) and not state):
        return BadInput("A text holds a character that no text may hold.", way_out="Type that text anew.")
    if state.startswith("23"):
        return _refused(origin)
    if not state and isinstance(origin, OperationalError):
        return _unreachable(str(origin))
    for begin in sorted(_STATES, key=len, reverse=True):
        if state.startswith(begin):
            return _said(begin)
    return StoreError(f"The database cannot be read or written: {type(origin).__name__}.", way_out="Run `crisis doctor`.")


def _refused(origin: psycopg.Error) -> CrisisError:
    """Return what a constraint or a trigger of ours means; a trigger's message is its name."""
    name = origin.diag.constraint_name or str(origin.diag.message_primary or "")
    for constraint, (cls, sentence) in BREACHES.items():
        if name.endswith(constraint):
            return cls(sentence)
    return CrisisError(f"The database refused a change: {name}.")


def _unreachable(words: str) -> StoreError:
    for marks, state in _LOGINS:
        if any(mark in words for mark in marks):
            return _said(state)
    if "does not exist" in words:
        return _said("3D000" if "database" in words.partition("does not exist")[0].rpartition("FATAL")[2] else "28")
    if "server closed the connection" in words or "connection is closed" in words or "connection is lost" in words:
        return _said("08")
    return StoreError("The database server cannot be reached.", way_out=_LOOK)


def _said(begin: str) -> StoreError:
    kind, sentence, way_out = _STATES[begin]
    return kind(sentence, way_out=way_out)
