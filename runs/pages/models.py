from django.shortcuts import get_object_or_404, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from runs.dashboards import models as dashboard
from runs.models import TrackedModel
from runs.pages import query
from runs.pages.notes import edit_notes


def model_list(request):
    search = query.asked(request, "q")
    page = dashboard.footprints(request.user, search, query.asked(request, "page"))
    return render(request, "models/list.html", {"page": page, "models": page.object_list, "search": search})


def _model(request, project: str, slug: str) -> TrackedModel:
    models = TrackedModel.objects.for_user(request.user).select_related("project__team")
    return get_object_or_404(models, project__slug=project, slug=slug)


@require_http_methods(["GET", "POST"])
def model_notes(request, project, slug):
    return edit_notes(request, _model(request, project, slug), reverse("model_detail", args=[project, slug]))


def model_detail(request, project, slug):
    model = _model(request, project, slug)
    quantity = query.quantity(request)
    page = dashboard.model_page(model, timezone.now().date(), quantity)
    place = model.project.team.membership_set.filter(user=request.user).first()
    context = {"model": model, "page": page, "quantity": quantity, "place": place}
    return render(request, "models/detail.html", context)
