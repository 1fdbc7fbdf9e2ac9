"""The worker's jobs, for the portal administrator."""

from django.contrib import admin
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from runs.figures import units
from runs.jobs import reestimate
from runs.models import Reestimation
from traceml_site import logs

PROGRESS_EVERY_S = "3"


class Job(DBTaskResult):
    """A job of the worker, without its arguments."""

    class Meta:
        proxy = True
        app_label = "runs"
        verbose_name = "background job"


@admin.register(Job)
class JobAdmin(admin.ModelAdmin):
    """Pending, finished and failed jobs. Their arguments (links in emails) are never shown."""

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

    @admin.display(description="error details")
    def told(self, job) -> str:
        return logs.masked(job.traceback)

    @admin.action(description="Retry selected jobs now", permissions=["retry"])
    def try_now(self, request, queryset):
        waiting = queryset.filter(status__in=[TaskResultStatus.READY, TaskResultStatus.FAILED])
        count = waiting.update(status=TaskResultStatus.READY, run_after=timezone.now())
        self.message_user(request, f"Queued {units.counted(count, 'job')}.")


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
