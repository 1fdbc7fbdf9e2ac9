"""What one of is in force in a deployment: never changed, another is added and put in force."""

from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone


def one_active(name: str) -> models.UniqueConstraint:
    """At most one row of a table is in force."""
    return models.UniqueConstraint(fields=["active"], condition=Q(active=True), name=name)


class InForce(models.Model):
    """A value with its history: `valid_from` tells since when each was in force."""

    valid_from = models.DateTimeField(default=timezone.now)
    active = models.BooleanField(default=False)

    class Meta:
        abstract = True

    @transaction.atomic
    def put_in_force(self) -> None:
        """Use this one for runs that begin from now on; those that there are keep theirs until re-estimated."""
        type(self)._default_manager.exclude(pk=self.pk).filter(active=True).update(active=False)
        self.active, self.valid_from = True, timezone.now()
        self.save(update_fields=["active", "valid_from"])
