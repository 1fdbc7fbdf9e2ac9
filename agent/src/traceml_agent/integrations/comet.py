"""Comet: a run's figures in the Comet experiment."""

from __future__ import annotations

import sys

from traceml_agent.integrations.reporting import Report
from traceml_agent.tracking.interface import RunInterface


def report(run: RunInterface, given=None) -> None:
    """Report to an experiment of Comet: the one that is given, or the one in progress in this process."""

    def find():
        running = getattr(sys.modules.get("comet_ml"), "get_running_experiment", lambda: None)
        active = given or running()
        return CometExperiment(active) if active is not None else None

    Report(run, "comet", find)


class CometExperiment:
    """An experiment of Comet. Figures carry the training's current step, which they leave alone."""

    def __init__(self, experiment):
        self._experiment = experiment

    @property
    def is_over(self) -> bool:
        return not self._experiment.alive

    def begin(self, labels: dict, now) -> None:
        self._experiment.log_others(labels)

    def log(self, figures: dict) -> None:
        self._experiment.log_metrics(figures)

    end = log
