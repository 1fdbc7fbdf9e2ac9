"""A period's footprint by model, hardware, kind and member: four tables from one sum over the daily totals."""

from collections import defaultdict
from collections.abc import Callable, Hashable
from typing import NamedTuple

from runs.figures.lifetime import HARDWARE_NAME
from runs.figures.usage import LEAST_KWH, PART_OF, PARTS, bars, is_used
from runs.models import MonthlyUsage, Run
from runs.models.usage import PlainSum, UsageQuerySet
from runs.selection.choices import NOBODY, Choices, address_of, asks_for_member

#: The most rows in a table; all others are added up in one.
MOST_ROWS = 8
AMOUNTS = ("run_count", "kg", "kwh", "measured")
ADDED = (*AMOUNTS, *(f"{part}_kg" for part in PARTS))
DIMENSIONS = ("tracked_model_id", "kind", "member_id", "hardware")


class Share(NamedTuple):
    """A row of a table: its name, the filter value that selects it (or empty), and what it used."""

    name: str
    value: str
    words: str
    kg: float
    kwh: float
    share: float
    training_kg: float
    inference_kg: float
    other_kg: float
    segments: list[dict]


def sums_of(parts: list[UsageQuerySet]) -> list[dict]:
    """Return runs, emissions and energy of parts of a period by every dimension of the tables, part by part."""
    first, *others = map(_summed, parts)
    return list(first.union(*others, all=True) if others else first)


def _summed(usage: UsageQuerySet):
    """Of monthly totals the index `monthly_usage_footprint` is enough if the groups are in its order, which begins with
    the project. Of days, selecting by day reads less, but SQLite only does that if the groups are in another order.
    """
    groups = ("project_id", *DIMENSIONS) if usage.model is MonthlyUsage else DIMENSIONS
    sums = {
        "run_count": PlainSum("runs"),
        "kg": PlainSum("emissions_kg"),
        "kwh": PlainSum("energy_kwh"),
        "measured": PlainSum("measured_kwh"),
    }
    rows = usage.order_by().values(*groups).annotate(**sums)
    return rows.annotate(hardware_name=HARDWARE_NAME).values(*DIMENSIONS, *sums, "hardware_name")


def by_model(sums: list[dict], found: Choices) -> list[dict]:
    """Return the rows of `usage.footprints`: split into training, inference and other, the largest emissions first."""
    models = {row["pk"]: row for row in found.models}
    added = _added(sums, "tracked_model_id")
    used = {model: amounts for model, amounts in added.items() if is_used(amounts)}
    rows = [_footprint(models[pk], amounts, found.project_name(models[pk])) for pk, amounts in used.items()]
    return sorted(rows, key=lambda row: (-row["kg"], row["name"]))


def _added(sums: list[dict], dimension: str) -> dict[Hashable, dict[str, float]]:
    """Return the amounts by one dimension, with the emissions by part."""
    added: dict[Hashable, dict[str, float]] = defaultdict(lambda: dict.fromkeys(ADDED, 0.0))
    for row in sums:
        into = added[row[dimension]]
        for name in AMOUNTS:
            into[name] += row[name]
        into[PART_OF[row["kind"]]] += row["kg"]
    return added


def _footprint(model: dict, amounts: dict[str, float], project_name: str) -> dict:
    return amounts | {
        "tracked_model_id": model["pk"],
        "name": model["name"],
        "slug": model["slug"],
        "address": address_of(model),
        "project_name": project_name,
        "project_slug": model["project__slug"],
        "measured_share": amounts["measured"] / amounts["kwh"] if amounts["kwh"] > 0 else 0.0,
        "parts": _parts(amounts),
    }


def _parts(amounts: dict) -> list[tuple[str, float]]:
    return [(part, amounts[f"{part}_kg"]) for part in PARTS]


def by_hardware(sums: list[dict], is_whole: bool = False) -> list[Share]:
    """Group by the profile's name, or by its slug if it was deleted."""
    names = {row["hardware"]: row["hardware_name"] or row["hardware"] for row in sums}
    return _shares(sums, "hardware", lambda slug: (names[slug], slug, ""), is_whole)


def by_kind(sums: list[dict]) -> list[Share]:
    labels = {kind.value: kind.label for kind in Run.Kind}
    return _shares(sums, "kind", lambda kind: (labels[kind], kind, ""))


def by_member(sums: list[dict], found: Choices, is_whole: bool = False) -> list[Share]:
    """Group by the member, team or CI that the run's token belonged to."""

    def member(pk: int) -> tuple[str, str, str]:
        return found.members.name_of(pk), asks_for_member(pk), NOBODY[pk][2] if pk in NOBODY else ""

    return _shares(sums, "member_id", member, is_whole)


def _shares(sums: list[dict], dimension: str, words_of: Callable, is_whole: bool = False) -> list[Share]:
    """Return rows with the largest first; all of them if the table should be complete. Rows without hardware only count
    runs and are left out. `words_of` returns a key's name, filter value and explanation."""
    added = {key: amounts for key, amounts in _added(sums, dimension).items() if amounts["kwh"] > LEAST_KWH}
    rows = [dict(zip(("name", "value", "words"), words_of(key), strict=True)) | added[key] for key in added]
    rows = sorted(rows, key=lambda row: (-row["kg"], row["name"]))
    rows = rows if is_whole else _folded(rows)
    whole_kg = sum(row["kg"] for row in rows) or 1.0
    for row in rows:
        row |= {"parts": _parts(row), "share": row["kg"] / whole_kg}
    return [Share(*(row[name] for name in Share._fields)) for row in bars(rows)]


def _folded(rows: list[dict]) -> list[dict]:
    """Return the largest rows, and one that adds up all others if there are too many."""
    if len(rows) <= MOST_ROWS:
        return rows
    rest = rows[MOST_ROWS - 1 :]
    amounts = {name: sum(row[name] for row in rest) for name in ADDED}
    return [*rows[: MOST_ROWS - 1], {"name": f"{len(rest)} others", "value": "", "words": ""} | amounts]
