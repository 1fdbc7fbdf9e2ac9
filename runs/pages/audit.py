"""Settings: the audit log, for a team's owners and admins."""

from django import forms
from django.core.exceptions import PermissionDenied
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from runs.dashboards import audit as dashboard
from runs.models import Team
from runs.models.audit import Action
from runs.pages import query
from runs.pages.csv_file import csv_answer
from runs.text import clean_text


def _day(label: str) -> forms.DateField:
    return forms.DateField(
        required=False, label=label, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )


class AuditForm(forms.Form):
    action = forms.ChoiceField(required=False, choices=[("", "All"), *((each, each.capitalize()) for each in Action)])
    person = forms.CharField(required=False, max_length=254)
    since = _day("From")
    until = _day("To")

    def clean_person(self) -> str:
        return clean_text(self.cleaned_data["person"], 254)

    def filters(self) -> dashboard.AuditFilters:
        """What was asked for; nothing of it where a part can't be understood, which the form then says."""
        return dashboard.AuditFilters(**self.cleaned_data) if self.is_valid() else dashboard.AuditFilters()


@require_safe
def audit(request):
    team = managed_team(request)
    form = AuditForm(request.GET)
    filters = form.filters()
    context = {
        "team": team,
        "teams": Team.objects.managed_by(request.user).order_by("name"),
        "form": form,
        "filters": filters,
        "people": dashboard.people(team),
        "actions": Action.values,
        "page": dashboard.page(team, filters, query.asked(request, "page")),
    }
    return render(request, "settings/audit.html", context)


@require_safe
def audit_csv(request):
    team = managed_team(request)
    filters = AuditForm(request.GET).filters()
    return csv_answer(f"audit-{team.slug}.csv", dashboard.HEADER, dashboard.rows(team, filters))


def managed_team(request) -> Team:
    """The team that was asked for, else the first that this person looks after.

    Raises Http404 for a team that this person is not in, PermissionDenied where he does not look after it.
    """
    managed = Team.objects.managed_by(request.user).order_by("name")
    slug = query.asked(request, "team")
    if slug:
        team = get_object_or_404(Team.objects.for_user(request.user), slug=slug)
        managed = managed.filter(pk=team.pk)
    found = managed.first()
    if found is None:
        raise PermissionDenied
    return found
