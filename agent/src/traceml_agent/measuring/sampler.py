"""The sampler: one thread that reads the sensors, advances each device's cumulative counters, and fills the spool.

Waking up costs more than reading, so it sleeps as long as the sensors allow: what counts by itself, as the kernel does
with processor time, is read for a stored sample only. The interval between those grows with the run: a month costs a
few thousand of them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from math import isfinite, nan

from traceml_agent.host import forks
from traceml_agent.host.bell import Bell
from traceml_agent.host.neighbours import ALL, Hold, Part
from traceml_agent.inputs import metadata
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.messages import warn
from traceml_agent.sensors import Reading, Sensor
from traceml_agent.spool.board import DEVICE, PART, PARTS, Board

#: Stored samples lie a reading interval apart at first, then this share of the run's age up to five of them …
SHARE_OF_YOUNG_AGE = 1 / 10
READINGS_A_SAMPLE = 5
#: … and later this one, up to five minutes.
SHARE_OF_AGE = 1 / 500
MOST_S = 300.0
#: A power sensor is read this share of the run's age apart at first, up to the reading interval.
SHARE_OF_AGE_READ = 1 / 200
#: What a kill loses at the most of a run of any age: so long may readings stand nowhere else than in this process.
KEPT_EVERY_S = 5.0
#: Longer than this many of its intervals without a reading is a gap: nothing is integrated over it.
GAP_INTERVALS = 5
SHARED = "Its idle power is shared with your other traced jobs on this host."
GIVE_UP_AFTER = 5
FINAL_READ_S = 2.0
CATCH_UP_S = 0.02


class Meter:
    """Cumulative counters of one device since the writer's start, advanced by its sensor's readings."""

    def __init__(self, sensor: Sensor, hold: Hold | None = None):
        self.sensor, self.facts, self.hold = sensor, sensor.facts, hold
        self.elapsed_s = self._busy_s = 0.0
        self._busy_is_known = False
        #: Of the elapsed seconds this run's part, and what of all three other runs count in sums. See neighbours.
        self.held_s = self.shared_held_s = self.shared_busy_s = self.shared_energy_j = 0.0
        self.energy_j: float | None = 0.0 if sensor.facts["basis"] else None
        self.at = self.asked_at = 0.0
        self.failures = self.dropped = self.told = 0
        self.trouble = ""  # why it was given up
        self.profile = None  # the catalogue's, once somebody asked for the energy
        self._before: Reading | None = None
        self._facts_given: dict = {}
        self._facts_told: dict = {}
        self._slot: int | None = None  # its place on the board
        self._part_slot: int | None = None

    def read(self, interval_s: float) -> None:
        """Read the sensor and count what happened since its last reading; a failed read is no reading, never 0."""
        part = self.hold.part(self.at, time.monotonic()) if self.hold is not None and self.at else ALL
        if part.held < 1.0:
            self.sensor.add_note(SHARED)
        self.sensor.idle_part = part.held
        try:
            reading = self.sensor.read()
        except Exception as error:  # noqa: BLE001 (a vendor's library may raise anything; the training goes on)
            self.failures += 1
            if self.failures == GIVE_UP_AFTER:
                self.trouble = f"it can't be read any more ({type(error).__name__}: {error})"
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
        self.take(at, reading, GAP_INTERVALS * interval_s, part)

    @property
    def busy_s(self) -> float | None:
        """Utilisation integrated over `elapsed_s`; None where the device tells none, which is no 0."""
        return self._busy_s if self._busy_is_known or not self.elapsed_s else None

    @property
    def is_lost(self) -> bool:
        return self.failures >= GIVE_UP_AFTER

    def tell(self, left_out: LeftOut) -> None:
        """Note what its sensor gave that is no reading, what befell it, and that it was given up."""
        if self.dropped > self.told:
            reason = "none was given, it was impossible, or came after too long a gap"
            left_out.note(f"readings of {self.facts['name']}", reason, self.dropped - self.told)
            self.told = self.dropped
        for told in (self, self.sensor):
            if told.trouble:
                left_out.note(self.facts["name"], told.trouble)
                told.trouble = ""

    def facts_told(self, left_out: LeftOut) -> dict:
        """Its facts as the portal takes them; looked through again only where they changed."""
        if self._facts_given != self.facts:
            self._facts_given = dict(self.facts)
            self._facts_told = metadata.facts(self.facts, left_out)
        return self._facts_told

    def take(self, at: float, reading: Reading, gap_s: float, part: Part = ALL) -> None:
        """Advance the counters from the last reading to this one, `at` a monotonic time in seconds.

        `part` of the interval is this run's. Idle power alone is divided, or all of what nobody tells apart.
        """
        before, self._before = self._before, reading
        before_at, self.at = self.at, at
        if before is None or at <= before_at:
            return
        passed_s = at - before_at
        if not self.facts["basis"]:
            self.energy_j = None  # its sensor gave up: an estimate of the whole is better than a part of the joules
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
        # Of a gap only the time that a counter of busy seconds proves is counted.
        observed_s = passed_s if counts_in_full else busy_s or 0.0
        own_busy_s = self._own_busy_s(observed_s, busy_s, mine)
        self.elapsed_s += observed_s
        self._busy_s += own_busy_s
        self.shared_busy_s += shared * own_busy_s
        held_s = part.own * part.held * observed_s
        self.held_s += held_s
        self.shared_held_s += shared * held_s

    def _own_busy_s(self, observed_s: float, busy_s: float | None, mine: float) -> float:
        """The run's part of busy seconds. Time of unknown utilisation counts as the rest of it does."""
        if busy_s is None:
            return observed_s * self._busy_s / self.elapsed_s if self.elapsed_s else 0.0
        if observed_s and not self._busy_is_known:
            self._busy_is_known = True
            self._busy_s = self.elapsed_s * mine * busy_s / observed_s
        return mine * busy_s

    def _added_j(self, before: Reading, now: Reading, passed_s: float, gap_s: float) -> float | None:
        """Joules between two readings; None where they prove nothing: a reset or impossible counter, a gap."""
        if before.energy_j is not None and now.energy_j is not None:
            added_j = now.energy_j - before.energy_j
            most_w = self.sensor.most_w
            impossible = added_j < 0 or (most_w and added_j > most_w * max(passed_s, 1.0))
            return None if impossible else added_j
        if before.power_w is None or now.power_w is None or passed_s > gap_s:
            return None
        return (before.power_w + now.power_w) / 2 * passed_s

    def stand_on(self, board: Board, started_at: float) -> None:
        """Leave the counters where they outlive the process."""
        if self._slot is None:
            self._slot = board.slot(f"{DEVICE}:{self.facts['key']}") or -1
        if self._slot >= 0:
            energy_j = nan if self.energy_j is None else self.energy_j
            busy_s = nan if self.busy_s is None else self.busy_s
            values = (self.at - started_at, self.elapsed_s, busy_s, energy_j)
            for place, value in enumerate(values, self._slot):
                board.values[place] = value
        if parts := self._parts():
            if self._part_slot is None:
                self._part_slot = board.slot(f"{PART}:{self.facts['key']}") or -1
            for place, value in enumerate(parts.values(), self._part_slot) if self._part_slot >= 0 else ():
                board.values[place] = value

    def _parts(self) -> dict[str, float]:
        """The counters of what is this run's alone; none where it shared nothing."""
        if self.held_s == self.elapsed_s and not self.shared_held_s:
            return {}
        return {name: getattr(self, name) for name in PARTS}

    def sample(self, started_at: float) -> dict:
        """The counters as the wire wants them."""
        return {
            "device": self.facts["key"],
            "t_s": round(max(self.at - started_at, 0.0), 6),
            "elapsed_s": round(self.elapsed_s, 6),
            "busy_s": None if self.busy_s is None else round(self.busy_s, 6),
            "energy_j": None if self.energy_j is None else round(self.energy_j, 6),
        } | {name: round(value, 6) for name, value in self._parts().items()}


