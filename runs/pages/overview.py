from django.shortcuts import render
from django.utils import timezone

from runs.dashboards import periods
from runs.dashboards.overview import overview as dashboard
from runs.pages import query


def overview(request):
    period = periods.period(request.GET.get("range"), timezone.now().date())
    quantity = query.quantity(request)
    context = {
        "overview": dashboard(request.user, period, quantity),
        "period": period,
        "presets": periods.PRESETS,
        "quantity": quantity,
    }
    return render(request, "overview.html", context)
