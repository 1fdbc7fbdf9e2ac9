"""The emission factor and the PUE: values with a history, one of which is in force."""

from django import forms
from django.contrib import admin, messages
from django.db import transaction

from runs.admin.reach import CONFIRMED, ask, confirm
from runs.jobs import reestimate
from runs.models import AuditEntry, EmissionFactor, Pue
from runs.models.audit import Action


class FactorForm(forms.ModelForm):
    url = forms.URLField(label="URL", max_length=400, required=False, assume_scheme="https")


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
