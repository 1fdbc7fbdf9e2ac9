"""What people without an account can see: a page behind a secret link, and a badge with one figure."""

import secrets
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from runs.models.project import Project
from runs.models.run import Run
from runs.models.tracked_model import TrackedModel
from runs.secret_digests import share_link_digest
from runs.sql.within_project import WithinProject

#: How much of a secret is kept in plain text, so that people can tell their links apart; 220 random bits stay unknown.
PREFIX_LENGTH = 6


class SharedQuerySet(models.QuerySet):
    def for_user(self, user):
        """Links and badges of projects that this person may see."""
        return self.filter(project__team__membership__user=user)

    def shown(self):
        """All except those whose subject is in the trash."""
        return self.filter(project__team__bin_of=None)

    def with_names(self):
        """Rows with all names in one query, ready for a list."""
        return self.select_related("project__team", "tracked_model", "created_by").order_by("-created_at", "-id")


class ShareLinkQuerySet(SharedQuerySet):
    def with_names(self):
        return super().with_names().select_related("run").defer("run__params", "run__environment", "run__usage")

    def usable(self):
        """Working links: not expired, and not created by someone deactivated, who would still know their secrets."""
        return self.shown().filter(expires_at__gt=timezone.now()).exclude(created_by__is_active=False)

    def opened_by(self, secret: str) -> "ShareLink | None":
        """Return the working link for this secret, or None."""
        return self.usable().filter(secret_hmac=share_link_digest(secret)).select_related("project").first()


class ShareLink(models.Model):
    """A read-only page of one run, one model or (with neither) a whole project, for anyone with the secret address."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    tracked_model = WithinProject(TrackedModel, null=True, on_delete=models.CASCADE)
    run = WithinProject(Run, null=True, on_delete=models.CASCADE)
    prefix = models.CharField(max_length=PREFIX_LENGTH, editable=False)
    secret_hmac = models.CharField(max_length=64, unique=True, editable=False)
    with_details = models.BooleanField(default=False, help_text="Names of runs, tags, parameters, hosts and notes too.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()

    objects = ShareLinkQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(run=None) | Q(tracked_model=None), name="share_is_of_one_thing")
        ]

    def __str__(self):
        return f"{self.prefix}… to {self.kind} {self.subject}"

    @classmethod
    def make(cls, subject: Project | TrackedModel | Run, days: int, with_details: bool, by) -> tuple["ShareLink", str]:
        """Create a link; returns it with its secret, which can't be recovered."""
        secret = secrets.token_urlsafe(32)
        link = cls.objects.create(
            **columns_of(subject),
            prefix=secret[:PREFIX_LENGTH],
            secret_hmac=share_link_digest(secret),
            with_details=with_details,
            created_by=by,
            expires_at=timezone.now() + timedelta(days=days),
        )
        return link, secret

    @property
    def subject(self) -> Project | TrackedModel | Run:
        return self.run or self.tracked_model or self.project

    @property
    def kind(self) -> str:
        return kind_of(self.subject)

    @property
    def has_expired(self) -> bool:
        return self.expires_at <= timezone.now()

    @property
    def rests(self) -> bool:
        """Whether it is paused because its creator is deactivated."""
        return self.created_by is not None and not self.created_by.is_active


class Badge(models.Model):
    """A picture with the total emissions of a model or (without one) a project, for a README.

    Its key is stored in plain text: everyone who reads the README has it, and the settings show the address again.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    tracked_model = WithinProject(TrackedModel, null=True, on_delete=models.CASCADE)
    key = models.CharField(max_length=22, unique=True, editable=False)
    label = models.CharField(max_length=40)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = SharedQuerySet.as_manager()

    def __str__(self):
        return f"{self.label} of {self.kind} {self.subject}"

    @classmethod
    def make(cls, subject: Project | TrackedModel, label: str, by) -> "Badge":
        key = secrets.token_urlsafe(16)
        return cls.objects.create(**columns_of(subject), key=key, label=label, created_by=by)

    @property
    def subject(self) -> Project | TrackedModel:
        return self.tracked_model or self.project

    @property
    def kind(self) -> str:
        return kind_of(self.subject)


def kind_of(subject: Project | TrackedModel | Run) -> str:
    """Whether it shows a `run`, `model` or `project`."""
    return {Run: "run", TrackedModel: "model", Project: "project"}[type(subject)]


def columns_of(subject: Project | TrackedModel | Run) -> dict:
    """Return the columns that say what a row shares."""
    if isinstance(subject, Project):
        return {"project": subject}
    column = "run" if isinstance(subject, Run) else "tracked_model"
    return {"project_id": subject.project_id, column: subject}
