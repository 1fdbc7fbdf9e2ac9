"""A model's figures to take along: facts once, in the words of a paper, a model card, a bibliography and a program."""

import json
from collections.abc import Callable
from datetime import date, datetime
from typing import NamedTuple

import yaml
from django.db.models import Max, Min

from runs.dashboards import escapes
from runs.dashboards.break_even import Predictions, predictions
from runs.dashboards.lifetime import ALL, TRAINING, Amounts, amounts_of, bad_ends, lifetime
from runs.dashboards.lines import Line, newest
from runs.dashboards.model import final_run
from runs.dashboards.points import MOST_POINTS
from runs.models import Device, EmissionFactor, Run, TrackedModel
from runs.templatetags import units

SCOPES = {"training": "All training", "final": "The final run alone", "life": "Whole life"}
DEFAULT_SCOPE = "training"
#: What it is called and served as, by the ending of its file.
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
#: A sentence names so many processors.
MOST_NAMED = 4


class Cited(NamedTuple):
    """What a figure for others must say: of what, how much, how sure, and by which factor."""

    model: TrackedModel
    scope: str
    amounts: Amounts
    bad_ends: int
    kinds: list[str]
    first: datetime
    last: datetime
    factors: list[EmissionFactor]
    pues: list[float]
    hardware: list[str]
    predictions: Predictions
    as_of: date


def cited(model: TrackedModel, scope: str, now: datetime) -> Cited | None:
    """The facts of a scope, one of SCOPES; None where no run in it used energy."""
    runs = newest(model, MOST_POINTS)
    final = final_run(model, runs) if scope == "final" else None
    if scope == "final" and final is None:
        return None
    kinds = TRAINING if scope == "training" else ALL
    life = lifetime(model, kinds)
    amounts = amounts_of(final) if final else life.total
    if amounts.energy_kwh <= 0:
        return None
    within = Run.objects.filter(pk=final.pk) if final else Run.objects.filter(kind__in=life.by_kind)
    groups = _groups(within.filter(tracked_model=model))
    return Cited(
        model=model,
        scope=scope,
        amounts=amounts,
        bad_ends=0 if final else bad_ends(model, now, {run.upload_interval_s for run in runs}, kinds).count(),
        kinds=[kind for kind in Run.Kind.values if kind in {group.kind for group in groups}],
        first=min(group.first for group in groups),
        last=max(group.last for group in groups),
        factors=list(EmissionFactor.objects.filter(pk__in={group.factor for group in groups}).order_by("year", "pk")),
        pues=sorted({group.pue for group in groups}),
        hardware=_cards(final) if final else _device_hours(life.hardware),
        predictions=predictions(runs),
        as_of=now.date(),
    )


class Group(NamedTuple):
    """Runs that are alike in what a citation says of them."""

    factor: int
    pue: float
    kind: str
    first: datetime
    last: datetime


def _groups(runs) -> list[Group]:
    alike = runs.order_by().values_list("factor", "pue", "kind")
    return [Group(*row) for row in alike.annotate(Min("started_at"), Max("last_seen_at"))]


def _device_hours(hardware) -> list[str]:
    """Processors with their device-hours, the most used first; memory is no hardware that anyone chooses."""
    return [
        f"{share.name or share.slug} ({units.text('hours', share.device_s)})"
        for share in hardware
        if share.device_kind != Device.Kind.RAM
    ]


def _cards(run: Line) -> list[str]:
    """The processors of one run, with how many there were of each."""
    places: dict[str, set] = {}
    devices = Device.objects.filter(run=run.pk, counted=True).exclude(kind=Device.Kind.RAM)
    for device in devices.select_related("profile", "writer").order_by("-energy_kwh"):
        name = device.profile.name if device.profile else device.name
        places.setdefault(name, set()).add((device.writer.host, device.key))
    return [f"{len(keys)} × {name}" if len(keys) > 1 else name for name, keys in places.items()]


def text(facts: Cited, form: str) -> str:
    """The facts in one of FORMS."""
    return {"yaml": model_card, "tex": latex, "md": markdown, "bib": bibliography, "json": program}[form](facts)


def texts(facts: Cited) -> list[tuple[str, str, str]]:
    """(ending, name, text) of every form."""
    return [(form, name, text(facts, form)) for form, (name, _) in FORMS.items()]


def model_card(facts: Cited) -> str:
    """The Hub's `co2_eq_emissions`, whose emissions are in grams. A location is left out: none is claimed."""
    about = {
        "emissions": _rounded(1000 * facts.amounts.emissions_kg),
        "source": f"TraceML, {_measured(facts)}; {_factors(facts)}",
        "training_type": " and ".join(HUB_TYPES[kind] for kind in facts.kinds if kind in HUB_TYPES),
        "hardware_used": ", ".join(facts.hardware),
    }
    card = {"co2_eq_emissions": {name: value for name, value in about.items() if value}}
    body = yaml.safe_dump(card, allow_unicode=True, sort_keys=False, width=10_000)
    return f"---\n{body}---\n"


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _measured(facts: Cited) -> str:
    """How the energy is known, in words."""
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
    factors = [f"{factor.kg_per_kwh:.4g} kg CO2e per kWh (world average {factor.year})" for factor in facts.factors]
    return f"{' and '.join(factors)}, PUE {' and '.join(f'{pue:g}' for pue in facts.pues)}"


