"""Energy against a known truth: a square wave of power, seen by a counter and by a sensor, through the real sampler."""

import threading
import time

from tests.benchmarks.timing import Row
from traceml_agent.measuring.meter import Meter
from traceml_agent.measuring.sampler import Sampler
from traceml_agent.sensors.sensor import Reading, Sensor, facts

LOW_W, HIGH_W, PERIOD_S, DUTY = 50.0, 350.0, 7.3, 0.4


def true_j(seconds: float) -> float:
    """Joules of the wave from 0 to `seconds`."""
    periods, rest_s = divmod(seconds, PERIOD_S)
    high_s = periods * DUTY * PERIOD_S + min(rest_s, DUTY * PERIOD_S)
    return LOW_W * seconds + (HIGH_W - LOW_W) * high_s


class Wave(Sensor):
    """A device that draws the wave; its counter moves every 50 ms, as NVML's does."""

    every_s = 0.0

    def __init__(self, basis: str):
        self.facts = facts("gpu-0", "gpu", "square wave", basis=basis)
        self._began = time.monotonic()

    def read(self) -> Reading:
        at = time.monotonic() - self._began
        if self.facts["basis"] == "counter":
            return Reading(0.5, energy_j=true_j(at // 0.05 * 0.05))
        return Reading(0.5, power_w=HIGH_W if at % PERIOD_S < DUTY * PERIOD_S else LOW_W)


def rows(lasts_s: tuple[int, ...] = (10, 60, 600)) -> list[Row]:
    found: dict[tuple[str, int], float] = {}
    threads = [
        threading.Thread(target=_measure, args=(basis, seconds, found))
        for basis in ("counter", "sensor")
        for seconds in lasts_s
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [_row(basis, bound, lasts_s, found) for basis, bound in (("counter", 0.005), ("sensor", 0.02))]


def _measure(basis: str, seconds: int, found: dict) -> None:
    sensor = Wave(basis)
    sampler = Sampler(1.0, time.monotonic(), lambda samples: None, lambda: None)
    sampler.meters = [Meter(sensor)]
    sampler.start(lambda: None)
    time.sleep(seconds)
    sampler.stop()
    (meter,) = sampler.meters
    found[basis, seconds] = (meter.energy_j or 0.0) / true_j(meter.at - sensor._began) - 1


def _row(basis: str, bound: float, lasts_s: tuple[int, ...], found: dict) -> Row:
    errors = ", ".join(f"{seconds} s: {found[basis, seconds]:+.2%}" for seconds in lasts_s)
    worst = max(abs(found[basis, seconds]) for seconds in lasts_s)
    return Row(f"error of energy, {basis}", errors, "", f"≤ {bound:.1%}", worst <= bound)
