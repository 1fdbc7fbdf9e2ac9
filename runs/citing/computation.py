"""The computation of a training, in floating-point operations, as far as its runs say it.

TraceML counts no operations itself: a run logs the number, as a metric or as a parameter, under one of NAMES.
"""

from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Exists, OuterRef, Q, Subquery

from runs.figures.run_links import RunLink
from runs.models import Metric, Run
from runs.sql.lookups import Item

#: A run's operations in all. The second name is what Hugging Face's Trainer logs at its end. A name like `flops` is not
#: among them: it is used for operations per second and per forward pass as well.
NAMES = ("training_flop", "total_flos")
#: More is an error: the largest trainings of 2025 are below 1e27. So a sum stays finite.
MOST_FLOP = 1e40


class Computation(NamedTuple):
    """Floating-point operations, and how many of the runs said theirs."""

    flop: float
    runs: int


def computation_of(runs: Iterable[RunLink]) -> Computation | None:
    """Return the sum over these runs of what each logged last; None if none did."""
    found = Run.objects.filter(pk__in=[run.pk for run in runs]).order_by()
    found = found.filter(Q(params__has_any_keys=NAMES) | Exists(_logged()))
    logged = [Subquery(_logged().filter(name=name).values("last")[:1]) for name in NAMES]
    rows = found.values_list(*logged, *(Item("params", name) for name in NAMES))
    amounts = [next(filter(_is_amount, map(_read, row)), None) for row in rows]
    known = [float(amount) for amount in amounts if amount is not None]
    return Computation(sum(known), len(known)) if known else None


def _logged():
    return Metric.objects.filter(run=OuterRef("pk"), name__in=NAMES).order_by()


def _read(stored):
    return Item.read(stored) if stored is not None else None


def _is_amount(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value <= MOST_FLOP