def _busy_s(before: Reading, now: Reading, passed_s: float, gap_s: float) -> float | None:
    """Busy seconds between two readings, at most the time that passed; None where neither tells of them, or a gap."""
    if before.busy_s is not None and now.busy_s is not None:
        return min(max(now.busy_s - before.busy_s, 0.0), passed_s)
    shares = [each.busy_share for each in (before, now) if each.busy_share is not None]
    return min(sum(shares) / len(shares), 1.0) * passed_s if shares and passed_s <= gap_s else None


def _is_sane(reading: Reading) -> bool:
    values = (reading.busy_share, reading.busy_s, reading.power_w, reading.energy_j)
    return all(value is None or (isfinite(value) and value >= 0) for value in values)


def sample_spacing_s(age_s: float, interval_s: float) -> float:
    """Seconds between stored samples of a run of this age."""
    young_s = min(max(age_s * SHARE_OF_YOUNG_AGE, interval_s), READINGS_A_SAMPLE * interval_s)
    return min(max(age_s * SHARE_OF_AGE, young_s), MOST_S)


class Sampler:
    """Reads `meters` every `interval_s` in a thread of its own, hands samples to `record`, calls `look` after each.

    `prepare` runs first in the thread: what a start has to do that may take longer than a training should wait. Every
    reading stands on the `board` at once; `record` is called without samples for what was told between two of them.
    """

    def __init__(
        self,
        interval_s: float,
        started_at: float,
        record: Callable[[list[dict]], None],
        look: Callable[[], None],
        board: Board | None = None,
        left_out: LeftOut | None = None,
    ):
        self.meters: list[Meter] = []
        self._interval_s, self._started_at, self._record, self._look = interval_s, started_at, record, look
        self.board, self._left_out = board, left_out or LeftOut()
        self._sampled_at = self._sample_due = self._recorded_at = 0.0
        self._marked = False
        self._stopping = False
        self._lock = threading.Lock()
        self._bell = Bell()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, prepare: Callable[[], None]) -> None:
        """Take the first reading here, lest a busy training keep the thread waiting for it, and start the thread.

        Raises RuntimeError where the system gives no thread.
        """
        for meter in self.meters:
            meter.read(self._interval_s)
        self._thread = threading.Thread(target=self._work, args=(prepare,), name="traceml-sampler", daemon=True)
        self._thread.start()

    def _work(self, prepare: Callable[[], None]) -> None:
        """The thread: one of the agent's borders that catch broadly, for nothing in it may reach the training."""
        try:
            prepare()  # without the lock: a driver that hangs here must not keep the others from their last reading
            with self._lock:
                if not self._stopping:
                    self.tick(time.monotonic(), everything=True)
        except Exception as error:  # noqa: BLE001
            warn(f"measuring did not start ({type(error).__name__}: {error})")
        finally:
            self._ready.set()
        while not self._stopping:
            if self._bell.wait(self._pause_s()):
                continue  # a stage or the end: the next sample is due earlier
            try:
                with forks.undivided, self._lock:
                    if not self._stopping:
                        self.tick(time.monotonic())
                self._look()
            except Exception as error:  # noqa: BLE001
                warn(f"a reading failed ({type(error).__name__}: {error})")

    def _pause_s(self) -> float:
        """How long to sleep: until a sample is due, or an instant's value has to be read to be integrated."""
        now = time.monotonic()
        return max(min(self._due_at() - now, self._longest_s(now - self._started_at)), 0.0)

    def _longest_s(self, age_s: float) -> float:
        """How long the devices may go without a reading."""
        if any(meter.facts["basis"] == "sensor" for meter in self.meters):
            # Power that jumps is integrated to 2 % only if a short run has readings enough.
            return min(max(age_s * SHARE_OF_AGE_READ, self._interval_s / 10), self._interval_s)
        kept_s = max(KEPT_EVERY_S, self._interval_s)
        return min([meter.sensor.every_s or self._interval_s for meter in self.meters] + [kept_s])

    def _due_at(self) -> float:
        """When the next sample is due, as a monotonic time: a reading interval after the last where a stage asks."""
        if not self._marked:
            return self._sample_due
        spacing_s = max((self._sampled_at - self._started_at) * SHARE_OF_AGE / 2, self._interval_s)
        return min(self._sampled_at + spacing_s, self._sample_due)

    def mark(self) -> None:
        """Ask for a sample soon: a stage began or ended, and its energy is read off the samples around."""
        if not self._marked:
            self._marked = True
            self._bell.ring()

    def tick(self, now: float, everything: bool = False) -> None:
        """Read what has to be read now; store a sample and write a record where they are due."""
        spacing_s = sample_spacing_s(now - self._started_at, self._interval_s)
        due = everything or now >= self._due_at()
        if due:
            self._sampled_at, self._marked = now, False
            # A stage's sample comes besides the regular ones, lest a kill between them loses more than their interval.
            self._sample_due = self._sample_due if now < self._sample_due else now + spacing_s
        kept_s = max(KEPT_EVERY_S, self._interval_s)
        for meter in self.meters:
            # A little less, for a sleep may end a little early.
            if due or now - meter.asked_at >= 0.9 * min(meter.sensor.every_s, kept_s):
                meter.asked_at = now
                meter.read(self._interval_s if meter.sensor.every_s == 0.0 else max(spacing_s, self._interval_s))
                meter.tell(self._left_out)
                if self.board is not None:
                    meter.stand_on(self.board, self._started_at)
        self.meters = [meter for meter in self.meters if not meter.is_lost or meter.elapsed_s > 0]
        if due or now - self._recorded_at >= 0.9 * kept_s:
            self._recorded_at = now
            self._record([meter.sample(self._started_at) for meter in self.meters if due and not meter.is_lost])

    def catch_up(self, older_than_s: float | None = None) -> None:
        """Read processor and memory here and now, lest a figure that somebody asks for is that of the last sample.

        Waits for a tick under way, which the waiting lets go on, but not for a sensor that hangs.
        """
        if not self._lock.acquire(timeout=CATCH_UP_S):
            return
        try:
            now = time.monotonic()
            old_s = self._interval_s / 5 if older_than_s is None else older_than_s
            late = [m for m in self.meters if m.sensor.every_s > 0 and now - m.at > old_s]
            for meter in late:
                meter.read(sample_spacing_s(now - self._started_at, self._interval_s))
        finally:
            self._lock.release()

    def stop(self) -> None:
        """End with a last reading of everything, unless a sensor hangs."""
        deadline = time.monotonic() + FINAL_READ_S
        if self._thread is not None and not self._ready.wait(FINAL_READ_S):
            self._left_out.note("a device", "its driver hangs; it is not measured")
        is_free = self._lock.acquire(timeout=max(deadline - time.monotonic(), 0.01))
        self._stopping = True
        self._bell.ring()
        if not is_free:
            self._left_out.note("the last interval of a device", "its sensor hangs")
            return
        try:
            self.tick(time.monotonic(), everything=True)
        finally:
            self._lock.release()
        if self._thread is not None and self._thread is not threading.current_thread() and self._ready.is_set():
            self._thread.join(FINAL_READ_S)

    def samples(self) -> list[dict]:
        """The counters as they stand: of all devices, lost ones included."""
        return [meter.sample(self._started_at) for meter in self.meters]
