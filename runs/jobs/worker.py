"""`manage.py worker`: background work (mail, re-estimation and daily housekeeping) from one queue; between two jobs it
folds what arrived, where no web process did.

The queue is django_tasks_db's table. This module adds what it lacks: a job whose worker was killed is resumed, a failed
job is retried, and each day has one housekeeping job for any number of workers.
"""

import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from datetime import timezone as zones

from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone
from django.utils.crypto import get_random_string
from django_tasks import TaskResultStatus
from django_tasks_db.management.commands import db_worker
from django_tasks_db.models import DBTaskResult

from runs.ingest.folding.fold import fold_waiting
from runs.jobs import housekeeping, reestimate
from runs.jobs.silent_ends import end_silent_runs
from runs.sql import run_sums

logger = logging.getLogger(__name__)

#: How long a running job belongs to its worker, renewed well before the end; the job's `run_after` stores the end.
LEASE, RENEW_S = timedelta(seconds=90), 20
#: Minutes between attempts of a job: no email is lost if a mail server is down for a day.
TRIES_MINUTES = (1, 4, 16, 64, 256, 1024)
#: Results of earlier releases that were given up long ago are not retried.
TRIED_AGAIN_WITHIN = timedelta(days=2)
LOOKS_AFTER_EVERY_S = 30
#: When the day's housekeeping is due, UTC; a worker that starts later does it then.
HOUSEKEEPING_AT = (3, 17)
NO_ARGUMENTS: dict = {"args": [], "kwargs": {}}


class Worker(db_worker.Worker):
    """Processes one queue, one job at a time, until told to stop; with `batch` until nothing is ready."""

    def __init__(self, queue: str, batch: bool = False, interval: float = 1.0):
        super().__init__(
            queue_names=[queue],
            interval=interval,
            batch=batch,
            backend_name="default",
            startup_delay=False,
            max_tasks=None,
            worker_id=get_random_string(32),
            excluded_queue_names=[],
        )
        self._looked_after = 0.0

    def run(self) -> None:
        while self.running:
            close_old_connections()
            try:
                self._look_after()
                while fold_waiting():
                    pass
                job = claim(self.queue_names[0], self.worker_id)
                if job:
                    self.run_task(job)
            except DatabaseError as error:  # busy, or briefly unavailable: the queue keeps its jobs
                logger.warning("The queue can't be reached: %s", error)
                job = None
            if job:
                continue
            if self.batch:
                return
            if self.running:
                time.sleep(self.interval)

    def _look_after(self) -> None:
        if self._looked_after and time.monotonic() - self._looked_after < LOOKS_AFTER_EVERY_S:
            return
        self._looked_after = time.monotonic()
        look_after()

    def run_task(self, db_task_result: DBTaskResult) -> None:
        """Run a job; if it fails, log it and schedule a retry."""
        with _leased(db_task_result):
            super().run_task(db_task_result)
        if db_task_result.status == TaskResultStatus.FAILED:
            told = db_task_result.traceback.strip().rpartition("\n")[2]
            logger.error("%s failed, try %s: %s", db_task_result.task_path, len(db_task_result.worker_ids), told)
            try_again(db_task_result)
        else:  # a sent mail may contain a secret link
            DBTaskResult.objects.filter(pk=db_task_result.pk).update(args_kwargs=NO_ARGUMENTS)


def claim(queue: str, worker_id: str) -> DBTaskResult | None:
    """Claim the next job that is ready; if several workers try to claim the same one, only one gets it."""
    ready = DBTaskResult.objects.ready().filter(backend_name="default", queue_name=queue)
    for job in ready[:10]:
        job.worker_ids, now = [*job.worker_ids, worker_id], timezone.now()
        taken = {"status": TaskResultStatus.RUNNING, "started_at": now, "run_after": now + LEASE}
        still = DBTaskResult.objects.filter(pk=job.pk, status=TaskResultStatus.READY)
        if still.update(**taken, worker_ids=job.worker_ids):
            job.refresh_from_db()
            return job
    return None


@contextmanager
def _leased(job: DBTaskResult) -> Iterator[None]:
    """Renew the lease while the job is running."""
    done = threading.Event()

    def renew():
        while not done.wait(RENEW_S):
            running = DBTaskResult.objects.filter(pk=job.pk, status=TaskResultStatus.RUNNING)
            try:
                running.update(run_after=timezone.now() + LEASE)
            except DatabaseError as error:
                logger.warning("A lease was not renewed: %s", error)
        connection.close()

    renewing = threading.Thread(target=renew, daemon=True)
    renewing.start()
    try:
        yield
    finally:
        done.set()
        renewing.join()


def look_after() -> None:
    """Do what no job does itself: resume jobs of killed workers, retry failed ones, queue today's housekeeping, and end
    runs whose tool does not."""
    for job in DBTaskResult.objects.running().filter(backend_name="default", run_after__lt=timezone.now()):
        logger.error("The worker of %s is gone", job.task_path)
        job.set_failed(WorkerGone("The worker was killed, or its machine is gone."))
    lately = timezone.now() - TRIED_AGAIN_WITHIN
    for job in DBTaskResult.objects.failed().filter(backend_name="default", finished_at__gt=lately):
        try_again(job)
    enqueue_housekeeping(timezone.now())
    reestimate.start_if_abandoned()
    end_silent_runs()
    run_sums.compact()


class WorkerGone(Exception):
    """A job began, but never reported its end."""


def try_again(job: DBTaskResult) -> None:
    """Queue a failed job again for later, unless it was tried often enough; its errors stay recorded."""
    tries = len(job.worker_ids)
    if tries > len(TRIES_MINUTES):
        return
    wait = timedelta(0) if _was_killed(job) else timedelta(minutes=TRIES_MINUTES[tries - 1])
    failed = DBTaskResult.objects.filter(pk=job.pk, status=TaskResultStatus.FAILED)
    failed.update(status=TaskResultStatus.READY, run_after=timezone.now() + wait)


def _was_killed(job: DBTaskResult) -> bool:
    """Return whether its worker was killed for the first time, which is not the job's fault."""
    return job.exception_class_path.endswith(WorkerGone.__name__) and len(job.worker_ids) == 1


def enqueue_housekeeping(now: datetime) -> None:
    """Queue the day's housekeeping once for any number of workers: the day is its key."""
    day = now.astimezone(zones.utc).date()
    hour, minute = HOUSEKEEPING_AT
    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zones.utc)
    task = housekeeping.daily
    values: dict = {"task_path": task.module_path, "queue_name": task.queue_name, "backend_name": "default"}
    values |= {"run_after": due, "args_kwargs": NO_ARGUMENTS}
    DBTaskResult.objects.get_or_create(pk=uuid.uuid5(uuid.NAMESPACE_URL, f"traceml:{day}"), defaults=values)
