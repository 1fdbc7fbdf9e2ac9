"""Weights & Biases: a run's figures in the W&B run."""

from __future__ import annotations

import contextlib
import sys

from traceml_agent.integrations.reporting import Report
from traceml_agent.tracking.interface import RunInterface


def report(run: RunInterface, given=None) -> None:
    """Report to a W&B run: the one that is given, or the one of this process."""

    def find():
        active = given or getattr(sys.modules.get("wandb"), "run", None)
        return WandbRun(active) if active is not None else None

    Report(run, "wandb", find)


class WandbRun:
    """A W&B run. Figures join the row of the training's current step, and never begin a step: W&B ignores what is
    logged for a step that is over, so a step of ours would cost the training some of its own metrics."""

    def __init__(self, run):
        self._run = run

    @property
    def is_over(self) -> bool:
        return getattr(self._run, "_is_finished", False)

    def begin(self, labels: dict, now) -> None:
        # `wandb.finish()` may come first: then the run keeps the figures as of that moment, where W&B has these hooks,
        # which its own integrations use. Without them, it keeps those of the last report.
        with contextlib.suppress(ImportError, AttributeError):
            from wandb.sdk.wandb_run import TeardownHook, TeardownStage

            self._run._teardown_hooks.append(TeardownHook(now, TeardownStage.EARLY))
        self._run.config.update(labels, allow_val_change=True)  # after it, as this may wait while the training goes on

    def log(self, figures: dict) -> None:
        self._run.log(figures, commit=False)

    def end(self, figures: dict) -> None:
        self._run.log(figures, commit=False)
        self._run.summary.update(figures)  # which a later row of the training's leaves alone
