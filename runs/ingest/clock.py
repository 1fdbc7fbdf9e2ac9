"""Times of machines whose clocks are wrong, on the portal's clock."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from django.core.exceptions import ValidationError
from django.utils import timezone

from runs.ingest.bodies import WriterBody

#: Nothing was tracked before.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
#: Times up to this far ahead of the portal's clock are taken (docs/promises.md: PS6).
MAX_AHEAD = timedelta(hours=24)
#: A clock may differ by this much, as clocks and deliveries do, before its times are corrected.
TOLERANCE = timedelta(minutes=10)


class ClockReading(NamedTuple):
    """A time on the portal's clock, and how far ahead of it the machine's was, in seconds; 0 where it was right."""

    at: datetime
    skew_s: float = 0.0


class Clock(NamedTuple):
    """A machine's clock as a request shows it: when it says that the request was sent, and when that was."""

    sent_at: datetime | None
    now: datetime

    @classmethod
    def of(cls, data: WriterBody) -> "Clock":
        return cls(data.get("sent_at"), timezone.now())

    @property
    def skew(self) -> timedelta:
        return self.sent_at - self.now if self.sent_at else timedelta(0)

    def read(self, at: datetime, field: str) -> ClockReading:
        """What this machine's time was by the portal's clock.

        One that can't be right by a clock that is, since it was set meanwhile, is now. Raises ValidationError on
        `field` for such a time where nothing tells how the machine's clock stands.
        """
        if self.sent_at is None:
            if not self._is_possible(at):
                raise ValidationError({field: "is before 2000 or more than a day ahead; check the machine's clock"})
            return ClockReading(at)
        if abs(self.skew) > TOLERANCE:
            try:
                corrected = at - self.skew
            except OverflowError:  # beyond the year 9999
                corrected = self.now
            return ClockReading(corrected if self._is_possible(corrected) else self.now, self.skew.total_seconds())
        return ClockReading(at) if self._is_possible(at) else ClockReading(self.now, (at - self.now).total_seconds())

    def _is_possible(self, at: datetime) -> bool:
        return EARLIEST <= at <= self.now + MAX_AHEAD
