"""`manage.py worker`: what happens in the background, mail, re-estimation and daily housekeeping, from one queue.

The queue is django_tasks_db's table. What it lacks is here: a job whose worker was killed is taken up again, one that
fails is tried again, and each day has its housekeeping, however many workers there are.
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

from runs.jobs import housekeeping, reestimate

logger = logging.getLogger(__name__)

#: A running job is its worker's for so long, and renewed well before; the job's `run_after` holds until when.
LEASE, RENEW_S = timedelta(seconds=90), 20
#: Minutes between attempts of a job: no email is lost if a mail server is down for a day.
TRIES_MINUTES = (1, 4, 16, 64, 256, 1024)
#: Results of former releases and long given up are not tried again.
TRIED_AGAIN_WITHIN = timedelta(days=2)
LOOKS_AFTER_EVERY_S = 30
#: When the day's housekeeping is due, UTC; a worker that was not there then does it when it comes.
HOUSEKEEPING_AT = (3, 17)
NO_ARGUMENTS: dict = {"args": [], "kwargs": {}}


class Worker(db_worker.Worker):
    """Works off one queue, a job at a time, until told to stop; with `batch` until nothing is ready."""

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
                job = claim(self.queue_names[0], self.worker_id)
                if job:
                    self.run_task(job)
            except DatabaseError as error:  # busy, or away for a moment: what is in the queue stays there
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
        """Run it, and if it fails say so and have it tried again."""
        with _leased(db_task_result):
            super().run_task(db_task_result)
        if db_task_result.status == TaskResultStatus.FAILED:
            told = db_task_result.traceback.strip().rpartition("\n")[2]
            logger.error("%s failed, try %s: %s", db_task_result.task_path, len(db_task_result.worker_ids), told)
            try_again(db_task_result)
        else:  # a mail that was sent may hold a link that opens something
            DBTaskResult.objects.filter(pk=db_task_result.pk).update(args_kwargs=NO_ARGUMENTS)


def claim(queue: str, worker_id: str) -> DBTaskResult | None:
    """The next job that is ready, now this worker's; of several that ask for the same one, one gets it."""
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
    """Renew the lease while the job is at work."""
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
    """What no job does by itself: those of killed workers and those that failed go on, and today's is in the queue."""
    for job in DBTaskResult.objects.running().filter(backend_name="default", run_after__lt=timezone.now()):
        logger.error("The worker of %s is gone", job.task_path)
        job.set_failed(WorkerGone("The worker was killed, or its machine is gone."))
    lately = timezone.now() - TRIED_AGAIN_WITHIN
    for job in DBTaskResult.objects.failed().filter(backend_name="default", finished_at__gt=lately):
        try_again(job)
    enqueue_housekeeping(timezone.now())
    reestimate.start_if_abandoned()


class WorkerGone(Exception):
    """A job began and its end was never heard of."""


def try_again(job: DBTaskResult) -> None:
    """Put a failed job back into the queue for later, unless it was tried often enough; what went wrong stays told."""
    tries = len(job.worker_ids)
    if tries > len(TRIES_MINUTES):
        return
    wait = timedelta(0) if _was_killed(job) else timedelta(minutes=TRIES_MINUTES[tries - 1])
    failed = DBTaskResult.objects.filter(pk=job.pk, status=TaskResultStatus.FAILED)
    failed.update(status=TaskResultStatus.READY, run_after=timezone.now() + wait)


def _was_killed(job: DBTaskResult) -> bool:
    """Whether it is not the job's fault, at the first time."""
    return job.exception_class_path.endswith(WorkerGone.__name__) and len(job.worker_ids) == 1


def enqueue_housekeeping(now: datetime) -> None:
    """Queue the day's housekeeping once, however many workers ask: the day is its key."""
    day = now.astimezone(zones.utc).date()
    hour, minute = HOUSEKEEPING_AT
    due = datetime(day.year, day.month, day.day, hour, minute, tzinfo=zones.utc)
    task = housekeeping.daily
    values: dict = {"task_path": task.module_path, "queue_name": task.queue_name, "backend_name": "default"}
    values |= {"run_after": due, "args_kwargs": NO_ARGUMENTS}
    DBTaskResult.objects.get_or_create(pk=uuid.uuid5(uuid.NAMESPACE_URL, f"traceml:{day}"), defaults=values)
