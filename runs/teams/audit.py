"""Settings: the audit log, for a team's owners and admins."""

from django import forms
from django.core.exceptions import PermissionDenied
from django.shortcuts import render

from runs.exports.files import csv_answer
from runs.models import Right
from runs.models.audit import Action
from runs.teams import audit_log as dashboard
from runs.web import access as doors
from runs.web import query
from runs.web.fields import Name


def _day(label: str) -> forms.DateField:
    widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    return forms.DateField(required=False, label=label, widget=widget)


class AuditForm(forms.Form):
    action = forms.ChoiceField(required=False, choices=[("", "All"), *((each, each.capitalize()) for each in Action)])
    person = Name(required=False, max_length=254)
    since = _day("From")
    until = _day("To")

    def filters(self) -> dashboard.AuditFilters:
        """The filters of the form; none of them if one is invalid, which the form then shows."""
        return dashboard.AuditFilters(**self.cleaned_data) if self.is_valid() else dashboard.AuditFilters()


@doors.reads
def audit(request, place):
    form = _asked(request, place)
    filters = form.filters()
    context = {
        "place": place,
        "form": form,
        "filters": filters,
        "people": dashboard.people(place.team),
        "actions": Action.values,
        "page": dashboard.page(place.team, filters, query.asked(request, "page")),
    }
    return render(request, "teams/audit.html", context)


@doors.reads
def audit_csv(request, place):
    filters = _asked(request, place).filters()
    return csv_answer(f"audit-{place.team.slug}.csv", dashboard.HEADER, dashboard.rows(place.team, filters))


def _asked(request, place) -> AuditForm:
    if not place.may(Right.READ_AUDIT):
        raise PermissionDenied
    return AuditForm(request.GET)
