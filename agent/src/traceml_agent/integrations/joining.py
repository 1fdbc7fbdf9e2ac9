"""The run that a framework's callback reports to: the one in progress, or else one of its own.

With `track` around a training, its callback adds stages, metrics and parameters to that run; without, it starts a run
and ends it. So a user gets one run in both cases.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from traceml_agent.host import job
from traceml_agent.inputs import config
from traceml_agent.integrations import reporting
from traceml_agent.messages import guarded
from traceml_agent.track import current_run, start
from traceml_agent.tracking.epochs import Epochs
from traceml_agent.tracking.interface import RunInterface
from traceml_agent.tracking.stages import NoStage, Stage

#: How many runs of each kind this process has had.
_counts: dict[str, int] = {}


class Joined:
    """A training of a framework and its run. Every method may be called at any time, and none raises.

    `options` are the arguments of `traceml_agent.start`: model, kind, name, tags, params, budgets, settings. Those that
    are None count as not given. A copy or a pickle has the options, and no run yet.
    """

    def __init__(self, options: Mapping):
        self.options = {name: value for name, value in options.items() if value is not None}
        if "report_to" in self.options:
            self.options["report_to"] = config.Loggers.of(self.options["report_to"])
        self.run: RunInterface | None = None
        self._is_own = False
        self._epochs: Epochs | None = None
        self._stages: list[Stage | NoStage] = []
        self._continued = self._shared = ""

    def __reduce__(self):
        return Joined, (self.options,)

    @property
    def is_open(self) -> bool:
        """Whether a run is in progress."""
        return self.run is not None and self.run.is_open

    @property
    def run_id(self) -> str:
        """The id of the run in progress, for a checkpoint; empty if there is none."""
        return self.run.run_id if self.run is not None else ""

    @guarded()
    def continue_run(self, run_id: str) -> None:
        """Make the next training continue this run, as the checkpoint that it resumes from says."""
        self._continued = run_id if isinstance(run_id, str) else ""

    @guarded(dict)
    def invitation(self) -> dict:
        """What the other ranks of a job need to join the run of the first, if no launcher told them."""
        return {"run_id": self.run_id, "mark": job.mark()}

    @guarded()
    def accept(self, invitation: Mapping) -> None:
        """Make the next run the one that the first rank measures, if this process is its child, or a part of it."""
        self._shared = invitation.get("run_id", "")
        if mark := invitation.get("mark"):
            job.take_mark(mark)  # which counts only for a child

    @guarded()
    def begin(self, model: str, kind: str = "training", params: Mapping | None = None) -> None:
        """Join the run in progress, or start one: of this model and kind, unless the user chose others.

        The kind that the user chose is that of trainings: an evaluation by itself stays an evaluation, and a training
        is no part of the run of a service.
        """
        self._end_stages()
        if not self.is_open:
            outer = current_run()
            trains_in_a_service = outer.kind == "inference" and kind == "training"
            self._is_own = not outer or trains_in_a_service
            self.run = start(**self._arguments(model, kind)) if self._is_own else outer
            reporting.report(self.run, self.options.get("report_to", ()))
        if params and self.run is not None:
            self.run.log_params(params)

    def _arguments(self, model: str, kind: str) -> dict:
        shared, self._shared = self._shared, ""
        if kind != "training":
            return {"model": model, "run_id": shared or _id_in_job(kind)} | self.options | {"kind": kind}
        continued, self._continued = self._continued, ""
        return {"model": model, "kind": kind, "run_id": shared or continued or _id_in_job(kind)} | self.options

    @guarded()
    def end(self, error: BaseException | None = None) -> None:
        """End the run if it is its own: as failed or cancelled after an error, else as completed."""
        run, self.run = self.run, None
        self._end_stages()
        if self._epochs is not None:
            self._epochs.end_line()
            self._epochs = None
        if run is not None and self._is_own:
            run.__exit__(type(error) if error else None, error, None)

    @guarded()
    def begin_stage(self, name: str) -> None:
        """Begin a stage, within the one that is open."""
        if self.run is not None:
            self._stages.append(self.run.stage(name).__enter__())

    @guarded()
    def end_stage(self) -> None:
        """End the stage that began last, if one is open."""
        if self._stages:
            self._stages.pop().__exit__()

    def _end_stages(self) -> None:
        """End the stages that an error left open."""
        while self._stages:
            self._stages.pop().__exit__()
        if self._epochs is not None:
            self._epochs.leave()

    @guarded()
    def plan_epochs(self, total: int | None, name: str = "epoch") -> None:
        """Say how many epochs (or rounds, or trials) are planned, for the forecast; None if unknown."""
        if self.run is not None:
            self._epochs = self.run.epochs(range(total) if total else iter(()), name)

    @guarded()
    def begin_epoch(self, number: int, note: str = "") -> None:
        """Begin an epoch by its number, from 1; `note` follows it in parentheses."""
        if self._epochs is not None:
            self._epochs.begin(number, note)

    @guarded()
    def end_epoch(self) -> None:
        """End the epoch that began last, if one is open."""
        if self._epochs is not None:
            self._epochs.end()

    @guarded(False)
    def stops(self) -> bool:
        """Whether a budget with `on_budget="stop"` is used up, so that no further epoch should begin.

        Call it once after each epoch, on every rank.
        """
        return self.run is not None and self.run.begins_no_further_epoch()

    @guarded()
    def log(self, metrics: Mapping) -> None:
        """Log metrics; those that are no numbers are left out and counted."""
        if self.run is not None and metrics:
            self.run.log(metrics)

    @guarded()
    def log_params(self, params: Mapping) -> None:
        """Add parameters that are known only now."""
        if self.run is not None:
            self.run.log_params(params)

    def __enter__(self) -> Joined:
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self.end(error)

    def stage(self, name: str, total: int | None = None) -> Stage | NoStage:
        """A stage of the run, as a context manager."""
        return self.run.stage(name, total) if self.run is not None else NoStage()

    @guarded()
    def place(self, name: str, began_at: float, ended_at: float, metrics: Mapping) -> None:
        """Record a stage and its results that are known only afterwards, by two monotonic times."""
        if self.run is not None and (journal := self.run.journal()):
            journal.stage(name, self.run).place(began_at, ended_at)
            journal.log((metrics,), {}, at=(began_at + ended_at) / 2)

    @guarded(0.0)
    def energy_j(self, exactly: bool = True) -> float:
        """Joules of the run so far: `exactly` costs a reading of the processor."""
        return self.run.energy_j(time.monotonic(), exactly) if self.run is not None else 0.0


def _id_in_job(kind: str) -> str | None:
    """The id of a further run in a job of several ranks, the same on all of them; None for a job's first training,
    which has the job's id, and for a single process."""
    name = "" if config.load().run_id else job.name()
    if not name:
        return None
    number = _counts[kind] = _counts.get(kind, 0) + 1
    return None if (kind, number) == ("training", 1) else f"{name}/{kind} {number}"
