"""Citation texts of a model's figures: sentences for papers, a model card, BibTeX and JSON."""

import json
from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import yaml

from runs.exports import escapes
from runs.figures import units
from runs.figures.lifetime import Footprint
from runs.figures.run_links import RunLink
from runs.model_page.bibliography import entries, key_of
from runs.model_page.cited import Cited

#: Name and content type of each form, by file extension.
FORMS = {
    "yaml": ("Hugging Face model card", "application/yaml"),
    "tex": ("Sentence, LaTeX", "application/x-tex"),
    "md": ("Sentence, Markdown", "text/markdown"),
    "bib": ("Sources, BibTeX", "application/x-bibtex"),
    "json": ("Facts, JSON", "application/json"),
}
#: The Hub's own words for the type of training.
HUB_TYPES = {"training": "pre-training", "finetuning": "fine-tuning"}
DIGITS = 6
#: The most processors listed in a sentence.
MOST_NAMED = 4


def text(facts: Cited, form: str) -> str:
    """Return the facts in one of FORMS."""
    return {"yaml": model_card, "tex": latex, "md": markdown, "bib": bibliography, "json": program}[form](facts)


def texts(facts: Cited) -> list[tuple[str, str, str]]:
    """Return (extension, name, text) of every form."""
    return [(form, name, text(facts, form)) for form, (name, _) in FORMS.items()]


def model_card(facts: Cited) -> str:
    """Return the Hub's `co2_eq_emissions`, with emissions in grams. There is no location, because none is claimed."""
    sources = [f"TraceML, {_measured(facts)}", _factors(facts), _of_final(facts), _moved(facts)]
    about = {
        "emissions": _rounded(1000 * facts.amounts.emissions_kg),
        "source": "; ".join(filter(None, sources)),
        "training_type": " and ".join(HUB_TYPES[kind] for kind in facts.kinds if kind in HUB_TYPES),
        "hardware_used": ", ".join(facts.hardware),
    }
    card = {"co2_eq_emissions": {name: value for name, value in about.items() if value}}
    body = yaml.safe_dump(card, allow_unicode=True, sort_keys=False, width=10_000)
    return f"---\n{body}---\n"


def _of_final(facts: Cited) -> str:
    """Return the final run's part of a card's emissions, if these cover all attempts."""
    if facts.scope != "both" or not facts.finals:
        return ""
    grams = units.significant(1000 * facts.final.emissions_kg)
    return f"{grams} g of it by {_final_words(facts.finals)} alone"


def _final_words(finals: list[RunLink]) -> str:
    """Return `the final training run and its finetuning`."""
    first, *later = [run.kind for run in finals]
    return " and its ".join([f"the final {first} run", *later])


def _moved(facts: Cited) -> str:
    if not facts.corrections.told:
        return ""
    last = facts.corrections.told[0]
    return f"recalculated {_day(last.at)} ({last.words.replace('₂', '2')})"


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _measured(facts: Cited) -> str:
    """Describe how the energy is known."""
    share = facts.amounts.measured_share
    if share >= 0.9995:
        return "measured by energy counters or power sensors of the hardware"
    if share <= 0.0005:
        return "estimated from the power of the hardware's profiles"
    percent = units.text("share", share)
    return (
        f"{percent} of the energy measured by the hardware's counters or sensors, the rest estimated from its profiles"
    )


def _factors(facts: Cited) -> str:
    factors = [
        f"{units.plainly(factor.kg_per_kwh)} kg CO2e per kWh (world average {factor.year})" for factor in facts.factors
    ]
    return f"{' and '.join(factors)}, PUE {' and '.join(f'{pue:g}' for pue in facts.pues)}"


class Hand(NamedTuple):
    """How a language writes the parts of sentences."""

    escape: Callable[[str], str]
    co2e: str
    dash: str
    gap: str

    def text(self, words: str) -> str:
        """Return text that may contain a percentage, which stays on one line."""
        percent = self.escape("%")
        return self.escape(words).replace(f" {percent}", f"{self.gap}{percent}")

    def amount(self, quantity: str, value: float, low: float, high: float, *more: str) -> str:
        """Return a figure with its range in one unit, and further facts about it, in brackets."""
        unit = units.unit_for(quantity, [value])
        symbol = f"{self.gap}{self.escape(unit.symbol)}"
        substance = f" {self.co2e}" if quantity == "emissions" else ""
        ends = units.between(quantity, low, high, unit, self.dash)
        about = "; ".join([*([f"{ends}{symbol}"] if ends else []), *more])
        return f"{units.significant(value / unit.size)}{symbol}{substance}{f' ({about})' if about else ''}"

    def energy(self, used: Footprint, *more: str) -> str:
        return self.amount("energy", used.energy_kwh, used.energy_low_kwh, used.energy_high_kwh, *more)

    def emissions(self, used: Footprint) -> str:
        return self.amount("emissions", used.emissions_kg, used.emissions_low_kg, used.emissions_high_kg)


MARKDOWN = Hand(escapes.markdown, "CO₂e", "–", "\u00a0")
LATEX = Hand(escapes.latex, r"CO\textsubscript{2}e", "--", "~")


def markdown(facts: Cited) -> str:
    return f"{sentence(facts, MARKDOWN)}\n"


