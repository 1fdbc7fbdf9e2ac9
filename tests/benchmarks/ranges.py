"""Ranges: public measurements of power against the estimates for the same hardware at the same utilisation.

`data/measured_power.csv` holds the measurements, one a row, each with its source. Models are halved by a fixed rule: of
each class, sorted by name, every second one is held back, so that no model's points stand on both sides. The constants
of `traceml_agent.estimation` were set by the first half alone. `power_w` is of all `sockets`; `utilisation` is what the
agent would report: busy threads over physical cores, 1 at most.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from tests.benchmarks.timing import Row
from traceml_agent import catalogue, estimation
from traceml_agent.estimation import Facts

DATA = Path(__file__).parent / "data" / "measured_power.csv"
#: What the ranges must hold of the half that they were not set by.
LEAST_HELD = 0.85
#: Shares of TDP and ranges of release 0.1, with 0.3725 W a GB of memory.
FORMER_SHARES = {"cpu": (0.15, 0.7), "gpu": (0.12, 1.0)}
FORMER_MEMORY_W = 0.3725
FORMER_RANGES = {"tdp": (0.65, 1.35), "fallback": (0.4, 2.5)}
KINDS = {"cpu": "processors", "gpu": "accelerators", "ram": "memory"}


class Point(NamedTuple):
    """A measurement beside what is estimated for it, now and formerly; W."""

    kind: str
    label: str
    model: str
    measured_w: float
    estimate_w: float
    low_w: float
    high_w: float
    former_w: float
    former_low_w: float
    former_high_w: float

    @property
    def inside(self) -> bool:
        return self.low_w <= self.measured_w <= self.high_w

    @property
    def formerly_inside(self) -> bool:
        return self.former_low_w <= self.measured_w <= self.former_high_w

    @property
    def error(self) -> float:
        """Distance of estimate and measurement as a share of the larger one: 0 equal, 1 where either is nothing."""
        return _distance(self.estimate_w, self.measured_w)

    @property
    def former_error(self) -> float:
        return _distance(self.former_w, self.measured_w)


def _distance(one_w: float, other_w: float) -> float:
    larger = max(one_w, other_w)
    return abs(one_w - other_w) / larger if larger > 0 else 0.0


def measurements() -> list[dict[str, str]]:
    with DATA.open(newline="") as file:
        return list(csv.DictReader(file))


@lru_cache(maxsize=1)
def points() -> tuple[Point, ...]:
    return tuple(_point(row) for row in measurements())


def _point(row: dict[str, str], unknown: bool = False) -> Point:
    kind, utilisation, measured_w = row["kind"], float(row["utilisation"]), float(row["power_w"])
    number = {name: float(row[name]) for name in ("cores", "threads", "memory_gb") if row[name]}
    facts = Facts(kind, 1.0, utilisation, host_cores=number.get("cores"), host_threads=number.get("threads"), **number)
    profile = catalogue.profile_for("", kind) if unknown else _profile(row)
    energy = estimation.device_energy(facts, profile)
    former_w = _formerly_w(facts, profile)
    low, high = FORMER_RANGES["fallback" if profile.fallback else "tdp"]
    model = row["machine"] if kind == "ram" else profile.name
    estimate = energy.energy_j, energy.low_j, energy.high_j  # over one second, so that they are W
    label = estimation.power_class(profile).label
    return Point(kind, label, model, measured_w, *estimate, former_w, low * former_w, high * former_w)


def _profile(row: dict[str, str]):
    """The row's profile; accelerators are named by their slug, and their own idle power is left out.

    The catalogue has it from the very readings that stand here.
    """
    if row["kind"] == "gpu":
        return catalogue.seed(False).by_slug[row["name"]]._replace(idle_w=None, full_load_w=None)
    return catalogue.profile_for(row["name"], row["kind"])


def _formerly_w(facts: Facts, profile) -> float:
    if facts.kind == "ram":
        return FORMER_MEMORY_W * (facts.memory_gb or 0.0)
    idle, full_load = (share * profile.tdp_w for share in FORMER_SHARES[facts.kind])
    full_load = full_load if profile.full_load_w is None else profile.full_load_w
    return estimation.estimated_energy_j(idle, full_load, 1.0, facts.busy_s, estimation.units_held(facts, profile))


def held_back(found: tuple[Point, ...]) -> set[str]:
    """The models that no constant was set by: of each class, sorted by name, every second one."""
    by_label: dict[str, set[str]] = defaultdict(set)
    for point in found:
        by_label[point.label].add(point.model)
    return {model for models in by_label.values() for model in sorted(models)[1::2]}


def rows() -> Iterator[Row]:
    found = points()
    apart = held_back(found)
    for kind, name in KINDS.items():
        half = [point for point in found if point.kind == kind and point.model in apart]
        yield _row(f"{name}: the half held back", half, must=False)
    yield _row("all that was held back", [point for point in found if point.model in apart])
    yield _row("all that the constants were set by", [point for point in found if point.model not in apart])
    codecarbon = [
        point for row, point in zip(measurements(), found, strict=True) if row["machine"].startswith("codecarbon")
    ]
    yield _row("CodeCarbon's load profiles, of both halves", codecarbon)
    unknown = [_point(row, unknown=True) for row in measurements() if row["kind"] != "ram"]
    yield _row("processors and accelerators of both halves, taken for unknown ones", unknown, must=False)


def _row(what: str, half: list[Point], must: bool = True) -> Row:
    now, before = mean(point.error for point in half), mean(point.former_error for point in half)
    inside = mean(point.inside for point in half)
    formerly = mean(point.formerly_inside for point in half)
    holds = inside >= LEAST_HELD and now <= before if must else None
    return Row(
        f"{what}: {len(half)} points of {len({point.model for point in half})} models inside the range; mean error",
        f"{inside:.0%}; {now:.0%}",
        f"{formerly:.0%}; {before:.0%} with the constants of release 0.1",
        f"≥ {LEAST_HELD:.0%}; no worse" if must else "",
        holds,
    )
