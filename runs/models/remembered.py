"""Entries that must be kept until they expire: counted attempts, used codes, and announced runs."""

import hashlib
import time

from django.db import models


class RememberedQuerySet(models.QuerySet):
    def over(self):
        """Expired entries."""
        return self.filter(until__lte=time.time())


class Remembered(models.Model):
    """A value with an expiry time. A rate limit only stores the time when it is fully available again.

    A table instead of a cache, because a full cache forgets entries: a few hundred unrelated requests would have ended
    every throttle.
    """

    #: SHA-256 of the subject, because no table should contain people's addresses just for this.
    key = models.CharField(max_length=64, primary_key=True)
    value = models.JSONField(null=True)
    until = models.FloatField(db_index=True, help_text="Seconds since 1970.")

    objects = RememberedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "remembered"

    def __str__(self):
        return self.key

    @staticmethod
    def key_of(about: str) -> str:
        return hashlib.sha256(about.encode("utf-8", "surrogatepass")).hexdigest()
