"""Promise PS3 on pages: no query string and no form gives a 500, and afterwards every page is still there."""

from typing import NamedTuple

import pytest
from hypothesis import strategies as st

from tests.fuzz import each, parts
from tests.fuzz.values import query, texts
from tests.fuzz.world import FORM, World

ZONES = ["UTC", "Asia/Tokyo", "Pacific/Honolulu", "Pacific/Kiritimati", "Europe/Berlin", "America/Havana"]


class Asked(NamedTuple):
    """A request to a page."""

    method: str
    address: str
    pairs: list[tuple[str, str]]
    zone: str
    as_stranger: bool


def requests(world: World, *methods: str) -> st.SearchStrategy[Asked]:
    """Requests to every page, of values for the names that its view reads."""
    return st.sampled_from(world.routes).flatmap(lambda route: _requests(world, route, methods))


def _requests(world: World, route: str, methods: tuple[str, ...]) -> st.SearchStrategy[Asked]:
    addresses, names = world.addresses(route), [name for name in world.names[route] if name != "team"]
    pair = st.tuples(st.sampled_from([*names, "x"]), texts(world.words))
    # A team that is not one's own is 404 before anything else is looked at.
    team = st.sampled_from(["all"] * 9 + ["vision-lab"] * 9 + ["other-lab", "\0"]).map(lambda slug: [("team", slug)])
    return st.builds(
        Asked,
        st.sampled_from(methods),
        st.one_of(st.just(addresses[0]), st.sampled_from(addresses)),
        st.tuples(team, st.lists(pair, max_size=6)).map(lambda lists: lists[0] + lists[1]),
        st.sampled_from(ZONES),
        st.sampled_from([True] + [False] * (2 if route.startswith("/accounts/") else 9)),
    )


def answers(world: World, asked: Asked) -> None:
    sent, who = query(asked.pairs), {"zone": asked.zone, "as_stranger": asked.as_stranger}
    if asked.method == "POST":
        answer = world.ask("POST", asked.address, data=sent, content_type=FORM, **who)
    else:
        answer = world.ask(asked.method, f"{asked.address}?{sent}", **who)
    assert answer.status_code < 500


@pytest.mark.parametrize("count", parts(usual=600))
def test_no_query_string_and_no_form_breaks_a_page(world, count):
    # What follows would be worth nothing if nothing were asked for.
    assert len(world.answered) > 50
    assert {"since", "until", "action", "person"} <= set(world.names["/settings/teams/<slug:team>/audit/"])
    assert {"email", "role"} <= set(world.names["/settings/teams/<slug:team>/invitations/"])
    assert {"training", "-energy"} <= world.words
    each(count // 2, requests(world, "GET", "GET", "GET", "HEAD"), lambda asked: answers(world, asked))
    each(count // 2, requests(world, "POST"), lambda asked: answers(world, asked))
    assert world.broken() == []
