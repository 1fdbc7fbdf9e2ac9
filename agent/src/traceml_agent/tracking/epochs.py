"""Epochs: each in a stage of its own, with what it used, and a forecast of the whole run."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator

from traceml_agent import figures
from traceml_agent.inputs import config, metadata
from traceml_agent.measuring import summary as numbers
from traceml_agent.messages import guarded, let_handlers_through
from traceml_agent.tracking.stages import NoStage, Stage

#: How long the last power is assumed to continue without a reading, since a busy interpreter delays them.
GO_ON_S = 5.0


class Gauge:
    """A run's energy at any moment, from two readings of its meters: they are read every few seconds, but epochs end at
    any time."""

    def __init__(self):
        self._before: tuple[float, float] = (0.0, 0.0)
        self._last: tuple[float, float] = (0.0, 0.0)

    def read(self, meters: list) -> None:
        """Take the current energy of the meters."""
        at = max((meter.at for meter in meters), default=0.0)
        if at > self._last[0]:
            self._before, self._last = self._last, (at, sum(numbers.energy_of(meter).energy_j for meter in meters))

    def energy_j(self, now: float) -> float:
        """Joules at a monotonic time: the last reading, plus the power of the last interval since then."""
        (before_at, before_j), (at, energy_j) = self._before, self._last
        interval_s = at - before_at
        if not before_at or interval_s <= 0:
            return energy_j
        return energy_j + (energy_j - before_j) / interval_s * min(max(now - at, 0.0), GO_ON_S)


class Epochs:
    """Iterates over `iterable`, each item in a stage, and updates the run's `forecast` after each.

    A framework that iterates by itself calls `begin` and `end` instead; `iterable` is then what it will iterate over.
    """

    def __init__(self, run, iterable: Iterable, name: str):
        self._run, self._iterable, self._name = run, iterable, name
        self._energies_j: list[float] = []
        self._durations_s: list[float] = []
        self._total = metadata.total(_length(iterable))
        self._stage: Stage | NoStage = NoStage()
        self._began = (0.0, 0.0)

    def __len__(self) -> int:
        if self._total is None:
            raise TypeError(f"object of type {type(self._iterable).__name__!r} has no len()")
        return self._total

    def __copy__(self) -> Epochs:
        return self

    def __deepcopy__(self, memo) -> Epochs:
        return self

    def __reduce__(self):
        return Epochs, (self._run, self._iterable, self._name)

    def __iter__(self) -> Iterator:
        for number, item in enumerate(self._iterable, 1):
            if self._run.begins_no_further_epoch():
                break
            self.begin(number)
            try:
                yield item
            except BaseException:
                self.leave()
                raise
            self.end()
        self.end_line()

    def begin(self, number: int, note: str = "") -> None:
        """Begin an epoch by its number, from 1. For frameworks that tell of epochs instead of iterating over them.

        `note` follows the number in the stage's name, in parentheses.
        """
        self._began = self._now()
        name = f"{self._name} {number}"
        self._stage = self._run.stage(f"{name} ({note})" if note else name, total=self._total)
        self._stage.__enter__()

    def end(self) -> None:
        """End the epoch that began last: update the forecast, check the budget, and show a line in a terminal."""
        self.leave()
        self._note(*self._began)

    def leave(self) -> None:
        """End the stage of an epoch that ends early, if one is open; it counts for no forecast."""
        self._stage.__exit__()
        self._stage = NoStage()

    def _now(self) -> tuple[float, float]:
        now = time.monotonic()
        return now, self._run.energy_j(now)

    @guarded()
    def _note(self, began_at: float, began_j: float) -> None:
        ended_at, ended_j = self._now()
        self._durations_s.append(ended_at - began_at)
        self._energies_j.append(max(ended_j - began_j, 0.0))
        self._run.forecast = self.forecast()
        self._run.check_budget()
        if self._is_shown():
            print(f"\r{self.line()}\033[K", end="", file=sys.stderr, flush=True)

    def forecast(self) -> numbers.Record:
        """Energy, emissions and duration of all epochs, with the 95 % interval of the energy."""
        from traceml_agent import estimation

        done = len(self._energies_j)
        total = max(self._total or done, done)
        expected, low, high = (estimation.energy_kwh(j) for j in estimation.forecast(self._energies_j, total))
        return numbers.Record(
            epochs=total,
            epochs_done=done,
            energy_kwh=expected,
            energy_low_kwh=low,
            energy_high_kwh=high,
            emissions_kg=estimation.emissions_kg(expected, config.catalogue().factor().kg_per_kwh),
            duration_s=estimation.forecast(self._durations_s, total)[0],
        )

    def line(self) -> str:
        """How many epochs are done, what the last one used, and what all are expected to use."""
        found, last_kwh = self.forecast(), self._energies_j[-1] / 3.6e6
        expected = figures.energy_with_range(found.energy_kwh, found.energy_low_kwh, found.energy_high_kwh)
        whole = f"{expected}, {figures.duration(found.duration_s)}"
        done = f"{self._name} {found.epochs_done:,} of {found.epochs:,}: {figures.energy(last_kwh)}"
        return f"TraceML: {done}; expected in total: {whole}"

    def end_line(self) -> None:
        """End the line in the terminal, after the last epoch."""
        if self._energies_j and self._is_shown():
            numbers.say("")

    def _is_shown(self) -> bool:
        return self._run.is_measuring and self._run.rank == 0 and _is_terminal()


def _length(iterable) -> int | None:
    try:
        return len(iterable)
    except Exception as error:  # noqa: BLE001 (a dataset of the user's, or a range longer than `len` can say)
        let_handlers_through(error)
        return None


def _is_terminal() -> bool:
    """Whether stderr is a terminal: a line that is redrawn is no use in a log."""
    try:
        return sys.stderr.isatty()
    except (AttributeError, ValueError):
        return False
