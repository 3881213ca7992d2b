"""Every error that a caller may meet: whose fault it is, what it carries, which exit code it ends a console with."""

from __future__ import annotations

import re
from typing import ClassVar

_NAME = re.compile(r"[A-Za-z0-9_:+./@-]{1,60}")


def said(value: object) -> str:
    """Return what somebody gave, for a sentence that names it, if it looks like an id or a number; else "…".

    A sentence that somebody typed into the wrong field may be a fact, and an error goes further than the screen of whoever typed it.
    """
    text = str(value)
    return text if _NAME.fullmatch(text) else "…"



class CrisisError(Exception):
    """Something kept the command from being done; nothing was changed.

    The first line of a subclass' docstring is its message when none is given. `way_out` says what to do next.
    """

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str = "", *, way_out: str = "", **data: object) -> None:
        if not message:
            message = (type(self).__doc__ or type(self).__name__).strip().splitlines()[0]
        self.message = message
        self.way_out = way_out
        self.data = data
        super().__init__(f"{message} {way_out}".strip())


class CommandRejected(CrisisError):
    """The rules do not allow this move now."""

    exit_code = 1


class BadInput(CrisisError):
    """The command is not complete or not well formed."""

    exit_code = 2


class NotFound(CrisisError):
    """There is no such record, or none that you may know of."""

    exit_code = 3


class NotAllowed(CrisisError):
    """The rights do not let this person do that to this record."""

    exit_code = 4


class StaleVersion(CrisisError):
    """Somebody changed the case since you read it."""

    exit_code = 5


class ProofFailed(CrisisError):
    """A promise does not hold on this database."""

    exit_code = 6


class FileError(CrisisError):
    """A definition or an input file is wrong.

    `file`, `line` and `key` name the place; each may be empty when it has no meaning.
    """

    exit_code = 65

    def __init__(self, message: str, *, file: str = "", line: int | None = None, key: str = "", way_out: str = "") -> None:
        self.file, self.line, self.key = file, line, key
        place = ":".join(part for part in (file, str(line) if line else "") if part)
        where = ", ".join(part for part in (place, f"key {key}" if key else "") if part)
        super().__init__(f"{where}: {message}" if where else message, way_out=way_out)


class DefinitionError(FileError):
    """A workflow, policy or access file is wrong."""


class RosterError(FileError):
    """A roster file is wrong."""


class StoreError(CrisisError):
    """The database cannot be read or written."""

    exit_code = 74


class KeyFault(StoreError):
    """The master key is missing or wrong."""


class Busy(StoreError):
    """Another writer holds the database."""

    exit_code = 75
