"""The catalogue's care: search, correct with a reason, name, import and export. `runs` registers it, as it knows what
a change touches."""

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import BaseInlineFormSet
from simple_history.admin import SimpleHistoryAdmin
from simple_history.utils import update_change_reason

from hardware.importing import ExchangeAdmin
from hardware.models import PEAKS, CatalogueState, HardwareAlias, alias_key


class AliasFormSet(BaseInlineFormSet):
    """The forms of one profile's aliases; each form alone can't see that another gives the same name."""

    def clean(self):
        super().clean()
        seen = set()
        for form in self.forms:
            if name := "" if form in self.deleted_forms else form.cleaned_data.get("name", ""):
                if (key := alias_key(name)) in seen:
                    raise ValidationError(f"The alias {name} stands here twice.")
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
        help_text="Why it is changed, such as a datasheet or a measurement. It stays in the history.",
    )


class HardwareProfileAdmin(ExchangeAdmin, SimpleHistoryAdmin):
    list_display = ["name", "kind", "vendor", "tdp_w", "idle_w", "full_load_w", "year", "confidence", "edited"]
    list_filter = ["kind", "edited", "confidence", "fallback", "vendor"]
    search_fields = ["name", "slug", "vendor", "aliases__name"]
    search_help_text = "Name, vendor or any alias, as a driver or /proc/cpuinfo gives it"
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
        ("Speed, for the page Plan", {"fields": [*PEAKS, "peaks_source"]}),
        ("Where it comes from", {"fields": ["source", "confidence", "note"]}),
        ("Record", {"fields": ["reason", "edited", "revision", "created_at", "updated_at"]}),
    ]

    def get_urls(self):
        """Without django-simple-history's page that puts an old version back: it asks for no reason, shows nothing of
        what it reaches, and saves for whoever may look."""
        return [url for url in super().get_urls() if url.name != "hardware_hardwareprofile_simple_history"]

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else {"slug": ["name"]}

    def save_model(self, request, obj, form, change):
        """What an admin saves, a reload of the seed data leaves alone, unless the admin unticked it just now."""
        obj.edited = obj.edited if "edited" in form.changed_data else True
        obj._change_reason = form.cleaned_data["reason"]
        super().save_model(request, obj, form, change)

    def save_related(self, request, form, formsets, change):
        """Aliases are rows of their own, but one history tells of both."""
        super().save_related(request, form, formsets, change)
        changes = [text for formset in formsets for text in _alias_changes(formset)]
        if changes:
            update_change_reason(form.instance, "; ".join([form.cleaned_data["reason"], *changes])[:500])

    @transaction.atomic
    def delete_queryset(self, request, queryset):
        """The bulk action passes no model's delete(), so the catalogue's version is renewed here."""
        super().delete_queryset(request, queryset)
        CatalogueState.renew()


def _alias_changes(formset) -> list[str]:
    changed = [f"alias {alias} was {form.initial['name']}" for alias, form in _renamed(formset)]
    added = [f"alias {alias} added" for alias in formset.new_objects]
    return [*added, *changed, *(f"alias {alias} removed" for alias in formset.deleted_objects)]


def _renamed(formset):
    forms_by_pk = {form.instance.pk: form for form in formset.initial_forms}
    return [(alias, forms_by_pk[alias.pk]) for alias, _ in formset.changed_objects]
