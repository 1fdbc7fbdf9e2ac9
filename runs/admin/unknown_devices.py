"""Devices that are not in the catalogue, and how to resolve them."""

from urllib.parse import urlencode

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse

from hardware.models import HardwareAlias, HardwareProfile
from runs.admin.reach import CONFIRMED, ask, confirm
from runs.jobs import reestimate
from runs.models import Device
from traceml_site.admin import Select


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
