"""A look at the database: connection, clock, sandbox mark, and a queue. Nothing here needs the rules, so it starts at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from crisis_engine.clock import wall_clock
from crisis_engine.core.calendar import CHINA
from crisis_engine.core.errors import BadInput
from crisis_engine.core.workflow import Label
from crisis_engine.store import Store

from .allow import Allowing
from .gather import Sources
from .host import HostStore

_EARLIEST, _LATEST = datetime(2020, 1, 1, tzinfo=UTC), datetime(2120, 1, 1, tzinfo=UTC)


def local(instant: datetime | None) -> str | None:
    """Return China's time as ISO 8601 with its offset; None stays None."""
    return None if instant is None else instant.astimezone(CHINA).isoformat()


@dataclass(frozen=True, slots=True)
class QueueItem:
    """One line of somebody's queue: the case and the clock that is due first there."""

    number: str
    stage: str
    stage_label: Label
    tier: str
    risk: str
    danger: bool
    clock: str
    clock_label: Label
    role: str
    who: str | None
    due_at: datetime
    late: bool
    version: int

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "number": self.number, "stage": self.stage, "stage_label": dict(self.stage_label), "tier": self.tier, "risk": self.risk,
            "danger": self.danger, "clock": self.clock, "clock_label": dict(self.clock_label), "role": self.role, "who": self.who,
            "due_at": local(self.due_at), "late": self.late, "version": self.version,
        }


def sane(at: datetime) -> None:
    """Refuse a time without zone, or one that cannot be meant: it would stand in the database for good."""
    if at.tzinfo is None or not _EARLIEST <= at <= _LATEST:
        raise BadInput(f"{at.isoformat()} cannot be meant.", way_out="Give a time with its zone between 2020 and 2120.")


def open_look(url: str, *, clock: Callable[[], datetime] | None = None) -> Look:
    """Open an existing database for a look alone; a console's `queue` starts in a third of the time of a whole engine."""
    return Look(Store.open(url, create=False), Sources(), clock or wall_clock)


class Look(Allowing):
    """What the engine stands on: the store, the sources, the clock. It reads queues and changes nothing."""

    def __init__(self, store: Store, sources: Sources, clock: Callable[[], datetime]) -> None:
        """Use `open_look`, or `open_engine` for the whole face."""
        self.store: Store | HostStore = store
        self._sources = sources
        self._clock = clock

    def __enter__(self) -> Self:
        """Return the engine; leaving the block closes it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Close the database's connections."""
        self.close()

    def close(self) -> None:
        """Close the database's connections."""
        self.store.close()

    # ---- transactions ---------------------------------------------------------------------------------------------

    @contextmanager
    def join(self, session: Any) -> Iterator[Self]:  # noqa: ANN401 - a SQLAlchemy Session or Connection of the host
        """Give the same calls inside the host's own transaction: the host commits or rolls back, never we."""
        connection = session.connection() if callable(getattr(session, "connection", None)) else session
        joined = copy.copy(self)
        joined.store = HostStore(self.store.joining(connection))
        yield joined

    def now(self) -> datetime:
        """Return the present instant by the injected clock; BadInput when it cannot be right."""
        now = self._clock()
        if now.tzinfo is None:
            raise BadInput("The clock gave a time without zone.", way_out="Give an aware datetime, for instance in UTC.")
        if not _EARLIEST <= now <= _LATEST:
            raise BadInput(f"The clock says {now.isoformat()}, which cannot be.", way_out="Set the machine's clock; nothing was changed.")
        return now.astimezone(UTC)

    @property
    def sandbox(self) -> bool:
        """Whether this database was made for trying out, so that its clock may be set."""
        with self.store.reading() as tx:
            return tx.meta("sandbox") == "yes"

    def queue(self, *, by: str, limit: int = 50) -> list[QueueItem]:
        """Return what this person must do or answers for, soonest due first; at most `limit` lines. Raises NotAllowed."""
        with self.store.reading() as tx:
            now = self.now()
            posts = [(term.verdict.as_role, term.unit) for term in self._sight(tx, now, by, "case.list").terms]

            rows = tx.queue(posts, posts, by, limit)

            items = []
            for row in rows:
                workflow = self._sources.pinned(tx, row.procedure).workflow
                items.append(QueueItem(
                    row.number, row.stage, workflow.stages[row.stage].label, row.tier, row.risk, row.danger, row.clock,
                    workflow.clocks[row.clock].label, row.role, row.holder, row.due_at, row.due_at <= now, row.version,
                ))
            return items
