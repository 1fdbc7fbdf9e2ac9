"""A run's figures without a server: the portal's facts and formulas, with the bundled catalogue."""

from __future__ import annotations

import os
import sys

from traceml_agent import figures
from traceml_agent.inputs import config
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.measuring.curve import Curve
from traceml_agent.messages import guarded

#: A process prints the figures of its first runs; with `quiet` of none.
PRINTED_RUNS = 3
#: Metrics that are amounts of useful work. They are added up over calls and ranks instead of kept one by one.
WORK = ("samples", "tokens", "prompt_tokens")
_printed: set[str] = set()


class Record(dict):
    """A dictionary whose keys are also attributes: `summary.energy_kwh`, and `json.dumps(summary)` works too."""

    def __getattr__(self, name: str):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


class Summary(Record):
    """A run's figures. A notebook shows them with the power over time, if `curve` has it."""

    curve: Curve | None = None

    @guarded()
    def _repr_html_(self) -> str | None:
        from traceml_agent.measuring import card

        return card.html("TraceML", self, self.curve)


def summarise(meters: list, duration_s: float, url: str | None) -> Summary:
    """Energy (kWh, with its range), emissions (kgCO2e) and measured share of a run's meters."""
    from traceml_agent import estimation

    energies = [energy_of(meter) for meter in meters]
    total = estimation.total(energies)
    energy_kwh = estimation.energy_kwh(total.energy_j)
    return Summary(
        energy_kwh=energy_kwh,
        energy_low_kwh=estimation.energy_kwh(total.low_j),
        energy_high_kwh=estimation.energy_kwh(total.high_j),
        emissions_kg=estimation.emissions_kg(energy_kwh, config.catalogue().factor().kg_per_kwh),
        duration_s=duration_s,
        measured_share=total.measured_share,
        url=url,
        devices=[_device(meter, energy) for meter, energy in zip(meters, energies, strict=True)],
    )


def energy_of(meter):
    """The energy of a meter's counters, in joules with its range and basis."""
    from traceml_agent import estimation

    if meter.profile is None:
        meter.profile = profile_of(meter.facts)
    return estimation.device_energy(facts_of(meter), meter.profile)


#: The facts of a device that describe its size.
SIZES = ("cores", "threads", "memory_gb", "share", "name", "host_cores", "host_threads", "range_low", "range_high")


def facts_of(meter):
    """A meter's counters in the form that `estimation` takes."""
    from traceml_agent.estimation import Facts

    f = meter.facts
    sizes = {name: f[name] for name in SIZES if name in f}
    return Facts(f["kind"], meter.held_s, meter.busy_s, meter.energy_j, f["basis"] or None, **sizes)


def profile_of(facts: dict):
    """The catalogue's profile for a device, or its kind's fallback."""
    return config.catalogue().profile_for(
        facts["name"], facts["kind"], memory_gb=facts.get("memory_gb"), power_limit_w=facts.get("power_limit_w")
    )


def _device(meter, energy) -> Record:
    return Record(
        kind=meter.facts["kind"],
        name=meter.facts["name"],
        uuid=meter.facts["uuid"],
        method=meter.facts["method"],
        basis=energy.basis,
        energy_j=energy.energy_j,
        busy_s=meter.busy_s,
        elapsed_s=meter.elapsed_s,
    )


def per_unit(work: dict[str, float], energy_kwh: float) -> Record:
    """For each kind of useful work that was logged: its amount, and kWh per thousand."""
    return Record(
        {name: Record(count=count, kwh_per_1000=1000 * energy_kwh / count) for name, count in work.items() if count > 0}
    )


def left_out(noted: LeftOut, dropped_records: int) -> list[dict]:
    """What the run did not keep, and the records that the spool had no room for."""
    why = "the spool was almost full, or its disk was full"
    lost = [{"what": "records", "reason": why, "count": dropped_records}] if dropped_records else []
    return noted.rows() + lost


def nothing(duration_s: float = 0.0) -> Summary:
    """The summary of a run that measured nothing: disabled, or in a process whose parent is tracked already."""
    zeros = dict.fromkeys(("energy_kwh", "energy_low_kwh", "energy_high_kwh", "emissions_kg", "measured_share"), 0.0)
    return Summary(zeros, duration_s=duration_s, url=None, devices=[], work=Record(), left_out=[])


def announce(run) -> None:
    """Print where a run can be seen while it runs."""
    if run.url and run.settings.token and _is_printed(run):
        say(f"TraceML: tracking {run.model}: {run.url}")


def conclude(run, summary: Record) -> None:
    """Print a run's figures at its end."""
    if _is_printed(run):
        say(line(run.model, summary))


def _is_printed(run) -> bool:
    """Whether the run is one of the process's first. For the next one, a line says that no more are printed."""
    if run.settings.quiet:
        return False
    if run.run_id not in _printed and len(_printed) <= PRINTED_RUNS:
        _printed.add(run.run_id)
        if len(_printed) > PRINTED_RUNS:
            say("TraceML: more runs of this process are measured but not printed; quiet=True prints none")
    return run.run_id in _printed and len(_printed) <= PRINTED_RUNS


def line(model: str, summary: Record) -> str:
    """The line that a run prints at its end: energy with its range, emissions, measured share, duration."""
    parts = [
        figures.energy_with_range(summary.energy_kwh, summary.energy_low_kwh, summary.energy_high_kwh),
        f"{figures.emissions(summary.emissions_kg)} CO2e",
        "modelled, not measured" if _is_modelled(summary) else f"{figures.share(summary.measured_share)} measured",
        figures.duration(summary.duration_s),
    ]
    ranks = summary.get("ranks")
    if ranks and ranks.here < ranks.of:
        parts.append(f"{ranks.here} of {ranks.of} ranks, on this host; the portal has the total")
    elif ranks:
        parts.append(f"all {ranks.of} ranks")
    if left_out := sum(row["count"] for row in summary.get("left_out", ())):
        parts.append(f"{left_out:,} left out, see the log")
    return f"TraceML: {model}: {', '.join(parts)}{f'  {summary.url}' if summary.url else ''}"


def _is_modelled(summary: Record) -> bool:
    """Whether all its energy is that of models behind an API, which nobody can measure."""
    from traceml_agent import estimation

    return bool(summary.devices) and all(device.basis == estimation.MODELLED for device in summary.devices)


def say(text: str) -> None:
    """Print a line to the current stderr. A closed stderr is no error."""
    stream = sys.stderr
    if stream is None:  # `print` would use stdout instead
        return
    line = f"{text}\n"  # in one write, since other threads print too
    try:
        if stream is sys.__stderr__ and stream is not None:
            # Unbuffered: if nobody reads any more, what stays in a buffer would change the exit status.
            os.write(stream.fileno(), line.encode(stream.encoding or "utf-8", "replace"))
        else:
            stream.write(line)
            stream.flush()
    except (OSError, ValueError, AttributeError):
        pass
