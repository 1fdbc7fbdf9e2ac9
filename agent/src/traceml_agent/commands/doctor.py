"""`traceml-agent doctor`: what can be measured on this machine, how well, and how to improve it."""

from __future__ import annotations

import json
import shutil
import time

from traceml_agent.commands import selftest, terminal
from traceml_agent.commands.selftest import Finding
from traceml_agent.commands.terminal import Bar
from traceml_agent.delivery.backlog import Backlog, dropped_records
from traceml_agent.figures import counted, duration
from traceml_agent.inputs import config
from traceml_agent.measuring.summary import profile_of
from traceml_agent.sensors import discovery, unmeasured
from traceml_agent.spool import folder

TEXT = "Show what can be measured on this machine, how well, and how to improve it. Includes a self-test of 5 s."
EXAMPLE = "traceml-agent doctor --quick"
STATUSES = "0 everything works, though better methods may be suggested; 1 something needs fixing"
MOST_SKEW_S = 600.0
QUALITY = {
    "counter": "measured by a counter",
    "sensor": "measured by a power sensor",
    "split": "the job's share of a counter",
}


def add_command(commands) -> None:
    """Add `doctor` to the command line's parsers."""
    parser = terminal.add(commands, "doctor", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.add_argument("--quick", action="store_true", help="skip the self-test")


def command(options) -> int:
    """Print the examination. Returns 0 if nothing is wrong."""
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
            lines += [f"    to improve: {device['remedy']}"] if device["remedy"] else []
        for finding in self.findings:
            lines.append(f"{'ok' if finding.is_well else 'NOT OK'}  {finding.subject}: {finding.text}")
            lines += [f"    {finding.remedy}"] if finding.remedy else []
        return "\n".join(lines)


def examine(settings, is_quick: bool, bar: Bar) -> Examination:
    """Examine every device, the spool and the portal; unless `is_quick`, measure for five seconds too."""
    found = _sensors(settings)
    place = folder.folder(settings)
    findings = [*_unmeasured(), _spool(place), *_backlog(settings), *_portal(settings)]
    if not is_quick:
        findings += selftest.examine(found, settings.scope, place, bar)
    return Examination([_device(sensor) for sensor in found], findings)


def _sensors(settings) -> list:
    """The sensors that a run would read: a module's power includes its processor's."""
    accelerators = discovery.of_accelerators(settings.scope, declared=settings.devices)
    found = [*discovery.of_host(settings.scope), *accelerators]
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
    return "ask a portal admin to add a profile (page Hardware); past runs are then recalculated"


def _why(facts: dict, profile) -> str:
    if facts["basis"]:
        return "energy is read directly, so no profile is needed"
    if profile.fallback:
        return f"not in the catalogue, so {profile.name} is used instead"
    return f"between idle and full load of {profile.name}, {profile.tdp_w:g} W TDP{_per(profile)}"


def _per(profile) -> str:
    return "" if profile.unit == "device" else f" per {profile.unit.upper() if profile.unit == 'gb' else profile.unit}"


def _unmeasured() -> list[Finding]:
    """Accelerators that are present but not measured."""
    return [Finding("not measured", False, f"{what}: {reason}") for what, reason in unmeasured.devices()]


def _spool(place: str | None) -> Finding:
    if place is None:
        return Finding("spool", False, "no folder is writable", "Set TRACEML_AGENT_SPOOL_DIR to a writable folder.")
    return Finding("spool", True, f"{place}: {shutil.disk_usage(place).free / 1e9:.1f} GB free")


def _backlog(settings) -> list[Finding]:
    """What is waiting and for which address, what a portal refused and why, and what the runs left out."""
    found = Backlog(settings)
    is_well = not (settings.url and found.elsewhere)
    remedy = "If the other address is the right one, set TRACEML_AGENT_URL to it."
    findings = [Finding("runs", is_well, " ".join(found.waiting_lines()) or "nothing is waiting", remedy)]
    if found.set_aside or found.removed:
        is_well = not any(each.is_of_a_run for each in found.set_aside)
        remedy = "Run `traceml-agent sync` to try again. `traceml-agent sync --discard` deletes what is refused again."
        findings.append(Finding("set aside", is_well, "; ".join(found.set_aside_lines()), remedy))
    if dropped := dropped_records(found.files):
        text = f"{counted(dropped, 'record')} of waiting runs, for lack of space. Totals are right, curves coarser"
        findings.append(Finding("left out", False, text, "Free some disk space, or raise TRACEML_AGENT_SPOOL_MB."))
    return findings


def _portal(settings) -> list[Finding]:
    if not settings.url:
        return [Finding("portal", True, "not configured: runs stay on this machine")]
    if not settings.token:
        return [Finding("portal", False, f"{settings.url}: no token", "Run `traceml-agent login`.")]
    from traceml_agent.delivery import client

    try:
        portal = client.Client(settings)
    except client.Refused as refusal:
        return [Finding("portal", False, str(refusal), "Set TRACEML_AGENT_URL, or run `traceml-agent login`.")]
    dates: list[str] = []
    portal.session.hooks["response"].append(lambda reply, **_: dates.append(reply.headers.get("Date", "")))
    answer = portal.check_token()
    clock = [finding for date in dates for finding in _wall_clock(date, time.time())]
    # An invalid body is refused only after the token was accepted.
    if answer.outcome == client.QUARANTINE:
        well = f"{settings.url} answers and accepts the token"
        return [Finding("portal", True, f"{well}. {portal.notice}" if portal.notice else well), *clock]
    if answer.reason == portal.notice:
        remedy = ""  # the portal named it: an update
    elif answer.outcome == client.STOP:
        remedy = "Run `traceml-agent login`."
    else:
        remedy = "Runs are kept in the spool until it answers."
    return [Finding("portal", False, f"{settings.url}: {answer.reason}", remedy), *clock]


def _wall_clock(date: str, now_s: float) -> list[Finding]:
    """Compare this machine's clock with the portal's, from the `Date` of its answer. Runs in the future are refused."""
    from email.utils import parsedate_to_datetime

    try:
        ahead_s = now_s - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return []
    if abs(ahead_s) <= MOST_SKEW_S:
        return [Finding("wall clock", True, "agrees with the portal's")]
    text = f"{duration(abs(ahead_s))} {'ahead of' if ahead_s > 0 else 'behind'} the portal's"
    remedy = "Set this machine's clock (`timedatectl set-ntp true`): the portal may refuse runs with wrong dates."
    return [Finding("wall clock", False, text, remedy)]
