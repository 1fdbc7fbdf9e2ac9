"""PyTorch Lightning: `Trainer(callbacks=[TraceMLCallback()])`, imported as `lightning` or as `pytorch_lightning`."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Mapping
from typing import Any

from traceml_agent.host import job
from traceml_agent.inputs.metadata import number
from traceml_agent.integrations.joining import Joined
from traceml_agent.messages import guarded

#: Both are the same code, with classes of their own.
NAMES = ("lightning.pytorch", "pytorch_lightning")
#: Trainer settings that are kept as parameters.
SETTINGS = (
    *("max_epochs", "min_epochs", "max_steps", "max_time", "precision", "num_devices", "num_nodes", "world_size"),
    *("accumulate_grad_batches", "gradient_clip_val", "check_val_every_n_epoch", "val_check_interval"),
    *("limit_train_batches", "log_every_n_steps"),
)


def _bases() -> list[Any]:
    """The callback classes of those that are loaded, so that a trainer of either takes this one for its own."""
    loaded = [name for name in NAMES if name in sys.modules]
    if not loaded:
        loaded = [next((name for name in NAMES if importlib.util.find_spec(name.partition(".")[0])), NAMES[0])]
    return [importlib.import_module(name).Callback for name in loaded]


class TraceMLCallback(*_bases()):  # type: ignore[misc]
    """Measures each `fit`, `validate`, `test` and `predict` of a trainer, or adds to the run of a `track` around it.

    Arguments are those of `traceml_agent.start`; the model's name is its class's if none is given.
    """

    def __init__(self, model: str | None = None, **options):
        self._joined = Joined({"model": model} | options)
        self._forget()

    def _forget(self) -> None:
        self._seen: dict[str, Any] = {}
        self._logged: dict[str, float | None] = {}
        self._validated: set[str] = set()
        self._step = 0

    def __getstate__(self) -> dict:
        return {"_joined": self._joined}

    def __setstate__(self, state: dict) -> None:
        self._joined = state["_joined"]
        self._forget()

    def state_dict(self) -> dict:
        return {"run_id": self._joined.run_id}

    def load_state_dict(self, state_dict: dict) -> None:
        self._joined.continue_run(state_dict.get("run_id", ""))

    # When to begin is the same on all ranks, whatever their agents do: one alone would wait for the others for ever.

    @guarded()
    def on_fit_start(self, trainer, pl_module) -> None:
        if not trainer.strategy.restore_checkpoint_after_setup:  # else the run to continue is not known yet
            self._begin(trainer, pl_module, "training")

    @guarded()
    def on_train_start(self, trainer, pl_module) -> None:
        if trainer.strategy.restore_checkpoint_after_setup:
            self._begin(trainer, pl_module, "training")
        self._joined.log_params(_params(trainer, pl_module))
        self._joined.plan_epochs(_planned_epochs(trainer))

    @guarded()
    def _begin(self, trainer, module, kind: str) -> None:
        """Begin on every rank. If Lightning launched the ranks, the first tells the others about the run."""
        self._forget()
        launcher = getattr(trainer.strategy, "cluster_environment", None)
        are_launched = trainer.world_size > 1 and type(launcher).__name__ == "LightningEnvironment"
        if are_launched:
            are_children = type(trainer.strategy.launcher).__name__ != "_MultiProcessingLauncher"
            job.know(trainer.global_rank, trainer.world_size, trainer.local_rank, trainer.num_devices, are_children)
            if trainer.global_rank:
                self._joined.accept(trainer.strategy.broadcast(None))
        self._joined.begin(type(module).__name__, kind)
        if are_launched and not trainer.global_rank:
            trainer.strategy.broadcast(self._joined.invitation())

    @guarded()
    def on_sanity_check_start(self, trainer, pl_module) -> None:
        self._joined.begin_stage("sanity check")

    @guarded()
    def on_sanity_check_end(self, trainer, pl_module) -> None:
        self._joined.end_stage()

    @guarded()
    def on_train_epoch_start(self, trainer, pl_module) -> None:
        self._log_changed(trainer.callback_metrics)
        self._joined.begin_epoch(trainer.current_epoch + 1)

    @guarded()
    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx) -> None:
        self._joined.log({"samples": samples(batch)})
        if trainer.global_step != self._step:
            self._step = trainer.global_step
            if trainer.log_every_n_steps and self._step % trainer.log_every_n_steps == 0:
                self._log_training(trainer.logged_metrics)

    def on_train_epoch_end(self, trainer, pl_module) -> None:
        self._end_epoch(trainer)
        stops = self._joined.stops()
        if trainer.world_size > 1:
            stops = trainer.strategy.reduce_boolean_decision(stops, all=False)
        trainer.should_stop = trainer.should_stop or stops

    @guarded()
    def _end_epoch(self, trainer) -> None:
        self._log_training(trainer.callback_metrics)
        self._joined.end_epoch()

    @guarded()
    def on_train_end(self, trainer, pl_module) -> None:
        self._log_changed(trainer.callback_metrics)

    @guarded()
    def on_validation_start(self, trainer, pl_module) -> None:
        if trainer.state.fn == "validate":
            self._begin(trainer, pl_module, "evaluation")
        if not trainer.sanity_checking:
            self._new(trainer.callback_metrics)
            self._joined.begin_stage("validation")

    @guarded()
    def on_validation_end(self, trainer, pl_module) -> None:
        if not trainer.sanity_checking:
            self._log_validation(trainer.callback_metrics)
            self._joined.end_stage()

    @guarded()
    def on_validation_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        if trainer.state.fn == "validate":
            self._joined.log({"samples": samples(batch)})

    @guarded()
    def on_test_start(self, trainer, pl_module) -> None:
        self._begin(trainer, pl_module, "evaluation")
        self._joined.begin_stage("test")

    @guarded()
    def on_test_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._joined.log({"samples": samples(batch)})

    @guarded()
    def on_test_end(self, trainer, pl_module) -> None:
        self._log_validation(trainer.callback_metrics)
        self._joined.end_stage()

    @guarded()
    def on_predict_start(self, trainer, pl_module) -> None:
        self._begin(trainer, pl_module, "inference")
        self._joined.begin_stage("prediction")

    @guarded()
    def on_predict_batch_end(self, trainer, pl_module, outputs, batch, batch_idx, dataloader_idx=0) -> None:
        self._joined.log({"samples": samples(batch)})

    @guarded()
    def on_predict_end(self, trainer, pl_module) -> None:
        self._joined.end_stage()

    @guarded()
    def teardown(self, trainer, pl_module, stage) -> None:
        self._joined.end()

    @guarded()
    def on_exception(self, trainer, pl_module, exception) -> None:
        self._joined.end(exception)

    def _new(self, metrics: Mapping) -> dict[str, float | None]:
        """Those that were computed since the last look: the trainer keeps the others as they are."""
        new = {name: number(value) for name, value in metrics.items() if value is not self._seen.get(name)}
        self._seen |= metrics
        return new

    def _log(self, metrics: dict[str, float | None]) -> None:
        self._logged |= metrics
        self._joined.log(metrics)

    def _log_validation(self, metrics: Mapping) -> None:
        new = self._new(metrics)
        self._validated |= new.keys()
        self._log(new)

    def _log_training(self, metrics: Mapping) -> None:
        """Log what the training computed. The trainer copies the metrics of a validation after its end."""
        new = self._new(metrics)
        self._log({name: new[name] for name in new if name not in self._validated or self._is_changed(name, new)})

    def _log_changed(self, metrics: Mapping) -> None:
        """Log what the module's own hooks logged after this one."""
        new = self._new(metrics)
        self._log({name: new[name] for name in new if self._is_changed(name, new)})

    def _is_changed(self, name: str, new: dict[str, float | None]) -> bool:
        return new[name] != self._logged.get(name)


