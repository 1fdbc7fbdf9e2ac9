"""What a correction of the catalogue, the factor or the PUE reaches: shown before it is saved, re-estimated after."""

from django.contrib import messages
from django.template.response import TemplateResponse

from runs.jobs import reestimate
from runs.models import AuditEntry
from runs.models.audit import Action

CONFIRMED = "_confirmed"


def ask(request, reason: str, action: Action = Action.PROFILE_CHANGED, **takes: bool) -> None:
    """Write down what was changed, have what is behind re-estimated, and say so."""
    AuditEntry.note(request, None, action, reason)
    if reestimate.request(reason, request.user, **takes):
        messages.info(request, "Runs that this reaches are being re-estimated; see Re-estimations for the progress.")


def confirm(model_admin, request, reached: reestimate.Touched, may_leave: bool = False) -> TemplateResponse:
    """The page between a change and its being saved."""
    given = [(name, value) for name, values in request.POST.lists() for value in values if name[:5] != "csrfm"]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "What this change reaches",
        "opts": model_admin.opts,
        "reached": reached,
        "may_leave": may_leave,
        "given": [*given, (CONFIRMED, "1")],
    }
    return TemplateResponse(request, "admin/reaches.html", context)
