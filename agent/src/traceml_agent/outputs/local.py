"""A run's figures to cite without a portal, from its summary. With one, the portal's own texts count."""

from __future__ import annotations

import json
from collections import Counter

from traceml_agent import figures
from traceml_agent.inputs import config
from traceml_agent.outputs.wording import factor_words, hub_card, measured_words

#: Kinds of devices that carry a run, best first; memory never does.
CARRIERS = ("gpu", "tpu", "npu", "other", "cpu")


def card(summary: dict, kind: str) -> dict:
    """Return the Hub's `co2_eq_emissions` of one run."""
    factor = config.catalogue().factor()
    share = summary["measured_share"]
    sources = [
        f"TraceML, {measured_words(share, figures.share(share))}",
        f"{factor_words(f'{factor.kg_per_kwh:.15g}', factor.year)}, PUE 1",
    ]
    return hub_card(summary["emissions_kg"], sources, [kind], hardware(summary))


def hardware(summary: dict) -> list[str]:
    """Return what carried the run with its device-hours: accelerators, or else processors."""
    devices = [each for each in summary["devices"] if each["kind"] in CARRIERS]
    accelerators = [each for each in devices if each["kind"] != "cpu"] or devices
    counts = Counter((each["name"], each["kind"]) for each in accelerators)
    hours: dict = {}
    for each in accelerators:
        key = (each["name"], each["kind"])
        hours[key] = hours.get(key, 0.0) + each["elapsed_s"] / 3600
    return [
        f"{f'{count} × ' if count > 1 else ''}{name} ({figures.significant(hours[name, kind])} {kind.upper()}-hours)"
        for (name, kind), count in counts.items()
    ]


def markdown(summary: dict, model: str) -> str:
    """Return a sentence about one run."""
    factor, share = config.catalogue().factor(), summary["measured_share"]
    energy = figures.energy_with_range(summary["energy_kwh"], summary["energy_low_kwh"], summary["energy_high_kwh"])
    known = measured_words(share, figures.share(share))
    on = " and ".join(hardware(summary)) or "hardware that is not named"
    return (
        f"A run of {model} used {energy} of electricity ({known}) on {on}, processors and memory included, which "
        f"corresponds to {figures.emissions(summary['emissions_kg'])} CO₂e at {factor.kg_per_kwh:.15g} kg CO₂e per "
        f"kWh, the world average of {factor.year}, as tracked by TraceML.\n"
    )


def as_json(summary: dict, model: str, kind: str) -> str:
    return (
        json.dumps({"model": model, "kind": kind, "co2_eq_emissions": card(summary, kind)} | summary, indent=2) + "\n"
    )