def latex(facts: Cited) -> str:
    keys = ",".join(["traceml", *(key_of(factor) for factor in facts.factors)])
    return f"{sentence(facts, LATEX).removesuffix('.')}~\\cite{{{keys}}}.\n"


def sentence(facts: Cited, hand: Hand) -> str:
    """Return what was used, how certain that is, and the factor used; of all attempts also the final one."""
    kg = f"{hand.gap}kg{hand.gap}{hand.co2e} per kWh"
    factors = " and ".join(
        f"{units.plainly(factor.kg_per_kwh)}{kg}, the world average of {factor.year}" for factor in facts.factors
    )
    moved = f", last recalculated {_day(facts.corrections.told[0].at)}" if facts.corrections.told else ""
    used = hand.energy(facts.amounts).partition(" (")[0]
    about = hand.energy(facts.amounts, hand.text(_measured(facts))).removeprefix(used).lstrip()
    whole = (
        f"{_subject(facts, hand)} used {used} of electricity {about} "
        f"on {hand.escape(_listed(facts.hardware))}, processors and memory included, "
        f"which corresponds to {hand.emissions(facts.amounts)} at {factors}, "
        f"and a PUE of {' and '.join(f'{pue:g}' for pue in facts.pues)}, "
        f"as tracked by TraceML until {_day(facts.as_of)}{moved}."
    )
    return f"{whole} {_final_sentence(facts, hand)}" if facts.scope == "both" and facts.finals else whole


def _final_sentence(facts: Cited, hand: Hand) -> str:
    """Return `Of this, the final training run and its finetuning (2 Nov 2026) used 3 kWh (…), 1.4 kg CO₂e (…).`"""
    first, last = (_day(pick(run.started_at for run in facts.finals)) for pick in (min, max))
    when = first if first == last else f"{first} {hand.dash} {last}"
    alone = f"Of this, {_final_words(facts.finals)} ({when}) used"
    return f"{alone} {hand.energy(facts.final)}, {hand.emissions(facts.final)}."


def _subject(facts: Cited, hand: Hand) -> str:
    name, count = hand.escape(facts.model.name), facts.amounts.runs
    first, last = _day(facts.first), _day(facts.last)
    when = first if first == last else f"{first} {hand.dash} {last}"
    runs = f"{units.counted(count, 'run')}, {when}"
    bad = f", {facts.bad_ends:,} of them failed, cancelled or lost" if facts.bad_ends else ""
    if facts.scope == "final":
        return f"{_final_words(facts.finals).replace('the', 'The', 1)} of {name} ({when})"
    if facts.scope == "life":
        return f"Over its whole life, {name} ({' and '.join(facts.kinds)}; {runs}{bad})"
    return f"Training {name} ({runs}{bad})"


def _day(day: date) -> str:
    return f"{day:%-d %b %Y}"


def _listed(names: list[str]) -> str:
    shown = names[:MOST_NAMED] or ["hardware that is not named"]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def bibliography(facts: Cited) -> str:
    """Return BibTeX for the sources of the figures."""
    return entries(facts.factors, facts.as_of.year)


def program(facts: Cited) -> str:
    """Return all facts as JSON, with units in the names."""
    used, made = facts.amounts, facts.predictions
    counted = {
        "counted": made.counted,
        "counted_by": made.sources,
        "kwh_per_1000": made.kwh_per_1000,
        "emissions_g_per_1000": 1000 * (made.kg_per_1000 or 0.0),
    }
    return json.dumps(
        {
            "model": facts.model.name,
            "project": facts.model.project.name,
            "scope": facts.scope,
            "as_of": facts.as_of.isoformat(),
            "runs": used.runs,
            "runs_failed_cancelled_or_lost": facts.bad_ends,
            "kinds": facts.kinds,
            "first_started_at": facts.first.isoformat(),
            "last_seen_at": facts.last.isoformat(),
            "energy_kwh": used.energy_kwh,
            "energy_low_kwh": used.energy_low_kwh,
            "energy_high_kwh": used.energy_high_kwh,
            "measured_share": used.measured_share,
            "emissions_kg": used.emissions_kg,
            "emissions_low_kg": used.emissions_low_kg,
            "emissions_high_kg": used.emissions_high_kg,
            "final": _final_facts(facts) if facts.finals else None,
            "reestimations": [
                {"on": each.at.date().isoformat(), "energy_kwh": each.energy_kwh, "emissions_kg": each.emissions_kg}
                for each in facts.corrections.told
            ],
            "emission_factors": [
                {"kg_per_kwh": each.kg_per_kwh, "year": each.year, "source": each.source, "url": each.url}
                for each in facts.factors
            ],
            "pue": facts.pues,
            "hardware": facts.hardware,
            "predictions": counted if made.counted else None,
        },
        ensure_ascii=False,
        indent=2,
    )


def _final_facts(facts: Cited) -> dict:
    """Return the runs that produced the model, and what they used."""
    used = facts.final
    return {
        "run_ids": [str(run.run_id) for run in facts.finals],
        "kinds": [run.kind for run in facts.finals],
        "energy_kwh": used.energy_kwh,
        "energy_low_kwh": used.energy_low_kwh,
        "energy_high_kwh": used.energy_high_kwh,
        "measured_share": used.measured_share,
        "emissions_kg": used.emissions_kg,
        "emissions_low_kg": used.emissions_low_kg,
        "emissions_high_kg": used.emissions_high_kg,
    }
