"""The form that creates an API token, in a team's settings and on the start page."""

from datetime import timedelta

from django import forms
from django.utils import timezone

from runs.models import ApiToken, AuditEntry, Project
from runs.models.audit import Action
from runs.web.fields import Name

LIFETIMES = [("30", "30 days"), ("90", "90 days"), ("365", "A year"), ("", "Never")]


class TokenForm(forms.Form):
    project = forms.ModelChoiceField(Project.objects.none(), empty_label=None)
    name = Name(label="Name", help_text="Where the token is used: a machine, a cluster, a script.")
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        choices=[("ingest", "Send runs (ingest)"), ("read", "Read runs and totals (read)")],
        widget=forms.CheckboxSelectMultiple,
        initial=["ingest"],
    )
    runs_are_of = forms.ChoiceField(
        label="Runs count for",
        choices=ApiToken.Owner.choices,
        initial=ApiToken.Owner.MAKER,
        required=False,
        help_text="The name under which lists and the overview show the runs.",
    )
    days = forms.ChoiceField(label="Expires after", choices=LIFETIMES, initial="365", required=False)

    def __init__(self, place, *args, **options):
        super().__init__(*args, **options)
        self.fields["project"].queryset = place.team.project_set.order_by("name")  # type: ignore[attr-defined]

    def issue(self, request) -> tuple[ApiToken, str]:
        """Create the token; returns it with its plain text."""
        asked = self.cleaned_data
        expires_at = timezone.now() + timedelta(days=int(asked["days"])) if asked["days"] else None
        owner = asked["runs_are_of"] or ApiToken.Owner.MAKER
        issued = ApiToken.issue(asked["project"], asked["name"], asked["scopes"], request.user, expires_at, owner)
        AuditEntry.note(request, asked["project"].team, Action.TOKEN_ISSUED, subject(issued[0]))
        return issued


def subject(token: ApiToken) -> str:
    """Return the name of a token for the audit log."""
    return f"{token.prefix} ({token.name}) of {token.project}"
