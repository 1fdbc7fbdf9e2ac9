"""The side navigation of the settings."""

from django import template

from runs.models import Membership

register = template.Library()

#: Beginnings of route names to the page of the side navigation that they belong to.
PAGES = {"team_new": "team_new", "team": "team", "owner": "team", "member": "members", "invit": "members"}
PAGES |= {"project": "projects", "token": "tokens", "share": "shares", "badge": "shares"}
PAGES |= {"trash": "trash"}


def _page(route: str) -> str:
    """The page that a route belongs to: a refused form shows its page at the form's own address."""
    return next((page for beginning, page in PAGES.items() if route.startswith(beginning)), route)


@register.inclusion_tag("partials/_settings_nav.html", takes_context=True)
def settings_nav(context):
    """Links of the team at hand (`place` in the context, else the person's first) and of the other teams."""
    request = context["request"]
    places = list(Membership.objects.filter(user=request.user).select_related("team").order_by("team__name"))
    place = context.get("place") or (places[0] if places else None)
    return {
        "place": place,
        "team": place and place.team,
        "page": _page(request.resolver_match.url_name),
        "others": [each.team for each in places if place is None or each.team_id != place.team_id],
        "request": request,
    }
