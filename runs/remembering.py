"""A Django cache in a table that keeps every entry until it expires.

allauth counts attempts and stores used codes in Django's cache. Django's own database cache drops a third of its
entries whenever there are more than 300.
"""

import time

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache
from django.db import IntegrityError, transaction

from runs.models import Remembered

#: Entries without expiry expire in the year 9999.
NEVER = 253_402_300_799.0


class TableCache(BaseCache):
    """Values must be valid JSON. Errors are never ignored: an attempt that can't be counted is not allowed."""

    def __init__(self, location, params):
        super().__init__(params)

    def add(self, key, value, timeout=DEFAULT_TIMEOUT, version=None) -> bool:
        """Whether the key was free; only one of several concurrent calls gets True."""
        row = self._row(key, value, timeout, version)
        with transaction.atomic():
            over = Remembered.objects.over().filter(key=row.key)
            if over.update(value=value, until=row.until):
                return True
            try:
                with transaction.atomic():
                    row.save(force_insert=True)
            except IntegrityError:
                return False
            return True

    def get(self, key, default=None, version=None):
        found = Remembered.objects.filter(key=self._key(key, version), until__gt=time.time()).first()
        return default if found is None else found.value

    def set(self, key, value, timeout=DEFAULT_TIMEOUT, version=None) -> None:
        row = self._row(key, value, timeout, version)
        with transaction.atomic():
            Remembered.objects.bulk_create(
                [row], update_conflicts=True, unique_fields=["key"], update_fields=["value", "until"]
            )

    def touch(self, key, timeout=DEFAULT_TIMEOUT, version=None) -> bool:
        row = self._row(key, None, timeout, version)
        with transaction.atomic():
            mine = Remembered.objects.filter(key=row.key, until__gt=time.time())
            return bool(mine.update(until=row.until))

    def delete(self, key, version=None) -> bool:
        with transaction.atomic():
            return bool(Remembered.objects.filter(key=self._key(key, version)).delete()[0])

    def clear(self) -> None:
        with transaction.atomic():
            Remembered.objects.all().delete()

    def _row(self, key, value, timeout, version) -> Remembered:
        until = self.get_backend_timeout(timeout)
        return Remembered(key=self._key(key, version), value=value, until=NEVER if until is None else until)

    def _key(self, key, version) -> str:
        return Remembered.key_of(self.make_key(key, version))
