"""Everyday comparisons for a footprint, each with source and year; nothing is projected."""

from typing import NamedTuple


class Equivalence(NamedTuple):
    """An everyday activity: how much of it equals a kilogram or a kilowatt-hour, and the source."""

    name: str
    per: str
    amount: float
    explained: str
    source: str
    year: int
    url: str


EPA = "US EPA, Greenhouse Gases Equivalencies Calculator: Calculations and References"
EPA_URL = (
    "https://19january2021snapshot.epa.gov/energy/greenhouse-gases-equivalencies-calculator-calculations-and-references"
)
IEA = "IEA, The carbon footprint of streaming video: fact-checking the headlines"
IEA_URL = "https://www.iea.org/commentaries/the-carbon-footprint-of-streaming-video-fact-checking-the-headlines"

EQUIVALENCES = [
    Equivalence(
        "km in an average US passenger vehicle",
        "emissions_kg",
        1.609344 / 0.403,
        "0.403 kg CO₂e per mile",
        EPA,
        2021,
        EPA_URL,
    ),
    Equivalence("phone charges", "energy_kwh", 1 / 0.0116, "0.0116 kWh per charge", EPA, 2021, EPA_URL),
    Equivalence("hours of streamed video", "emissions_kg", 1 / 0.036, "0.036 kg CO₂ per hour", IEA, 2020, IEA_URL),
]


def equivalences(totals: dict[str, float]) -> list[tuple[Equivalence, float]]:
    """Return how much of each equals the period's emissions or energy; empty if nothing was used."""
    return [(each, totals[each.per] * each.amount) for each in EQUIVALENCES if totals[each.per] > 0]
