"""Imports: files of other tools whose runs were taken over, so that each can be undone as a whole."""

from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from runs.models.project import Project

#: Tools that record runs, by `Run.source`.
SOURCES = {
    "codecarbon": "CodeCarbon",
    "carbontracker": "carbontracker",
    "eco2ai": "eco2AI",
    "mlflow": "MLflow",
    "slurm": "SLURM",
    "wandb": "Weights & Biases",
}
#: After this long without a sign of life, nobody is working on it any more.
ABANDONED_AFTER = timedelta(seconds=60)
#: How long a file waits to be sent completely, or for somebody to confirm its preview.
KEPT_FOR = timedelta(days=1)


class ImportQuerySet(models.QuerySet):
    def for_user(self, user):
        return self.filter(project__team__membership__user=user)

    def pending(self):
        """Those that have work to do."""
        return self.filter(state__in=Import.AT_WORK)

    def abandoned(self):
        """Pending ones that nobody has worked on recently."""
        return self.pending().filter(Q(heard_at=None) | Q(heard_at__lt=timezone.now() - ABANDONED_AFTER))

    def overdue(self):
        """Those whose file was never confirmed."""
        return self.filter(state__in=Import.UNCONFIRMED, created_at__lt=timezone.now() - KEPT_FOR)

    def claim(self, pk: int | None = None) -> "Import | None":
        """Claim the oldest pending one (or this one) that nobody works on; None if there is none."""
        for found in (self.filter(pk=pk) if pk else self).abandoned().order_by("pk"):
            if self.abandoned().filter(pk=found.pk).update(heard_at=timezone.now()):
                found.refresh_from_db()
                return found
        return None


class Import(models.Model):
    """One import of a file into a project. Its runs name it; after an undo they are gone and it says when."""

    class State(models.TextChoices):
        RECEIVING = "receiving", "the file is being sent"
        CHECKING = "checking", "the file is being checked"
        CHECKED = "checked", "waiting for your confirmation"
        STORING = "storing", "runs are being imported"
        DONE = "done", "imported"
        UNDOING = "undoing", "runs are being removed"
        UNDONE = "undone", "undone"
        REFUSED = "refused", "refused"

    AT_WORK = (State.CHECKING, State.STORING, State.UNDOING)
    UNCONFIRMED = (State.RECEIVING, State.CHECKED, State.REFUSED)

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    member = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    runs_are_of = models.BigIntegerField(default=0, help_text="Whose runs of unnamed users are, as in Run.member_id.")
    format = models.CharField(max_length=16, help_text="codecarbon, carbontracker, eco2ai, slurm, mlflow, wandb …")
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64, help_text="Of the bytes that were sent.")
    rule = models.JSONField(default=dict, help_text="What the user chose: time zone, which model a run belongs to …")
    created_at = models.DateTimeField(auto_now_add=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVING)
    heard_at = models.DateTimeField(null=True, editable=False, help_text="When somebody last worked on it.")
    progress = models.FloatField(default=0.0, help_text="Of the work at hand, 0 to 1.")
    problem = models.CharField(max_length=500, blank=True, help_text="Why the file was refused as a whole.")
    preview = models.JSONField(default=dict, help_text="What the check found: runs, totals, what is left out and why.")

    runs_added = models.PositiveIntegerField(default=0)
    runs_updated = models.PositiveIntegerField(default=0, help_text="Runs of earlier imports that have gone on since.")
    runs_known = models.PositiveIntegerField(default=0, help_text="Runs of the file that an earlier import had taken.")
    refused = models.JSONField(default=list, help_text="The first rows that were not taken: line and reason.")
    rows_refused = models.PositiveIntegerField(default=0)

    objects = ImportQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["project", "-created_at"], name="import_by_time")]

    def __str__(self):
        return self.file_name

    @property
    def is_at_work(self) -> bool:
        return self.state in self.AT_WORK

    def hear(self, progress: float) -> None:
        """Record a sign of life, and how far the work has come."""
        self.progress, self.heard_at = progress, timezone.now()
        self.save(update_fields=["progress", "heard_at"])

    def go(self, state: str, *more: str) -> None:
        """Change the state and save it, with other fields."""
        self.state, self.heard_at, self.progress = state, None, 0.0
        self.save(update_fields=["state", "heard_at", "progress", *more])

    def refuse(self, problem: str) -> None:
        self.problem = problem[:500]
        self.go(self.State.REFUSED, "problem")
        self.importpart_set.all().delete()


class ImportPart(models.Model):
    """A piece of a file that was sent, so that any process finds it; deleted when its import is done or given up."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    of = models.ForeignKey(Import, on_delete=models.CASCADE)
    number = models.PositiveIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["of", "number"], name="import_part_once")]
        ordering = ["of", "number"]

    def __str__(self):
        return f"{self.of_id}/{self.number}"


class ImportStep(models.Model):
    """The runs that one transaction of an import added, and what the daily totals lose when it is taken back.

    Taken back in reverse order, with these remainders, floating-point totals are as they were, to the last digit.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    of = models.ForeignKey(Import, on_delete=models.CASCADE)
    first_run = models.BigIntegerField(help_text="The first and last primary key of its runs.")
    last_run = models.BigIntegerField()
    remainders = models.JSONField(default=dict)

    class Meta:
        ordering = ["pk"]

    def __str__(self):
        return f"{self.of_id}: {self.first_run} to {self.last_run}"
