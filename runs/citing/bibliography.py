"""BibTeX entries for a cited figure: this tool, the emission factors, and the sources of the method."""

from collections.abc import Iterable

from runs.exports import escapes
from runs.figures import units
from runs.models import EmissionFactor

#: The method's sources, as in docs/methodology.md: (type, key, fields).
SOURCES = [
    ("article", "lannelongue2021green", {
        "author": "Lannelongue, Loïc and Grealey, Jason and Inouye, Michael",
        "title": "{Green Algorithms}: Quantifying the Carbon Footprint of Computation",
        "journal": "Advanced Science", "year": "2021", "doi": "10.1002/advs.202100707",
    }),
    ("misc", "lacoste2019quantifying", {
        "author": "Lacoste, Alexandre and Luccioni, Alexandra and Schmidt, Victor and Dandres, Thomas",
        "title": "Quantifying the Carbon Emissions of Machine Learning",
        "year": "2019", "eprint": "1910.09700", "archiveprefix": "arXiv",
    }),
    ("misc", "yang2023parttime", {
        "author": "Yang, Zeyu and Adamek, Karel and Armour, Wesley",
        "title": "Part-time Power Measurements: nvidia-smi's Lack of Attention",
        "year": "2023", "eprint": "2312.02741", "archiveprefix": "arXiv",
    }),
]  # fmt: skip


def entries(factors: Iterable[EmissionFactor], year: int) -> str:
    """Return the entries, each once; `year` is the tool's."""
    tool = {"title": "{TraceML}: energy and emissions of {AI} models", "year": str(year)}
    found = [("misc", key_of(factor), _fields(factor)) for factor in factors]
    return "\n".join(_entry(*entry) for entry in [("misc", "traceml", tool), *found, *SOURCES])


def key_of(factor: EmissionFactor) -> str:
    return f"factor{factor.year}-{factor.pk}"


def _fields(factor: EmissionFactor) -> dict[str, str]:
    about = f"World average of {factor.year}: {units.plainly(factor.kg_per_kwh)} kg CO2e per kWh. {factor.source}"
    fields = {"title": f"{{{escapes.bibtex(about)}}}", "year": str(factor.year)}
    return fields | ({"url": escapes.bibtex_url(factor.url)} if factor.url else {})


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"
