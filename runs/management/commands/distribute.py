"""`manage.py distribute`: on a Citus coordinator, spread what grows with samples and runs over its workers."""

from django.core.management.base import BaseCommand, CommandError

from runs.scaling import distribution


class Command(BaseCommand):
    help = "On a Citus coordinator, spread what grows with runs over the workers. Stop the portal first. Repeatable."

    def add_arguments(self, parser):
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *, dry_run, **options):
        try:
            left = distribution.steps()
        except distribution.NotPossible as error:
            raise CommandError(str(error)) from None
        for step in left:
            self.stdout.write(step.words)
            if dry_run:
                self.stdout.write("\n".join(f"  {statement};" for statement in step.statements))
            else:
                distribution.run(step)
        if not left:
            self.stdout.write("Everything is in its place.")
