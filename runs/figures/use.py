"""Use of a model: calls of a run by method; predictions, requests and tokens of inference runs, and what they used."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Case, CharField, FloatField, Sum, Value, When
from django.db.models.functions import Cast

from runs.figures.lifetime import Footprint, added, amounts_of
from runs.figures.run_links import RunLink
from runs.models import Call, Metric, Run
from runs.models.metric import WORK
from traceml_agent import estimation

#: The time of a call is measured to about a millisecond: below this, a method's share of the energy says nothing.
LEAST_BUSY_S = 1.0
#: What was counted, in the page's words: by `watch`, or else by the run's own log.
WORDS = {
    "items": "items counted by watch",
    "calls": "calls counted by watch",
    "answered": "predictions in the requests that the service answered",
    "samples": "samples logged by the runs",
}
#: What the two counts of calls are, of a model and of a service; a logged metric has one, of its name.
COUNTS_OF = {"model": ("calls", "items"), "service": ("requests", "answered")}


class Predictions(NamedTuple):
    """Predictions counted by inference runs, and what those runs used, including waiting for requests."""

    counted: int
    used: Footprint
    of_runs: int
    sources: list[str]

    @property
    def kwh_per_1000(self) -> float | None:
        return 1000 * self.used.energy_kwh / self.counted if self.counted else None

    @property
    def kg_per_1000(self) -> float | None:
        return 1000 * self.used.emissions_kg / self.counted if self.counted else None

    @property
    def low_kg_per_1000(self) -> float | None:
        return 1000 * self.used.emissions_low_kg / self.counted if self.counted else None

    @property
    def high_kg_per_1000(self) -> float | None:
        return 1000 * self.used.emissions_high_kg / self.counted if self.counted else None

    @property
    def words(self) -> str:
        """Describe how they were counted."""
        return " and ".join(WORDS[source] for source in self.sources)


class Served(NamedTuple):
    """Requests and tokens of the inference runs that counted them, and what those runs used, including waiting."""

    requests: float
    by_requests: Footprint
    tokens: float
    prompt_tokens: float
    by_tokens: Footprint

    @property
    def kwh_per_1000_requests(self) -> float | None:
        return 1000 * self.by_requests.energy_kwh / self.requests if self.requests else None

    @property
    def kg_per_1000_requests(self) -> float | None:
        return 1000 * self.by_requests.emissions_kg / self.requests if self.requests else None

    @property
    def j_per_token(self) -> float | None:
        return self._per_token(self.by_tokens.energy_kwh)

    @property
    def low_j_per_token(self) -> float | None:
        return self._per_token(self.by_tokens.energy_low_kwh)

    @property
    def high_j_per_token(self) -> float | None:
        return self._per_token(self.by_tokens.energy_high_kwh)

    def _per_token(self, energy_kwh: float) -> float | None:
        return energy_kwh * estimation.J_PER_KWH / self.tokens if self.tokens else None


class _CountsOfRun(NamedTuple):
    """What one run counted."""

    calls: float = 0.0
    items: float = 0.0
    requests: float = 0.0
    answered: float = 0.0
    samples: float = 0.0
    tokens: float = 0.0
    prompt_tokens: float = 0.0

    @property
    def predictions(self) -> tuple[str, int] | None:
        """How many predictions, and how they were counted: by the model itself if it is watched, else by its service,
        else by the run's log."""
        names = ("items", "calls", "answered", "samples")
        return next(((name, round(count)) for name in names if (count := getattr(self, name))), None)


def use(runs: Iterable[RunLink], with_logged: bool = True) -> tuple[Predictions, Served]:
    """Return what the inference runs among these counted: predictions, and requests and tokens.

    Without logged values, neither samples nor tokens are counted.
    """
    using = {run.pk: run for run in runs if run.kind == Run.Kind.INFERENCE}
    counts = {pk: _CountsOfRun(**found) for pk, found in _counted(using, with_logged).items()} if using else {}
    predicted = {pk: found for pk, counted in counts.items() if (found := counted.predictions)}
    sources = {source for source, _ in predicted.values()}
    made = Predictions(
        counted=sum(count for _, count in predicted.values()),
        used=added(amounts_of(using[pk]) for pk in predicted),
        of_runs=len(using),
        sources=[source for source in WORDS if source in sources],
    )
    served = Served(
        requests=sum(counted.requests for counted in counts.values()),
        by_requests=added(amounts_of(using[pk]) for pk, counted in counts.items() if counted.requests),
        tokens=sum(counted.tokens for counted in counts.values()),
        prompt_tokens=sum(counted.prompt_tokens for counted in counts.values() if counted.tokens),
        by_tokens=added(amounts_of(using[pk]) for pk, counted in counts.items() if counted.tokens),
    )
    return made, served


def _counted(runs: Iterable[int], with_logged: bool) -> dict[int, dict[str, float]]:
    """Return what runs counted, by the fields of _CountsOfRun: their calls, and what they logged, by one query."""
    calls = Call.objects.filter(run__in=list(runs)).order_by()
    of = Case(When(Call.OF_A_SERVICE, then=Value("service")), default=Value("model"), output_field=CharField())
    # As floats: the sum of several very large counts exceeds a database's integers.
    sums = {f"{name}_sum": Sum(Cast(name, FloatField())) for name in ("calls", "items")}
    rows = calls.annotate(of=of).values_list("run_id", "of").annotate(**sums)
    if with_logged:
        logged = Metric.objects.filter(run__in=list(runs), name__in=WORK, total__gte=1, total__lt=1e18).order_by()
        of_one = logged.annotate(none=Cast(Value(0.0), FloatField()))
        rows = rows.union(of_one.values_list("run_id", "name", "total", "none"), all=True)
    found: dict[int, dict[str, float]] = defaultdict(dict)
    for run, counted, *counts in rows:
        found[run] |= dict(zip(COUNTS_OF.get(counted, (counted,)), counts, strict=False))
    return found


class CallRow(NamedTuple):
    method: str
    calls: int
    items: int
    busy_s: float
    energy_kwh: float | None

    @property
    def kwh_per_1000(self) -> float | None:
        """Energy of a thousand items, or of a thousand calls if items were not counted."""
        count = self.items or self.calls
        return None if self.energy_kwh is None or not count else 1000 * self.energy_kwh / count


def call_rows(run: Run) -> list[CallRow]:
    """Return the calls by method over all writers; a method's energy is its share of the run's time.

    Calls at the same time share it: of endpoints, and of methods, all together have at most the run's energy.
    """
    by_method: dict[str, tuple[int, int, float]] = {}
    # Added up here: databases abort a statement whose sum of integers exceeds 64 bits.
    for method, calls, items, busy_s in run.calls.values_list("method", "calls", "items", "busy_s").iterator():
        former = by_method.get(method, (0, 0, 0.0))
        by_method[method] = former[0] + calls, former[1] + items, former[2] + busy_s
    together_s = {True: 0.0, False: 0.0}
    for method, counts in by_method.items():
        together_s[Call.is_of_a_service(method)] += counts[-1]
    return [
        _call_row(run, method, *counts, max(run.duration_s, together_s[Call.is_of_a_service(method)]))
        for method, counts in by_method.items()
    ]


def _call_row(run: Run, method: str, calls: int, items: int, busy_s: float, of_s: float) -> CallRow:
    share = 1.0 if method == Call.REQUESTS else busy_s / of_s if busy_s >= LEAST_BUSY_S and of_s > 0 else None
    return CallRow(method, calls, items, busy_s, None if share is None else run.energy_kwh * share)
