"""DBOS as a durable timer: delayed workflows on one queue, in its system database on SQLite or PostgreSQL."""

from __future__ import annotations

import time
from typing import Any

from dbos import DBOS, DBOSClient, DBOSConfig
from sqlalchemy import Engine, MetaData, Table, create_engine, event, func, insert, select, update

from .peer import LEAD_SECONDS, LONG_SECONDS, Tally

QUEUE, POOL = "bench", 20


def drain(url: str, due: int, future: int, *, full: bool) -> float:
    """Return the seconds from the first workflow to the last one marked as done."""
    assert full
    tally = Tally(due)
    sqlite = url.startswith("sqlite")
    engine = _engine(url) if sqlite else create_engine(url, pool_size=POOL)
    config: DBOSConfig = {"name": "bench", "log_level": "ERROR", "application_version": "1", "sys_db_pool_size": POOL,
                          "system_database_url": url, "system_database_engine": engine}

    DBOS(config=config)

    @DBOS.workflow(name="nothing")
    def nothing() -> None:
        tally.one()

    DBOS.launch()
    client = DBOSClient(system_database_engine=engine, system_database_url=url, application_name="bench")
    client.enqueue({"workflow_name": "nothing", "queue_name": QUEUE, "app_version": "1", "delay_seconds": LONG_SECONDS})   # the pattern
    schema = MetaData(schema=None if sqlite else "dbos")
    schema.reflect(engine)
    table = schema.tables["workflow_status" if sqlite else "dbos.workflow_status"]
    at = _fill(engine, schema, table, due, future)
    DBOS.register_queue(QUEUE, polling_interval_sec=0.05)

    def left() -> int:
        with engine.connect() as connection:
            done = select(func.count()).select_from(table).where(table.c.status == "SUCCESS")
            return due - int(connection.execute(done).scalar_one())

    time.sleep(max(0.0, at - time.time()))
    return tally.wait(left)


def _fill(engine: Engine, schema: MetaData, table: Table, due: int, future: int) -> float:
    """Copy one waiting workflow as often as is wanted; return when those that are due are due, in seconds of the wall clock."""
    with engine.begin() as connection:
        pattern = connection.execute(select(table.c.workflow_uuid)).scalars().first()
        for each in (table, *(other for other in schema.tables.values() if other is not table and "workflow_uuid" in other.c)):
            own = select(each).where(each.c.workflow_uuid == pattern)
            found: list[dict[str, Any]] = [dict(row) for row in connection.execute(own).mappings()]
            rows = [{**row, "workflow_uuid": f"bench-{place}"} for row in found for place in range(due + future - 1)]
            for start in range(0, len(rows), 500):
                connection.execute(insert(each), rows[start:start + 500])
        keys = list(connection.execute(select(table.c.workflow_uuid).limit(due)).scalars())
        at = time.time() + LEAD_SECONDS
        for start in range(0, len(keys), 500):
            chosen = table.c.workflow_uuid.in_(keys[start:start + 500])
            connection.execute(update(table).where(chosen).values(delay_until_epoch_ms=int(at * 1000)))
    return at


def _engine(url: str) -> Engine:
    """Return an engine as DBOS itself makes one for SQLite, with a write-ahead log beside."""
    engine = create_engine(url, pool_size=POOL)

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _entry: object) -> None:  # noqa: ANN401 - the driver's
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout = 30000", "foreign_keys = ON", "journal_mode = WAL", "synchronous = FULL"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
