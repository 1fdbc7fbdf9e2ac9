"""Hugging Face Transformers: `Trainer(callbacks=[TraceMLCallback()])`, or `report_to="traceml"` once this is imported.

A `Trainer` tells its callbacks neither when an evaluation begins nor that an exception ends it. So two of its methods
are wrapped; a trainer without this callback is left alone.
"""

from __future__ import annotations

import functools
import json
import math
import os

from transformers import Trainer, TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_callback import ExportableState

from traceml_agent.inputs.config import SECRET
from traceml_agent.integrations.joining import Joined
from traceml_agent.messages import guarded


class TraceMLCallback(TrainerCallback, ExportableState):
    """Measures each `train`, `evaluate` and `predict` of a trainer, or adds to the run of a `track` around it.

    Arguments are those of `traceml_agent.start`; the model's name is that in its configuration if none is given.
    """

    def __init__(self, model: str | None = None, **options):
        self._joined = Joined({"model": model} | options)
        self._is_training = False
        self._epoch, self._tokens, self._items = 0.0, 0, 0

    @property
    def run_id(self) -> str:
        """The id of the run in progress, which a checkpoint keeps."""
        return self._joined.run_id

    @run_id.setter
    def run_id(self, run_id: str) -> None:
        self._joined.continue_run(run_id)

    def state(self) -> dict:
        """What a checkpoint keeps, in JSON: the id of the run, and the arguments except the token."""
        options = {name: value for name, value in self._joined.options.items() if name != SECRET and _is_json(value)}
        return {"args": options, "attributes": {"run_id": self.run_id}}

    @guarded()
    def on_train_begin(self, args, state, control, model=None, train_dataloader=None, **_) -> None:
        stored = (state.stateful_callbacks or {}).get(type(self).__name__)
        if state.global_step and isinstance(stored, dict):  # resumed from a checkpoint
            self.run_id = stored.get("attributes", {}).get("run_id", "")
        self._joined.begin(_name(model), params=_params(args, state, model))
        self._joined.plan_epochs(math.ceil(state.num_train_epochs or 0))
        self._is_training = True
        self._epoch, self._tokens = float(state.epoch or 0.0), state.num_input_tokens_seen
        self._items = _items(train_dataloader)

    @guarded()
    def on_epoch_begin(self, args, state, control, **_) -> None:
        self._joined.begin_epoch(int(state.epoch or 0) + 1)

    @guarded()
    def on_step_end(self, args, state, control, **_) -> None:
        """Count the work of all ranks, which the first one knows."""
        if not state.is_world_process_zero:
            return
        epoch = float(state.epoch or 0.0)
        items = self._items or args.train_batch_size * args.gradient_accumulation_steps * args.world_size
        share = epoch - self._epoch if self._items else 1
        tokens = state.num_input_tokens_seen - self._tokens
        self._epoch, self._tokens = epoch, state.num_input_tokens_seen
        self._joined.log({"samples": share * items, "tokens": tokens} if tokens else {"samples": share * items})

    @guarded()
    def on_log(self, args, state, control, logs=None, **_) -> None:
        self._joined.log(logs or {})

    @guarded()
    def on_epoch_end(self, args, state, control, **_) -> None:
        self._joined.end_epoch()
        if self._joined.stops():
            control.should_training_stop = True

    @guarded()
    def on_train_end(self, args, state, control, **_) -> None:
        self.end()

    @guarded()
    def begin_evaluation(self, trainer, dataloader, kind: str, stage: str) -> None:
        """Begin an evaluation or prediction: as a stage of the training, or by itself."""
        if not self._is_training:
            self._joined.begin(_name(trainer.model), kind, _params(trainer.args, trainer.state, trainer.model))
            if trainer.is_world_process_zero():
                self._joined.log({"samples": _items(dataloader)})
        self._joined.begin_stage(stage)

    @guarded()
    def on_evaluate(self, args, state, control, **_) -> None:
        self._end_evaluation()

    @guarded()
    def on_predict(self, args, state, control, metrics=None, **_) -> None:
        self._joined.log(metrics or {})
        self._end_evaluation()

    def _end_evaluation(self) -> None:
        self._joined.end_stage()
        if not self._is_training:
            self._joined.end()

    def end(self, error: BaseException | None = None) -> None:
        """End the training or evaluation in progress."""
        self._is_training = False
        self._joined.end(error)


def _name(model) -> str:
    """The model's name in the hub, its folder's, or else its architecture."""
    config = getattr(model, "config", None)
    name = getattr(config, "name_or_path", "") or ""
    if os.path.isdir(name) or os.path.isabs(name):
        name = os.path.basename(os.path.normpath(name))
    if not name or name.startswith("checkpoint-"):
        name = (getattr(config, "architectures", None) or [type(model).__name__])[0]
    return name


def _params(args, state, model) -> dict:
    """The arguments of the training, the configuration of the model and those of a search's trial.

    What names the host, or folders and so users, stays on the machine.
    """
    config = getattr(model, "config", None)
    found = config.to_dict() if config is not None and hasattr(config, "to_dict") else {}
    found |= args.to_dict() | (state.trial_params or {})
    if hasattr(model, "num_parameters"):
        found |= {"parameters": model.num_parameters(), "trainable_parameters": model.num_parameters(True)}
    is_private = {name for name, value in found.items() if isinstance(value, str) and os.path.isabs(value)}
    return {name: value for name, value in found.items() if name not in is_private | {"logging_dir"}}


def _items(dataloader) -> int:
    """The samples of a data loader; 0 if it doesn't know them."""
    try:
        return len(dataloader.dataset)
    except (TypeError, AttributeError):
        return 0


def _is_json(value) -> bool:
    try:
        return bool(json.dumps(value))
    except (TypeError, ValueError, RecursionError):
        return False


def _wrap(method: str, begin) -> None:
    """Make this method of every trainer tell its TraceML callbacks how it begins, and the exception that ends it."""
    original = getattr(Trainer, method)

    @functools.wraps(original)
    def wrapped(self, *args, **kwargs):
        for further in _callbacks(self)[:-1]:  # `report_to` adds one too; two would count all work twice
            self.remove_callback(further)
        for callback in _callbacks(self):
            begin(callback, self, *args, **kwargs)
        try:
            return original(self, *args, **kwargs)
        except BaseException as error:
            for callback in _callbacks(self):
                callback.end(error)
            raise

    setattr(Trainer, method, wrapped)


def _callbacks(trainer) -> list[TraceMLCallback]:
    return [each for each in trainer.callback_handler.callbacks if isinstance(each, TraceMLCallback)]


@guarded()
def _begin_evaluation(callback, trainer, dataloader, description="", *_, **__) -> None:
    is_prediction = description == "Prediction"
    how = ("inference", "prediction") if is_prediction else ("evaluation", "evaluation")
    callback.begin_evaluation(trainer, dataloader, *how)


_wrap("train", lambda *_, **__: None)
_wrap("evaluation_loop", _begin_evaluation)
INTEGRATION_TO_CALLBACK["traceml"] = TraceMLCallback
