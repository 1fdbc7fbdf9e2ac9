"""TensorBoard: a run's figures in the event file of a `SummaryWriter`, of PyTorch or of tensorboardX."""

from __future__ import annotations

from traceml_agent.integrations.reporting import Report
from traceml_agent.tracking.interface import RunInterface


def report(run: RunInterface, given) -> None:
    """Report to a writer. There is no active one to be found, so it has to be given."""
    Report(run, "tensorboard", lambda: TensorBoardWriter(given))


class TensorBoardWriter:
    """A `SummaryWriter`. The step of a figure is the run's seconds, as TensorBoard needs a whole number."""

    is_over = False

    def __init__(self, writer):
        self._writer = writer

    def begin(self, labels: dict, now) -> None:
        for name, text in labels.items():
            self._writer.add_text(name, text)

    def log(self, figures: dict) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, round(figures["traceml/duration_s"]))

    def end(self, figures: dict) -> None:
        self.log(figures)
        self._writer.flush()
