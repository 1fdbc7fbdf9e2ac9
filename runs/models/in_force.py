"""Values of which a deployment has one in force. They never change; a new one is added and put in force."""

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone


def one_active(name: str) -> models.UniqueConstraint:
    """Constraint: at most one row of a table is in force."""
    return models.UniqueConstraint(fields=["active"], condition=Q(active=True), name=name)


class InForce(models.Model):
    """A value with its history: `valid_from` is when it came into force."""

    valid_from = models.DateTimeField(default=timezone.now)
    active = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @transaction.atomic
    def put_in_force(self) -> None:
        """Use this value for runs that begin from now on; existing runs keep theirs until they are re-estimated."""
        type(self)._default_manager.exclude(pk=self.pk).filter(active=True).update(active=False)
        self.active, self.valid_from = True, timezone.now()
        self.save(update_fields=["active", "valid_from"])
