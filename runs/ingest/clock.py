"""Times from machines with wrong clocks, converted to the portal's clock."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.utils import timezone

from runs.ingest.bodies import WriterBody

#: Nothing was tracked earlier.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
#: Times up to this far ahead of the portal's clock are accepted (docs/promises.md: PS6).
MAX_AHEAD = timedelta(hours=24)
#: A clock may be off by this much, as clocks and deliveries are, before its times are corrected.
TOLERANCE = timedelta(minutes=10)


class ClockReading(NamedTuple):
    """A time on the portal's clock, and how many seconds the machine's clock was ahead of it; 0 if that was right."""

    at: datetime
    skew_s: float = 0.0


class Clock(NamedTuple):
    """A machine's clock as seen in a request: when the machine says it sent the request, and when that really was."""

    sent_at: datetime | None
    now: datetime

    @classmethod
    def of(cls, data: WriterBody) -> "Clock":
        return cls(data.get("sent_at"), timezone.now())

    @property
    def skew(self) -> timedelta:
        return self.sent_at - self.now if self.sent_at else timedelta(0)

    def read(self, at: datetime, field: str) -> ClockReading:
        """Return a time of this machine on the portal's clock.

        If the clock is right now but the time is impossible, the clock was set in the meantime: the result is the
        current time. Raises ValidationError on `field` for an impossible time if nothing tells how far the clock is
        off.
        """
        if self.sent_at is None:
            if not self._is_possible(at):
                raise ValidationError({field: "is before 2000 or more than a day ahead; check the machine's clock"})
            return ClockReading(at)
        if abs(self.skew) > TOLERANCE:
            try:
                corrected = at - self.skew
            except OverflowError:  # after the year 9999
                corrected = self.now
            return ClockReading(corrected if self._is_possible(corrected) else self.now, self.skew.total_seconds())
        return ClockReading(at) if self._is_possible(at) else ClockReading(self.now, (at - self.now).total_seconds())

    def _is_possible(self, at: datetime) -> bool:
        return EARLIEST <= at <= self.now + MAX_AHEAD
