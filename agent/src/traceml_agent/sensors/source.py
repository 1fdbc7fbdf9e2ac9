"""Where a GPU's joules come from: its energy counter, else its power sensor, else nothing, which leaves the estimate.

Counters stop in the middle of a run and sensors fall silent; both then say 0, or what they said before. So a counter is
believed as long as it moves. A device that draws power moves it within a second; what stands still for longer gives way
to the next best source, once and for all: two sources of one device are never mixed back and forth.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from traceml_agent.sensors.sensor import Reading

#: A source that gave nothing for so long, though the device draws power or is busy, has stopped [ROCm/amdsmi issue 22].
STILL_S = 5.0
#: A device that is busy draws more than this; some drivers tell 0, or a thousandth of what it is.
LEAST_W = 1.0
COUNTER, SENSOR = "counter", "sensor"
NEXT = {SENSOR: "its power sensor is used from now on", "": "all of its energy is estimated instead"}

Ask = Callable[[], "float | None"]


class EnergySource:
    """Joules and watts of a device as `counter_j` (J since any origin) and `power_w` tell them, None for nothing.

    Above `most_w` watts are no reading. What the callables raise is the caller's.
    """

    def __init__(self, counter_j: Ask, power_w: Ask, most_w: float | None):
        self._counter_j, self._power_w, self._most_w = counter_j, power_w, most_w
        self._told_j = 0.0
        self.kind = COUNTER if counter_j() is not None else SENSOR if power_w() else ""
        self._at = self._moved_at = time.monotonic()
        #: The job's joules by the counter, and those that its power came to since the counter moved last.
        self._job_j = self._pending_j = 0.0
        #: What happened, once it did.
        self.trouble = ""

    def read(self, busy_share: float | None, part: float) -> Reading | None:
        """The reading of now, of which the job has a part, 0 to 1; None where the device tells nothing."""
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
            # One that fell is handed on as a fall: the meter drops the interval.
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
        # Both at once: the meter goes on from the one to the other without a gap.
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
        """Watts now; None where none are told, or more than such a device can draw."""
        power_w = self._power_w()
        return None if power_w is None or (self._most_w and power_w > self._most_w) else power_w

    def _give_way(self, kind: str, what: str, now: float) -> None:
        self.kind, self._moved_at = kind, now
        self.trouble = f"its {what} stopped: {NEXT[kind]}"
