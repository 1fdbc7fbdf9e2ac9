from django.contrib.auth.decorators import login_not_required
from django.shortcuts import render
from django.views.decorators.http import require_safe

from runs.methodology.page import methodology as dashboard


@login_not_required
@require_safe
def methodology(request):
    """For everybody: whoever a figure is shown to may see how it came about."""
    return render(request, "methodology/page.html", {"method": dashboard()})
