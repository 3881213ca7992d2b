"""A connection that hears PostgreSQL call: whoever sleeps until the next deadline is woken when a nearer one was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from crisis_engine.store.postgres import CHANNEL
from crisis_engine.store.postgres_error import translate

if TYPE_CHECKING:
    from sqlalchemy import Engine


class Ear:
    """Listens on a connection of its own, outside every transaction."""

    def __init__(self, driver: psycopg.Connection[Any], pooled: object) -> None:
        self._driver = driver
        self._pooled = pooled   # who lets go of it closes the connection

    def wait(self, seconds: float) -> bool:
        """Wait at most so long; whether the nearest deadline came nearer. Raises StoreError when the connection was lost: listen anew."""
        try:
            return next(self._driver.notifies(timeout=max(0.0, seconds), stop_after=1), None) is not None
        except psycopg.Error as error:
            raise translate(error) from error

    def close(self) -> None:
        """Hear no more."""
        self._driver.close()


def ear_on(engine: Engine) -> Ear:
    """Return what listens on a new connection to the engine's database."""
    try:
        pooled = engine.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()   # it is the listener's now, and does not count among those of the pool
        driver.execute(f"LISTEN {CHANNEL}")
    except (DBAPIError, PoolTimeout, psycopg.Error) as error:
        raise translate(error) from error
    return Ear(driver, pooled)
