"""The operational part of the Software Carbon Intensity (Green Software Foundation, ISO/IEC 21031:2024) of a model.

SCI = (E · I + M) / R, with E the energy (kWh), I the intensity of the electricity, M the embodied emissions, and R the
number of functional units. Here I is a world average and M is not included, which every text says.
"""

from typing import NamedTuple

from runs.citing.facts import Cited
from runs.figures import units
from runs.figures.lifetime import Footprint

SPECIFICATION = "https://sci.greensoftware.foundation/"
NO_SCORE = (
    "I is a world average, not the intensity of the place and time of use, and M, the emissions of making the "
    "hardware, is not included. So these figures are the operational part of an SCI, not a conformant score. Compare "
    "them only with figures that use the same I."
)


class UnitIntensity(NamedTuple):
    """A functional unit: its name, how many there were, and what they used together."""

    functional_unit: str
    number: float
    used: Footprint

    @property
    def energy_kwh(self) -> float:
        """E per functional unit, at the devices."""
        return self.used.energy_kwh / self.number

    @property
    def intensity_g_per_kwh(self) -> float:
        """I: the emission factor times the PUE; the mean over the runs if these changed."""
        return 1000 * self.used.emissions_kg / self.used.energy_kwh

    @property
    def operational_g(self) -> float:
        """E · I per functional unit, in grams of CO2e."""
        return 1000 * self.used.emissions_kg / self.number

    @property
    def operational_low_g(self) -> float:
        return 1000 * self.used.emissions_low_kg / self.number

    @property
    def operational_high_g(self) -> float:
        return 1000 * self.used.emissions_high_kg / self.number


#: What one functional unit of a scope is, beside predictions.
WHOLES = {
    "both": "model trained, with all attempts",
    "training": "model trained, with all attempts",
    "final": "training run, the final one alone",
    "life": "model, over its whole life so far",
}


def intensities(facts: Cited) -> list[UnitIntensity]:
    """Return the intensity per thousand predictions, if any were counted, and of what is cited as a whole."""
    made = facts.predictions
    per_1000 = [UnitIntensity("1,000 predictions", made.counted / 1000, made.used)] if made.used.energy_kwh else []
    return [*per_1000, UnitIntensity(f"1 {WHOLES[facts.scope]}", 1.0, facts.amounts)]


def as_facts(facts: Cited) -> dict:
    """Return the same for programs."""
    return {
        "specification": SPECIFICATION,
        "note": NO_SCORE,
        "embodied_g": None,
        "functional_units": [
            {
                "functional_unit": each.functional_unit,
                "energy_kwh": each.energy_kwh,
                "intensity_g_per_kwh": each.intensity_g_per_kwh,
                "operational_g": each.operational_g,
                "operational_low_g": each.operational_low_g,
                "operational_high_g": each.operational_high_g,
            }
            for each in intensities(facts)
        ],
    }


def markdown(facts: Cited, name: str) -> str:
    """Return a table of the intensities and what they leave out; `name` is the model's, escaped."""
    rows = [
        f"| {each.functional_unit} | {units.text('energy', each.energy_kwh)} "
        f"| {units.significant(each.intensity_g_per_kwh)} g/kWh | {_grams(each.operational_g)} "
        f"| {_grams(each.operational_low_g)} – {_grams(each.operational_high_g)} |"
        for each in intensities(facts)
    ]
    factors = " and ".join(
        f"{units.plainly(1000 * factor.kg_per_kwh)} g/kWh, the world average of {factor.year}"
        for factor in facts.factors
    )
    pues = " and ".join(f"{pue:g}" for pue in facts.pues)
    return "\n".join(
        [
            f"## Software Carbon Intensity of {name}, operational part",
            "",
            "SCI = (E × I + M) / R",
            "",
            "| Functional unit R | E per R | I, CO₂e | E × I per R, CO₂e | Range |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            f"I is {factors}, times a PUE of {pues}. M is not included.",
            "",
            NO_SCORE,
            "",
        ]
    )


def _grams(grams: float) -> str:
    return units.text("emissions", grams / 1000)
