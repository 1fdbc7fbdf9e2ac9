"""The agent's wheel and the index that lists it (PEP 503), public because pip and uv do not sign in."""

from hashlib import sha256

from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import get_conditional_response
from django.utils.http import quote_etag
from django.views.decorators.http import require_safe

from runs.agent_wheel import wheel


@login_not_required
@require_safe
def packages(request):
    """The list of packages: only the agent."""
    return _page(request, "agent_index/packages.html")


@login_not_required
@require_safe
def files(request):
    """The agent's files: one wheel, of this portal's version."""
    return _page(request, "agent_index/files.html")


@login_not_required
@require_safe
def wheel_file(request, name):
    made = wheel()
    if name != made.name:
        raise Http404
    return _kept(request, HttpResponse(made.content, content_type="application/octet-stream"), made.sha256)


def _page(request, template: str):
    html = render_to_string(template, {"wheel": wheel()})
    return _kept(request, HttpResponse(html), sha256(html.encode()).hexdigest())


def _kept(request, answer, digest: str):
    """A response that caches may store but must revalidate each time: an update changes it at once."""
    etag = quote_etag(digest[:32])
    answer["ETag"], answer["Cache-Control"] = etag, "public, no-cache"
    return get_conditional_response(request, etag=etag, response=answer)