class Hand(NamedTuple):
    """How a language writes what sentences are made of."""

    escape: Callable[[str], str]
    co2e: str
    dash: str
    gap: str

    def text(self, words: str) -> str:
        """Words that may hold a percentage, which stays on one line."""
        percent = self.escape("%")
        return self.escape(words).replace(f" {percent}", f"{self.gap}{percent}")

    def figure(self, quantity: str, value: float) -> str:
        unit = units.unit_for(quantity, [value])
        return f"{units.significant(value / unit.size)}{self.gap}{self.escape(unit.symbol)}"

    def between(self, quantity: str, low: float, high: float) -> str:
        unit = units.unit_for(quantity, [high])
        ends = (units.significant(value / unit.size) for value in (low, high))
        return f"{self.dash.join(ends)}{self.gap}{self.escape(unit.symbol)}"


MARKDOWN = Hand(escapes.markdown, "CO₂e", "–", "\u00a0")
LATEX = Hand(escapes.latex, r"CO\textsubscript{2}e", "--", "~")


def markdown(facts: Cited) -> str:
    return f"{sentence(facts, MARKDOWN)}\n"


def latex(facts: Cited) -> str:
    keys = ",".join(["traceml", *(_key(factor) for factor in facts.factors)])
    return f"{sentence(facts, LATEX).removesuffix('.')}~\\cite{{{keys}}}.\n"


def sentence(facts: Cited, hand: Hand) -> str:
    """What was used, how sure that is, and by which factor it became emissions."""
    used = facts.amounts
    kg = f"{hand.gap}kg{hand.gap}{hand.co2e} per kWh"
    factors = " and ".join(
        f"{units.significant(factor.kg_per_kwh)}{kg}, the world average of {factor.year}" for factor in facts.factors
    )
    return (
        f"{_subject(facts, hand)} used {hand.figure('energy', used.energy_kwh)} of electricity "
        f"({hand.between('energy', used.energy_low_kwh, used.energy_high_kwh)}; {hand.text(_measured(facts))}) "
        f"on {hand.escape(_listed(facts.hardware))}, "
        f"which corresponds to {hand.figure('emissions', used.emissions_kg)} {hand.co2e} "
        f"({hand.between('emissions', used.emissions_low_kg, used.emissions_high_kg)}) at {factors}, "
        f"and a PUE of {' and '.join(f'{pue:g}' for pue in facts.pues)}, "
        f"as tracked by TraceML until {_day(facts.as_of)}."
    )


def _subject(facts: Cited, hand: Hand) -> str:
    name, count = hand.escape(facts.model.name), facts.amounts.runs
    first, last = _day(facts.first), _day(facts.last)
    when = first if first == last else f"{first} {hand.dash} {last}"
    runs = f"{units.counted(count, 'run')}, {when}"
    bad = f", {facts.bad_ends:,} of them failed, cancelled or lost" if facts.bad_ends else ""
    return {
        "training": f"Training {name} ({runs}{bad})",
        "final": f"The final {' and '.join(facts.kinds)} run of {name} ({when})",
        "life": f"Over its whole life, {name} ({' and '.join(facts.kinds)}; {runs}{bad})",
    }[facts.scope]


def _day(day: date) -> str:
    return f"{day:%-d %b %Y}"


def _listed(names: list[str]) -> str:
    shown = names[:MOST_NAMED] or ["hardware that is not named"]
    rest = len(names) - len(shown)
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def _key(factor: EmissionFactor) -> str:
    return f"factor{factor.year}-{factor.pk}"


#: What the method rests on, as docs/methodology.md says: (type, key, fields).
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


def bibliography(facts: Cited) -> str:
    """BibTeX of what the figures rest on: this tool, the factors that were used, and the method's sources."""
    tool = {"title": "{TraceML}: energy and emissions of {AI} models", "year": str(facts.as_of.year)}
    factors = [("misc", _key(factor), _fields(factor)) for factor in facts.factors]
    return "\n".join(_entry(*entry) for entry in [("misc", "traceml", tool), *factors, *SOURCES])


def _fields(factor: EmissionFactor) -> dict[str, str]:
    about = f"World average of {factor.year}: {factor.kg_per_kwh:.6g} kg CO2e per kWh. {factor.source}"
    fields = {"title": f"{{{escapes.bibtex(about)}}}", "year": str(factor.year)}
    return fields | ({"url": escapes.bibtex_url(factor.url)} if factor.url else {})


def _entry(kind: str, key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items())
    return f"@{kind}{{{key},\n{lines}}}\n"


def program(facts: Cited) -> str:
    """All facts as JSON, units in the names."""
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
            "emission_factors": [
                {"kg_per_kwh": _rounded(each.kg_per_kwh), "year": each.year, "source": each.source, "url": each.url}
                for each in facts.factors
            ],
            "pue": facts.pues,
            "hardware": facts.hardware,
            "predictions": counted if made.counted else None,
        },
        ensure_ascii=False,
        indent=2,
    )
