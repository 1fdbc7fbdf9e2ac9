"""`traceml-agent estimate`: what hardware uses over some hours, before anything runs and without a server."""

from __future__ import annotations

import json
import re

from traceml_agent import estimation, figures
from traceml_agent.catalogue.device_names import part_of_card
from traceml_agent.commands import terminal
from traceml_agent.commands.terminal import Complaint, positive
from traceml_agent.inputs import config
from traceml_agent.measuring import summary as numbers

TEXT = "Estimate the energy and emissions of hardware over some hours, offline, from the catalogue."
EXAMPLE = 'traceml-agent estimate --gpu "8x A100-SXM4-80GB" --cpu "AMD EPYC 7742" --memory-gb 512 --hours 72'
STATUSES = "0 estimated; 2 a name that is not in the catalogue, or an invalid number"
NEAR_NAMES = 5
_COUNTED = re.compile(r"^(\d+(?:\.\d+)?)\s*[x×]\s*(?=\S)")


def add_command(commands) -> None:
    """Add `estimate` to the command line's parsers."""
    parser = terminal.add(commands, "estimate", command, TEXT, EXAMPLE, STATUSES)
    parser.add_argument(
        "--gpu",
        action="append",
        default=[],
        metavar="NAME",
        help='a GPU, or "8x NAME" for eight; may be repeated',
    )
    parser.add_argument("--instance", metavar="TYPE", help="a cloud machine type, for its GPUs, such as p4d.24xlarge")
    parser.add_argument("--cpu", metavar="NAME", help='a processor; "2x NAME" for two sockets')
    parser.add_argument("--cores", type=positive, help="cores that the job uses (default: all of the processor)")
    parser.add_argument(
        "--of-cores",
        type=positive,
        metavar="CORES",
        help="cores of one processor, if the catalogue does not list them",
    )
    parser.add_argument("--memory-gb", type=positive, help="memory that the job uses")
    parser.add_argument("--hours", type=positive, required=True)
    parser.add_argument("--utilisation", type=float, default=1.0, help="of GPUs and processors, 0 to 1 (default 1)")
    parser.add_argument("--json", action="store_true", help="print as JSON")


def command(options) -> int:
    """Print the estimate."""
    found = estimate(options)
    print(json.dumps(found, indent=2) if options.json else text(found))
    return 0


def estimate(options) -> numbers.Record:
    """Energy (kWh, with its range) and emissions (kgCO2e). Raises Complaint if that can't be estimated."""
    if not 0.0 <= options.utilisation <= 1.0:
        raise Complaint("--utilisation must be between 0 and 1", 2)
    rows = [_row(name, "gpu", options) for name in [*options.gpu, *_of_instance(options.instance)]]
    rows += [_row(options.cpu, "cpu", options)] if options.cpu else []
    rows += [_memory(options)] if options.memory_gb else []
    if not rows:
        raise Complaint(f"name some hardware: {EXAMPLE}", 2)
    total = estimation.total([energy for _, energy in rows])
    energy_kwh = estimation.energy_kwh(total.energy_j)
    return numbers.Record(
        energy_kwh=energy_kwh,
        energy_low_kwh=estimation.energy_kwh(total.low_j),
        energy_high_kwh=estimation.energy_kwh(total.high_j),
        emissions_kg=estimation.emissions_kg(energy_kwh, config.catalogue().factor().kg_per_kwh),
        hours=options.hours,
        utilisation=options.utilisation,
        devices=[row for row, _ in rows],
    )


def _of_instance(name: str | None) -> list[str]:
    """The GPUs of a machine type, in the form of `--gpu`."""
    if name is None:
        return []
    found = config.catalogue().instance(name)
    if found is None:
        raise Complaint(f"unknown machine type {name}; give its GPUs with --gpu", 2)
    return [f"{found.number:g}x {config.catalogue().seed(False).by_slug[found.slug].name}"]


def _row(given: str, kind: str, options) -> tuple[numbers.Record, estimation.Energy]:
    """A device with its energy; `8x NAME` means eight of them."""
    counted = _COUNTED.match(given)
    count, name = (float(counted[1]), given[counted.end() :]) if counted else (1, given)
    catalogue = config.catalogue()
    match, others = catalogue.most_likely(name) if kind == "gpu" else (catalogue.explain(name, kind), [])
    if match is None:
        raise Complaint(_open(name, others) if others else _unknown(name, kind), 2)
    cores, share = _cores_held(match.profile, count, options) if kind == "cpu" else (None, count)
    elapsed_s = options.hours * 3600
    facts = estimation.Facts(
        kind, elapsed_s, options.utilisation * elapsed_s, cores=cores, share=float(share), name=name
    )
    row, energy = _with_energy(match.profile, match.how, name, count, facts)
    row["held"] = _held(match.profile, facts, count, options)
    row["notes"] = _also(name, match.profile, others)
    return row, energy


