"""Pages for people without an account: a shared page by its secret, a badge by its key."""

from collections.abc import Callable, Mapping
from hashlib import sha256

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from runs import limits
from runs.exports.badge import picture
from runs.models import Badge, ShareLink

#: How long sites may cache a badge.
BADGE_SECONDS = 300


@login_not_required
@require_safe
def shared(request, secret, pages: Mapping[str, Callable]):
    """The shared page, rendered by the view in `pages` for its kind; 404 for an unknown or ended link."""
    link = ShareLink.objects.opened_by(secret)
    if link is None:
        limits.GUESSES.spend(limits.address_of(request))
        raise Http404
    limits.SHARED.spend(f"{link.pk} {limits.address_of(request)}")
    answer = pages[link.kind](request, link)
    answer["X-Robots-Tag"] = "noindex, nofollow"
    answer["Cache-Control"] = "private, no-store"
    return answer


@login_not_required
@require_safe
def badge(request, key):
    """The badge as an image that other sites may embed, with an ETag."""
    found = Badge.objects.shown().filter(key=key).first()
    if found is None:
        limits.GUESSES.spend(limits.address_of(request))
        raise Http404
    limits.SHARED.spend(f"badge {found.pk} {limits.address_of(request)}")
    svg = render_to_string("sharing/badge.svg", {"picture": picture(found)})
    etag = quote_etag(sha256(svg.encode()).hexdigest()[:32])
    answer = HttpResponse(svg, content_type="image/svg+xml; charset=utf-8")
    answer["ETag"] = etag
    answer["Cache-Control"] = f"public, max-age={BADGE_SECONDS}"
    answer["Cross-Origin-Resource-Policy"] = "cross-origin"
    return get_conditional_response(request, etag=etag, response=answer)
