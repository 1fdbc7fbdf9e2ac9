"""Cumulative counters of one device, advanced by its sensor's readings."""

from __future__ import annotations

import time
from math import isfinite, nan

from traceml_agent.host.neighbours import ALL, Hold, Shares
from traceml_agent.inputs import metadata
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.messages import let_handlers_through
from traceml_agent.sensors.sensor import Reading, Sensor
from traceml_agent.spool.board import DEVICE, PART, PARTS, Board

#: A time without readings longer than this many intervals is a gap, over which nothing is integrated.
GAP_INTERVALS = 5
SHARED = "Its idle power is shared with your other tracked jobs on this host."
GIVE_UP_AFTER = 5


class Meter:
    """Cumulative counters of one device since the writer's start, advanced by its sensor's readings."""

    def __init__(self, sensor: Sensor, hold: Hold | None = None):
        self.sensor, self.facts, self.hold = sensor, sensor.facts, hold
        self.elapsed_s = self._busy_s = 0.0
        self._busy_is_known = False
        #: This run's part of the elapsed seconds, and what other runs count in sums of all three. See
        #: `host.neighbours`.
        self.held_s = self.shared_held_s = self.shared_busy_s = self.shared_energy_j = 0.0
        self.energy_j: float | None = 0.0 if sensor.facts["basis"] else None
        self.at = self.asked_at = 0.0
        self.failures = self.dropped = self.told = 0
        self.trouble = ""  # why the meter gave up
        self.profile = None  # from the catalogue, once the energy was needed
        self._before: Reading | None = None
        self._facts_given: dict = {}
        self._facts_told: dict = {}
        self._slot: int | None = None  # its place on the board
        self._part_slot: int | None = None

    def read(self, interval_s: float) -> None:
        """Read the sensor and count what happened since its last reading. A failed read is no reading, never 0."""
        part = self._part_until(time.monotonic())
        if part.held < 1.0:
            self.sensor.add_note(SHARED)
        self.sensor.idle_part = part.held
        try:
            reading = self.sensor.read()
        except Exception as error:  # noqa: BLE001 (a vendor's library may raise anything; the training goes on)
            let_handlers_through(error)
            self.failures += 1
            if self.failures == GIVE_UP_AFTER:
                self.trouble = f"it can no longer be read ({type(error).__name__}: {error})"
            return
        self.failures = 0
        if reading is None or not _is_sane(reading):
            self.dropped += 1
            return
        at = time.monotonic()
        if self.hold is not None:
            self.hold.begin(at)
            if self.sensor.is_split is not None:
                self.hold.keep(0.0 if self.sensor.is_split else 1.0)
        # Asked again, since a run may have begun or ended while a slow device, or a busy machine, was being read.
        self.take(at, reading, GAP_INTERVALS * interval_s, self._part_until(at))

    def _part_until(self, at: float) -> Shares:
        return self.hold.part(self.at, at) if self.hold is not None and self.at else ALL

    def anew(self, hold: Hold | None) -> Meter:
        """A meter that goes on from the last reading with counters of zero: no joule is lost or counted twice."""
        after = Meter(self.sensor, hold)
        after.at, after.asked_at, after._before = self.at, self.asked_at, self._before
        after._busy_is_known, after.failures, after.profile = self._busy_is_known, self.failures, self.profile
        after._slot, after._part_slot = self._slot, self._part_slot
        if hold is not None and self.at:
            hold.begin(self.at)
        return after

    @property
    def busy_s(self) -> float | None:
        """Utilisation integrated over `elapsed_s`; None if the device reports none, which is not 0."""
        return self._busy_s if self._busy_is_known or not self.elapsed_s else None

    @property
    def is_lost(self) -> bool:
        return self.failures >= GIVE_UP_AFTER

    def tell(self, left_out: LeftOut) -> None:
        """Note readings that were dropped, a change of the sensor's source, and that the meter gave up."""
        if self.dropped > self.told:
            reason = "no value, an impossible value, or too long a gap"
            left_out.note(f"readings of {self.facts['name']}", reason, self.dropped - self.told)
            self.told = self.dropped
        for told in (self, self.sensor):
            if told.trouble:
                left_out.note(self.facts["name"], told.trouble)
                told.trouble = ""

    def facts_told(self, left_out: LeftOut) -> dict:
        """Its facts as the portal accepts them, checked again only when they change."""
        if self._facts_given != self.facts:
            self._facts_given = dict(self.facts)
            self._facts_told = metadata.facts(self.facts, left_out)
        return self._facts_told

    def take(self, at: float, reading: Reading, gap_s: float, part: Shares = ALL) -> None:
        """Advance the counters from the last reading to this one, `at` a monotonic time in seconds.

        `part` of the interval is this run's. Only idle power is divided, or everything if use can't be told apart.
        """
        before, self._before = self._before, reading
        before_at, self.at = self.at, at
        if before is None or at <= before_at:
            return
        passed_s = at - before_at
        if not self.facts["basis"]:
            self.energy_j = None  # its sensor gave up: an estimate for the whole run is better than some of the joules
        mine = part.own * (part.held if self.sensor.is_divided and not self.sensor.is_split else 1.0)
        shared = 1.0 - part.counted
        added_j = self._added_j(before, reading, passed_s, gap_s)
        if self.energy_j is not None:
            if added_j is None:
                self.dropped += 1
                return
            self.energy_j += mine * added_j
            self.shared_energy_j += shared * mine * added_j
        busy_s = _busy_s(before, reading, passed_s, gap_s)
        counts_in_full = passed_s <= gap_s or reading.energy_j is not None
        # In a gap, only the time that a counter of busy seconds proves is counted.
        observed_s = passed_s if counts_in_full else busy_s or 0.0
        own_busy_s = self._own_busy_s(observed_s, busy_s, mine)
        self.elapsed_s += observed_s
        self._busy_s += own_busy_s
        self.shared_busy_s += shared * own_busy_s
        held_s = part.own * part.held * observed_s
        self.held_s += held_s
        self.shared_held_s += shared * held_s

    def _own_busy_s(self, observed_s: float, busy_s: float | None, mine: float) -> float:
        """The run's part of busy seconds. Time of unknown utilisation counts like the rest."""
        if busy_s is None:
            return observed_s * self._busy_s / self.elapsed_s if self.elapsed_s else 0.0
        if observed_s and not self._busy_is_known:
            self._busy_is_known = True
            self._busy_s = self.elapsed_s * mine * busy_s / observed_s
        return mine * busy_s

    def _added_j(self, before: Reading, now: Reading, passed_s: float, gap_s: float) -> float | None:
        """Joules between two readings; None if they prove nothing: after a reset, an impossible counter, or a gap."""
        if before.energy_j is not None and now.energy_j is not None:
            added_j = now.energy_j - before.energy_j
            most_w = self.sensor.most_w
            impossible = added_j < 0 or (most_w and added_j > most_w * max(passed_s, 1.0))
            return None if impossible else added_j
        if before.power_w is None or now.power_w is None or passed_s > gap_s:
            return None
        return (before.power_w + now.power_w) / 2 * passed_s

    def stand_on(self, board: Board, started_at: float) -> None:
        """Put the counters where they outlive the process."""
        if self._slot is None:
            self._slot = board.slot(f"{DEVICE}:{self.facts['key']}") or -1
        if self._slot >= 0:
            energy_j = nan if self.energy_j is None else self.energy_j
            busy_s = nan if self.busy_s is None else self.busy_s
            values = (self.at - started_at, self.elapsed_s, busy_s, energy_j)
            for place, value in enumerate(values, self._slot):
                board.values[place] = value
        if self._parts() or self._part_slot:
            if self._part_slot is None:
                self._part_slot = board.slot(f"{PART}:{self.facts['key']}") or -1
            for place, name in enumerate(PARTS, self._part_slot) if self._part_slot >= 0 else ():
                board.values[place] = getattr(self, name)

    def _parts(self) -> dict[str, float]:
        """The counters of this run's part; empty if it shared nothing."""
        if self.held_s == self.elapsed_s and not self.shared_held_s:
            return {}
        return {name: getattr(self, name) for name in PARTS}

    def sample(self, started_at: float) -> dict:
        """The counters in the format of docs/wire.md."""
        return {
            "device": self.facts["key"],
            "t_s": round(max(self.at - started_at, 0.0), 6),
            "elapsed_s": round(self.elapsed_s, 6),
            "busy_s": None if self.busy_s is None else round(self.busy_s, 6),
            "energy_j": None if self.energy_j is None else round(self.energy_j, 6),
        } | {name: round(value, 6) for name, value in self._parts().items()}


def _busy_s(before: Reading, now: Reading, passed_s: float, gap_s: float) -> float | None:
    """Busy seconds between two readings, at most the time that passed; None if neither has them, or in a gap."""
    if before.busy_s is not None and now.busy_s is not None:
        return min(max(now.busy_s - before.busy_s, 0.0), passed_s)
    shares = [each.busy_share for each in (before, now) if each.busy_share is not None]
    return min(sum(shares) / len(shares), 1.0) * passed_s if shares and passed_s <= gap_s else None


def _is_sane(reading: Reading) -> bool:
    values = (reading.busy_share, reading.busy_s, reading.power_w, reading.energy_j)
    return all(value is None or (isfinite(value) and value >= 0) for value in values)
