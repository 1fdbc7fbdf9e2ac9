"""Teams with their members, projects, tokens and runs, and the audit log.

Changes by staff appear in the team's own audit log.
"""

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.forms import BaseInlineFormSet

from runs.ingest.removal import remove_project, remove_run, remove_team
from runs.models import ApiToken, AuditEntry, Membership, Project, Run, Team
from runs.models.audit import Action
from runs.rights import Role
from traceml_site.admin import Choosing, GoesWithOthers


class PlaceForm(forms.ModelForm):
    """A membership keeps its person; another person gets a new one."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        if self.instance.pk and "user" in self.fields:
            self.fields["user"].disabled = True


class PlacesFormSet(BaseInlineFormSet):
    """The forms of one team's members; checks that an owner is left, which a single form can't."""

    def clean(self):
        super().clean()
        if any(self.errors):
            return
        places = Membership.objects.filter(team=self.instance.pk)
        if self.instance.pk:
            self.instance.lock()
        shown = [form.instance.pk for form in self.initial_forms]
        roles = [form.cleaned_data.get("role") for form in self.forms if form not in self.deleted_forms]
        roles += list(places.exclude(pk__in=shown).values_list("role", flat=True))
        is_to_have_one = not self.instance.pk or places.owners().exists()
        if is_to_have_one and Role.OWNER not in roles:
            raise ValidationError("A team needs an owner. Make another member an owner first.")


class MembershipInline(Choosing, admin.TabularInline):
    model = Membership
    form = PlaceForm
    formset = PlacesFormSet
    autocomplete_fields = ["user"]
    extra = 0


def counted(request, objects: QuerySet, *parts: QuerySet) -> tuple:
    """The contents of Django's deletion page: names of the objects, counts of what is deleted with them, and missing
    permissions. Django's own version would load every row."""
    counts = {str(each.model._meta.verbose_name_plural): each.count() for each in (objects, *parts)}
    lacking = {
        str(each.model._meta.verbose_name)
        for each in parts
        if each.exists() and not admin.site.get_model_admin(each.model).has_delete_permission(request)
    }
    return [str(each) for each in objects], counts, lacking, []


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]
    ordering = ["name", "pk"]
    inlines = [MembershipInline]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(bin_of=None)

    def has_add_permission(self, request):
        """Adding a team also adds its owner."""
        return super().has_add_permission(request) and request.user.has_perm("runs.add_membership")

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if not change:
            AuditEntry.note(request, obj, Action.TEAM_CREATED, obj.name)
        elif form.changed_data:
            AuditEntry.note(request, obj, Action.TEAM_RENAMED, changes(form))

    def get_deleted_objects(self, objs, request):
        teams = Team.objects.filter(pk__in=[team.pk for team in objs])
        projects, runs = Project.objects.filter(team__in=teams), Run.objects.filter(project__team__in=teams)
        return counted(request, teams, projects, runs)

    def delete_model(self, request, obj):
        # The team's own entries are deleted with it, so this one belongs to the deployment.
        AuditEntry.note(request, None, Action.TEAM_DELETED, obj.name)
        remove_team(obj)

    def delete_queryset(self, request, queryset):
        for team in queryset:
            self.delete_model(request, team)

    def save_formset(self, request, form, formset, change):
        """Save new owners first, so that the last owner can be removed on the same page."""
        formset.save(commit=False)
        changed = [place for place, _ in formset.changed_objects]
        for place in formset.new_objects:
            place.save()
        for place in sorted(changed, key=lambda place: place.rank):
            place.become(place.role)
        for place in formset.deleted_objects:
            place.end()
        for action, places in (
            (Action.MEMBER_JOINED, formset.new_objects),
            (Action.ROLE_CHANGED, changed),
            (Action.MEMBER_REMOVED, formset.deleted_objects),
        ):
            for place in places:
                AuditEntry.note(request, form.instance, action, f"{place.user.email}, {place.role}")


def changes(form) -> str:
    """The changes of a form with old and new values: `name Digits → Numbers`."""
    return ", ".join(f"{name} {form.initial[name]} → {form.cleaned_data[name]}" for name in form.changed_data)


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ["name", "team", "created_at"]
    list_select_related = ["team"]
    search_fields = ["name", "team__name"]
    autocomplete_fields = ["team"]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(team__bin_of=None)

    def get_readonly_fields(self, request, obj=None):
        return ["team"] if obj else []

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if not change:
            AuditEntry.note(request, obj.team, Action.PROJECT_CREATED, obj.name)
        elif form.changed_data:
            AuditEntry.note(request, obj.team, Action.PROJECT_CHANGED, f"{obj}: {changes(form)}")

    def get_deleted_objects(self, objs, request):
        projects = Project.objects.filter(pk__in=[project.pk for project in objs])
        return counted(request, projects, Run.objects.filter(project__in=projects))

    def delete_model(self, request, obj):
        AuditEntry.note(request, obj.team, Action.PROJECT_DELETED, obj.name)
        remove_project(obj)

    def delete_queryset(self, request, queryset):
        for project in queryset.select_related("team"):
            self.delete_model(request, project)


@admin.register(ApiToken)
class ApiTokenAdmin(GoesWithOthers, admin.ModelAdmin):
    """Tokens are viewed and revoked here, and created where their plain text can be shown once."""

    list_display = ["__str__", "project", "scopes", "created_at", "last_used_at", "last_used_agent", "revoked_at"]
    list_select_related = ["project"]
    search_fields = ["lookup_id", "name", "project__name"]
    fields = ["project", "name", "lookup_id", "scopes", "runs_are_of", "created_by", "expires_at", "revoked_at"]
    actions = ["revoke"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        """For revoking only; tokens are not editable."""
        return obj is None and super().has_change_permission(request)

    @admin.action(description="Revoke the selected tokens", permissions=["change"])
    def revoke(self, request, queryset):
        for token in queryset.filter(revoked_at=None).select_related("project__team"):
            with transaction.atomic():
                token.revoke()
                AuditEntry.note(request, token.project.team, Action.TOKEN_REVOKED, str(token))


@admin.register(Run)
class RunAdmin(admin.ModelAdmin):
    list_display = ["__str__", "tracked_model", "project", "kind", "status", "received_at", "energy_kwh"]
    list_select_related = ["tracked_model", "project"]
    list_filter = ["kind", "status"]
    search_fields = ["name", "run_id"]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(project__team__bin_of=None)

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def get_deleted_objects(self, objs, request):
        return counted(request, Run.objects.filter(pk__in=[run.pk for run in objs]))

    def delete_model(self, request, obj):
        remove_run(obj, request)

    def delete_queryset(self, request, queryset):
        for run in queryset:
            remove_run(run, request)


@admin.register(AuditEntry)
class AuditEntryAdmin(GoesWithOthers, admin.ModelAdmin):
    """The audit log of the whole portal, read-only."""

    list_display = ["created_at", "actor", "action", "subject", "team", "address"]
    list_select_related = ["actor", "team"]
    list_filter = ["action"]
    search_fields = ["subject", "actor__email", "team__name"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False
