"""Sums over daily and monthly usage: the only source of overviews, so that they take the same time for any number of
runs."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from itertools import accumulate

from django.db.models import Case, Sum, Value, When
from django.db.models.functions import Coalesce

from hardware.models import HardwareProfile
from runs.figures import periods, units
from runs.figures.charts import MOST_SERIES, Chart, ChartTotals, Series, heights
from runs.figures.lifetime import LEAST_KWH
from runs.models import Run, TrackedModel
from runs.models.usage import AMOUNTS
from traceml_agent import estimation

QUANTITIES = {"kg": ("emissions", "emissions_kg"), "kwh": ("energy", "energy_kwh")}
#: A smaller remainder of a sum is only floating-point error.
NOTHING = 1e-9
#: The parts of a model's life that a footprint is split into, with their kinds of run.
PARTS = {
    "training": (Run.Kind.TRAINING, Run.Kind.FINETUNING),
    "inference": (Run.Kind.INFERENCE,),
    "other": (Run.Kind.EVALUATION, Run.Kind.OTHER),
}
RUNNING = {"day": "Today", "week": "This week", "month": "This month"}
PART_OF = {kind: f"{part}_kg" for part, kinds in PARTS.items() for kind in kinds}


def totals(usage) -> dict[str, float]:
    """Sum every amount; adds the shares of the energy and the range of the emissions."""
    sums = usage.aggregate(
        **{name: Coalesce(Sum(name), Value(0), output_field=_field(usage, name)) for name in AMOUNTS}
    )
    return with_shares(sums)


def with_shares(sums: dict[str, float]) -> dict[str, float]:
    """Add the measured and the modelled share of the energy and the range of the emissions to summed amounts."""
    share = _share_of(sums["energy_kwh"])
    sums["measured_share"] = share(sums["measured_kwh"])
    sums["modelled_share"] = share(sums["modelled_kwh"])
    sums["emissions_low_kg"] = share(sums["energy_low_kwh"]) * sums["emissions_kg"]
    sums["emissions_high_kg"] = share(sums["energy_high_kwh"]) * sums["emissions_kg"]
    return sums


def _share_of(whole: float) -> Callable[[float], float]:
    """Return parts as shares of a whole; empty if the whole is zero."""
    return lambda part: part / whole if whole > 0 else 0.0


def _field(usage, name: str):
    return usage.model._meta.get_field(name)


def mean_power_w(profile: HardwareProfile, seen: dict) -> float | None:
    """Return the mean power (W) of such a device from totals of its use; None for profiles of a core or a gigabyte."""
    if profile.unit != HardwareProfile.Unit.DEVICE or not seen["device_s"]:
        return None
    return estimation.mean_power_w(seen["energy_kwh"], seen["device_s"])


def footprints(usage) -> list[dict]:
    """Return one row per model: its amounts, split into training, inference and other; the largest emissions first."""
    # In the order of the index `monthly_usage_footprint`, so that nothing else is read; names are looked up afterwards.
    amounts = {"run_count": "runs", "kg": "emissions_kg", "kwh": "energy_kwh", "measured": "measured_kwh"}
    sums = usage.order_by().values("project", "tracked_model", "kind")
    by_model: dict[int, Counter] = defaultdict(lambda: Counter(dict.fromkeys(PART_OF.values(), 0.0)))
    for row in sums.annotate(**{name: Sum(column) for name, column in amounts.items()}):
        by_model[row["tracked_model"]].update({name: row[name] for name in amounts} | {PART_OF[row["kind"]]: row["kg"]})
    used = {pk: row for pk, row in by_model.items() if is_used(row)}
    models = TrackedModel.objects.select_related("project").in_bulk(used)
    return [_with_bar(row) for row in _largest_first(_named(models[pk], row) for pk, row in used.items())]


def is_used(row: Mapping[str, float]) -> bool:
    """Return whether these totals hold any amount: runs may have been deleted, or moved to another model."""
    return row["run_count"] > 0 or row["kwh"] > LEAST_KWH


def _named(model: TrackedModel, sums: Counter) -> dict:
    names = {"name": model.name, "slug": model.slug}
    names |= {"project_name": model.project.name, "project_slug": model.project.slug}
    return {"tracked_model_id": model.pk} | names | sums


def _largest_first(rows) -> list[dict]:
    return sorted(rows, key=lambda row: (-row["kg"], row["name"]))


def _with_bar(row: dict) -> dict:
    row["parts"] = [(part, row[f"{part}_kg"]) for part in PARTS]
    row["measured_share"] = _share_of(row["kwh"])(row["measured"])
    return row


def bars(rows: list[dict]) -> list[dict]:
    """Add the segments of a horizontal bar to the rows, 0 to 100 of the largest model's length."""
    longest = max((row["kg"] for row in rows), default=0.0) or 1.0
    for row in rows:
        row["segments"] = segments(row["parts"], longest)
    return rows


def segments(parts: list[tuple[str, float]], longest_kg: float) -> list[dict]:
    """Return the parts of a bar as start and width in percent of `longest_kg`, with their share of the whole."""
    start, laid, total_kg = 0.0, [], sum(kg for _, kg in parts) or 1.0
    for name, kg in parts:
        width = 100 * kg / longest_kg
        laid.append({"name": name, "kg": kg, "start": start, "width": width, "share": kg / total_kg})
        start += width
    return laid


