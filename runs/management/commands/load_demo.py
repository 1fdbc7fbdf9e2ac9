"""`manage.py load_demo`: load half a year of data of a fictional team; `--remove` deletes it."""

import secrets

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from runs.demo import load
from runs.figures import units
from runs.models import Membership, User


class Command(BaseCommand):
    help = "Load half a year of runs of a fictional team, through the same code as uploads."

    def add_arguments(self, parser):
        parser.add_argument("--remove", action="store_true", help="delete the demo team, and nothing else")
        parser.add_argument("--size", type=float, default=1.0, help="factor for the number of runs (1: about 500)")
        parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same data")
        parser.add_argument("--for", dest="email", help="add this person to the demo team as its owner")

    def handle(self, *, remove, size, seed, email, **options):
        if remove:
            self.stdout.write("Demo removed." if load.remove() else "No demo is loaded.")
            return
        if load.demo_team():
            raise CommandError("The demo is already loaded. Remove it with `load_demo --remove`.")
        if not 0 < size <= 100:
            raise CommandError("--size must be above 0 and at most 100")
        guest = self._guest(email)
        password = secrets.token_urlsafe(12)
        team, count = load.load(seed, size, timezone.now(), password)
        if guest:
            Membership.objects.create(team=team, user=guest, role=Membership.Role.OWNER)
        self.stdout.write(f"{units.counted(count, 'run')} loaded. Sign in as {load.OWNER} with the password {password}")

    def _guest(self, email: str | None) -> User | None:
        guest = User.objects.filter(email=email.lower()).first() if email else None
        if email and guest is None:
            raise CommandError(f"No account has the address {email}.")
        return guest
