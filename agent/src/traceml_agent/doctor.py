"""`traceml-agent doctor`: what can be measured here, how well and why, and what would make it better."""

from __future__ import annotations

import json
import shutil

from traceml_agent import config, selftest, sensors, spool, terminal
from traceml_agent.finding import Finding
from traceml_agent.spool_folder import folders, spool_files
from traceml_agent.summary import profile_of
from traceml_agent.terminal import Bar

TEXT = "Show what can be measured here, how well and why, and what would make it better; with a self-test of 5 s."
EXAMPLE = "traceml-agent doctor --quick"
STATUSES = "0 all is well, though more exact methods may be named; 1 something is to be mended"
QUALITY = {"counter": "measured by a counter", "sensor": "measured by a power sensor"}


def add_command(commands) -> None:
    """Add `doctor` to the command line's parsers."""
    parser = terminal.add(commands, "doctor", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("--quick", action="store_true", help="leave out the self-test")


def command(options) -> int:
    """Print the examination; 0 when nothing is wrong."""
    with Bar() as bar:
        found = examine(config.load(), options.quick, bar)
    print(json.dumps(found.as_dict(), indent=2) if options.json else found.text())
    return 0 if found.is_well else 1


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


def examine(settings, is_quick: bool, bar: Bar) -> Examination:
    """Look at every device, the spool and the portal; unless it has to be quick, measure for five seconds as well."""
    found = _sensors(settings.scope)
    place = spool.folder(settings)
    findings = [_spool(place, settings), *_portal(settings)]
    if not is_quick:
        findings += selftest.examine(found, settings.scope, place, bar)
    return Examination([_device(sensor) for sensor in found], findings)


def _sensors(scope: str) -> list:
    """Those that a run would read: a module's power holds its processor's already."""
    found = [*sensors.of_host(scope), *sensors.of_accelerators(scope)]
    replaced = {key for sensor in found for key in sensor.replaces}
    return [sensor for sensor in found if sensor.facts["key"] not in replaced]


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
        "remedy": facts["note"] or _remedy(facts, profile),
    }


def _remedy(facts: dict, profile) -> str:
    if facts["basis"] or not profile.fallback:
        return ""
    return "an admin of the portal gives it a profile (page Hardware); its runs are then estimated anew"


def _why(facts: dict, profile) -> str:
    if facts["basis"]:
        return "joules are read, no profile is needed"
    if profile.fallback:
        return f"the catalogue knows no device of this name, so {profile.name} stands in"
    return f"between idle and full load of {profile.name}, {profile.tdp_w:g} W TDP{_per(profile)}"


def _per(profile) -> str:
    return "" if profile.unit == "device" else f" per {profile.unit.upper() if profile.unit == 'gb' else profile.unit}"


def _spool(place: str | None, settings) -> Finding:
    if place is None:
        return Finding("spool", False, "no folder can be written", "Set TRACEML_AGENT_SPOOL_DIR to one of yours.")
    waiting = sum(len(spool_files(each)) for each in folders(settings))
    free_gb = shutil.disk_usage(place).free / 1e9
    return Finding("spool", True, f"{place}: {waiting} files wait, {free_gb:.1f} GB are free")


def _portal(settings) -> list[Finding]:
    if not settings.url:
        return [Finding("portal", True, "none is set: runs are kept on this machine")]
    if not settings.token:
        return [Finding("portal", False, f"{settings.url}: no token", "Run `traceml-agent login`.")]
    from traceml_agent import client

    try:
        portal = client.Client(settings)
        answer = portal.check_token()
    except client.Refused as refusal:
        return [Finding("portal", False, str(refusal), "Set TRACEML_AGENT_URL, or run `traceml-agent login`.")]
    # A body that can't be right is refused only after the token was accepted.
    if answer.outcome == client.QUARANTINE:
        well = f"{settings.url} answers and knows the token"
        return [Finding("portal", True, f"{well}. {portal.notice}" if portal.notice else well)]
    if answer.reason == portal.notice:
        remedy = ""  # the portal named it: an update
    elif answer.outcome == client.STOP:
        remedy = "Run `traceml-agent login`."
    else:
        remedy = "The spool keeps runs until it answers."
    return [Finding("portal", False, f"{settings.url}: {answer.reason}", remedy)]
