from django.contrib.auth.decorators import login_not_required
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runs.methodology.page import methodology as dashboard


@login_not_required
@require_safe
def methodology(request):
    """Public: anyone who sees a figure may see how it is calculated."""
    return render(request, "methodology/page.html", {"method": dashboard()})
