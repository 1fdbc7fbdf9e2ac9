"""Keras 3: `model.fit(…, callbacks=[TraceMLCallback()])`, with any backend.

Keras tells its callbacks neither the arguments of `fit`, `evaluate` and `predict` nor the exception that ends them. So
these methods are wrapped; a call without this callback is left alone.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import keras

from traceml_agent.integrations.joining import Joined
from traceml_agent.integrations.replacing import with_callback
from traceml_agent.messages import guarded

#: Where a run's id is kept beside the backup of `BackupAndRestore`, which deletes both when the training is complete.
BACKED_UP = "traceml_run_id"
#: Values of arguments that are kept as parameters; others are data and callbacks.
PLAIN = (int, float, str, bool)


class TraceMLCallback(keras.callbacks.Callback):
    """Measures each `fit`, `evaluate` and `predict` of a model, or adds to the run of a `track` around it.

    Arguments are those of `traceml_agent.start`; the model's name is its `name` if none is given. With a
    `BackupAndRestore` in the same list, a training that is started again continues its run.
    """

    def __init__(self, model: str | None = None, **options):
        super().__init__()
        self._joined = Joined({"model": model} | options)
        self._is_training = False
        self._call: dict[str, Any] = {}

    def __getstate__(self) -> dict:
        return self.__dict__ | {"_call": {}}

    @guarded()
    def take(self, call: Mapping) -> None:
        """Take the arguments of the call that is about to begin, by name."""
        self._call = dict(call)

    @guarded()
    def on_train_begin(self, logs=None) -> None:
        self._is_training = True
        if backup := _backup_folder(self._call.get("callbacks")):
            with contextlib.suppress(OSError), open(os.path.join(backup, BACKED_UP), encoding="utf-8") as file:
                self._joined.continue_run(str(uuid.UUID(file.read(100).strip())))
        self._joined.begin(self.model.name, params=self._params())
        self._joined.plan_epochs((self.params or {}).get("epochs"))
        if backup and self._joined.run_id:
            _keep(backup, self._joined.run_id)

    @guarded()
    def on_epoch_begin(self, epoch, logs=None) -> None:
        self._joined.begin_epoch(epoch + 1)

    @guarded()
    def on_epoch_end(self, epoch, logs=None) -> None:
        self._joined.log((logs or {}) | self._work())
        self._joined.end_epoch()
        if self._joined.stops():
            self.model.stop_training = True

    @guarded()
    def on_train_end(self, logs=None) -> None:
        self.end()

    @guarded()
    def on_test_begin(self, logs=None) -> None:
        if not self._is_training:
            self._joined.begin(self.model.name, "evaluation", self._params())
        self._joined.begin_stage("validation" if self._is_training else "evaluation")

    @guarded()
    def on_test_end(self, logs=None) -> None:
        self._joined.end_stage()
        if not self._is_training:  # else the epoch's metrics include these
            self._joined.log((logs or {}) | self._work())
            self.end()

    @guarded()
    def on_predict_begin(self, logs=None) -> None:
        if not self._is_training:
            self._joined.begin(self.model.name, "inference", self._params())
        self._joined.begin_stage("prediction")

    @guarded()
    def on_predict_end(self, logs=None) -> None:
        self._joined.end_stage()
        if not self._is_training:
            self._joined.log(self._work())
            self.end()

    def end(self, error: BaseException | None = None) -> None:
        """End the training, evaluation or prediction in progress."""
        self._is_training = False
        self._joined.end(error)

    def _params(self) -> dict:
        """The plain arguments of the call, the optimizer's configuration, the loss and the model's size."""
        model = self.model
        found = {name: value for name, value in self._call.items() if isinstance(value, PLAIN)}
        found |= {name: value for name, value in (self.params or {}).items() if value is not None}
        found |= {"layers": len(model.layers), "backend": keras.backend.backend()}
        if model.built:
            weights = model.trainable_weights
            found |= {"parameters": model.count_params(), "trainable_parameters": sum(_size(each) for each in weights)}
        if (optimizer := getattr(model, "optimizer", None)) is not None:
            config = optimizer.get_config()
            found |= {"optimizer": type(optimizer).__name__, "loss": _name(getattr(model, "loss", None))}
            found |= {f"optimizer_{name}": value for name, value in config.items()}
        return found

    def _work(self) -> dict[str, float]:
        """The samples of an epoch, an evaluation or a prediction, if the data tells how many it has."""
        count = _samples(self._call)
        return {"samples": count} if count else {}


def _samples(call: Mapping) -> int:
    """How many samples the call works on once; 0 if the data doesn't tell."""
    data: Any = call.get("x")
    batch_size = call.get("batch_size") or 32
    while isinstance(data, (list, tuple, dict)) and data:
        data = next(iter(data.values() if isinstance(data, dict) else data))
    if getattr(data, "shape", None):
        rows = int(data.shape[0] * (1 - (call.get("validation_split") or 0)))
    else:  # PyTorch's data loader
        batch_size = getattr(data, "batch_size", None) or batch_size
        rows = len(data.dataset) if hasattr(getattr(data, "dataset", None), "__len__") else 0
    steps = call.get("steps_per_epoch") or call.get("steps")
    return min(rows, steps * batch_size) if steps else rows


def _size(weight) -> int:
    size = 1
    for length in weight.shape:
        size *= length
    return size


def _name(value) -> str:
    return value if isinstance(value, str) else getattr(value, "name", None) or type(value).__name__


def _backup_folder(callbacks) -> str:
    """The folder of the `BackupAndRestore` among the callbacks; empty without one."""
    folders = (str(each.backup_dir) for each in callbacks or () if isinstance(each, keras.callbacks.BackupAndRestore))
    return next(folders, "")


def _keep(folder: str, run_id: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, BACKED_UP), "w", encoding="utf-8") as file:
            file.write(run_id)
    except OSError:  # another kind of storage: then `run_id` can be given
        pass


def _call(callback: TraceMLCallback, function: Callable, bound: inspect.BoundArguments):
    """Call one of these methods; the callback knows its arguments, and the exception that ends it."""
    callback.take(bound.arguments)
    try:
        return function(*bound.args, **bound.kwargs)
    except BaseException as error:
        callback.end(error)
        raise


for method in ("fit", "evaluate", "predict"):
    setattr(keras.Model, method, with_callback(getattr(keras.Model, method), TraceMLCallback, _call))
