"""What staff may look after in the Django admin; samples and counters are not editable."""

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.db import transaction
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from runs import care  # noqa: F401 (the catalogue's admin)
from runs.ingest.removal import remove_project, remove_run, remove_team
from runs.models import ApiToken, AuditEntry, Membership, Project, Run, Team, User, departure
from runs.models.audit import Action
from runs.templatetags import units
from traceml_site import logs

# They show secrets: of second factors, of sign-on elsewhere, links in mails that wait (jobs have a page below).
admin.site.unregister([Authenticator, SocialAccount, SocialApp, SocialToken, DBTaskResult])


@admin.register(Authenticator)
class SecondFactorAdmin(admin.ModelAdmin):
    """Staff see which second factors there are, and remove one for a person who has lost it."""

    list_display = ["user", "type", "created_at", "last_used_at"]
    list_select_related = ["user"]
    list_filter = ["type"]
    search_fields = ["user__email"]
    fields = ["user", "type", "created_at", "last_used_at"]
    readonly_fields = ["user", "type", "created_at", "last_used_at"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False


class Job(DBTaskResult):
    """A job of the worker, without what it holds."""

    class Meta:
        proxy = True
        app_label = "runs"
        verbose_name = "background job"


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    """What the worker has to do, did and could not do; what its jobs hold (links in mails) is shown to nobody."""

    list_display = ["job", "status", "tries", "enqueued_at", "next_try", "error"]
    list_filter = ["status"]
    fields = ("job", "status", "tries", "enqueued_at", "started_at", "finished_at", "next_try", "told")
    readonly_fields = ("job", "status", "tries", "enqueued_at", "started_at", "finished_at", "next_try", "told")
    ordering = ["-enqueued_at"]
    actions = ["try_now"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False

    def has_retry_permission(self, request):
        return request.user.has_perm("runs.change_job")

    @admin.display(ordering="task_path")
    def job(self, job) -> str:
        return job.task_path.removeprefix("runs.")

    @admin.display
    def tries(self, job) -> int:
        return len(job.worker_ids)

    @admin.display
    def next_try(self, job):
        return job.run_after if job.status == TaskResultStatus.READY and job.worker_ids else None

    @admin.display
    def error(self, job) -> str:
        return job.exception_class_path.rpartition(".")[2]

    @admin.display(description="what went wrong")
    def told(self, job) -> str:
        return logs.masked(job.traceback)

    @admin.action(description="Try the selected jobs again now", permissions=["retry"])
    def try_now(self, request, queryset):
        waiting = queryset.filter(status__in=[TaskResultStatus.READY, TaskResultStatus.FAILED])
        count = waiting.update(status=TaskResultStatus.READY, run_after=timezone.now())
        self.message_user(request, f"{units.counted(count, 'job')} in the queue.")


@admin.register(User)
class UserAdmin(DjangoUserAdmin):
    ordering = ["email"]
    list_display = ["email", "first_name", "last_name", "is_staff", "is_active"]
    list_filter = ["is_active", "is_staff", "is_superuser"]
    search_fields = ["email", "first_name", "last_name"]
    fieldsets = [
        (None, {"fields": ["email", "password"]}),
        ("Person", {"fields": ["first_name", "last_name", "time_zone", "theme"]}),
        ("Rights", {"fields": ["is_active", "is_staff", "is_superuser", "groups"]}),
    ]
    add_fieldsets = [(None, {"fields": ["email", "usable_password", "password1", "password2"]})]

    def save_model(self, request, obj, form, change):
        super().save_model(request, obj, form, change)
        if change and "is_active" in form.changed_data:
            (departure.activate if obj.is_active else departure.deactivate)(obj, request)


class MembershipInline(admin.TabularInline):
    model = Membership
    autocomplete_fields = ["user"]
    extra = 0


@admin.register(Team)
class TeamAdmin(admin.ModelAdmin):
    list_display = ["name", "slug", "created_at"]
    search_fields = ["name", "slug"]
    inlines = [MembershipInline]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(bin_of=None)

    def delete_model(self, request, obj):
        remove_team(obj)

    def delete_queryset(self, request, queryset):
        for team in queryset:
            remove_team(team)

    def save_formset(self, request, form, formset, change):
        """Staff's changes of members are the team's to know as well."""
        super().save_formset(request, form, formset, change)
        changed = [place for place, _ in formset.changed_objects]
        for action, places in (
            (Action.MEMBER_JOINED, formset.new_objects),
            (Action.ROLE_CHANGED, changed),
            (Action.MEMBER_REMOVED, formset.deleted_objects),
        ):
            for place in places:
                AuditEntry.note(request, form.instance, action, f"{place.user.email}, {place.role}")


@admin.register(Project)
class ProjectAdmin(admin.ModelAdmin):
    list_display = ["name", "team", "created_at"]
    list_select_related = ["team"]
    search_fields = ["name", "team__name"]

    def get_queryset(self, request):
        return super().get_queryset(request).filter(team__bin_of=None)

    def delete_model(self, request, obj):
        remove_project(obj)

    def delete_queryset(self, request, queryset):
        for project in queryset:
            remove_project(project)


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    """Tokens are issued where they can be shown once; here they are looked at and revoked."""

    list_display = ["__str__", "project", "scopes", "created_at", "last_used_at", "last_used_agent", "revoked_at"]
    list_select_related = ["project"]
    search_fields = ["lookup_id", "name", "project__name"]
    readonly_fields = ["project", "name", "lookup_id", "scopes", "created_by", "expires_at", "revoked_at"]
    exclude = ["secret_hmac"]
    actions = ["revoke"]

    def has_add_permission(self, request):
        return False

    @admin.action(description="Revoke the selected tokens")
    def revoke(self, request, queryset):
        for token in queryset.select_related("project__team"):
            with transaction.atomic():
                token.revoke()
                AuditEntry.note(request, token.project.team, Action.TOKEN_REVOKED, str(token))


@admin.register(Run)
class RunAdmin(admin.ModelAdmin):
    list_display = ["__str__", "tracked_model", "project", "kind", "status", "received_at", "energy_kwh"]
    list_select_related = ["tracked_model", "project"]
    list_filter = ["kind", "status"]
    search_fields = ["name", "run_id"]

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def get_queryset(self, request):
        return super().get_queryset(request).filter(project__team__bin_of=None)

    def delete_model(self, request, obj):
        remove_run(obj, request)

    def delete_queryset(self, request, queryset):
        for run in queryset:
            remove_run(run, request)


@admin.register(AuditEntry)
class AuditEntryAdmin(admin.ModelAdmin):
    """The audit log of the whole deployment, to be read and nothing else."""

    list_display = ["created_at", "actor", "action", "subject", "team", "address"]
    list_select_related = ["actor", "team"]
    list_filter = ["action"]
    search_fields = ["subject", "actor__email", "team__name"]
    date_hierarchy = "created_at"

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        # Asked for the entries of a team that is to be deleted as well, and with their team they go.
        return not request.resolver_match.url_name.startswith("runs_auditentry")
