"""A channel carries a message to a person; here the two that need no network: a file of JSON lines and a list for tests."""

from __future__ import annotations

import errno
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import ClassVar, Protocol

from crisis_engine.core.errors import CrisisError
from crisis_engine.notify.message import Message
from crisis_engine.notify.rule import EVERYTHING, Rule

_WRITTEN = ("key", "to", "address", "subject", "body", "urgent")


class DeliveryFailed(CrisisError):
    """The message could not be handed over; it stays in the outbox and is tried again."""

    exit_code: ClassVar[int] = 74

    def __init__(
        self, message: str = "", *, way_out: str = "", retry_after: timedelta | None = None, unsure: bool = False, final: bool = False,
    ) -> None:
        """`retry_after` is what the gateway asked for; `unsure` says that it may have taken the message; `final` that it never will."""
        super().__init__(message, way_out=way_out)
        self.retry_after, self.unsure, self.final = retry_after, unsure, final


class Channel(Protocol):
    """One way to reach people. A message comes at least once; its `key` tells a second time from a first.

    A channel may have a `rule` (notify.Rule), which says whom it is for and when it rests, and `longest`, the most that a send takes.
    """

    @property
    def name(self) -> str:
        """How rows and logs call this channel."""

    def send(self, message: Message) -> str | None:
        """Hand the message over so that it survives a crash, or raise DeliveryFailed with a short reason and no fact.

        Returns what the gateway calls it, where it says so.
        """


class LogFileChannel:
    """Appends one JSON line a message to a file, on the disk before `send` returns. For installations without a gateway yet."""

    def __init__(self, path: Path | str, *, name: str = "log_file", rule: Rule = EVERYTHING) -> None:
        self.path, self.name, self.rule = Path(path), name, rule

    def send(self, message: Message) -> None:
        """Append the message; DeliveryFailed when it is not wholly on the disk; then it is tried again."""
        line = json.dumps({name: getattr(message, name) for name in _WRITTEN}, ensure_ascii=False).encode() + b"\n"
        try:
            # 0600: whoever reads it learns which cases are urgent
            handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise _failed(error) from error
        try:
            size = os.fstat(handle).st_size
            if size and os.pread(handle, 1, size - 1) != b"\n":
                line = b"\n" + line  # a full disk or a crash left half a line: it must not swallow this one
            if os.write(handle, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # noqa: TRY301 (what a short write to a file means)
            os.fsync(handle)
        except OSError as error:
            raise _failed(error) from error
        finally:
            os.close(handle)


class RecordingChannel:
    """Keeps messages in a list, for tests and demos; `fail` makes it refuse, as a gateway that is down."""

    def __init__(self, *, name: str = "recording", rule: Rule = EVERYTHING) -> None:
        self.name, self.rule = name, rule
        self.sent: list[Message] = []
        self.fail = ""

    def send(self, message: Message) -> None:
        """Remember the message, or raise DeliveryFailed with `fail` when that is not empty."""
        if self.fail:
            raise DeliveryFailed(self.fail)
        self.sent.append(message)


def _failed(error: OSError) -> DeliveryFailed:
    return DeliveryFailed(f"the notice file cannot be written: {error.strerror or type(error).__name__}.",
                          way_out="Check the folder, its rights and the free space.")
