"""Hardware profiles and cloud machine types: search, correct with a reason, import and export.

Before a correction is saved, the admin sees which runs it reaches; they are then recalculated in the background.
"""

from django import forms
from django.contrib import admin
from django.contrib.messages.storage import default_storage
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import BaseInlineFormSet
from simple_history.admin import SimpleHistoryAdmin
from simple_history.utils import update_change_reason

from hardware.changes import last_change
from hardware.exchange import Taken
from hardware.importing import ExchangeAdmin
from hardware.models import PEAKS, CatalogueState, CloudInstance, HardwareAlias, HardwareProfile, alias_key
from runs.admin.reach import CONFIRMED, ask, confirm
from runs.jobs import reestimate

#: The most profiles that the audit entry of an import names.
MOST_NAMED = 5


class AliasFormSet(BaseInlineFormSet):
    """The forms of one profile's aliases; checks for duplicates, which a single form can't see."""

    def clean(self):
        super().clean()
        seen = set()
        for form in self.forms:
            if name := "" if form in self.deleted_forms else form.cleaned_data.get("name", ""):
                if (key := alias_key(name)) in seen:
                    raise ValidationError(f"The alias {name} is listed twice.")
                seen.add(key)


class AliasInline(admin.TabularInline):
    model = HardwareAlias
    formset = AliasFormSet
    fields = ["name", "source"]
    readonly_fields = ["source"]
    extra = 1


class ProfileForm(forms.ModelForm):
    reason = forms.CharField(
        max_length=300,
        widget=forms.TextInput(attrs={"class": "vTextField"}),
        help_text="Reason for the change, such as a datasheet or a measurement. It is kept in the history.",
    )


class HardwareProfileAdmin(ExchangeAdmin, SimpleHistoryAdmin):
    list_display = ["name", "kind", "vendor", "tdp_w", "idle_w", "full_load_w", "year", "confidence", "edited"]
    list_filter = ["kind", "edited", "confidence", "fallback", "vendor"]
    search_fields = ["name", "slug", "vendor", "aliases__name"]
    search_help_text = "Name, vendor or alias, as reported by a driver or /proc/cpuinfo"
    readonly_fields = ["revision", "created_at", "updated_at"]
    list_per_page = 50
    form = ProfileForm
    inlines = [AliasInline]
    change_list_template = "admin/profiles.html"
    object_history_list_template = "admin/history_list.html"
    fieldsets = [
        (None, {"fields": ["name", "slug", "vendor", "kind", "family", "form_factor", "year"]}),
        ("Power", {"fields": ["tdp_w", "idle_w", "full_load_w", "unit", "fallback"]}),
        ("Size", {"fields": ["cores", "threads", "memory_gb"]}),
        ("Speed, for the Plan page", {"fields": [*PEAKS, "peaks_source"]}),
        ("Source", {"fields": ["source", "confidence", "note"]}),
        ("Record", {"fields": ["reason", "edited", "revision", "created_at", "updated_at"]}),
    ]

    def get_urls(self):
        """Remove django-simple-history's page that restores an old version: it asks for no reason, does not show which
        runs it affects, and needs only the permission to view.
        """
        return [url for url in super().get_urls() if url.name != "hardware_hardwareprofile_simple_history"]

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else {"slug": ["name"]}

    def save_model(self, request, obj, form, change):
        """Mark the profile as edited, so that reloading the seed data skips it, unless the admin just unticked that."""
        obj.edited = obj.edited if "edited" in form.changed_data else True
        obj._change_reason = form.cleaned_data["reason"]
        super().save_model(request, obj, form, change)

    def save_related(self, request, form, formsets, change):
        """Add changed aliases to the profile's history, although they are separate rows."""
        super().save_related(request, form, formsets, change)
        changes = [text for formset in formsets for text in _alias_changes(formset)]
        if changes:
            update_change_reason(form.instance, "; ".join([form.cleaned_data["reason"], *changes])[:500])

    @transaction.atomic
    def delete_queryset(self, request, queryset):
        """Renew the catalogue's version here: the bulk action does not call the model's delete()."""
        super().delete_queryset(request, queryset)
        CatalogueState.renew()


def _alias_changes(formset) -> list[str]:
    changed = [f"alias {alias} was {form.initial['name']}" for alias, form in _renamed(formset)]
    added = [f"alias {alias} added" for alias in formset.new_objects]
    return [*added, *changed, *(f"alias {alias} removed" for alias in formset.deleted_objects)]


def _renamed(formset):
    forms_by_pk = {form.instance.pk: form for form in formset.initial_forms}
    return [(alias, forms_by_pk[alias.pk]) for alias, _ in formset.changed_objects]


def _is_form(response) -> bool:
    """Whether the form is shown again with errors."""
    return bool(getattr(response, "context_data", {}).get("errors"))


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
            request._messages = default_storage(request)  # drop the message that the profile was saved
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
