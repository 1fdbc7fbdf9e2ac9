"""Citations of a model's figures: the page, and each text as a file."""

from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from runs.addresses import origin
from runs.citing.facts import DEFAULT_SCOPE, SCOPES, cited
from runs.citing.texts import FORMS, forms_of, text
from runs.models import Badge
from runs.web import query
from runs.web.access import model_or_404
from runs.web.scope import scope_of


def model_cite(request, project, slug):
    model, scope = model_or_404(request, project, slug), _scope(request)
    facts = cited(model, scope, timezone.now())
    context = {
        "model": model,
        "scope": scope,
        "scopes": SCOPES,
        "facts": facts,
        "texts": [(form, about, text(facts, form)) for form, about in forms_of(scope).items()] if facts else [],
        "badges": Badge.objects.filter(tracked_model=model),
        "base_url": origin(),
        "place": scope_of(request).place_in(model.project.team_id),
    }
    return render(request, "model_page/cite.html", context)


def model_citation(request, project, slug, form):
    """Return one of the texts as a file; 404 for an unknown form, or if there is nothing to cite."""
    model, scope = model_or_404(request, project, slug), _scope(request)
    facts = cited(model, scope, timezone.now()) if form in forms_of(scope) else None
    if facts is None:
        raise Http404
    answer = HttpResponse(text(facts, form), content_type=f"{FORMS[form].content_type}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{model.slug}-{FORMS[form].ending}"'
    return answer


def _scope(request) -> str:
    scope = query.asked(request, "of")
    return scope if scope in SCOPES else DEFAULT_SCOPE
