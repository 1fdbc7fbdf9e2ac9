"""What a training reports to its run: stages, epochs, metrics, parameters. A run and its handles have the same
calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from traceml_agent.inputs import metadata
from traceml_agent.measuring import summary as numbers
from traceml_agent.messages import guarded, warn
from traceml_agent.spool.board import Board
from traceml_agent.tracking.budget import Budget
from traceml_agent.tracking.epochs import Epochs
from traceml_agent.tracking.journal import Journal
from traceml_agent.tracking.stages import NoStage, Stage


class RunInterface:
    """The calls that work everywhere: in the process that measures, and through a handle in any other."""

    model: str
    kind: str
    run_id: str
    url: str | None
    rank = 0
    budget: Budget
    forecast: numbers.Record | None = None
    #: The counts of watched models, and where they are.
    watched: list
    board: Board | None
    #: The notebook cell that started the run, if one did.
    cell: tuple[str, int | None, bool] | None = None
    #: False once it keeps nothing more.
    is_open = True
    #: The user's loggers that it reports to, by name or identity, and its reports: see `integrations.reporting`.
    loggers: frozenset = frozenset()
    reports: Sequence = ()

    @property
    def summary(self) -> numbers.Summary:
        """Energy, emissions and devices so far, or of the whole run once it has ended. See `Run.stop`."""
        return numbers.nothing()

    def journal(self) -> Journal | None:
        """Where this process keeps what is reported; None if nothing is kept, as after the end."""
        return None

    @property
    def is_measuring(self) -> bool:
        """Whether this object measures: False for a handle, a forked child's copy, and after the end."""
        return False

    def stop(self, status: str = "completed", exception: str = "") -> numbers.Record:
        """End the run where it is measured, and return its summary."""
        return self.summary

    @guarded(NoStage)
    def stage(self, name: str = "stage", total: int | None = None) -> Stage | NoStage:
        """A context manager around a named part of the run: `with run.stage("evaluation"):`.

        `total` is the number of stages in its series, if known.
        """
        journal = self._open_journal()
        self._tell_reports()
        return journal.stage(name, self, total) if journal else NoStage()

    def epochs(self, iterable: Iterable, name: str = "epoch") -> Epochs:
        """The items of `iterable`, each in a stage of its own: `for epoch in run.epochs(range(90)):`.

        After each, `forecast` has what the whole is expected to use, and a terminal shows it in a line. With
        `on_budget="stop"` there is no further epoch once the budget is used.
        """
        return Epochs(self, iterable, _epochs_name(name))

    @guarded()
    def log(self, *given, **metrics) -> None:
        """Keep numbers with the time at which they were logged: `run.log(loss=0.3)`, or `run.log({"val/loss": 0.4})`.

        `samples`, `tokens` and `prompt_tokens` are work done since the last call. They are added up over all ranks of a
        job, and the summary gives the energy per thousand.
        """
        journal = self._open_journal()
        if journal:
            journal.log(given, metrics)
        self._tell_reports()

    @guarded()
    def log_params(self, *given, **params) -> None:
        """Add or replace parameters: `run.log_params(lr=0.1)`, or `run.log_params({"lr": 0.1})`."""
        journal = self._open_journal()
        if journal:
            for each in (*given, params):
                journal.tell({"params": kept} if (kept := metadata.params(each, journal.left_out)) else {})

    def _open_journal(self) -> Journal | None:
        """The journal, and a warning if there is none any more."""
        journal = self.journal()
        if journal is None and self:
            warn("the run has ended, so nothing more of it is kept. Report before its block ends, or before `stop()`.")
        return journal

    def _tell_reports(self) -> None:
        for each in self.reports:
            each.hear()

    def _end_reports(self, summary: numbers.Record) -> None:
        """Report the whole run to all loggers at once, since each may take a moment."""
        for each in self.reports:
            each.end(summary)
        for each in self.reports:
            each.wait()

    def check_budget(self) -> None:
        """Check the budget, after each epoch."""

    def begins_no_further_epoch(self) -> bool:
        """Whether the budget is used and its action is to stop. Called before each epoch."""
        return self.budget.stops

    @property
    def over_budget(self) -> bool:
        """Whether the run has used more than `budget_kwh` or `budget_kg`."""
        return self.budget.is_over

    def energy_j(self, now: float, exactly: bool = False) -> float:
        """Joules so far at a monotonic time; 0 if nothing is measured here."""
        return 0.0

    @guarded()
    def _repr_html_(self) -> str | None:
        """What a notebook shows: the figures so far or of the whole run, with the power over time."""
        from traceml_agent.measuring import card

        state = "in progress" if self.is_open else "ended"
        return card.html(f"{self.model}: {self.kind}, {state}", self.summary, self.summary.curve)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, traceback) -> None:
        """The end of a block."""

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


@guarded("epoch")
def _epochs_name(given) -> str:
    return metadata.text(given) or "epoch"
