"""The sampler: one thread that reads the sensors, advances each device's cumulative counters, and fills the spool.

Waking up costs more than reading, so it sleeps as long as the sensors allow. What counts by itself, as processor time
does in the kernel, is read only for a stored sample. The interval between samples grows with the run, so that a month
takes a few thousand.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from traceml_agent.host import forks
from traceml_agent.host.bell import Bell
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.measuring.curve import Curve
from traceml_agent.measuring.meter import Meter
from traceml_agent.measuring.summary import energy_of
from traceml_agent.messages import warn
from traceml_agent.spool.board import Board

#: Stored samples are one reading interval apart at first, then this share of the run's age, up to five intervals …
SHARE_OF_YOUNG_AGE = 1 / 10
READINGS_A_SAMPLE = 5
#: … and later this share, up to five minutes.
SHARE_OF_AGE = 1 / 500
MOST_S = 300.0
#: Readings of a power sensor are this share of the run's age apart at first, up to the reading interval.
SHARE_OF_AGE_READ = 1 / 200
#: The most that a kill loses of a run of any age: how long readings may exist in this process only.
KEPT_EVERY_S = 5.0
FINAL_READ_S = 2.0
CATCH_UP_S = 0.02


def sample_spacing_s(age_s: float, interval_s: float) -> float:
    """Seconds between stored samples of a run of this age."""
    young_s = min(max(age_s * SHARE_OF_YOUNG_AGE, interval_s), READINGS_A_SAMPLE * interval_s)
    return min(max(age_s * SHARE_OF_AGE, young_s), MOST_S)


class Sampler:
    """Reads `meters` every `interval_s` in a thread, hands samples to `record`, and calls `after_each`.

    `prepare` runs first in the thread: the part of a start for which a training should not wait. Every reading is on
    the `board` at once. `record` is also called without samples, for what was reported between two of them.
    """

    def __init__(
        self,
        interval_s: float,
        started_at: float,
        record: Callable[[list[dict]], None],
        after_each: Callable[[], None],
        board: Board | None = None,
        left_out: LeftOut | None = None,
    ):
        self.meters: list[Meter] = []
        self._interval_s, self._started_at, self._record, self._after_each = interval_s, started_at, record, after_each
        self.curve = Curve()
        self.board, self._left_out = board, left_out or LeftOut()
        self._sampled_at = self._sample_due = self._recorded_at = 0.0
        self._marked = False
        self._stopping = False
        self._lock = threading.Lock()
        self._bell = Bell()
        self._ready = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, prepare: Callable[[], None]) -> None:
        """Take the first reading here, since a busy training may keep the thread waiting, and start the thread.

        Raises RuntimeError if the system gives no thread.
        """
        for meter in self.meters:
            meter.read(self._interval_s)
        self._thread = threading.Thread(target=self._work, args=(prepare,), name="traceml-sampler", daemon=True)
        self._thread.start()

    def _work(self, prepare: Callable[[], None]) -> None:
        """The thread. It catches every exception, since none may reach the training."""
        try:
            prepare()  # without the lock: a driver that hangs here must not keep other sensors from their last reading
            with self._lock:
                if not self._stopping:
                    self.tick(time.monotonic(), everything=True)
        except Exception as error:  # noqa: BLE001
            warn(f"measuring could not start ({type(error).__name__}: {error})")
        finally:
            self._ready.set()
        while not self._stopping:
            if self._bell.wait(self._pause_s()):
                continue  # a stage or the end: the next sample is due earlier
            try:
                with forks.undivided(), self._lock:
                    if not self._stopping:
                        self.tick(time.monotonic())
                self._after_each()
            except Exception as error:  # noqa: BLE001
                warn(f"a reading failed ({type(error).__name__}: {error})")

    def _pause_s(self) -> float:
        """Seconds to sleep: until a sample is due, or a momentary value has to be read."""
        now = time.monotonic()
        return max(min(self._due_at() - now, self._longest_s(now - self._started_at)), 0.0)

    def _longest_s(self, age_s: float) -> float:
        """The longest time that the devices may go without a reading, in seconds."""
        if any(meter.facts["basis"] == "sensor" for meter in self.meters):
            # Jumping power is integrated to within 2 % only if a short run has enough readings.
            return min(max(age_s * SHARE_OF_AGE_READ, self._interval_s / 10), self._interval_s)
        kept_s = max(KEPT_EVERY_S, self._interval_s)
        return min([meter.sensor.every_s or self._interval_s for meter in self.meters] + [kept_s])

    def _due_at(self) -> float:
        """When the next sample is due, as a monotonic time: a reading interval after the last one if a stage asks."""
        if not self._marked:
            return self._sample_due
        spacing_s = max((self._sampled_at - self._started_at) * SHARE_OF_AGE / 2, self._interval_s)
        return min(self._sampled_at + spacing_s, self._sample_due)

    def mark(self) -> None:
        """Ask for a sample soon: a stage began or ended, and its energy comes from the samples around it."""
        if not self._marked:
            self._marked = True
            self._bell.ring()

    def tick(self, now: float, everything: bool = False) -> None:
        """Read what is due; store a sample and write a record if they are due."""
        spacing_s = sample_spacing_s(now - self._started_at, self._interval_s)
        due = everything or now >= self._due_at()
        if due:
            self._sampled_at, self._marked = now, False
            # A stage's sample is in addition to the regular ones, or a kill would lose more than their interval.
            self._sample_due = self._sample_due if now < self._sample_due else now + spacing_s
        kept_s = max(KEPT_EVERY_S, self._interval_s)
        for meter in self.meters:
            # A little less, since a sleep may end a little early.
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
            self.curve.add(now - self._started_at, sum(energy_of(meter).energy_j for meter in self.meters))

    def begin_anew(self, end: Callable[[], tuple[float, list[Meter]]]) -> None:
        """Take a last reading of everything, and go on with the start and the meters that `end` returns."""
        with self._lock:
            if self._stopping:
                return
            self.tick(time.monotonic(), everything=True)
            self._started_at, self.meters = end()
            self._sampled_at = self._sample_due = self._recorded_at = 0.0
            for meter in self.meters:
                if self.board is not None:
                    meter.stand_on(self.board, self._started_at)

    def catch_up(self, older_than_s: float | None = None) -> None:
        """Read processor and memory now, so that a figure that is asked for is not that of the last sample.

        Waits for a tick in progress, but not for a sensor that hangs.
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
        """Stop, with a last reading of everything unless a sensor hangs."""
        deadline = time.monotonic() + FINAL_READ_S
        # A signal's handler may have kept the thread from starting: then there is nothing to wait for.
        if self._thread is not None and self._thread.is_alive() and not self._ready.wait(FINAL_READ_S):
            self._left_out.note("a device", "its driver hangs, so it is not measured")
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
        """The current counters of all devices, including lost ones."""
        return [meter.sample(self._started_at) for meter in self.meters]
