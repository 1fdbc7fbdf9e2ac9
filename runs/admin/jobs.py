"""The worker's jobs, for whoever looks after the portal."""

from django.contrib import admin
from django.utils import timezone
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult

from runs.figures import units
from traceml_site import logs


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
