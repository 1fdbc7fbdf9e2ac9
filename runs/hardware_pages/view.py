from django.shortcuts import get_object_or_404, render

from hardware.models import HardwareProfile
from runs.hardware_pages import page as dashboard
from runs.models import Device
from runs.web import query
from runs.web.scope import scope_of


def hardware_list(request):
    filters = dashboard.HardwareFilters(
        search=query.asked(request, "q"),
        kind=query.asked(request, "kind"),
        seen=query.asked(request, "seen"),
        sort=query.asked(request, "sort"),
    )
    reader = (request.user, scope_of(request).team)
    catalogue = dashboard.profiles(*reader, filters, query.asked(request, "page"))
    is_unknown = filters.seen == dashboard.UNKNOWN
    context = {
        "unknown": Device.objects.for_user(*reader).unknown_names() if is_unknown else None,
        "unknown_kwh": dashboard.unknown_kwh(*reader),
        "page": catalogue.page,
        "seen": catalogue.seen,
        "filters": filters,
        "kinds": Device.Kind.choices,
    }
    return render(request, "hardware_pages/list.html", context)


def hardware_detail(request, slug):
    profile = get_object_or_404(HardwareProfile, slug=slug)
    page = dashboard.profile_page(request.user, scope_of(request).team, profile)
    return render(request, "hardware_pages/profile.html", {"profile": profile, "page": page})
