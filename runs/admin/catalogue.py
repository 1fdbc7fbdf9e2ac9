"""Admin pages for what estimates depend on: hardware profiles, unknown devices, emission factors, PUE.

A change first shows which runs it affects. When it is saved, these are recalculated in the background.
"""

from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.messages.storage import default_storage
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from hardware.admin import HardwareProfileAdmin
from hardware.changes import last_change
from hardware.exchange import Taken
from hardware.models import CloudInstance, HardwareAlias, HardwareProfile
from runs.jobs import reestimate
from runs.models import AuditEntry, Device, EmissionFactor, Pue, Reestimation
from runs.models.audit import Action
from traceml_site.admin import Select

CONFIRMED = "_confirmed"
PROGRESS_EVERY_S = "3"
#: The most profiles that the audit entry of an import names.
MOST_NAMED = 5


def _is_form(response) -> bool:
    """Whether the form is shown again with errors."""
    return bool(getattr(response, "context_data", {}).get("errors"))


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


@admin.register(HardwareProfile)
class ReestimatedProfileAdmin(HardwareProfileAdmin):
    """Shows which runs a change affects before it is saved, and has them recalculated afterwards."""

    def changeform_view(self, request, object_id=None, form_url="", extra_context=None):
        def save():
            return super(ReestimatedProfileAdmin, self).changeform_view(request, object_id, form_url, extra_context)

        if request.method != "POST":
            return save()
        if CONFIRMED not in request.POST:
            response, reached = reestimate.rehearse(save)
            request._messages = default_storage(request)  # it said that something was saved
            if _is_form(response):
                return response
            if reached.runs:
                return confirm(self, request, reached)
        with transaction.atomic():
            response = save()
            if _is_form(response):
                return response
            ask(request, _edited(request.POST))
        return response

    def delete_model(self, request, obj):
        super().delete_model(request, obj)
        ask(request, f"Profile {obj} deleted")

    def delete_queryset(self, request, queryset):
        names = list(queryset.values_list("name", flat=True)[: MOST_NAMED + 1])
        super().delete_queryset(request, queryset)
        ask(request, f"Profiles deleted: {_few(names, len(names))}")

    def rehearsed(self, write):
        return reestimate.rehearse(write)

    def imported(self, request, taken: list[Taken]):
        changes = [f"{each.profile} ({last_change(each.profile)})" for each in taken[:MOST_NAMED]]
        ask(request, f"Profiles imported: {_few(changes, len(taken))}")


def _edited(given) -> str:
    """The profile that was just saved, with the reason and old and new values."""
    profile = HardwareProfile.objects.filter(slug=given.get("slug", "")).first()
    words = f" ({last_change(profile)})" if profile else ""
    return f"Profile {given.get('name', '')} edited: {given.get('reason', '')}{words}"


def _few(words: list[str], count: int) -> str:
    """The first few of `count` items, and the number of the others."""
    more = count - len(words[:MOST_NAMED])
    return "; ".join(words[:MOST_NAMED]) + (f"; and {more} more" if more > 0 else "")


class FactorForm(forms.ModelForm):
    url = forms.URLField(label="URL", max_length=400, required=False, assume_scheme="https")


@admin.register(CloudInstance)
class CloudInstanceAdmin(admin.ModelAdmin):
    """Cloud machine types, used for planning only; runs are not estimated with them."""

    list_display = ["name", "provider", "profile", "count", "edited"]
    list_select_related = ["profile"]
    list_filter = ["provider"]
    search_fields = ["name", "profile__name"]
    autocomplete_fields = ["profile"]
    fields = ["provider", "name", "profile", "count", "source"]

    def save_model(self, request, obj, form, change):
        obj.edited = True
        super().save_model(request, obj, form, change)


class InForceAdmin(admin.ModelAdmin):
    """Values are added and put in force, never changed: runs keep the value that they were estimated with."""

    actions = ["put_in_force"]
    #: Their name, the audit log's action, and the option of a recalculation.
    noun: str
    audited: Action
    takes: str

    def has_change_permission(self, request, obj=None):
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request, obj=None):
        return False

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        messages.warning(request, f"{self.noun} {obj} is not in force yet. To use it, select it and put it in force.")

    @admin.action(description="Put the selected one in force", permissions=["change"])
    def put_in_force(self, request, queryset):
        if queryset.count() != 1:
            self.message_user(request, "Select exactly one. Only one can be in force at a time.", messages.ERROR)
            return None
        chosen = queryset.get()
        if CONFIRMED not in request.POST:
            _, reached = reestimate.rehearse(chosen.put_in_force, **{self.takes: True})
            return confirm(self, request, reached, may_leave=True)
        with transaction.atomic():
            chosen.put_in_force()
            if "_leave_runs" in request.POST:
                AuditEntry.note(request, None, self.audited, f"{self.noun} {chosen}, for new runs only")
            else:
                ask(request, f"{self.noun} {chosen} put in force", self.audited, **{self.takes: True})
        self.message_user(request, f"{self.noun} {chosen} is now in force.")
        return None


