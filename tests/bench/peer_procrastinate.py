"""Procrastinate as a durable timer: jobs scheduled for one instant on PostgreSQL, drained by one asynchronous worker."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta

import psycopg
from procrastinate import App, PsycopgConnector
from sqlalchemy import make_url

from .peer import LEAD_SECONDS, LONG_SECONDS, Tally

CONCURRENCY = 20

_SHUFFLE = """
    WITH chosen AS (SELECT id FROM procrastinate_jobs ORDER BY md5(id::text) LIMIT %(due)s)
    UPDATE procrastinate_jobs SET scheduled_at = CASE WHEN id IN (SELECT id FROM chosen) THEN %(early)s ELSE %(late)s END
"""


def drain(url: str, due: int, future: int, *, full: bool) -> float:
    """Return the seconds from the first job to the last one finished. PostgreSQL is as durable as for us."""
    assert full
    logging.getLogger("procrastinate").setLevel(logging.ERROR)
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    return asyncio.run(_drain(plain, due, future))


def _tidy(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE procrastinate_jobs")


async def _drain(url: str, due: int, future: int) -> float:
    app = App(connector=PsycopgConnector(conninfo=url, min_size=CONCURRENCY, max_size=CONCURRENCY))
    tally = Tally(due)

    @app.task(name="nothing")
    async def nothing() -> None:
        tally.one()

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        at = datetime.now(UTC) + timedelta(seconds=LEAD_SECONDS)
        for when, count in ((at, due), (at + timedelta(seconds=LONG_SECONDS), future)):
            for start in range(0, count, 1_000):
                await nothing.configure(schedule_at=when).batch_defer_async(*[{}] * min(1_000, count - start))
        # Those that are due lie among the others by chance, as our cases do: the worker takes its jobs in the order of their numbers.
        await app.connector.execute_query_async(_SHUFFLE, early=at, late=at + timedelta(seconds=LONG_SECONDS), due=due)
        await asyncio.to_thread(_tidy, url)
        await asyncio.sleep(max(0.0, (at - datetime.now(UTC)).total_seconds()))
        # Without `wait` the worker ends when nothing is due any more, so its end is the end of the last job.
        await app.run_worker_async(concurrency=CONCURRENCY, wait=False, listen_notify=False, delete_jobs="always",
                                   install_signal_handlers=False)
        left = await app.connector.execute_query_one_async("SELECT count(*) AS jobs FROM procrastinate_jobs")
    return await asyncio.to_thread(tally.wait, lambda: int(left["jobs"]) - future)
