"""`manage.py worker`: does what waits in the queue, until it is told to stop."""

import threading

from django.core.management.base import BaseCommand, CommandError
from django_tasks import task_backends
from django_tasks_db import DatabaseBackend

from runs.jobs.worker import Worker


class Command(BaseCommand):
    help = "Send mail, re-estimate runs and keep house, as it is asked for or due. Several may run. See docs/deploy.md."

    def add_arguments(self, parser):
        parser.add_argument("--batch", action="store_true", help="end when nothing is left to do")

    def handle(self, *, batch, **options):
        if not isinstance(task_backends["default"], DatabaseBackend):
            raise CommandError("There is no queue to work off: set TRACEML_TASKS=database here and for the portal.")
        quick, long = Worker("default", batch), Worker("long", batch)
        if batch:
            quick.run()
            long.run()
            return
        quick.configure_signals()
        # A thread of its own, so that no mail waits for a re-estimation. Whatever it does may be cut off at any moment.
        threading.Thread(target=long.run, daemon=True).start()
        quick.run()
