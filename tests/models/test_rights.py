"""The table of rights: one in code, the same in docs/teams.md."""

import re
from itertools import pairwise
from pathlib import Path

import pytest

from runs.rights import RIGHTS, Right, Role

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "teams.md").read_text()


def documented() -> dict[str, set[str]]:
    """Right, in words, to the roles that the page ticks."""
    header, *rows = re.findall(r"^\| (right|[A-Z].*?) \| (.*) \|$", DOCS, re.MULTILINE)
    roles = [role.strip() for role in header[1].split("|")]
    return {
        right: {role for role, tick in zip(roles, ticks.split("|"), strict=True) if "✓" in tick}
        for right, ticks in rows
    }


def test_the_docs_tell_the_table_of_the_code():
    coded = {right.label.replace("’", "'"): {role.value for role in roles} for right, roles in RIGHTS.items()}
    assert documented() == coded


def test_every_right_is_given_to_somebody_and_the_owner_has_all():
    assert set(RIGHTS) == set(Right)
    assert all(Role.OWNER in roles for roles in RIGHTS.values())


@pytest.mark.parametrize(("higher", "lower"), list(pairwise(Role)))
def test_a_higher_role_may_all_that_a_lower_one_may(higher, lower):
    assert all(higher in roles for roles in RIGHTS.values() if lower in roles)
