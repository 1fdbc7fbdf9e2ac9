"""The choices that filters offer: projects, models and members of the selected team, or of all teams."""

from typing import NamedTuple

from django.db.models import Case, OuterRef, Subquery, TextField, Value, When
from django.db.models.functions import Coalesce, Concat, NullIf, Trim

from runs.models import Membership, Project, Run, Team, TrackedModel, User
from runs.models.user import DEACTIVATED

#: Runs that belong to no person: their value in an address, their name and its explanation.
NOBODY = {
    Run.OF_TEAM: ("team", "The team", "runs of tokens that count for the team"),
    Run.OF_CI: ("ci", "CI", "runs of tokens that count for CI"),
    Run.OF_NOBODY: ("0", "No member", "runs of tokens created on the command line, or imported there"),
}


class Members(NamedTuple):
    """The people who share a team with the reader: their names and email addresses by id."""

    names: dict[int, str]
    emails: dict[int, str] = {}

    def name_of(self, member_id: int | str) -> str:
        """Return the name of a member; people who left are not named, but their runs stay."""
        text = str(member_id)
        known = {str(pk): name for pk, name in self.names.items()}
        known |= {key: word for pk, (asks, word, _) in NOBODY.items() for key in (asks, str(pk))}
        return known.get(text, "A former member")

    @property
    def offered(self) -> list[tuple[str, str]]:
        """The filter value and name of each member."""
        people = [(str(pk), name) for pk, name in self.names.items()]
        return people + [(asks, word) for asks, word, _ in NOBODY.values()]

    def called(self, text: str) -> list[int]:
        """Return the ids of members whose name or address contains this text."""
        part = text.casefold()
        people = [pk for pk, name in self.names.items() if part in f"{name}\n{self.emails.get(pk, '')}".casefold()]
        return people + [pk for pk, (_, word, _) in NOBODY.items() if part == word.casefold()]


def asks_for_member(member_id: int) -> str:
    """Return the value of a `Run.member_id` in an address."""
    return NOBODY[member_id][0] if member_id in NOBODY else str(member_id)


def member_ids(text: str) -> list[int]:
    """Return the `Run.member_id`s of such a value; empty if it is invalid."""
    asked = {asks: pk for pk, (asks, _, _) in NOBODY.items()}
    is_id = text.isascii() and text.isdecimal() and len(text) < 19
    return [asked[text]] if text in asked else [int(text)] if is_id else []


class Choices(NamedTuple):
    """The filter choices of this person in the selected team or teams, by filter value."""

    models: list[dict]
    members: Members
    several_teams: bool = False

    @property
    def projects(self) -> dict[str, str]:
        found = {row["project__slug"]: self.project_name(row) for row in self.models}
        return dict(sorted(found.items(), key=lambda item: item[1].lower()))

    def project_name(self, model: dict) -> str:
        """Return a project's name, with its team if there are several: most teams have a "First project"."""
        name = model["project__name"]
        return f"{model['project__team__name']} / {name}" if self.several_teams else name

    @property
    def offered(self) -> list[tuple[str, str]]:
        """The filter value and name of each model."""
        return [(address_of(row), row["name"]) for row in self.models]

    @property
    def project_ids(self) -> list[int]:
        return sorted({row["project_id"] for row in self.models})

    @property
    def slugs(self) -> dict[int, str]:
        """The slugs of projects that have models, by id."""
        return {row["project_id"]: row["project__slug"] for row in self.models}


MODEL = ("pk", "name", "slug", "project_id", "project__slug", "project__name", "project__team", "project__team__name")


def choices(user, team: Team | None = None) -> Choices:
    """Return the choices of one team, or of all teams of this person."""
    models = list(TrackedModel.objects.for_user(user, team).order_by("name", "pk").values(*MODEL))
    several = len({row["project__team"] for row in models}) > 1
    return Choices(models, members_of(user, team), several)


def project_choices(project: Project) -> Choices:
    """Return the choices of one project, for a reader who is a token."""
    models = list(TrackedModel.objects.filter(project=project).order_by("name", "pk").values(*MODEL))
    return Choices(models, _members(User.objects.filter(teams=project.team)))


def members_of(user, team: Team | None = None) -> Members:
    return _members(User.objects.filter(teams__membership__user=user, **({"teams": team} if team else {})))


def _members(people) -> Members:
    found = list(
        people.distinct().order_by("first_name", "email").only("first_name", "last_name", "email", "is_active")
    )
    return Members({person.pk: person.called for person in found}, {person.pk: person.email for person in found})


def with_sender(runs):
    """Add to the runs the name of the team member who ran them, for `sender_of`."""
    name = NullIf(Trim(Concat("user__first_name", Value(" "), "user__last_name")), Value(""))
    own = Membership.objects.filter(team=OuterRef("project__team"), user=OuterRef("member_id"))
    rests = Case(When(user__is_active=False, then=Value(DEACTIVATED)), default=Value(""))
    called = Concat(Coalesce(name, "user__email", output_field=TextField()), rests, output_field=TextField())
    return runs.annotate(sender=Subquery(own.values(name=called)))


def sender_of(run: Run) -> str:
    """Return who ran a run of `with_sender`."""
    name = run.sender  # type: ignore[attr-defined]
    return Members({run.member_id: name} if name else {}).name_of(run.member_id)


def address_of(model: dict) -> str:
    """Return the filter value of a model: slugs are only unique within a project."""
    return f"{model['project__slug']}/{model['slug']}"
