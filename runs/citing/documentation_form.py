"""The parts about time, computation and energy of the EU's Model Documentation Form for general-purpose AI models.

The form is in the Transparency chapter of the General-Purpose AI Code of Practice (July 2025). It asks for the energy
of training in MWh and for computation in floating-point operations, both with at least two significant figures, for how
they were measured or estimated, and for inference not for energy but for computation, benchmarked on a stated task.
"""

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from runs.citing.computation import NAMES
from runs.citing.facts import Cited
from runs.figures import units

CODE = "https://digital-strategy.ec.europa.eu/en/policies/contents-code-gpai"
#: The form asks for two significant figures at least.
DIGITS = 3
DAY_S = 86_400.0
#: The form's ranges of training time, up to this many days.
RANGES = [(30.4, "less than 1 month"), (91.3, "1 to 3 months"), (182.6, "3 to 6 months")]
LONGEST = "more than 6 months"
SECTIONS = ("Training time", "Computation of training", "Energy consumption", "Computation of inference")
TO_BE_FILLED_IN = "To be filled in by the provider:"


class FormItem(NamedTuple):
    """An item of the form with its number for programs (None where TraceML knows none), and its text."""

    section: str
    item: str
    value: float | str | None
    unit: str
    text: str


def form_items(facts: Cited, measured: str) -> list[FormItem]:
    """Return the items that runs can answer; `measured` describes how the energy is known."""
    energy_mwh = facts.amounts.energy_kwh / 1000
    days = facts.amounts.duration_s / DAY_S
    time, computation, energy, inference = SECTIONS
    flop, benchmark = "Amount of computation used for training", "Benchmarked amount of computation used for inference"
    return [
        FormItem(time, "Range", training_range(days), "", training_range(days)),
        FormItem(time, "Wall clock", days, "days", f"{scientific(days)} days; {_period(facts)}"),
        FormItem(time, "Hardware", _hardware_days(facts), "days", _hardware_words(facts)),
        FormItem(computation, flop, facts.computation and facts.computation.flop, "FLOP", _computation_words(facts)),
        FormItem(computation, "Measurement methodology", None, "", _computation_method(facts)),
        FormItem(energy, "Amount of energy used for training", energy_mwh, "MWh", _energy_words(facts)),
        FormItem(energy, "Measurement methodology", None, "", _energy_method(facts, measured)),
        FormItem(inference, benchmark, None, "FLOP", _inference_words(facts)),
        FormItem(inference, "Measurement methodology", None, "", f"{TO_BE_FILLED_IN} the task and its hardware."),
    ]


def markdown(facts: Cited, name: str, measured: str, escape: Callable[[str], str]) -> str:
    """Return the items by section; `name` is the model's, escaped."""
    lines = [f"## Model Documentation Form (EU): time, computation and energy of {name}"]
    for section, items in groupby(form_items(facts, measured), key=attrgetter("section")):
        lines += ["", f"### {section}", "", *(f"- **{each.item}:** {escape(each.text)}" for each in items)]
    where = f"[Transparency chapter of the Code of Practice for general-purpose AI]({CODE}), July 2025"
    return "\n".join(
        [*lines, "", f"The form is in the {where}. Its sections about other subjects are not in here.", ""]
    )


def as_facts(facts: Cited, measured: str) -> list[dict]:
    """Return the same for programs."""
    return [each._asdict() for each in form_items(facts, measured)]


def scientific(value: float) -> str:
    """Return `1.23×10^4`, as the form writes amounts; `0` for none."""
    if value == 0:
        return "0"
    mantissa, exponent = f"{value:.{DIGITS - 1}e}".split("e")
    return f"{mantissa}×10^{int(exponent)}"


def training_range(days: float) -> str:
    return next((words for most, words in RANGES if days < most), LONGEST)


def _period(facts: Cited) -> str:
    """Return the number of runs and the day, or the days between which they ran."""
    bad = f", {facts.bad_ends:,} of them failed, cancelled or lost" if facts.bad_ends else ""
    runs = units.counted(facts.amounts.runs, "run")
    first, last = f"{facts.first:%-d %b %Y}", f"{facts.last:%-d %b %Y}"
    when = f"on {first}" if first == last else f"between {first} and {last}"
    return f"the durations of {runs}{bad}, added up, {when}"


def _hardware_days(facts: Cited) -> float | None:
    return sum(each.device_s for each in facts.used) / DAY_S if facts.used else None


def _hardware_words(facts: Cited) -> str:
    said = [f"{scientific(each.device_s / DAY_S)} {each.name} days" for each in facts.used]
    return " and ".join(said) or f"{TO_BE_FILLED_IN} the runs named no hardware."


def _computation_words(facts: Cited) -> str:
    if facts.computation is None:
        return f"{TO_BE_FILLED_IN} no run logged {' or '.join(NAMES)}."
    return f"{scientific(facts.computation.flop)} floating-point operations"


def _computation_method(facts: Cited) -> str:
    if facts.computation is None:
        return f"{TO_BE_FILLED_IN} TraceML counts no operations itself."
    runs = f"{facts.computation.runs:,} of {units.counted(facts.amounts.runs, 'run')}"
    return f"As the training code logged it ({' or '.join(NAMES)}), the sum of {runs}. {TO_BE_FILLED_IN} how it counts."


def _energy_words(facts: Cited) -> str:
    used = facts.amounts
    said = f"{scientific(used.energy_kwh / 1000)} MWh"
    if used.energy_low_kwh < used.energy_high_kwh:
        low, high = (scientific(kwh / 1000) for kwh in (used.energy_low_kwh, used.energy_high_kwh))
        said += f" ({low} to {high} MWh)"
    if facts.scope == "both" and facts.finals:
        said += f"; of this, {scientific(facts.final.energy_kwh / 1000)} MWh by the final run"
    return said


def _energy_method(facts: Cited, measured: str) -> str:
    runs = "the final run" if facts.scope == "final" else "all runs, with failed attempts"
    pues = " and ".join(f"{pue:g}" for pue in facts.pues)
    return (
        f"Tracked by TraceML while the training ran, {measured}. It is the energy of the accelerators, processors and "
        f"memory of {runs}, without network, storage, power conversion and cooling. For the energy of the facility, "
        f"multiply it by its PUE, which is set to {pues} in TraceML."
    )


def _inference_words(facts: Cited) -> str:
    said = f"{TO_BE_FILLED_IN} TraceML counts no operations itself."
    per_1000 = facts.predictions.kwh_per_1000
    if per_1000 is None:
        return said
    counted, each = units.text("count", facts.predictions.counted), units.text("energy", per_1000)
    return f"{said} Its energy, which the form does not ask for: {each} per 1,000 predictions ({counted} counted)."
