"""When using a model will have emitted more than training it."""

from datetime import date, timedelta
from math import ceil
from typing import NamedTuple

from django.db.models import Case, Sum, Value, When

from runs.figures import units
from runs.figures.lifetime import Lifetime
from runs.figures.usage import PARTS
from runs.figures.use import Predictions
from runs.models import DailyUsage, TrackedModel

#: The current rate is averaged over this many days.
RATE_DAYS = 30
#: Dates more than a century away are not shown.
MOST_DAYS = 36_500


def days_of_life(model: TrackedModel) -> list[tuple[date, str, float, float]]:
    """Return (day, part of its life, kWh, kg) of every day on which the model used energy, in chronological order."""
    part = Case(*(When(kind__in=kinds, then=Value(part)) for part, kinds in PARTS.items()))
    rows = DailyUsage.objects.filter(tracked_model=model).annotate(part=part).order_by("day")
    return list(rows.values_list("day", "part").annotate(Sum("energy_kwh"), Sum("emissions_kg")))


def by_part(days: list[tuple[date, str, float, float]]) -> list[tuple[date, float, float]]:
    """Return (day, training kg, inference kg)."""
    found: dict[date, dict[str, float]] = {}
    for day, part, _, kg in days:
        found.setdefault(day, {})[part] = kg
    return [(day, parts.get("training", 0.0), parts.get("inference", 0.0)) for day, parts in found.items()]


class BreakEven(NamedTuple):
    """When inference overtakes training. `state` is `untrained`, `unused`, `passed`, `idle`, `far` or `ahead`.

    `needed` is the number of predictions at break-even, `made` the number so far, `a_day` the current daily rate; None
    if unknown.
    """

    state: str
    done_share: float
    day: date | None = None
    needed: float | None = None
    made: float | None = None
    a_day: float | None = None
    rate_days: int = RATE_DAYS

    @property
    def bar_width(self) -> float:
        """The progress of inference, in percent of training."""
        return 100 * min(self.done_share, 1.0)

    @property
    def sentence(self) -> str:
        return f"{SENTENCES[self.state](self)}{self._count}"

    @property
    def _count(self) -> str:
        if self.needed is None:
            unknown = self.state in ("passed", "ahead", "idle", "far")
            return " No predictions were counted, so the number is unknown." if unknown else ""
        if self.state in ("unused", "untrained"):
            return ""
        made = f"; about {units.text('count', self.made)} have been made so far" if self.made else ""
        return f" Break-even is at about {units.text('count', self.needed)} predictions{made}."


def _rate(told: BreakEven) -> str:
    days = f"the last {told.rate_days} days" if told.rate_days > 1 else "today"
    return f"{units.text('count', told.a_day)} predictions a day ({days})" if told.a_day else f"the rate of {days}"


SENTENCES = {
    "untrained": lambda told: "No training of this model was tracked, so break-even is unknown.",
    "unused": lambda told: (
        "No inference with this model has been tracked yet, so its whole footprint is from training."
    ),
    "passed": lambda told: f"Using this model has cost more than training it since {told.day:%-d %b %Y}.",
    "idle": lambda told: (
        f"Inference is at {units.text('share', told.done_share)} of training, with none in the last "
        f"{told.rate_days} days. At this rate it will never overtake training."
    ),
    "far": lambda told: (
        f"Inference is at {units.text('share', told.done_share)} of training. At {_rate(told)}, it will not overtake "
        "training within a hundred years."
    ),
    "ahead": lambda told: f"At {_rate(told)}, inference will overtake training around {told.day:%-d %b %Y}.",
}


def break_even(life: Lifetime, days: list[tuple[date, float, float]], made: Predictions, today: date) -> BreakEven:
    """Return when inference overtakes training, from (day, training kg, inference kg) in chronological order."""
    trained_kg, used_kg = life.training.emissions_kg, life.inference.emissions_kg
    each_kg = made.kg_per_1000 / 1000 if made.kg_per_1000 else None
    told = BreakEven(
        state="",
        done_share=used_kg / trained_kg if trained_kg else 0.0,
        needed=trained_kg / each_kg if each_kg else None,
        made=used_kg / each_kg if each_kg else None,
    )
    if trained_kg <= 0:
        return told._replace(state="untrained")
    if used_kg <= 0:
        return told._replace(state="unused")
    if used_kg >= trained_kg:
        return told._replace(state="passed", day=_overtaken_on(days))
    return _ahead(told, days, trained_kg - used_kg, each_kg, today)


def _overtaken_on(days: list[tuple[date, float, float]]) -> date | None:
    """Return the day since which inference has stayed ahead: a later training may put it behind again."""
    trained_kg = used_kg = 0.0
    since = None
    for day, training_kg, inference_kg in days:
        trained_kg, used_kg = trained_kg + training_kg, used_kg + inference_kg
        since = (since or day) if used_kg >= trained_kg else None
    return since or (days[-1][0] if days else None)


def _ahead(told: BreakEven, days, missing_kg: float, each_kg: float | None, today: date) -> BreakEven:
    recent = [(day, kg) for day, _, kg in days if kg > 0 and day > today - timedelta(days=RATE_DAYS)]
    if not recent:
        return told._replace(state="idle")
    begun = min(day for day, _, kg in days if kg > 0)
    over = max(1, min(RATE_DAYS, (today - begun).days + 1))
    kg_a_day = sum(kg for _, kg in recent) / over
    told = told._replace(rate_days=over, a_day=kg_a_day / each_kg if each_kg else None)
    if missing_kg / kg_a_day > MOST_DAYS:
        return told._replace(state="far")
    return told._replace(state="ahead", day=today + timedelta(days=ceil(missing_kg / kg_a_day)))
