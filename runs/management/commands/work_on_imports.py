"""`manage.py work_on_imports`: does what imports wait for; the portal and the worker start it."""

from django.core.management.base import BaseCommand

from runs.importers import work


class Command(BaseCommand):
    help = "Check, store and undo imports that wait for it."

    def handle(self, *args, **options):
        count = work.work_off()
        self.stdout.write(f"{count} pieces of work done.")
