"""Which tokens work: read with every request of the API, so by hand; the ORM took ten times as long as the database."""

import json
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from django.db import connection

from runs.sql.frequent import frequent
from runs.sql.times import instant

#: The columns that a request needs of its token, in the order of the model; others are read when someone asks for them.
COLUMNS = ("id", "project_id", "runs_are_of", "secret_hmac", "scopes", "created_by_id", "last_used_at")
#: Not revoked or expired, of a project that is not in the trash, and made by someone who could still make it: tokens
#: end with their creator's membership or account. Parameters: the time, and the roles that may make tokens.
WORKING = """
FROM runs_apitoken token
JOIN runs_project project ON project.id = token.project_id
JOIN runs_team team ON team.id = project.team_id
LEFT JOIN runs_user maker ON maker.id = token.created_by_id
LEFT JOIN runs_membership member ON member.user_id = maker.id AND member.team_id = team.id
WHERE token.revoked_at IS NULL AND (token.expires_at IS NULL OR token.expires_at > %s) AND team.bin_of_id IS NULL
  AND (token.created_by_id IS NULL OR (maker.is_active AND member.role IN ({roles})))"""

FIND = f"SELECT {', '.join(f'token.{name}' for name in COLUMNS)} {WORKING} AND token.lookup_id = %s"


def working(at: datetime, roles: Sequence[str]) -> tuple[str, list[Any]]:
    """Return the rest of a query after its columns, and its parameters."""
    return _of_roles(WORKING, len(roles)), [connection.ops.adapt_datetimefield_value(at), *roles]


@cache
def _of_roles(sql: str, count: int) -> str:
    return sql.format(roles=", ".join(["%s"] * count))


def find(lookup_id: str, at: datetime, roles: Sequence[str]) -> list[Any] | None:
    """Return the values of COLUMNS of the working token with this look-up id."""
    with frequent() as cursor:
        values = [connection.ops.adapt_datetimefield_value(at), *roles, lookup_id]
        cursor.execute(_of_roles(FIND, len(roles)), values)
        row = cursor.fetchone()
    if row is None:
        return None
    *others, last_used_at = row
    others[COLUMNS.index("scopes")] = json.loads(others[COLUMNS.index("scopes")])
    return [*others, instant(last_used_at)]
