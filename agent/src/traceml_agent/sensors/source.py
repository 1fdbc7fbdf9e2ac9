"""Where a GPU's joules come from: its energy counter, else its power sensor, else an estimate.

Counters and sensors may stop during a run, and then report 0 or their last value. So a counter is trusted only as long
as it moves. A device that draws power moves it within a second; a counter that stands still for longer is replaced by
the next best source for the rest of the run. Two sources of one device never alternate.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from traceml_agent.sensors.sensor import Reading

#: A source that reports nothing for this long, although the device draws power or is busy, has stopped [ROCm/amdsmi
#: 22].
STILL_S = 5.0
#: A busy device draws more than this; some drivers report 0, or a thousandth of the power.
LEAST_W = 1.0
COUNTER, SENSOR = "counter", "sensor"
NEXT = {SENSOR: "its power sensor is used from now on", "": "all of its energy is estimated instead"}

Ask = Callable[[], "float | None"]


class EnergySource:
    """Joules and watts of a device, from `counter_j` (J since any origin) and `power_w`; both may return None.

    More than `most_w` watts is no reading. Exceptions of the callables propagate.
    """

    def __init__(self, counter_j: Ask, power_w: Ask, most_w: float | None):
        self._counter_j, self._power_w, self._most_w = counter_j, power_w, most_w
        self._told_j = 0.0
        self.kind = COUNTER if counter_j() is not None else SENSOR if power_w() else ""
        self._at = self._moved_at = time.monotonic()
        #: The job's joules from the counter, and from its power since the counter last moved.
        self._job_j = self._pending_j = 0.0
        #: What happened, if something did.
        self.trouble = ""

    def read(self, busy_share: float | None, part: float) -> Reading | None:
        """Read now. The job has a `part`, 0 to 1, of it; None if the device reports nothing."""
        before_at, now = self._at, time.monotonic()
        self._at = now
        if self.kind == COUNTER:
            return self._of_counter(busy_share, part, now, now - before_at)
        if self.kind == SENSOR:
            return self._of_power(busy_share, part, now)
        return Reading(busy_share)

    def _of_counter(self, busy_share, part: float, now: float, passed_s: float) -> Reading | None:
        told_j = self._counter_j()
        if told_j is not None and told_j != self._told_j:
            added_j = told_j - self._told_j
            self._told_j, self._moved_at = told_j, now
            # A counter that fell is reported as such, and the meter drops the interval.
            self._job_j = self._job_j + max(part * added_j, self._pending_j) if added_j >= 0 else 0.0
            self._pending_j = 0.0
            return Reading(busy_share, energy_j=self._job_j)
        power_w = self._watts()
        if told_j is None and power_w is None and busy_share is None:
            return None
        self._pending_j += part * (power_w or 0.0) * passed_s
        energy_j = self._job_j + self._pending_j
        draws = power_w is not None and power_w >= LEAST_W
        if now - self._moved_at <= STILL_S or not (draws or busy_share):
            return Reading(busy_share, energy_j=energy_j)
        if power_w is None or not draws:
            self._give_way("", "energy counter", now)
            return Reading(busy_share)
        self._give_way(SENSOR, "energy counter", now)
        # Both at once, so that the meter changes from one to the other without a gap.
        return Reading(busy_share, power_w=part * power_w, energy_j=energy_j)

    def _of_power(self, busy_share, part: float, now: float) -> Reading | None:
        power_w = self._watts()
        if power_w is not None and (power_w >= LEAST_W or busy_share == 0):
            self._moved_at = now
            return Reading(busy_share, power_w=part * power_w)
        is_there = power_w is not None or busy_share is not None
        if is_there and now - self._moved_at > STILL_S:
            self._give_way("", "power sensor", now)
            return Reading(busy_share)
        return None

    def _watts(self) -> float | None:
        """Watts now; None if unknown, or more than such a device can draw."""
        power_w = self._power_w()
        return None if power_w is None or (self._most_w and power_w > self._most_w) else power_w

    def _give_way(self, kind: str, what: str, now: float) -> None:
        self.kind, self._moved_at = kind, now
        self.trouble = f"its {what} stopped: {NEXT[kind]}"
