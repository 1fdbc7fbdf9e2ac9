"""Citation texts of a model's figures: sentences for papers, a model card, BibTeX, and the forms of others."""

from collections.abc import Callable
from datetime import date
from typing import NamedTuple

import yaml

from runs.citing import carbon_intensity, documentation_form
from runs.citing.as_json import as_json
from runs.citing.bibliography import entries, key_of
from runs.citing.facts import Cited
from runs.exports import escapes
from runs.figures import units
from runs.figures.lifetime import Footprint
from runs.figures.run_links import RunLink
from traceml_agent.outputs.wording import factor_words, hub_card, measured_words


class CitationForm(NamedTuple):
    """A form of a citation: its name for people, its content type, and the end of its file's name."""

    name: str
    content_type: str
    ending: str


FORMS = {
    "yaml": CitationForm("Hugging Face model card", "application/yaml", "emissions.yaml"),
    "tex": CitationForm("Sentence, LaTeX", "application/x-tex", "emissions.tex"),
    "md": CitationForm("Sentence, Markdown", "text/markdown", "emissions.md"),
    "bib": CitationForm("Sources, BibTeX", "application/x-bibtex", "emissions.bib"),
    "eu": CitationForm("EU Model Documentation Form, energy", "text/markdown", "model-documentation.md"),
    "sci": CitationForm("Software Carbon Intensity", "text/markdown", "carbon-intensity.md"),
    "json": CitationForm("Facts, JSON", "application/json", "emissions.json"),
}
#: The most processors listed in a sentence.
MOST_NAMED = 4


def forms_of(scope: str) -> dict[str, CitationForm]:
    """Return the forms of a scope: the EU's form is about training alone."""
    return {form: about for form, about in FORMS.items() if (form, scope) != ("eu", "life")}


def text(facts: Cited, form: str) -> str:
    """Return the facts in one of the forms of their scope."""
    return _WRITERS[form](facts)


def model_card(facts: Cited) -> str:
    """Return the front matter of a model card for the Hub."""
    body = yaml.safe_dump(card(facts), allow_unicode=True, sort_keys=False, width=10_000)
    return f"---\n{body}---\n"


def card(facts: Cited) -> dict:
    """Return the Hub's `co2_eq_emissions`, with emissions in grams. There is no location, because none is claimed."""
    sources = [f"TraceML, {_measured(facts)}", _factors(facts), _of_final(facts), _moved(facts)]
    return {"co2_eq_emissions": hub_card(facts.amounts.emissions_kg, sources, facts.kinds, facts.hardware)}


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


def _measured(facts: Cited) -> str:
    """Describe how the energy is known."""
    if facts.amounts.modelled_share >= 0.9995:
        return "modelled for a hosted model, not measured"
    modelled = facts.amounts.modelled_share > 0.0005
    hosted = f"{units.text('share', facts.amounts.modelled_share)} of it modelled for hosted models" if modelled else ""
    return "; ".join(filter(None, [_known(facts), hosted]))


def _known(facts: Cited) -> str:
    """Describe how energy that is not of hosted models is known."""
    share = facts.amounts.measured_share
    return measured_words(share, units.text("share", share))


def _factors(facts: Cited) -> str:
    factors = [factor_words(units.plainly(factor.kg_per_kwh), factor.year) for factor in facts.factors]
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


def model_documentation(facts: Cited) -> str:
    name = escapes.markdown(facts.model.name)
    return documentation_form.markdown(facts, name, _measured(facts), escapes.markdown)


def software_carbon_intensity(facts: Cited) -> str:
    return carbon_intensity.markdown(facts, escapes.markdown(facts.model.name))


def program(facts: Cited) -> str:
    """Return all facts as JSON, with those of the model card and the forms."""
    others = card(facts) | {
        "model_documentation": None if facts.scope == "life" else documentation_form.as_facts(facts, _measured(facts)),
        "software_carbon_intensity": carbon_intensity.as_facts(facts),
    }
    return as_json(facts, others)


_WRITERS: dict[str, Callable[[Cited], str]] = {
    "yaml": model_card,
    "tex": latex,
    "md": markdown,
    "bib": bibliography,
    "eu": model_documentation,
    "sci": software_carbon_intensity,
    "json": program,
}
