"""`manage.py worker`: run queued jobs until stopped."""

import threading

from django.core.management.base import BaseCommand, CommandError
from django_tasks import task_backends
from django_tasks_db import DatabaseBackend

from runs.jobs.worker import Worker


class Command(BaseCommand):
    help = (
        "Run queued jobs: send email, recalculate runs, do daily housekeeping. Several workers may run. "
        "See docs/deploy.md."
    )

    def add_arguments(self, parser):
        parser.add_argument("--batch", action="store_true", help="exit when the queue is empty")

    def handle(self, *, batch, **options):
        if not isinstance(task_backends["default"], DatabaseBackend):
            raise CommandError("There is no queue. Set TRACEML_TASKS=database here and for the portal.")
        quick, long = Worker("default", batch), Worker("long", batch)
        if batch:
            quick.run()
            long.run()
            return
        quick.configure_signals()
        # In its own thread, so that no email waits for a recalculation. Its jobs may be interrupted at any moment.
        threading.Thread(target=long.run, daemon=True).start()
        quick.run()