def _cores_held(profile, count: float, options) -> tuple[float | None, float]:
    """Cores that the job holds, and how many processors that is. --of-cores overrides the catalogue.

    Raises Complaint if the cores of a processor are unknown.
    """
    if not options.cores:
        return (count * profile.cores if profile.cores else None), count
    if options.of_cores:
        return None, options.cores / options.of_cores
    if not profile.cores:
        raise Complaint(
            f"the catalogue does not know how many cores the {profile.name} has: give them with --of-cores, or leave "
            "--cores out for the whole processor",
            2,
        )
    return options.cores, count


def _held(profile, facts, count: float, options) -> str:
    """Which part of the devices it is, if only a part."""
    whole = profile.kind == "cpu" and (options.of_cores or profile.cores)
    if whole and options.cores and options.cores != count * whole:
        return f"{options.cores:g} of {count * whole:g} cores"
    part = part_of_card(facts.name, profile.memory_gb) if profile.kind != "cpu" else 1.0
    return f"{figures.significant(part)} of the card" if part < 1.0 else ""


def _also(name: str, profile, others: list) -> list[str]:
    listed = ", ".join(f"{each.name} ({each.tdp_w:g} W)" for each in others)
    note = f"{name} could also be {listed}. This is for {profile.name}; give the full name for another."
    return [note] if others else []


def _open(name: str, variants: list) -> str:
    listed = ", ".join(f"{each.name} ({each.tdp_w:g} W)" for each in variants)
    return f"{name} could be one of several: {listed}. Give the full name."


def _memory(options) -> tuple[numbers.Record, estimation.Energy]:
    profile, elapsed_s = config.catalogue().profile_for("Memory", "ram"), options.hours * 3600
    facts = estimation.Facts("ram", elapsed_s, elapsed_s, memory_gb=options.memory_gb)
    return _with_energy(profile, "name", f"{options.memory_gb:g} GB of memory", 1, facts)


def _with_energy(profile, how: str, name: str, count: float, facts) -> tuple[numbers.Record, estimation.Energy]:
    energy = estimation.device_energy(facts, profile)
    row = numbers.Record(
        name=name, kind=profile.kind, count=count, profile=profile.name, slug=profile.slug, matched_by=how
    )
    row |= {"tdp_w": profile.tdp_w, "energy_kwh": estimation.energy_kwh(energy.energy_j), "basis": energy.basis}
    return numbers.Record(row), energy


def _unknown(name: str, kind: str) -> str:
    import difflib

    profiles = config.catalogue().seed(kind == "cpu").by_slug.values()
    names = {profile.name.lower(): profile.name for profile in profiles}
    near = [key for key in names if name.lower() in key]
    near += [key for key in difflib.get_close_matches(name.lower(), names, NEAR_NAMES, cutoff=0.4) if key not in near]
    found = ", ".join(names[key] for key in near[:NEAR_NAMES])
    return f"no certain match for {kind.upper()} {name!r} in the catalogue; " + (
        f"similar: {found}" if near else "see /hardware/"
    )


def text(found: numbers.Record) -> str:
    """The estimate as text: a line for each device, and the sum."""
    lines = []
    for row in found.devices:
        per = "" if row.kind == "ram" else f", {row.tdp_w:g} W TDP each"
        how = row.matched_by if row.matched_by.startswith("the ") else f"by {row.matched_by}"
        held = f", {row.held}" if row.get("held") else ""
        lines.append(f"{row.count:g} × {row.profile} ({how}{per}{held}): {figures.energy(row.energy_kwh)}")
        lines += [f"    {note}" for note in row.get("notes", [])]
    energy = figures.energy_with_range(found.energy_kwh, found.energy_low_kwh, found.energy_high_kwh)
    lines.append(f"{energy}, {figures.emissions(found.emissions_kg)} CO2e")
    lines.append(f"Over {found.hours:g} h at utilisation {found.utilisation:g}, estimated between idle and full load.")
    return "\n".join(lines)
