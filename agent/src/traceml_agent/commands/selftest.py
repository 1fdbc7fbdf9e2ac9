"""The self-test of `traceml-agent doctor`: do the measurements agree with the work done?

For half of five seconds, a separate process loads one core, and reports how much CPU time that took. The meters read it
as they would read a training.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time

from traceml_agent import figures
from traceml_agent.commands.terminal import Bar
from traceml_agent.host.identity import new_run_id
from traceml_agent.measuring.meter import Meter
from traceml_agent.measuring.summary import energy_of
from traceml_agent.spool import recording
from traceml_agent.spool.file import Spool

TEST_S, LOAD_S, READ_EVERY_S = 5.0, 2.5, 0.25
#: The measured CPU time may differ by this share from the load's own, and the observed time from the clock's.
TOLERANCE = 0.2
BURN = f"""import time
until = time.monotonic() + {LOAD_S}
while time.monotonic() < until: pass
print(time.process_time())"""
MIB = 1024 * 1024


class Finding:
    """One line of the examination: what was checked, whether it is well, and what to do about it."""

    def __init__(self, subject: str, is_well: bool, text: str, remedy: str = ""):
        self.subject, self.is_well, self.text, self.remedy = subject, is_well, text, "" if is_well else remedy

    def as_dict(self) -> dict:
        return {"subject": self.subject, "ok": self.is_well, "text": self.text, "remedy": self.remedy}


def examine(found: list, scope: str, place: str | None, bar: Bar) -> list[Finding]:
    """Measure for five seconds, half of them under load, and judge the readings. `place` is the spool's folder."""
    meters, clock = [Meter(sensor) for sensor in found], ClockCheck()
    _read(meters)
    began_s = time.process_time()
    with subprocess.Popen([sys.executable, "-I", "-c", BURN], stdout=subprocess.PIPE) as load:
        try:
            _watch(meters, clock, load, bar)
        finally:
            load.kill()
        loaded_s = float(load.stdout.read() or 0.0) if load.stdout else 0.0  # empty if it did not finish
    loaded_s += time.process_time() - began_s
    findings = [_processor(meters, loaded_s, scope), _readings(meters), _energy(meters), clock.judge()]
    return findings + ([_round_trip(place)] if place else [])


def _watch(meters: list[Meter], clock: ClockCheck, load: subprocess.Popen, bar: Bar) -> None:
    """Read every meter repeatedly. The load is collected in between, like a worker that has ended."""
    until = time.monotonic() + TEST_S
    while (left_s := until - time.monotonic()) > 0:
        bar.show(TEST_S - left_s, TEST_S, "self-test")
        time.sleep(min(left_s, READ_EVERY_S))
        clock.look()
        load.poll()
        _read(meters)
    bar.show(TEST_S, TEST_S, "self-test")


def _read(meters: list[Meter]) -> None:
    for meter in meters:
        meter.read(TEST_S)


class ClockCheck:
    """Watches the monotonic clock, on which every duration depends, and the wall clock."""

    def __init__(self):
        self._began_s = self._last_s = time.monotonic()
        self._wall_s = time.time()
        self._fell_s = 0.0

    def look(self, readings: int = 1000) -> None:
        """Read the clock many times in a row."""
        for _ in range(readings):
            now_s = time.monotonic()
            self._fell_s = max(self._fell_s, self._last_s - now_s)
            self._last_s = now_s

    def judge(self) -> Finding:
        """Whether the clock ever went backwards."""
        if self._fell_s > 0:
            remedy = "Fix the machine's clock source: cat /sys/devices/system/clocksource/*/current_clocksource"
            return Finding("clock", False, f"the monotonic clock went backwards by {self._fell_s:g} s", remedy)
        drift_s = time.time() - self._wall_s - (time.monotonic() - self._began_s)
        return Finding("clock", True, f"monotonic; the wall clock moved {abs(drift_s):.1g} s against it")


def _processor(meters: list[Meter], loaded_s: float, scope: str) -> Finding:
    """Whether the CPU time of the load was measured. A whole machine may be busy with more than this load."""
    cpus = [meter for meter in meters if meter.facts["kind"] == "cpu"]
    seen_s = sum((meter.busy_s or 0.0) * (meter.facts.get("cores") or 0.0) for meter in cpus)
    least_s = (1 - TOLERANCE) * loaded_s
    most_s = (1 + TOLERANCE) * loaded_s if scope == "job" else float("inf")
    text = f"{loaded_s:.2f} s of CPU time used, {seen_s:.2f} s measured"
    remedy = (
        "Run it again on an idle machine. If that doesn't help, /proc belongs to another machine or hides processes."
    )
    return Finding("processor", least_s <= seen_s <= most_s, text, remedy)


def _readings(meters: list[Meter]) -> Finding:
    """Whether every device was read the whole time."""
    gaps = [meter.facts["key"] for meter in meters if abs(meter.elapsed_s - TEST_S) > TOLERANCE * TEST_S]
    if gaps or not meters:
        text = f"{', '.join(gaps) or 'no device'} could not be read the whole time"
        return Finding("readings", False, text, "Run it again, then check the log of the device's driver.")
    return Finding("readings", True, f"{', '.join(meter.facts['key'] for meter in meters)} throughout")


def _energy(meters: list[Meter]) -> Finding:
    """Whether there was energy, and at which power."""
    energies = {meter.facts["key"]: energy_of(meter).energy_j for meter in meters}
    powers = ", ".join(f"{key} {figures.power(energy_j / TEST_S)}" for key, energy_j in energies.items())
    total_j = sum(energies.values())
    remedy = "A counter does not move. See the device's method above."
    return Finding("energy", total_j > 0, f"{figures.significant(total_j)} J in {TEST_S:g} s: {powers}", remedy)


def _round_trip(place: str) -> Finding:
    """Whether the spool returns what was written, in a folder that no uploader uses."""
    body = {"model": "doctor", "value": 0.1}
    try:
        folder = tempfile.mkdtemp(prefix="doctor-", dir=place)
        try:
            spool = Spool(folder, new_run_id(), "w-doctor", MIB)
            spool.append("header", body)
            spool.flush_to_disk()
            spool.close()
            back = [record["body"] for _, record in recording.read(spool.path or "") if record]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    except OSError as error:
        return _unwritable(f"{place}: {error.strerror}")
    return (
        Finding("record", True, "written and read back") if back == [body] else _unwritable("different when read back")
    )


def _unwritable(text: str) -> Finding:
    remedy = "Free some space, or set TRACEML_AGENT_SPOOL_DIR to a folder on another disk."
    return Finding("record", False, text, remedy)
