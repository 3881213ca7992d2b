"""Commands that met another one are run again: where databases have many writers, two may each hold what the other needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from crisis_engine.store import Store
from crisis_engine.store.breach import Collided

from .log import log

TRIES = 4
"""How often a command is run before it says that the database is busy (D: our design)."""

P = ParamSpec("P")
R = TypeVar("R")


class _OnStore(Protocol):
    @property
    def store(self) -> Any: ...  # noqa: ANN401 - the store or a host's transaction


E = TypeVar("E", bound=_OnStore)


def again(command: Callable[Concatenate[E, P], R]) -> Callable[Concatenate[E, P], R]:
    """Run a command whose transaction the database undid for another one's sake again, from its beginning.

    Inside a host's transaction it is the host's to begin anew: there the error goes on as it is.
    """
    @wraps(command)
    def run(engine: E, /, *args: P.args, **named: P.kwargs) -> R:
        for _ in range(TRIES - 1):
            try:
                return command(engine, *args, **named)
            except Collided:
                if not isinstance(engine.store, Store):
                    raise
                log("command.again", command=command.__name__)
        return command(engine, *args, **named)

    return run


def anew(store: object, write: Callable[[], None]) -> None:
    """Do a sweep's write again as `again` does a command."""
    for _ in range(TRIES - 1):
        try:
            write()
        except Collided:
            if not isinstance(store, Store):
                raise
            log("sweep.again")
        else:
            return
    write()
