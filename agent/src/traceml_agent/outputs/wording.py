"""The words in which figures are cited, for the agent and the portal alike. Pure: standard library only."""

from __future__ import annotations

from collections.abc import Iterable

#: The Hub's own words for the type of training.
HUB_TYPES = {"training": "pre-training", "finetuning": "fine-tuning"}
CARD_DIGITS = 6


def measured_words(share: float, percent: str) -> str:
    """Describe how energy is known; `percent` is the measured share as text."""
    if share >= 0.9995:
        return "measured by energy counters or power sensors of the hardware"
    if share <= 0.0005:
        return "estimated from the power and utilisation of the hardware"
    return (
        f"{percent} of the energy measured by the hardware's counters or sensors, the rest estimated from its profiles"
    )


def factor_words(kg_per_kwh: str, year: int) -> str:
    return f"{kg_per_kwh} kg CO2e per kWh (world average {year})"


def hub_card(emissions_kg: float, sources: Iterable[str], kinds: Iterable[str], hardware: Iterable[str]) -> dict:
    """Return the Hub's `co2_eq_emissions` (https://huggingface.co/docs/hub/model-cards-co2), with emissions in grams.

    There is no `geographical_location`, because figures use a world average.
    """
    about = {
        "emissions": float(f"{1000 * emissions_kg:.{CARD_DIGITS}g}"),
        "source": "; ".join(filter(None, sources)),
        "training_type": " and ".join(HUB_TYPES[kind] for kind in kinds if kind in HUB_TYPES),
        "hardware_used": ", ".join(hardware),
    }
    return {name: value for name, value in about.items() if value}
