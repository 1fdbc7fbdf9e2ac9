from django.shortcuts import render

from runs.dashboards.methodology import methodology as dashboard


def methodology(request):
    return render(request, "methodology.html", {"method": dashboard()})