def samples(batch) -> int:
    """How many samples a batch has: the first dimension of the first tensor in it; 0 if it has none."""
    if getattr(type(batch), "shape", None) is not None:
        return int(batch.shape[0]) if len(batch.shape) else 1
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    if not isinstance(batch, (list, tuple)):
        return 0
    return next(filter(None, map(samples, batch)), 0)


def _params(trainer, module) -> dict:
    """Settings of the trainer, optimizer and data loader, and the user's hyperparameters, which override them."""
    from torch.nn.parameter import is_lazy

    parameters = [each for each in module.parameters() if not is_lazy(each)]
    found = {name: getattr(trainer, name, None) for name in SETTINGS}
    found |= {
        "accelerator": type(trainer.accelerator).__name__,
        "strategy": type(trainer.strategy).__name__,
        "callbacks": [type(each).__name__ for each in trainer.callbacks],
        "parameters": sum(each.numel() for each in parameters),
        "trainable_parameters": sum(each.numel() for each in parameters if each.requires_grad),
    }
    for optimizer in trainer.optimizers[:1]:
        found["optimizer"] = type(getattr(optimizer, "optimizer", optimizer)).__name__
        found |= {f"optimizer_{name}": value for name, value in optimizer.defaults.items()}
    loader = trainer.train_dataloader
    found |= {name: getattr(loader, name) for name in ("batch_size", "num_workers") if hasattr(loader, name)}
    return found | dict(getattr(trainer.datamodule, "hparams", {})) | dict(module.hparams)


def _planned_epochs(trainer) -> int | None:
    """How many epochs are planned, by their number or that of the steps; None if there is no end."""
    planned = [trainer.max_epochs] if trainer.max_epochs and trainer.max_epochs > 0 else []
    steps = trainer.num_training_batches / trainer.accumulate_grad_batches
    if trainer.max_steps > 0 and 0 < steps < math.inf:
        planned.append(math.ceil(trainer.max_steps / math.ceil(steps)))
    return min(planned, default=None)
