"""MLflow: a run's figures in the active MLflow run, and the other way round, `autolog`.

MLflow's active run belongs to a thread, so it is looked up where the training works; reports then name it by its id.
"""

from __future__ import annotations

import sys
import time

from traceml_agent.integrations.reporting import Report
from traceml_agent.tracking.interface import RunInterface


def report(run: RunInterface, given=None) -> None:
    """Report to an MLflow run: the one that is given, or the one that is active when the training tells of itself.

    A run that began and ended in between, as `mlflow.autolog()` makes them around each `fit`, is found at the end.
    """
    before = _last_run_id()

    def find():
        mlflow = sys.modules.get("mlflow")
        if mlflow is None or not hasattr(mlflow, "active_run"):
            return None
        active = given or mlflow.active_run()
        last = _last_run_id()
        run_id = active.info.run_id if active else last if last != before else None
        return MLflowRun(run_id, mlflow.get_tracking_uri()) if run_id else None

    Report(run, "mlflow", find)


def _last_run_id() -> str | None:
    """The id of the MLflow run that ended last in this thread. `mlflow.last_active_run` would ask the server."""
    last = getattr(sys.modules.get("mlflow.tracking.fluent"), "_last_active_run_id", None)
    return last if last is None or isinstance(last, str) else last.get()  # a text before MLflow 2.18


class MLflowRun:
    """An MLflow run, by its id: it takes metrics from any thread, and still does when it has ended."""

    is_over = False

    def __init__(self, run_id: str, tracking_uri: str):
        self._run_id, self._tracking_uri = run_id, tracking_uri

    def begin(self, labels: dict, now) -> None:
        from mlflow import MlflowClient
        from mlflow.entities import RunTag

        self._client = MlflowClient(tracking_uri=self._tracking_uri)
        self._client.log_batch(self._run_id, tags=[RunTag(*label) for label in labels.items()], synchronous=True)

    def log(self, figures: dict) -> None:
        from mlflow.entities import Metric

        at_ms, step = round(time.time() * 1000), round(figures["traceml/duration_s"])
        metrics = [Metric(name, value, at_ms, step) for name, value in figures.items()]
        self._client.log_batch(self._run_id, metrics=metrics, synchronous=True)

    end = log
