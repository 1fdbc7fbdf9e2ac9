"""Prometheus: metrics of runs in a registry of `prometheus_client`, or in a textfile for node_exporter's collector.

Names and units follow https://prometheus.io/docs/practices/naming/: joules, grams and seconds, as counters whose
`rate()` is the power.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from typing import NamedTuple

from traceml_agent.integrations.reporting import Exposed, Report
from traceml_agent.tracking.interface import RunInterface

#: The runs in each registry and each textfile, by the registry's identity or the file's path.
_exposed: dict[object, Exposed] = {}
_writing = threading.Lock()


class Metric(NamedTuple):
    """A metric: its name, without `_total` if it is a counter, its type, a description, and its labels and values."""

    name: str
    type: str
    help: str
    rows: list[tuple[dict[str, str], float]]


def report(run: RunInterface, given=None) -> None:
    """Show the run in a registry, by default `prometheus_client.REGISTRY`, or in a textfile if a path is given."""
    if isinstance(given, (str, os.PathLike)):
        path = os.path.abspath(os.path.expanduser(given))
        runs = _exposed.setdefault(path, Exposed())
        runs.add(run)
        Report(run, "prometheus", lambda: Textfile(path, runs))
        return
    import prometheus_client

    registry = given if given is not None else prometheus_client.REGISTRY
    if registry not in _exposed:
        _exposed[registry] = Exposed()
        registry.register(Collector(_exposed[registry]))
    _exposed[registry].add(run)


def families(runs: Iterable[RunInterface]) -> list[Metric]:
    """The metrics of runs, whose labels are those that every row of a metric has."""
    energy, emissions, seconds, share, info = [], [], [], [], []
    for run in runs:
        summary, labels = run.summary, {"run": run.run_id, "model": run.model}
        for number, device in enumerate(summary.devices):
            about = {"device": device.uuid or f"{device.kind}{number}", "type": device.kind, "name": device.name}
            energy.append((labels | about | {"basis": device.basis}, device.energy_j))
        emissions.append((labels, summary.emissions_kg * 1000))
        seconds.append((labels, summary.duration_s))
        share.append((labels, summary.measured_share))
        info.append((labels | {"kind": run.kind, "url": run.url or ""}, 1.0))
    return [
        Metric("traceml_energy_joules", "counter", "Energy of each device of a run.", energy),
        Metric("traceml_emissions_grams", "counter", "CO2e of a run.", emissions),
        Metric("traceml_duration_seconds", "counter", "Duration of a run.", seconds),
        Metric("traceml_measured_ratio", "gauge", "Share of a run's energy that was measured.", share),
        Metric("traceml_run_info", "gauge", "The run's kind, and its page on the portal.", info),
    ]


class Collector:
    """What a registry of `prometheus_client` asks at each scrape."""

    def __init__(self, runs: Exposed):
        self._runs = runs

    def describe(self) -> list:
        """No metrics, so that the registry does not read the runs when this is registered."""
        return []

    def collect(self) -> list:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        found = []
        for each in families(self._runs):
            kind = CounterMetricFamily if each.type == "counter" else GaugeMetricFamily
            names = list(each.rows[0][0]) if each.rows else []
            family = kind(each.name, each.help, labels=names)
            for labels, value in each.rows:
                family.add_metric(list(labels.values()), value)
            found.append(family)
        return found


class Textfile:
    """A file in Prometheus' text format, replaced as a whole, so that no reader sees half of it."""

    is_over = False

    def __init__(self, path: str, runs: Exposed):
        self._path, self._runs = path, runs

    def begin(self, labels: dict, now) -> None:
        now()

    def log(self, figures: dict) -> None:
        # Without .prom, so that node_exporter does not read it. In containers, two writers may have the same number.
        draft = f"{self._path}.{os.urandom(4).hex()}"
        with _writing:
            try:
                with open(draft, "w", encoding="utf-8") as file:
                    file.write(text(families(self._runs)))
                os.replace(draft, self._path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.remove(draft)
                raise

    end = log


def text(found: list[Metric]) -> str:
    """Metrics in https://prometheus.io/docs/instrumenting/exposition_formats/."""
    lines = []
    for each in found:
        name = f"{each.name}_total" if each.type == "counter" else each.name
        lines += [f"# HELP {name} {each.help}", f"# TYPE {name} {each.type}"]
        for labels, value in each.rows:
            words = ",".join(f'{key}="{_escaped(label)}"' for key, label in labels.items())
            lines.append(f"{name}{{{words}}} {value!r}")
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
