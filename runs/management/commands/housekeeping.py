"""`manage.py housekeeping [PART …] [--dry-run]`: run the worker's daily housekeeping by hand."""

from django.core.management.base import BaseCommand

from runs.jobs import housekeeping

#: What each part deletes, in words.
WORDS = {
    "invitations": "invitations that ended 30 days ago or more",
    "sessions": "sessions that have expired",
    "tokens": "API tokens that ended 90 days ago or more",
    "shares": "share links that ended 30 days ago or more",
    "remembered": "expired attempts and used codes",
    "series": "runs whose samples are older than their project's limit",
    "trash": "runs, models and projects that have been in the trash for 30 days",
    "imports": "files of imports that nobody confirmed within a day",
    "tombstones": "records of deleted runs older than TRACEML_TOMBSTONE_DAYS",
    "audit": "audit entries older than TRACEML_AUDIT_DAYS",
    "tasks": "jobs of the worker that finished, or failed for good, 30 days ago or more",
}


class Command(BaseCommand):
    help = "Delete outdated rows. Totals are not affected. See docs/housekeeping.md."

    def add_arguments(self, parser):
        parser.add_argument("parts", nargs="*", metavar="PART", choices=[[], *WORDS], help=", ".join(WORDS))
        parser.add_argument("--dry-run", action="store_true", help="show how many rows are due, and change nothing")

    def handle(self, *, parts, dry_run, **options):
        for part in parts or WORDS:
            count = housekeeping.due(part) if dry_run else housekeeping.clean(part)
            self.stdout.write(f"{part}: {count} {'due' if dry_run else 'done'} ({WORDS[part]})")
