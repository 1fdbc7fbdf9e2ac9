"""OpenTelemetry: metrics of runs, with the names of its semantic conventions for hardware where they have one.

https://opentelemetry.io/docs/specs/semconv/hardware/common/ defines `hw.energy` (J), `hw.power` (W) and their
attributes. There is no convention for emissions.
"""

from __future__ import annotations

from collections.abc import Iterator

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Meter, Observation

from traceml_agent.integrations.reporting import Exposed
from traceml_agent.tracking.interface import RunInterface
from traceml_agent.version import __version__

#: The convention's word for a kind of device, where it is not ours.
TYPES = {"ram": "memory"}
#: The instruments of each provider or meter.
_instruments: dict[object, Instruments] = {}


def report(run: RunInterface, given=None) -> None:
    """Let a MeterProvider or Meter observe the run: the one that is given, or the global provider."""
    provider = given if given is not None else metrics.get_meter_provider()
    if provider not in _instruments:
        meter = provider if isinstance(provider, Meter) else provider.get_meter("traceml_agent", __version__)
        _instruments[provider] = Instruments(meter)
    _instruments[provider].runs.add(run)


class Instruments:
    """The instruments of one provider. They observe all of its runs, since none can be taken back."""

    def __init__(self, meter: Meter):
        self.runs = Exposed()
        #: Of each device, its joules and seconds when its power was last observed.
        self._before: dict[tuple[str, str], tuple[float, float]] = {}
        meter.create_observable_counter("hw.energy", [self._energy], "J", "Energy consumed by the component.")
        meter.create_observable_gauge("hw.power", [self._power], "W", "Mean power since it was last observed.")
        meter.create_observable_counter("traceml.emissions", [self._of("emissions_kg")], "kg", "CO2e of the run.")
        meter.create_observable_counter("traceml.duration", [self._of("duration_s")], "s", "Duration of the run.")
        meter.create_observable_gauge(
            "traceml.measured_share", [self._of("measured_share")], "1", "Share of the energy that was measured."
        )

    def _of(self, name: str):
        def observe(options: CallbackOptions) -> Iterator[Observation]:
            for run in self.runs:
                yield Observation(run.summary[name], _attributes(run))

        return observe

    def _energy(self, options: CallbackOptions) -> Iterator[Observation]:
        for _, device, attributes in self._devices():
            yield Observation(device.energy_j, attributes)

    def _power(self, options: CallbackOptions) -> Iterator[Observation]:
        for run, device, attributes in self._devices():
            key = run.run_id, attributes["hw.id"]
            before_j, before_s = self._before.get(key, (0.0, 0.0))
            if run.is_open and device.elapsed_s > before_s:
                self._before[key] = device.energy_j, device.elapsed_s
                power_w = max(device.energy_j - before_j, 0.0) / (device.elapsed_s - before_s)
                yield Observation(power_w, attributes)

    def _devices(self) -> Iterator[tuple]:
        for run in self.runs:
            for number, device in enumerate(run.summary.devices):
                yield (
                    run,
                    device,
                    _attributes(run)
                    | {
                        "hw.id": device.uuid or f"{device.kind}{number}",
                        "hw.type": TYPES.get(device.kind, device.kind),
                        "hw.name": device.name,
                        "traceml.basis": device.basis,
                    },
                )


def _attributes(run: RunInterface) -> dict[str, str]:
    return {"traceml.run.id": run.run_id, "traceml.model": run.model}