@admin.register(EmissionFactor)
class EmissionFactorAdmin(InForceAdmin):
    list_display = ["kg_per_kwh", "year", "source", "active", "valid_from"]
    form = FactorForm
    fields = ["kg_per_kwh", "year", "source", "url"]
    noun, audited, takes = "Emission factor", Action.FACTOR_CHANGED, "takes_factor"


@admin.register(Pue)
class PueAdmin(InForceAdmin):
    list_display = ["value", "source", "active", "valid_from"]
    fields = ["value", "source"]
    noun, audited, takes = "PUE", Action.PUE_CHANGED, "takes_pue"


class UnknownDevice(Device):
    """A device whose name is not in the catalogue, so the fallback of its kind is used."""

    class Meta:
        proxy = True
        app_label = "runs"


class ResolveForm(forms.Form):
    name = forms.CharField(max_length=200, widget=forms.HiddenInput)
    profile = forms.ModelChoiceField(
        HardwareProfile.objects.all(),
        widget=Select(HardwareAlias._meta.get_field("profile"), admin.site),
        help_text="The reported name becomes an alias of this profile.",
    )

    def clean(self):
        data = super().clean() or {}
        if "profile" in data and "name" in data:
            self.alias = HardwareAlias(profile=data["profile"], name=data["name"])
            try:
                self.alias.full_clean(exclude=["kind", "key"])
            except ValidationError as error:
                raise ValidationError(error.messages) from None
        return data


@admin.register(UnknownDevice)
class UnknownDeviceAdmin(admin.ModelAdmin):
    """All reported names without a profile; each can be resolved to an existing or new profile."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        """For resolving names; counters of devices are not editable."""
        return obj is None and super().has_change_permission(request)

    def has_delete_permission(self, request, obj=None):
        return False

    def get_urls(self):
        resolve = self.admin_site.admin_view(self.resolve)
        return [path("resolve/", resolve, name="runs_unknowndevice_resolve"), *super().get_urls()]

    def changelist_view(self, request, extra_context=None):
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = [
            row | {"resolve": _resolve_url(row), "new": _new_profile_url(row)} for row in Device.objects.unknown_names()
        ]
        context = {
            **self.admin_site.each_context(request),
            "title": "Unknown devices",
            "opts": self.opts,
            "found": found,
        }
        return TemplateResponse(request, "admin/unknown_devices.html", context)

    def resolve(self, request):
        """Make the name an alias of a profile, after showing which runs that affects."""
        if not (self.has_change_permission(request) and request.user.has_perm("hardware.add_hardwarealias")):
            raise PermissionDenied
        form = ResolveForm(
            request.POST if request.method == "POST" else None, initial={"name": request.GET.get("name")}
        )
        if form.is_bound and form.is_valid():
            if CONFIRMED not in request.POST:
                _, reached = reestimate.rehearse(form.alias.save)
                form.alias.pk = None
                return confirm(self, request, reached)
            with transaction.atomic():
                form.alias.save()
                ask(request, f"{form.alias} resolved to {form.alias.profile}")
            return HttpResponseRedirect(reverse("admin:runs_unknowndevice_changelist"))
        context = {**self.admin_site.each_context(request), "title": "Resolve an unknown device", "opts": self.opts}
        context |= {"form": form, "name": request.GET.get("name", ""), "media": self.media + form.media}
        return TemplateResponse(request, "admin/resolve_device.html", context)


def _resolve_url(row: dict) -> str:
    return reverse("admin:runs_unknowndevice_resolve") + "?" + urlencode({"name": row["name"]})


def _new_profile_url(row: dict) -> str:
    given = {"name": row["name"][:100], "kind": row["kind"], "memory_gb": row["memory_gb"] or ""}
    return reverse("admin:hardware_hardwareprofile_add") + "?" + urlencode(given)


@admin.register(Reestimation)
class ReestimationAdmin(admin.ModelAdmin):
    """Recalculations of past runs, with their progress."""

    list_display = [
        "reason",
        "requested_by",
        "created_at",
        "progress",
        "energy_before_kwh",
        "energy_after_kwh",
        "finished_at",
    ]
    list_select_related = ["requested_by"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    @admin.display(description="progress")
    def progress(self, asked):
        return f"{asked.done} of {asked.total} runs" if asked.heard_at or asked.finished_at else "waiting"

    def changelist_view(self, request, extra_context=None):
        """Reload the page while one is pending, and resume one that was interrupted."""
        response = super().changelist_view(request, extra_context)
        if Reestimation.objects.pending().exists():
            response["Refresh"] = PROGRESS_EVERY_S
            reestimate.start_if_abandoned()
        return response
