"""APScheduler 3 as a durable timer: date jobs in its SQLAlchemy job store on a SQLite file."""

from __future__ import annotations

import logging
import pickle
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from sqlalchemy import create_engine, event, func, insert, select

from .peer import LEAD_SECONDS, LONG_SECONDS, Tally

_tally = Tally(0)


def nothing() -> None:
    """The job: it is found again by its name."""
    _tally.one()


def drain(url: str, due: int, future: int, *, full: bool) -> float:
    """Return the seconds from the first job to the last row deleted."""
    global _tally  # noqa: PLW0603 - a job has no other way to its world than its module
    _tally = Tally(due)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _entry: object) -> None:  # noqa: ANN401 - the driver's
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")

    store = SQLAlchemyJobStore(engine=engine)
    scheduler = BackgroundScheduler(jobstores={"default": store}, executors={"default": ThreadPoolExecutor(10)}, timezone=UTC,
                                    job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1})
    scheduler.start(paused=True)
    at = datetime.now(UTC) + timedelta(seconds=LEAD_SECONDS)
    times = chain(repeat(at, due), repeat(at + timedelta(seconds=LONG_SECONDS), future))
    rows = [_row(scheduler, f"job-{place}", when) for place, when in enumerate(times)]
    with engine.begin() as connection:   # as `add_job` writes them, in one transaction: the filling is not what is measured
        connection.execute(insert(store.jobs_t), rows)
    scheduler.resume()

    def left() -> int:
        with engine.begin() as connection:
            return int(connection.execute(select(func.count()).select_from(store.jobs_t)).scalar_one()) - future

    seconds = _tally.wait(left)
    scheduler.shutdown(wait=False)
    return seconds


def _row(scheduler: BackgroundScheduler, name: str, when: datetime) -> dict[str, object]:
    job = Job(scheduler, id=name, func=nothing, trigger=DateTrigger(when, UTC), executor="default", args=(), kwargs={}, name=name,
              misfire_grace_time=None, coalesce=True, max_instances=1, next_run_time=when)
    return {"id": name, "next_run_time": when.timestamp(), "job_state": pickle.dumps(job.__getstate__(), pickle.HIGHEST_PROTOCOL)}
