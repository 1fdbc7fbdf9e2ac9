from uuid import UUID

from django import forms
from django.core.exceptions import BadRequest
from django.http import Http404
from django.shortcuts import render

from hardware.models import HardwareProfile
from runs.figures import candidates as dashboard
from runs.models import Run
from runs.web import query

FIELDS = ("hardware", "count", "hours", "utilisation", "speed_up")
NEAR_NAMES = 5


class ChoiceForm(forms.Form):
    """One choice: hardware by slug, catalogue name or driver name."""

    hardware = forms.CharField(max_length=200, required=False)
    count = forms.IntegerField(min_value=1, max_value=100_000, initial=1, label="Number")
    hours = forms.FloatField(min_value=0.001, max_value=1_000_000, initial=24)
    utilisation = forms.FloatField(min_value=0, max_value=1, initial=1, label="Utilisation, 0 to 1")

    near: list[str] = []
    #: The name to show for an address that holds a slug.
    known_as = ""

    #: Number of devices per named item: a cloud machine type may have several.
    held = 1.0

    def clean_hardware(self):
        name = self.cleaned_data["hardware"]
        found, self.held = dashboard.named(name)
        self.known_as = found.name if found and found.slug == name else name
        if name and found is None:
            self.near = list(
                HardwareProfile.objects.filter(name__icontains=name).values_list("name", flat=True)[:NEAR_NAMES]
            )
            raise forms.ValidationError("Unknown device. Choose a name from the catalogue.")
        return found

    def choice(self) -> dashboard.Choice:
        given = self.cleaned_data
        return dashboard.Choice(
            given["hardware"],
            given["count"] * self.held,
            given.get("hours") or 1.0,
            given.get("utilisation") or 0.0,
            given.get("speed_up"),
        )


class InsteadForm(ChoiceForm):
    """A choice for the work of a past run, whose time is calculated."""

    hours = utilisation = None  # type: ignore[assignment]
    speed_up = forms.FloatField(
        min_value=0.001, max_value=10_000, required=False, label="Times as fast", help_text="Empty: from data sheets."
    )


class LimitForm(forms.Form):
    """What limits the speed of a past run's work on other hardware."""

    by = forms.ChoiceField(
        required=False,
        label="Data type or limit",
        choices=[
            ("", "Not stated (assume dense BF16)"),
            ("bf16", "BF16 or FP16"),
            ("fp8", "FP8"),
            ("fp32", "Single precision"),
            ("memory", "Any type, limited by memory bandwidth"),
        ],
    )


def plan(request):
    work = dashboard.work_of(_run(request)) if query.asked(request, "run") else None
    forms_ = _forms(request, work)
    limit = LimitForm({"by": query.asked(request, "by")})
    choices = [form.choice() for form in forms_ if form.is_bound and form.is_valid() and form.cleaned_data["hardware"]]
    if work is None:
        found = dashboard.rows(choices)
    else:
        found = dashboard.rows(choices if limit.is_valid() else [], work, limit.cleaned_data.get("by", ""))
    context = {"forms": forms_, "limit": limit, "rows": found, "work": work, "offered": dashboard.offered(request.user)}
    context |= {
        "most": max((row.energy_high_kwh or 0.0 for row in found), default=0.0),
        "may_add": len(forms_) < dashboard.MOST_CHOICES,
    }
    return render(request, "plan/page.html", context)


def _run(request) -> Run:
    try:
        run_id = UUID(query.asked(request, "run"))
    except ValueError as error:
        raise BadRequest("The parameter run must be the id of a run.") from error
    run = Run.objects.for_user(request.user).with_names().filter(run_id=run_id).order_by("received_at").first()
    if run is None:
        raise Http404
    return run


def _forms(request, work: dashboard.PlannedWork | None) -> list[ChoiceForm]:
    """A form for each choice in the query string, plus an empty one if there is none or another is requested."""
    form_class = InsteadForm if work else ChoiceForm
    fields = form_class.base_fields.items()
    starts = {name: field.initial for name, field in fields if field.initial is not None}
    if work:
        starts["count"] = work.number
    given = {name: request.GET.getlist(name) for name in FIELDS}
    count = min(len(given["hardware"]), dashboard.MOST_CHOICES)
    found = [form_class(starts | _data(given, index), auto_id=f"choice-{index}-%s") for index in range(count)]
    if not found or (request.GET.get("add") and count < dashboard.MOST_CHOICES):
        found.append(form_class(initial=starts, auto_id=f"choice-{count}-%s"))
    return found


def _data(given: dict[str, list[str]], index: int) -> dict[str, str]:
    """The values of one choice in the query string."""
    return {name: values[index] for name, values in given.items() if index < len(values)}
