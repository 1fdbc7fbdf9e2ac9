"""`manage.py load_demo`: half a year of a made-up team to look at; `--remove` takes it out again."""

import secrets

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from runs.demo import load
from runs.figures import units
from runs.models import Membership, User


class Command(BaseCommand):
    help = "Load a made-up team's half year of runs, sent through the ingest code itself."

    def add_arguments(self, parser):
        parser.add_argument("--remove", action="store_true", help="delete the demo team, and nothing else")
        parser.add_argument("--size", type=float, default=1.0, help="multiplies the number of runs (about 500)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same story")
        parser.add_argument("--for", dest="email", help="add this person to the demo team as its owner")

    def handle(self, *, remove, size, seed, email, **options):
        if remove:
            self.stdout.write("The demo is gone." if load.remove() else "There is no demo.")
            return
        if load.demo_team():
            raise CommandError("The demo is loaded already; `load_demo --remove` takes it out.")
        if not 0 < size <= 100:
            raise CommandError("--size takes a number above 0 and up to 100")
        guest = self._guest(email)
        password = secrets.token_urlsafe(12)
        team, count = load.load(seed, size, timezone.now(), password)
        if guest:
            Membership.objects.create(team=team, user=guest, role=Membership.Role.OWNER)
        self.stdout.write(f"{units.counted(count, 'run')} loaded. Sign in as {load.OWNER} with the password {password}")

    def _guest(self, email: str | None) -> User | None:
        guest = User.objects.filter(email=email.lower()).first() if email else None
        if email and guest is None:
            raise CommandError(f"Nobody has the address {email}.")
        return guest
