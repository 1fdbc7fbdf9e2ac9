"""The team that a page shows: one or all of the reader's teams, kept in the address so that links show the same."""

from collections.abc import Callable
from functools import wraps
from typing import NamedTuple

from django.db.models import Subquery
from django.http import Http404, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import SimpleLazyObject

from runs.jobs import folder
from runs.models import Arrival, Membership, Right, Run, Team
from runs.selection.choices import Choices, choices
from runs.web import query

#: The value that selects all teams, and the session key of the last choice.
ALL, KEPT = "all", "team"


class TeamScope(NamedTuple):
    """A reader's memberships, ordered by team name, and the team shown; None for all of them."""

    places: list[Membership]
    team: Team | None

    @property
    def is_a_choice(self) -> bool:
        return len(self.places) > 1

    @property
    def name(self) -> str:
        """The name in titles, prints and images; empty for people without a team."""
        if self.team:
            return self.team.name
        return "All my teams" if self.places else ""

    @property
    def asks(self) -> str:
        """Its value in an address."""
        return self.team.slug if self.team else ALL

    @property
    def teams(self) -> list[Team]:
        return [place.team for place in self.places]

    def may(self, right: Right) -> bool:
        """Whether the reader has the right in a team that is shown."""
        return any(place.may(right) for place in self.places if self.team in (None, place.team))

    @property
    def behind_s(self) -> float:
        """By how many seconds figures are behind what agents have uploaded; 0 while they follow as they should.

        Whoever took the uploads may have been killed, so this process goes on with them.
        """
        behind_s = Arrival.behind_s(self.places[0].arrived_at) if self.places else 0.0  # type: ignore[attr-defined]
        if behind_s:
            folder.wake()
        return behind_s

    def place_in(self, team_id: int) -> Membership | None:
        return next((place for place in self.places if place.team_id == team_id), None)


def scope_of(request) -> TeamScope:
    """Return the scope of a request: its `team`, or else the last choice, or else the team that sent a run last.

    Raises Http404 for a team that the reader is not a member of.
    """
    if not hasattr(request, "scope_of_reader"):
        places = Membership.objects.filter(user=request.user).select_related("team").order_by("team__name", "pk")
        places = places.annotate(arrived_at=Subquery(Arrival.objects.first_times()))  # without a query of its own
        request.scope_of_reader = _scope(request, list(places))
        if not _knows(request.scope_of_reader, request.GET.get("team", "")):
            raise Http404
    return request.scope_of_reader


def _knows(scope: TeamScope, asked: str) -> bool:
    return asked in ("", ALL) or asked in [team.slug for team in scope.teams]


def _scope(request, places: list[Membership]) -> TeamScope:
    teams = {place.team.slug: place.team for place in places}
    if len(teams) < 2:
        return TeamScope(places, next(iter(teams.values()), None))
    for asked in (request.GET.get("team"), request.session.get(KEPT)):
        if asked == ALL or asked in teams:
            break
    else:
        asked = _heard_last(teams)
    if request.session.get(KEPT) != asked:
        request.session[KEPT] = asked
    return TeamScope(places, teams.get(asked or ""))


def _heard_last(teams: dict[str, Team]) -> str:
    runs = Run.objects.filter(project__team__in=teams.values()).order_by("-received_at")
    return runs.values_list("project__team__slug", flat=True).first() or next(iter(teams))


def of_a_team(view: Callable) -> Callable:
    """Decorate a page of the team in its address; without one, redirect to the address that has it."""

    @wraps(view)
    def addressed(request, *args, **parts):
        scope = scope_of(request)
        if scope.is_a_choice and not request.GET.get("team"):
            asked = request.GET.copy()
            asked["team"] = scope.asks
            return HttpResponseRedirect(f"?{asked.urlencode()}")
        return view(request, *args, **parts)

    return addressed


def choices_of(request) -> Choices:
    """Return the choices that filters offer in this scope."""
    return choices(request.user, scope_of(request).team)


def in_templates(request) -> dict:
    """Return context for all templates: the scope as `in_view`, and the team switch's links, evaluated when used."""
    return {"in_view": SimpleLazyObject(lambda: scope_of(request)), "team_links": lambda: links(request)}


#: Pages that show one or all teams, and the query parameters that belong to one team.
OF_A_TEAM = ("overview", "run_list", "model_list", "hardware_list", "report")
OF_ONE = ("project", "model", "member", "base", "against", "page")


def links(request) -> list[tuple[str, str, bool]]:
    """Return name, address and whether it is selected for each choice of the team switch in the header."""
    scope = scope_of(request)
    match = request.resolver_match
    leave = dict.fromkeys(OF_ONE)
    stays, overview = match and match.url_name in OF_A_TEAM, reverse("overview")
    asked = [(team.name, team.slug) for team in scope.teams] + [("All my teams", ALL)]
    return [
        (name, query.link(request, team=slug, **leave) if stays else f"{overview}?team={slug}", slug == scope.asks)
        for name, slug in asked
    ]
