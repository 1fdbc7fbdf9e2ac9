"""What a training tells of its run: stages, epochs, metrics, parameters. A run and its handles hear the same words."""

from __future__ import annotations

from collections.abc import Iterable

from traceml_agent.inputs import metadata
from traceml_agent.measuring import summary as numbers
from traceml_agent.messages import guarded
from traceml_agent.spool.board import Board
from traceml_agent.tracking.budget import Budget
from traceml_agent.tracking.epochs import Epochs
from traceml_agent.tracking.journal import Journal
from traceml_agent.tracking.stages import NoStage, Stage


class RunInterface:
    """The calls that work wherever the code runs: in the process that measures, and by a handle in any other."""

    model: str
    kind: str
    run_id: str
    url: str | None
    rank = 0
    budget: Budget
    forecast: numbers.Record | None = None
    #: What is counted of watched models, and where.
    watched: list
    board: Board | None
    #: The cell of a notebook that started it, where one did.
    cell: tuple[str, int | None, bool] | None = None
    #: False once it keeps nothing more that it is told.
    is_open = True

    def journal(self) -> Journal | None:
        """Where this process writes down what it is told; None where nothing is kept, as after the end."""
        return None

    @property
    def is_measuring(self) -> bool:
        """Whether this very object measures: not a handle, nor a forked child's copy, nor after the end."""
        return False

    @guarded(NoStage)
    def stage(self, name: str = "stage", total: int | None = None) -> Stage | NoStage:
        """A context manager around a named part of the run: `with run.stage("evaluation"):`.

        `total` says how many stages of its series there will be, as `epochs` knows it.
        """
        journal = self.journal()
        return journal.stage(name, self, total) if journal else NoStage()

    def epochs(self, iterable: Iterable, name: str = "epoch") -> Epochs:
        """The items of `iterable`, each in a stage of its own: `for epoch in run.epochs(range(90)):`.

        After each of them `forecast` tells what the whole is expected to use; on a terminal a line shows it. With
        `on_budget="stop"` there is no further one once the budget is used.
        """
        return Epochs(self, iterable, _epochs_name(name))

    @guarded()
    def log(self, *given, **metrics) -> None:
        """Keep numbers with the time they were logged at: `run.log(loss=0.3)`, or `run.log({"val/loss": 0.4})`.

        `samples` and `tokens` are work done since the last call: added up, over all ranks of a job, the summary tells
        the energy of a thousand.
        """
        journal = self.journal()
        if journal:
            journal.log(given, metrics)

    @guarded()
    def log_params(self, *given, **params) -> None:
        """Add parameters: `run.log_params(lr=0.1)`, or `run.log_params({"lr": 0.1})`. A later value replaces one."""
        journal = self.journal()
        if journal:
            for each in (*given, params):
                journal.tell({"params": kept} if (kept := metadata.params(each, journal.left_out)) else {})

    def look(self) -> None:
        """After each epoch: whether the budget is used."""

    def begins_no_further_epoch(self) -> bool:
        """Whether the budget is used and its action is to stop; asked before each epoch."""
        return self.budget.stops

    @property
    def over_budget(self) -> bool:
        """Whether the run has used more than `budget_kwh` or `budget_kg`."""
        return self.budget.is_over

    def energy_j(self, now: float) -> float:
        """Joules so far at a monotonic time; 0 where nothing is measured here."""
        return 0.0

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
