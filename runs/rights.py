"""What each role may do in a team: the single source of the table in docs/teams.md."""

from django.db import models


class Role(models.TextChoices):
    """From the most to the least rights."""

    OWNER = "owner"
    ADMIN = "admin"
    MEMBER = "member"
    VIEWER = "viewer"


class Right(models.TextChoices):
    """An action in a team, in the words of docs/teams.md."""

    SEE = "see", "View runs, models, projects, members and the list of tokens"
    LEAVE = "leave", "Leave the team (except its last owner)"
    MAKE_TOKENS = "make tokens", "Create API tokens; rotate and revoke their own"
    MAKE_PROJECTS = "make projects", "Create projects"
    MANAGE_TOKENS = "manage tokens", "Rotate and revoke all tokens"
    MANAGE_PROJECTS = (
        "manage projects",
        "Rename, delete and restore projects; set how long they keep samples; permanently delete items in the trash",
    )
    SHARE = "share", "Create and revoke share links and badges"
    CHANGE_RUNS = (
        "change runs",
        "Tag and archive runs; delete and restore runs and models; import runs of other tools and undo imports; set "
        "whether lower or higher is better for a metric",
    )
    WRITE_NOTES = "write notes", "Write notes on runs and models"
    READ_AUDIT = "read the audit log", "Read the audit log"
    INVITE = "invite", "Invite people as admin, member or viewer; withdraw invitations"
    MANAGE_MEMBERS = (
        "manage members",
        "Change the roles of lower-ranked members (owners: of all members), and remove them",
    )
    RENAME_TEAM = "rename the team", "Rename the team"
    OFFER_OWNERSHIP = "offer ownership", "Offer ownership to another member, who has to accept it"
    DELETE_TEAM = "delete the team", "Delete the team and everything in it"


EVERYBODY = frozenset(Role)
WRITERS = EVERYBODY - {Role.VIEWER}
ADMINS = frozenset({Role.OWNER, Role.ADMIN})
OWNERS = frozenset({Role.OWNER})

RIGHTS: dict[Right, frozenset[Role]] = {
    Right.SEE: EVERYBODY,
    Right.LEAVE: EVERYBODY,
    Right.MAKE_TOKENS: WRITERS,
    Right.MAKE_PROJECTS: WRITERS,
    Right.SHARE: WRITERS,
    Right.CHANGE_RUNS: WRITERS,
    Right.WRITE_NOTES: WRITERS,
    Right.READ_AUDIT: ADMINS,
    Right.MANAGE_TOKENS: ADMINS,
    Right.MANAGE_PROJECTS: ADMINS,
    Right.INVITE: ADMINS,
    Right.MANAGE_MEMBERS: ADMINS,
    Right.RENAME_TEAM: ADMINS,
    Right.OFFER_OWNERSHIP: OWNERS,
    Right.DELETE_TEAM: OWNERS,
}
