"""What a correction of the catalogue, the factor or the PUE reaches: shown before it is saved, recalculated after."""

from django.contrib import messages
from django.template.response import TemplateResponse

from runs.jobs import reestimate
from runs.models import AuditEntry
from runs.models.audit import Action

CONFIRMED = "_confirmed"


def ask(request, reason: str, action: Action = Action.PROFILE_CHANGED, **takes: bool) -> None:
    """Write an audit entry, request the recalculation of affected runs, and tell the admin."""
    AuditEntry.note(request, None, action, reason)
    if reestimate.request(reason, request.user, **takes):
        messages.info(request, "Affected runs are being recalculated. See Recalculations for the progress.")


def confirm(model_admin, request, reached: reestimate.Touched, may_leave: bool = False) -> TemplateResponse:
    """The page that asks for confirmation before a change is saved."""
    given = [(name, value) for name, values in request.POST.lists() for value in values if name[:5] != "csrfm"]
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Effect of this change",
        "opts": model_admin.opts,
        "reached": reached,
        "may_leave": may_leave,
        "given": [*given, (CONFIRMED, "1")],
    }
    return TemplateResponse(request, "admin/reaches.html", context)
