"""`manage.py issue_token --team T --project P --scopes ingest,read`: create a token and print only it."""

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from runs.models import ApiToken, AuditEntry, Project, Team
from runs.models.audit import Action
from runs.slugs import free_slug


class Command(BaseCommand):
    help = "Create an API token, and its team and project if they are missing. Prints only the token."

    def add_arguments(self, parser):
        parser.add_argument("--team", required=True, help="id or slug of the team, or its name if no other team has it")
        parser.add_argument("--project", required=True)
        parser.add_argument("--scopes", default="ingest", help="ingest, read or both, separated by a comma")
        parser.add_argument("--name", default="command line")
        parser.add_argument(
            "--runs-are-of", choices=("nobody", "team", "ci"), default="nobody", help="who its runs count for"
        )

    def handle(self, *, team, project, scopes, name, runs_are_of, **options):
        wanted = [scope.strip() for scope in scopes.split(",") if scope.strip()]
        if not wanted or not set(wanted) <= set(ApiToken.Scope.values):
            raise CommandError(f"--scopes must be one or more of {', '.join(ApiToken.Scope.values)}, not {scopes!r}")
        with transaction.atomic():
            owner = ApiToken.Owner.MAKER if runs_are_of == "nobody" else runs_are_of
            place = named_project(named_team(team), project)
            token, plain_text = ApiToken.issue(place, name, wanted, runs_are_of=owner)
            AuditEntry.note(None, token.project.team, Action.TOKEN_ISSUED, str(token))
        self.stdout.write(plain_text)


def named_team(text: str) -> Team:
    """The team with this id, slug or name, in that order; created if missing.

    Team names are not unique: raises CommandError if several teams have this name.
    """
    by_id = Team.objects.filter(pk=int(text)) if text.isdecimal() and len(text) < 19 else Team.objects.none()
    for found in (by_id, Team.objects.filter(slug=text), Team.objects.filter(name=text)):
        if len(teams := list(found.order_by("pk"))) > 1:
            told = ", ".join(f"{team.pk} ({team.slug})" for team in teams)
            raise CommandError(f"Several teams are called {text!r}. Give --team an id or slug: {told}")
        if teams:
            return teams[0]
    return Team.objects.create(name=text, slug=free_slug(text, Team.objects.all(), "team"))


def named_project(team: Team, name: str) -> Project:
    """The team's project with this name; created if missing."""
    found = Project.objects.filter(team=team, name=name).first()
    return found or Project.objects.create(team=team, name=name, slug=free_slug(name, Project.objects.all(), "project"))
