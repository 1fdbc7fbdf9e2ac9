"""Transfer of ownership: offered by an owner, accepted or declined by another member."""

from datetime import timedelta

from django.db import models, transaction
from django.utils import timezone

from runs.models.team import Membership
from runs.rights import Role

OFFERED_FOR = timedelta(days=7)


class OwnershipOfferQuerySet(models.QuerySet):
    def open(self):
        """Offers that can be accepted: not expired, from a current owner, between active people."""
        since = timezone.now() - OFFERED_FOR
        able = {"offered_by__user__is_active": True, "offered_to__user__is_active": True}
        found = self.filter(created_at__gt=since, offered_by__role=Role.OWNER, **able)
        return found.exclude(offered_to__role=Role.OWNER)


class OwnershipOffer(models.Model):
    """An owner's offer to a member of the same team; it is deleted with either membership."""

    offered_by = models.ForeignKey(Membership, on_delete=models.CASCADE, related_name="offers_made")
    offered_to = models.OneToOneField(Membership, on_delete=models.CASCADE, related_name="offer")
    steps_back = models.BooleanField(default=True, help_text="The one who offers becomes an admin.")
    created_at = models.DateTimeField(default=timezone.now)

    objects = OwnershipOfferQuerySet.as_manager()

    def __str__(self):
        return f"ownership of {self.offered_to.team} to {self.offered_to.user}"

    @classmethod
    def make(cls, by: Membership, to: Membership, steps_back: bool) -> "OwnershipOffer":
        """Offer ownership; a new offer to the same person replaces the old one."""
        values = {"offered_by": by, "steps_back": steps_back, "created_at": timezone.now()}
        return cls.objects.update_or_create(offered_to=to, defaults=values)[0]

    def accept(self) -> None:
        """Make the other person an owner. The caller holds the team's lock and found the offer open under it."""
        with transaction.atomic():
            Membership.objects.filter(pk=self.offered_to_id).update(role=Role.OWNER)
            if self.steps_back:
                Membership.objects.filter(pk=self.offered_by_id).update(role=Role.ADMIN)
            self.delete()
