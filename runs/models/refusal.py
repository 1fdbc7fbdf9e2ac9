"""The last request that the API refused, for people who are waiting for their first run."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

from runs.models.project import Project
from runs.models.token import ApiToken

#: A refused agent keeps trying; nobody needs to read about it more often than this.
WRITTEN_EVERY = timedelta(seconds=5)
LENGTH = 300


class Refusal(models.Model):
    """A project's last refused request: which token, when and why; nothing of the request's body or secrets."""

    project = models.OneToOneField(Project, on_delete=models.CASCADE)
    token = models.ForeignKey(ApiToken, null=True, on_delete=models.SET_NULL)
    status = models.PositiveSmallIntegerField()
    reason = models.CharField(max_length=LENGTH)
    at = models.DateTimeField()

    def __str__(self):
        return f"{self.status}: {self.reason}"

    @classmethod
    def note(cls, token: ApiToken, status: int, reason: str) -> None:
        """Store it as the last refusal of the token's project, unless the last one was just stored."""
        now = timezone.now()
        if cls.objects.filter(project=token.project_id, at__gt=now - WRITTEN_EVERY).exists():
            return
        values = {"token": token, "status": status, "reason": reason[:LENGTH], "at": now}
        cls.objects.update_or_create(project_id=token.project_id, defaults=values)
