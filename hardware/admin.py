"""The catalogue's care: search, correct, name."""

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.forms import BaseInlineFormSet

from hardware.models import CatalogueState, HardwareAlias, HardwareProfile, alias_key


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


@admin.register(HardwareProfile)
class HardwareProfileAdmin(admin.ModelAdmin):
    list_display = ["name", "kind", "vendor", "tdp_w", "idle_w", "full_load_w", "year", "confidence", "edited"]
    list_filter = ["kind", "edited", "confidence", "fallback", "vendor"]
    search_fields = ["name", "slug", "vendor", "aliases__name"]
    search_help_text = "Name, vendor or any alias, as a driver or /proc/cpuinfo gives it"
    readonly_fields = ["revision", "created_at", "updated_at"]
    list_per_page = 50
    inlines = [AliasInline]
    fieldsets = [
        (None, {"fields": ["name", "slug", "vendor", "kind", "family", "form_factor", "year"]}),
        ("Power", {"fields": ["tdp_w", "idle_w", "full_load_w", "unit", "fallback"]}),
        ("Size", {"fields": ["cores", "threads", "memory_gb"]}),
        ("Where it comes from", {"fields": ["source", "confidence", "note"]}),
        ("Record", {"fields": ["edited", "revision", "created_at", "updated_at"]}),
    ]

    def get_prepopulated_fields(self, request, obj=None):
        return {} if obj else {"slug": ["name"]}

    def save_model(self, request, obj, form, change):
        """What an admin saves, a reload of the seed data leaves alone, unless the admin unticked it just now."""
        obj.edited = obj.edited if "edited" in form.changed_data else True
        super().save_model(request, obj, form, change)

    @transaction.atomic
    def delete_queryset(self, request, queryset):
        """The bulk action passes no model's delete(), so the catalogue's version is renewed here."""
        super().delete_queryset(request, queryset)
        CatalogueState.renew()
