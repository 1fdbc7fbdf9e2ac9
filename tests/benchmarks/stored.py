"""What a portal has stored, beside what its clients were told."""

import time
import uuid
from collections import Counter
from datetime import UTC, datetime

from tests.backup import places
from tests.benchmarks.agents import Told

#: How long totals may take to follow the last upload.
SETTLED_WITHIN_S = 60.0
#: Without the marks of uploads, which come and go: what they leave free is used again.
SIZES = {
    "sqlite": """SELECT (pages.page_count - freelist_count) * page_size
                 FROM pragma_page_count pages, pragma_freelist_count, pragma_page_size""",
    "postgres": """SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
                   WHERE relkind = 'r' AND relname LIKE 'runs_%' AND relname <> 'runs_arrival'""",
}


def faults(url: str, *tolds: Told) -> list[str]:
    """What is wrong, in words: batches that were acknowledged and are not stored, or twice; runs whose energy is not
    that of their last counters.
    """
    batches, runs = _rows(url)
    acknowledged = {(run, batch) for told in tolds for run, batch in told.acknowledged if batch}
    lost = acknowledged - set(batches)
    doubled = [batch for batch, count in batches.items() if count > 1]
    energy_j = {run: joules for told in tolds for run, joules in told.energy_j.items()}
    wrong = [run for run, joules in energy_j.items() if abs(3.6e6 * runs.get(run, 0.0) - joules) > 1e-6 * joules]
    found = {"lost": lost, "doubled": doubled, "runs whose energy is wrong": wrong}
    return [f"{len(some)} {what}" for what, some in found.items() if some]


def different_totals(url: str) -> list[str]:
    """What `check_totals` has to say where the totals are not those of a rebuild."""
    checked = places.manage(url, "check_totals")
    return [checked.stderr] if checked.returncode else []


def _rows(url: str) -> tuple[Counter, dict[str, float]]:
    """How often each batch is stored, and what was measured of each run in kWh."""
    with places.opened(url) as rows:
        names = "SELECT run.run_id, batch.batch_id FROM runs_batch batch JOIN runs_run run ON run.id = batch.run_id"
        batches = Counter((_id(run), batch) for run, batch in rows.execute(names).fetchall())
        runs = {_id(run): kwh for run, kwh in rows.execute("SELECT run_id, measured_kwh FROM runs_run").fetchall()}
    return batches, runs


def _id(value) -> str:
    return str(uuid.UUID(str(value)))


def size_bytes(url: str) -> int:
    """The size of all that stays, the log left out."""
    with places.opened(url) as rows:
        if places.is_sqlite(url):
            rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return rows.execute(SIZES["sqlite" if places.is_sqlite(url) else "postgres"]).fetchone()[0]


def behind_s(url: str) -> float:
    """Wait until the totals have followed all uploads; returns the age of the oldest that they had yet to follow."""
    most_s, deadline = 0.0, time.monotonic() + SETTLED_WITHIN_S
    with places.opened(url) as rows:
        while oldest := rows.execute("SELECT min(received_at) FROM runs_arrival").fetchone()[0]:
            at = oldest if isinstance(oldest, datetime) else datetime.fromisoformat(oldest).replace(tzinfo=UTC)
            most_s = max(most_s, (datetime.now(UTC) - at).total_seconds())
            assert time.monotonic() < deadline, "the totals do not follow"
            time.sleep(0.02)
    return most_s
