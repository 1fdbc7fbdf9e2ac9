"""Models behind an API: their energy is calculated by EcoLogits from tokens, since nobody who uses them can measure it.

Each model has a run of kind `inference` with one device, whose basis is `modelled`: it shows no energy of this machine,
and no total mixes it silently with what was measured. Energy is that of the usage phase, in the data centre (its PUE is
in it), with EcoLogits' own range; emissions use the portal's factor, as for all runs.
"""

from __future__ import annotations

import math
import os
import threading

from traceml_agent.inputs import config
from traceml_agent.inputs.left_out import LeftOut
from traceml_agent.messages import guarded
from traceml_agent.sensors.sensor import Reading, Sensor, facts
from traceml_agent.tracking.run import Run
from traceml_agent.watch import REQUESTS, Watched

J_PER_KWH = 3.6e6
UNKNOWN = "EcoLogits {version} does not know the model {model} of {provider}"

_models: dict[tuple[str, str], HostedModel] = {}
_lock = threading.Lock()
_left_out = LeftOut()


def _in_child() -> None:
    """A forked child has runs of its own, since the parent's are measured there."""
    global _lock
    _lock = threading.Lock()
    _models.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)


@guarded()
def log(
    model: str,
    provider: str,
    output_tokens: int,
    requests: int = 1,
    latency_s: float | None = None,
    prompt_tokens: int = 0,
    **options,
) -> None:
    """Count requests to a hosted model: how many, and how many tokens their answers have together.

    `model` and `provider` are EcoLogits' names, such as "gpt-4o-mini" and "openai". `latency_s` is the time of one
    request, if known: a request that was answered faster than the method expects used less. A model that EcoLogits does
    not know is left out, and counted as that. `options` are those of `traceml_agent.start` (tags, params, settings) and
    are used by the first call for a model.
    """
    from ecologits.tracers.utils import llm_impacts

    count = max(int(requests), 0)
    if not count:
        return
    latency = math.inf if latency_s is None else max(float(latency_s), 0.0)
    try:
        impacts = llm_impacts(provider, model, max(float(output_tokens), 0.0) / count, latency)  # type: ignore[arg-type]
    except KeyError:  # a provider that it does not know
        impacts = None
    add(
        provider,
        model,
        impacts,
        output_tokens,
        prompt_tokens,
        count,
        0.0 if latency_s is None else latency * count,
        options,
    )


def add(
    provider: str, model: str, impacts, tokens: float, prompt_tokens: float, requests: int, busy_s: float, options: dict
) -> None:
    """Add requests to a model's run; `impacts` are EcoLogits' of one of them."""
    energy = getattr(getattr(impacts, "usage", None), "energy", None)
    if energy is None:
        _leave_out(provider, model, requests)
        return
    found = _run_of(provider, model, options)
    if found is not None:
        low, high = _ends(energy.value)
        found.add(requests * low * J_PER_KWH, requests * high * J_PER_KWH)
        found.count(requests, busy_s, {"tokens": tokens, "prompt_tokens": prompt_tokens})


def _ends(value) -> tuple[float, float]:
    """The lowest and the highest value, in kWh; the same twice if EcoLogits states one."""
    return (value.min, value.max) if hasattr(value, "min") else (value, value)


def _leave_out(provider: str, model: str, requests: int) -> None:
    """Tell the runs that exist, and the log, what is in none of them."""
    reason = UNKNOWN.format(version=_version(), model=model, provider=provider)
    with _lock:
        runs = [each.run for each in _models.values()]
    if runs and (journal := runs[0].journal()):
        journal.left_out.note("requests to hosted models", reason, requests)
    else:
        _left_out.note("requests to hosted models", reason, requests)


def _run_of(provider: str, model: str, options: dict) -> HostedModel | None:
    """The model's run in this process, begun by its first request; None if the agent is disabled."""
    with _lock:
        key = provider, model
        if key not in _models or not _models[key].run.is_open:
            settings = {name: value for name, value in options.items() if name in config.FIELDS}
            chosen = config.load(**settings)
            if chosen.disabled:
                return None
            _models[key] = HostedModel(provider, model, chosen, options)
        return _models[key]


def _version() -> str:
    from importlib.metadata import version

    return version("ecologits")


class HostedModel(Sensor):
    """A model behind an API as a device: a counter of joules that its requests advance. `run` is what it belongs to."""

    every_s = 5.0

    def __init__(self, provider: str, model: str, settings: config.Settings, options: dict):
        self._low_j = self._high_j = 0.0
        self._adding = threading.Lock()
        method, note = f"EcoLogits {_version()}", "Calculated from tokens for a model behind an API, not measured"
        self.facts = facts("hosted", "other", f"{model} ({provider})", basis="modelled", method=method, note=note)
        params = {"provider": provider} | (options.get("params") or {})
        about = (options.get("model", model), "inference", options.get("name"), options.get("tags"), params)
        self.run = Run(*about, settings, only=[self]).begin()
        self._counts = Watched(self.run.board).counts(REQUESTS)

    def add(self, low_j: float, high_j: float) -> None:
        """Add energy by the ends of its range; the figure is their mean, as EcoLogits' own."""
        with self._adding:
            self._low_j += low_j
            self._high_j += high_j
            mean_j = (self._low_j + self._high_j) / 2
            if self._high_j > self._low_j:  # else the range is that of the basis
                self.facts["range_low"], self.facts["range_high"] = self._low_j / mean_j, self._high_j / mean_j

    def count(self, requests: int, busy_s: float, work: dict[str, float]) -> None:
        """Count requests and their tokens."""
        with self._adding:
            self._counts.add(requests, busy_s, requests)
        if done := {name: amount for name, amount in work.items() if amount}:
            self.run.log(done)

    def read(self) -> Reading:
        return Reading(energy_j=(self._low_j + self._high_j) / 2)
