"""The three people of every test: Alice owns, Bob shares, Charlie must see nothing; and what each of them has."""

from dataclasses import dataclass

from runs.models import ApiToken, Membership, Project, Team, User

PASSWORD = "correct horse battery staple"


@dataclass
class People:
    alice: User
    bob: User
    charlie: User
    project: Project
    charlies_project: Project


def settle() -> People:
    """Alice and Bob in one team with a project, Charlie in a team of his own."""
    alice, bob, charlie = (
        User.objects.create_user(f"{name}@example.org", PASSWORD, first_name=name.title())
        for name in ("alice", "bob", "charlie")
    )
    lab = Team.objects.create(name="Vision lab", slug="vision-lab")
    Membership.objects.create(team=lab, user=alice, role=Membership.Role.OWNER)
    Membership.objects.create(team=lab, user=bob, role=Membership.Role.MEMBER)
    others = Team.objects.create(name="Other lab", slug="other-lab")
    Membership.objects.create(team=others, user=charlie, role=Membership.Role.OWNER)
    return People(
        alice,
        bob,
        charlie,
        Project.objects.create(team=lab, name="Digits", slug="digits"),
        Project.objects.create(team=others, name="Secrets", slug="secrets"),
    )


def token(project: Project, *scopes: str) -> str:
    """The plain text of a new token of this project, for ingest and read unless told."""
    return ApiToken.issue(project, "tests", scopes or ("ingest", "read"))[1]
