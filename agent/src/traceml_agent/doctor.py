"""`traceml-agent doctor`: what can be measured here, how well and why, and what would make it better."""

from __future__ import annotations

import time

from traceml_agent import sensors, spool
from traceml_agent.sampler import Meter
from traceml_agent.summary import energy_of, profile_of

TEST_S = 5.0

QUALITY = {"counter": "measured by a counter", "sensor": "measured by a power sensor"}


class Finding:
    """One line of the examination: what was looked at, whether it is well, and what to do about it."""

    def __init__(self, subject: str, is_well: bool, text: str, remedy: str = ""):
        self.subject, self.is_well, self.text, self.remedy = subject, is_well, text, remedy

    def as_dict(self) -> dict:
        return {"subject": self.subject, "ok": self.is_well, "text": self.text, "remedy": self.remedy}


class Examination:
    """Devices and findings."""

    def __init__(self, devices: list[dict], findings: list[Finding]):
        self.devices, self.findings = devices, findings

    @property
    def is_well(self) -> bool:
        return bool(self.devices) and all(finding.is_well for finding in self.findings)

    def as_dict(self) -> dict:
        return {
            "ok": self.is_well,
            "devices": self.devices,
            "findings": [finding.as_dict() for finding in self.findings],
        }

    def text(self) -> str:
        lines = []
        for device in self.devices:
            lines.append(f"{device['key']}: {device['name']}")
            lines.append(f"    {device['method']}: {device['quality']}; {device['why']}")
            lines += [f"    better: {device['remedy']}"] if device["remedy"] else []
        for finding in self.findings:
            lines.append(f"{'ok' if finding.is_well else 'NOT OK'}  {finding.subject}: {finding.text}")
            lines += [f"    {finding.remedy}"] if finding.remedy else []
        return "\n".join(lines)


def examine(settings, quick: bool = False) -> Examination:
    """Look at every device, the spool and the portal; unless `quick`, measure for five seconds as well."""
    found = [*sensors.of_host(settings.scope), *sensors.of_accelerators(settings.scope)]
    findings = [_spool(settings), *_portal(settings)]
    if not quick:
        findings.append(self_test(found))
    return Examination([_device(sensor) for sensor in found], findings)


def self_test(found: list) -> Finding:
    """Load a core for half of five seconds, and see whether the meters saw it."""
    meters = [Meter(sensor) for sensor in found]
    for meter in meters:
        meter.read(TEST_S)
    began_s, until = time.process_time(), time.monotonic() + TEST_S / 2
    while time.monotonic() < until:
        pass
    loaded_s = time.process_time() - began_s
    time.sleep(TEST_S / 2)
    for meter in meters:
        meter.read(TEST_S)
    return _verdict(meters, loaded_s)


def _verdict(meters: list[Meter], loaded_s: float) -> Finding:
    silent = [meter.facts["key"] for meter in meters if meter.elapsed_s <= 0]
    if silent:
        return Finding(
            "self-test", False, f"no reading of {', '.join(silent)}", "Run it again; then see the driver's log."
        )
    seen_s = sum(meter.busy_s * (meter.facts.get("cores") or 0.0) for meter in meters if meter.facts["kind"] == "cpu")
    energy_j = sum(energy_of(meter).energy_j for meter in meters)
    text = f"of {loaded_s:.1f} s of load on one core {seen_s:.1f} s were seen, {energy_j:.1f} J in {TEST_S:g} s"
    # A whole machine is busy with more than this load; less than it was never seen.
    return Finding("self-test", seen_s >= 0.75 * loaded_s and energy_j > 0, text)


def _device(sensor) -> dict:
    facts = sensor.facts
    profile = profile_of(facts)
    quality = QUALITY.get(facts["basis"]) or ("estimated, unknown device" if profile.fallback else "estimated")
    return {
        "key": facts["key"],
        "kind": facts["kind"],
        "name": facts["name"],
        "method": facts["method"],
        "basis": facts["basis"] or ("fallback" if profile.fallback else "tdp"),
        "quality": quality,
        "why": _why(facts, profile),
        "remedy": facts["note"],
    }


def _why(facts: dict, profile) -> str:
    if facts["basis"]:
        return "joules are read, no profile is needed"
    if profile.fallback:
        return f"the catalogue knows no device of this name, so {profile.name} stands in"
    return f"between idle and full load of {profile.name}, {profile.tdp_w:g} W TDP{_per(profile)}"


def _per(profile) -> str:
    return "" if profile.unit == "device" else f" per {profile.unit.upper() if profile.unit == 'gb' else profile.unit}"


def _spool(settings) -> Finding:
    place = spool.folder(settings)
    if place is None:
        return Finding("spool", False, "no folder can be written", "Set TRACEML_AGENT_SPOOL_DIR to one of yours.")
    return Finding("spool", True, place)


def _portal(settings) -> list[Finding]:
    if not settings.url:
        return [Finding("portal", True, "none is set: runs are kept on this machine")]
    if not settings.token:
        return [Finding("portal", False, f"{settings.url}: no token", "Run `traceml-agent login`.")]
    from traceml_agent import client

    try:
        answer = client.Client(settings).check_token()
    except client.Refused as refusal:
        return [Finding("portal", False, str(refusal))]
    # A body that can't be right is refused only after the token was accepted.
    if answer.outcome == client.QUARANTINE:
        return [Finding("portal", True, f"{settings.url} answers and knows the token")]
    return [Finding("portal", False, f"{settings.url}: {answer.reason}")]