def trend_by_model(
    usage, whole: dict[date, float], period: periods.Period, quantity: str, models: list[dict], **look
) -> Chart | None:
    """Return energy or emissions over time, stacked by model: the largest seven and all others.

    `whole` is what all models used on each day. Only the largest are read; the others are the remainder. `look` is as
    in `trend`.
    """
    name, field = QUANTITIES[quantity]
    names = _names(models[:MOST_SERIES])
    by_model = usage.filter(tracked_model__in=list(names)).order_by().values_list("day", "tracked_model")
    rows = list(by_model.annotate(Sum(field)))
    if len(models) > MOST_SERIES:
        names |= {None: "Other models"}
        rows += [(day, None, amount) for day, amount in _left(whole, rows).items()]
    keys = {row["tracked_model_id"]: row.get("address", "") for row in models}
    return trend(rows, names, period, name, "by model", keys, **look)


def _left(whole: dict[date, float], rows: list[tuple]) -> dict[date, float]:
    """Subtract the amounts of (day, model, amount) rows from each day's whole."""
    taken: dict[date, float] = defaultdict(float)
    for day, _, amount in rows:
        taken[day] += amount
    left = {day: amount - taken[day] for day, amount in whole.items()}
    # Equal sums still differ in their last binary digits, which must not become a figure.
    return {day: amount if amount > NOTHING * whole[day] else 0.0 for day, amount in left.items()}


def colours_of(shown: list[int], everything: Iterable[int]) -> dict[int | None, int]:
    """Return a colour for each of these models that is the same in every period: by its age among all models.

    If two would have the same colour, the second gets a free one.
    """
    own = {pk: number % MOST_SERIES for number, pk in enumerate(sorted(everything))}
    colours: dict[int | None, int] = {}
    for pk in shown[:MOST_SERIES]:
        free = [each for each in range(MOST_SERIES) if each not in colours.values()]
        colours[pk] = own[pk] if own[pk] in free else free[0]
    return colours


def _names(models: list[dict]) -> dict[int | None, str]:
    """Return the models' names by id, with the project if two models have the same name."""
    counts = Counter(row["name"] for row in models)
    return {
        row["tracked_model_id"]: f"{row['name']} ({row['project_name']})" if counts[row["name"]] > 1 else row["name"]
        for row in models
    }


def trend_by_part(usage, period: periods.Period, quantity: str) -> Chart | None:
    """Return energy or emissions of one model over time, stacked by training, inference and other."""
    name, field = QUANTITIES[quantity]
    whens = [When(kind__in=kinds, then=Value(part)) for part, kinds in PARTS.items()]
    rows = usage.annotate(part=Case(*whens)).values("day", "part").annotate(amount=Sum(field))
    names = {part: part.capitalize() for part in PARTS}
    return trend(rows.values_list("day", "part", "amount"), names, period, name, "by kind of use")


def trend(
    rows,
    names: dict,
    period: periods.Period,
    quantity: str,
    split: str,
    keys: dict | None = None,
    colours: dict | None = None,
    bars: str = "",
    today: date | None = None,
) -> Chart | None:
    """Return bars over time from (day, key, amount) rows; None if nothing was used. Days without use are zero.

    `keys` are the query values of each series, `bars` is the unit of the bars (periods.BARS). The bar with `today` is
    unfinished.
    """
    rows = list(rows)
    if not any(amount for _, _, amount in rows):
        return None
    first = period.first or min(day for day, _, _ in rows)
    last = max(period.last, max(day for day, _, _ in rows))
    days = (last - first).days + 1
    labels = periods.buckets(first, last, bars)
    amounts = {key: dict.fromkeys(labels, 0.0) for key in names}
    for day, key, amount in rows:
        amounts[key][periods.bucket_of(day, days, bars)] += amount
    series = [
        Series(name, list(amounts[key].values()), key=(keys or {}).get(key, ""), colour=(colours or {}).get(key))
        for key, name in names.items()
        if any(amounts[key].values())
    ]
    bucket = periods.bucket_name(days, bars)
    spans = list(periods.spans(labels, first, last))
    running = next((n for n, (start, end) in enumerate(spans) if today and start <= today <= end), None)
    words = _trend_sentence(quantity, bucket, split, labels, series, period)
    return Chart(
        id="trend",
        title=f"{_noun(quantity)} per {bucket}",
        sentence=words if running is None else f"{words} {RUNNING[bucket]} is not over yet.",
        quantity=quantity,
        axis=bucket,
        labels=[label.isoformat() for label in labels],
        series=series,
        totals=ChartTotals(quantity, [one.total for one in series]),
        spans=[(start.isoformat(), end.isoformat()) for start, end in spans],
        running=running,
    )


def with_running_sum(chart: Chart) -> Chart:
    """Return the same chart with a line for the running sum of its bars."""
    return chart._replace(line=Series("Cumulative", list(accumulate(heights(chart.series)))))


def _noun(quantity: str) -> str:
    return {"emissions": "Emissions", "energy": "Energy"}[quantity]


def _trend_sentence(quantity: str, bucket: str, split: str, labels, series: list[Series], period) -> str:
    sums = heights(series)
    peak = max(range(len(sums)), key=sums.__getitem__)
    when = "on" if bucket == "day" else f"in the {bucket} of"
    return (
        f"{_noun(quantity)} per {bucket} {split} over {period.label}: {units.text(quantity, sum(sums))} in total, "
        f"most {when} {labels[peak]:%-d %b %Y} with {units.text(quantity, sums[peak])}."
    )


def cumulative(chart: Chart) -> Chart:
    """Return the same chart with running sums, which show how a footprint grew."""
    series = [Series(one.name, list(accumulate(value or 0.0 for value in one.values))) for one in chart.series]
    total = units.text(chart.quantity, sum(one.total for one in chart.series))
    noun = _noun(chart.quantity)
    return chart._replace(
        id="growth",
        title=f"Cumulative {noun.lower()}",
        sentence=f"Cumulative {noun.lower()} since the first run, by kind of use: {total} today.",
        series=series,
        totals=None,
    )
