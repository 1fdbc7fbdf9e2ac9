"""Forecast of a running run's total energy from its finished epochs."""

import re
from typing import NamedTuple

from runs.figures.stages import StageRow
from runs.models import Run
from traceml_agent import estimation

#: `epoch 3`, `Epoch 3/30`, `round 3 of 30`, `block 3 (rounds 21–30)`: the counted word, its number, and the total.
NUMBERED = re.compile(r"\s*(.*?)[\s_-]*(\d{1,9})(?:\s*(?:/|of)\s*(\d{1,9}))?(?:\s*\(.*\))?\s*", re.IGNORECASE)
#: Parameters in which trainers store the number of epochs.
PLANNED = ("epochs", "num_epochs", "n_epochs", "max_epochs", "num_train_epochs", "total_epochs", "nb_epochs")
MOST_PLANNED = 1_000_000


class OuterStage(NamedTuple):
    """A stage of the run's outermost level: whether it has ended, what it used, and how many its series will have."""

    name: str
    ended: bool
    duration_s: float
    energy_kwh: float
    total: int | None = None


class Outlook(NamedTuple):
    """The forecast of the whole run, with the 95 % interval of its energy. Without `planned` there is no forecast."""

    word: str
    done: int
    planned: int | None = None
    energy_kwh: float = 0.0
    energy_low_kwh: float = 0.0
    energy_high_kwh: float = 0.0
    emissions_kg: float = 0.0
    left_s: float = 0.0


class NumberedEpochs(NamedTuple):
    """A counted stage: its number, and the total that its name mentions; 0 if it mentions none."""

    part: OuterStage
    number: int
    of: int


class CountedEpochs(NamedTuple):
    """Counted stages: those done, those in progress, and the total if the run mentions it."""

    word: str
    done: list[OuterStage]
    open: list[OuterStage]
    planned: int | None


def parts_of(rows: list[StageRow]) -> list[OuterStage]:
    return [
        OuterStage(row.stage.name, row.stage.end_s is not None, row.duration_s, row.energy_kwh or 0.0, row.stage.total)
        for row in rows
        if row.depth == 0
    ]


def outlook(run: Run, parts: list[OuterStage], asked: int | None = None) -> Outlook | None:
    """Return the forecast of a run from its counted stages; `asked` is a number of epochs that the reader entered."""
    counted = counted_stages(run, parts)
    if counted is None:
        return None
    planned, done = asked or counted.planned, len(counted.done)
    if planned is None or planned < done:
        return Outlook(counted.word, done)
    whole = estimation.forecast([part.energy_kwh for part in counted.done], planned)
    # Energy used outside the counted stages counts once; the stage in progress is among the remaining ones.
    beside_kwh = max(run.energy_kwh - sum(part.energy_kwh for part in counted.done + counted.open), 0.0)
    seconds = estimation.forecast([part.duration_s for part in counted.done], planned)[0]
    gone_s = sum(part.duration_s for part in counted.done + counted.open)
    expected, low, high = (beside_kwh + each for each in whole)
    emissions_kg = estimation.emissions_kg(expected, run.factor.kg_per_kwh, run.pue)
    return Outlook(counted.word, done, planned, expected, low, high, emissions_kg, max(seconds - gone_s, 0.0))


def counted_stages(run: Run, parts: list[OuterStage]) -> CountedEpochs | None:
    """Return the stages of the most frequent counted word; None if none is done."""
    by_word: dict[str, list[NumberedEpochs]] = {}
    for part in parts:
        if match := NUMBERED.fullmatch(part.name):
            by_word.setdefault(match[1].lower(), []).append(NumberedEpochs(part, int(match[2]), int(match[3] or 0)))
    word = max(by_word, key=lambda word: len(by_word[word]), default="")
    found = by_word.get(word, [])
    done = [each.part for each in found if each.part.ended]
    if not done:
        return None
    planned = _announced(found) or _of_names(found) or _of_params(run.params)
    return CountedEpochs(word, done, [each.part for each in found if not each.part.ended], planned)


def _announced(found: list[NumberedEpochs]) -> int | None:
    """Return the total that the run itself mentions: that of the current series, plus the stages of earlier series.

    A series begins when the numbers restart: a second training in the run, or another attempt.
    """
    total = found[-1].part.total
    begins = max((n for n in range(1, len(found)) if found[n].number <= found[n - 1].number), default=0)
    return begins + total if total and total <= MOST_PLANNED else None


def _of_names(found: list[NumberedEpochs]) -> int | None:
    return next((each.of for each in reversed(found) if each.of), None)


def _of_params(params: dict) -> int | None:
    named = (params.get(name) for name in PLANNED)
    numbers = (value for value in named if isinstance(value, int | float) and not isinstance(value, bool))
    return next((int(value) for value in numbers if 1 <= value <= MOST_PLANNED), None)
