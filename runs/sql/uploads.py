"""The statements of an upload's short transaction: where it belongs, and its facts.

By hand, because the ORM took ten times as long to write the SQL as the database to answer it.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import BinaryField, UUIDField

from runs.sql.frequent import frequent
from runs.sql.locks import SHARED_LOCK, share
from runs.sql.times import instant
from runs.sql.within_project import is_distributed

#: Keeps project and run from deletion and trash until the commit, but lets others upload and fold. The project comes
#: first, as in every deletion. SQLite has one writer at a time anyway. On Citus, the project is kept in another way.
KEEP = {"postgresql": "FOR KEY SHARE OF project, run", "citus": "FOR KEY SHARE OF run", "sqlite": ""}
#: Also keeps others from folding, for whoever is going to: to ask for that later could end in a deadlock.
TAKE = {
    "postgresql": "FOR KEY SHARE OF project FOR NO KEY UPDATE OF run",
    "citus": "FOR NO KEY UPDATE OF run",
    "sqlite": "",
}
PLACE = """
SELECT run.id, run.started_at, run.last_seen_at, run.energy_kwh, run.emissions_kg,
       writer.id, writer.started_at, writer.clock_skew_s, writer.last_sha256, device.key
FROM runs_project project
JOIN runs_run run ON run.project_id = project.id
LEFT JOIN runs_writer writer ON writer.project_id = run.project_id AND writer.run_id = run.id AND writer.key = %s
LEFT JOIN runs_device device ON device.project_id = run.project_id AND device.writer_id = writer.id
WHERE project.id = %s AND run.run_id = %s """
INTO_BATCH = """
INSERT INTO runs_batch
    (writer_id, batch_id, sha256, received_at, first_t_s, last_t_s, sample_count, series, metrics, project_id, run_id)
"""
#: Inserts nothing if the run has such a batch, or is not in the project any more.
BATCH = f"""{INTO_BATCH}
SELECT %s, %s, %s, %s, %s, %s, %s, %s, %s, project.id, run.id
FROM runs_project project JOIN runs_run run ON run.project_id = project.id
WHERE project.id = %s AND run.id = %s {{keep}}
ON CONFLICT DO NOTHING RETURNING id"""  # noqa: S608 (text of ours)
#: The same in two statements: Citus can't lock what it selects for an insertion, and would ask all machines for it.
RUN = "SELECT id FROM runs_run WHERE project_id = %s AND id = %s FOR KEY SHARE"
BATCH_OF_RUN = f"{INTO_BATCH} VALUES ({', '.join(['%s'] * 11)}) ON CONFLICT DO NOTHING RETURNING id"
ARRIVAL = "INSERT INTO runs_arrival (project_id, run_id, writer_id, batch_id, received_at, told) "
ONE_ARRIVAL = f"{ARRIVAL} VALUES (%s, %s, %s, %s, %s, %s)"
#: Where one statement may do both, it needs no transaction around it: three journeys to the server instead of five.
BOTH = f"WITH batch AS ({{batch}}) {ARRIVAL} SELECT %s, %s, %s, batch.id, %s, %s FROM batch RETURNING batch_id"  # noqa: S608 (text of ours)
#: What a new run begins with; its model is kept from the trash until the commit.
BEGINNING = """
WITH model AS (SELECT id FROM runs_trackedmodel WHERE project_id = %s AND name = %s {keep})
SELECT EXISTS (SELECT 1 FROM runs_project WHERE id = %s),
       EXISTS (SELECT 1 FROM runs_deletedrun WHERE project_id = %s AND run_id = %s),
       (SELECT id FROM model),
       (SELECT id FROM runs_emissionfactor WHERE active),
       (SELECT value FROM runs_pue WHERE active)"""
_UUID, _BYTES = UUIDField(), BinaryField()


class Beginning(NamedTuple):
    """What a new run begins with; None where the project or the portal has none yet."""

    has_project: bool
    is_deleted: bool
    model_id: int | None
    factor_id: int | None
    pue: float | None


def beginning(project_id: int, run_id: Any, model: str) -> Beginning:
    """Return what a run with this id and model would begin with in this project."""
    sql = BEGINNING.format(keep=SHARED_LOCK.get(connection.vendor, ""))
    with frequent() as cursor:
        cursor.execute(sql, [project_id, model, project_id, project_id, _UUID.get_db_prep_value(run_id, connection)])
        return Beginning(*cursor.fetchone())


def place(project_id: int, run_id: Any, writer_key: str, lock: Mapping[str, str] | None = None) -> list[list]:
    """Return the columns of PLACE, a row for each device of the writer; no row if the project has no such run.

    `lock` is KEEP or TAKE, within a transaction.
    """
    found = [writer_key, project_id, _UUID.get_db_prep_value(run_id, connection)]
    with frequent() as cursor:
        cursor.execute(PLACE + (_keeping(project_id, lock) if lock else ""), found)
        return [[instant(value) if place in (1, 2, 6) else value for place, value in enumerate(row)] for row in cursor]


def _keeping(project_id: int, lock: Mapping[str, str]) -> str:
    """Return the words that take a lock of the run and its project; on Citus the project's is taken here."""
    if not is_distributed():
        return lock[connection.vendor]
    share("runs_project", [project_id])
    return lock["citus"]


class BatchRow(NamedTuple):
    """What is stored of a batch."""

    batch_id: str
    sha256: str
    received_at: datetime
    first_t_s: float | None
    last_t_s: float | None
    sample_count: int
    series: bytes
    metrics: list[list]


def insert_batch(ids: tuple[int, int, int], row: BatchRow, told: Mapping | None) -> bool:
    """Store a batch, and its mark if something is `told`; `ids` are those of project, run and writer.

    Returns False, and stores nothing, if the run has a batch with this id, or is gone.
    """
    project_id, run_id, writer_id = ids
    at = connection.ops.adapt_datetimefield_value(row.received_at)
    values: list[Any] = [writer_id, row.batch_id, row.sha256, at, row.first_t_s, row.last_t_s, row.sample_count]
    values += [_BYTES.get_db_prep_value(row.series, connection), _json(row.metrics), project_id, run_id]
    with frequent() as cursor:
        if connection.vendor == "postgresql" and not is_distributed() and told is not None:
            batch = BATCH.format(keep=KEEP["postgresql"])
            cursor.execute(BOTH.format(batch=batch), [*values, *ids, at, _json(told)])
            return cursor.fetchone() is not None
        with transaction.atomic():
            if is_distributed():
                share("runs_project", [project_id])
                cursor.execute(RUN, [project_id, run_id])
                if not cursor.fetchone():
                    return False
            cursor.execute(BATCH_OF_RUN if is_distributed() else BATCH.format(keep=KEEP[connection.vendor]), values)
            found = cursor.fetchone()
            if found and told is not None:
                cursor.execute(ONE_ARRIVAL, [*ids, found[0], at, _json(told)])
        return found is not None


def insert_arrival(ids: tuple[int, int, int], at: datetime, told: Mapping) -> None:
    """Store the mark of an upload without a batch; `ids` as above."""
    with frequent() as cursor:
        cursor.execute(ONE_ARRIVAL, [*ids, None, connection.ops.adapt_datetimefield_value(at), _json(told)])


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)
