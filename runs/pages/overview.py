from django.shortcuts import redirect, render
from django.utils import timezone

from runs.dashboards import periods
from runs.dashboards.overview import overview as dashboard
from runs.models import Team
from runs.pages import query


def overview(request):
    period = periods.period(request.GET.get("range"), timezone.now().date())
    quantity = query.quantity(request)
    shown = dashboard(request.user, period, quantity)
    if shown.is_empty and not Team.objects.for_user(request.user).exists():
        return redirect("start")
    context = {
        "overview": shown,
        "period": period,
        "presets": periods.PRESETS,
        "quantity": quantity,
    }
    return render(request, "overview.html", context)
