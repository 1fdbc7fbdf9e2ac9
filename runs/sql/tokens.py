"""Which tokens work: read with every request of the API, so by hand; the ORM took ten times as long as the database."""

import json
from datetime import datetime
from typing import Any

from django.db import connection

from runs.rights import RIGHTS, Right
from runs.sql.frequent import frequent
from runs.sql.times import instant

#: The columns that a request needs of its token, in the order of the model; others are read when someone asks for them.
COLUMNS = ("id", "project_id", "runs_are_of", "secret_hmac", "scopes", "created_by_id", "last_used_at")
_MAKERS = ", ".join(f"'{role.value}'" for role in sorted(RIGHTS[Right.MAKE_TOKENS]))
#: Not revoked or expired, of a project that is not in the trash, and made by someone who could still make it: tokens
#: end with their creator's membership or account. The parameter is the time.
WORKING = f"""
FROM runs_apitoken token
JOIN runs_project project ON project.id = token.project_id
JOIN runs_team team ON team.id = project.team_id
LEFT JOIN runs_user maker ON maker.id = token.created_by_id
LEFT JOIN runs_membership member ON member.user_id = maker.id AND member.team_id = team.id
WHERE token.revoked_at IS NULL AND (token.expires_at IS NULL OR token.expires_at > %s) AND team.bin_of_id IS NULL
  AND (token.created_by_id IS NULL OR (maker.is_active AND member.role IN ({_MAKERS})))"""

FIND = f"SELECT {', '.join(f'token.{name}' for name in COLUMNS)} {WORKING} AND token.lookup_id = %s"


def working(at: datetime) -> tuple[str, list[Any]]:
    """Return the rest of a query after its columns, and its parameters."""
    return WORKING, [connection.ops.adapt_datetimefield_value(at)]


def find(lookup_id: str, at: datetime) -> list[Any] | None:
    """Return the values of COLUMNS of the working token with this look-up id."""
    with frequent() as cursor:
        cursor.execute(FIND, [connection.ops.adapt_datetimefield_value(at), lookup_id])
        row = cursor.fetchone()
    if row is None:
        return None
    *others, last_used_at = row
    others[COLUMNS.index("scopes")] = json.loads(others[COLUMNS.index("scopes")])
    return [*others, instant(last_used_at)]
