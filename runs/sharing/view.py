"""What people without an account open: a shared page by its secret, a badge by its key."""

from hashlib import sha256

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from runs import limits
from runs.exports.badge import picture
from runs.models import Badge, EmissionFactor, Run, ShareLink, TrackedModel
from runs.run_page.page import run_page
from runs.sharing import page as dashboard
from runs.web import query

#: So long README sites may show a badge without asking again.
BADGE_SECONDS = 300


@login_not_required
@require_safe
def shared(request, secret):
    link = ShareLink.objects.opened_by(secret)
    if link is None:
        limits.GUESSES.spend(limits.address_of(request))
        raise Http404
    limits.SHARED.spend(f"{link.pk} {limits.address_of(request)}")
    context = {"link": link, "shared": True} | CONTEXTS[link.kind](request, link)
    answer = render(request, f"sharing/{link.kind}.html", context)
    answer["X-Robots-Tag"] = "noindex, nofollow"
    answer["Cache-Control"] = "private, no-store"
    return answer


def _run(request, link: ShareLink) -> dict:
    run = Run.objects.select_related("factor", "tracked_model", "project").get(sharelink=link)
    return {"run": run, "page": run_page(run, with_details=link.with_details)}


def _model(request, link: ShareLink) -> dict:
    quantity = query.quantity(request)
    model = TrackedModel.objects.get(sharelink=link)
    page = dashboard.model_page(model, link.with_details, timezone.now(), quantity)
    factors = EmissionFactor.objects.used_by(Run.objects.filter(tracked_model=model))
    return {"page": page, "model": model, "quantity": quantity, "factors": factors}


def _project(request, link: ShareLink) -> dict:
    quantity = query.quantity(request)
    page = dashboard.project_page(link.project, link.with_details, timezone.now().date(), quantity)
    return {"page": page, "quantity": quantity}


CONTEXTS = {"run": _run, "model": _model, "project": _project}


@login_not_required
@require_safe
def badge(request, key):
    """The badge as an image that another site may show, with an ETag."""
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
