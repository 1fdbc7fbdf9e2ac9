"""The annual report as a page for printing and as CSV."""

from django.http import Http404
from django.shortcuts import render
from django.utils import timezone

from runs.exports.files import csv_answer
from runs.figures import periods
from runs.models import EmissionFactor, RunUsage
from runs.report import year as dashboard
from runs.web import query
from runs.web.scope import choices_of, of_a_team


@of_a_team
def report(request):
    return render(request, "report/page.html", _context(request))


def report_csv(request):
    context = _context(request)
    found = context["report"]
    return csv_answer(f"report-{found.year}.csv", dashboard.COLUMNS, dashboard.csv_rows(found))


def _context(request) -> dict:
    found = choices_of(request)
    run_days = RunUsage.objects.filter(project__in=found.project_ids)
    today = timezone.now().date()
    year = int(query.asked_number(request, "year") or today.year)
    if not periods.EARLIEST.year <= year <= today.year:
        raise Http404
    made = dashboard.report(found, run_days, year)
    return {
        "report": made,
        "amounts": [row.amounts for row in made.rows] + [made.total],
        "years": sorted({*dashboard.years_of(run_days), today.year, year}, reverse=True),
        "goes_on": year == today.year,
        "factor": EmissionFactor.objects.active(),
    }
