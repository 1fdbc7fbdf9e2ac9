"""CodeCarbon's trackers, measured by TraceML: a code base moves over by one changed import.

>>> from traceml_agent.codecarbon import EmissionsTracker
>>> with EmissionsTracker(project_name="resnet50"):
...     train()

They take the arguments of CodeCarbon, its `.codecarbon.config` and its `CODECARBON_…` variables, and write its
`emissions.csv`. What is measured, and the emission factor, are TraceML's (docs/integrations/codecarbon.md).
"""

from __future__ import annotations

import functools
from enum import Enum
from pathlib import Path
from typing import Any

from traceml_agent.integrations import codecarbon_files as files
from traceml_agent.integrations.codecarbon_files import EmissionsData
from traceml_agent.messages import guarded, warn
from traceml_agent.track import _wrapper, start

__all__ = ["EmissionsData", "EmissionsTracker", "OfflineEmissionsTracker", "OutputMethod", "track_emissions"]

#: What CodeCarbon sends for an experiment or is called, where the user chose none.
NOT_CHOSEN = ("", "None", "base", "5b0fa12a-3dd7-45bb-9766-cc326314d9f1")
DOOR = "/api/codecarbon"
#: Arguments that mean something here; all others are accepted.
USED = """project_name experiment_id experiment_name output_dir output_file output_methods save_to_file on_csv_write
    log_level tracking_mode api_endpoint api_key save_to_api offline allow_multiple_runs"""


class OutputMethod(str, Enum):
    """Where CodeCarbon can write to. Here, runs go to the portal whatever is chosen, and CSV writes the file."""

    CSV = "csv"
    API = "api"
    LOGGER = "logger"
    PROMETHEUS = "prometheus"
    LOGFIRE = "logfire"
    BOAMPS = "boamps"


class EmissionsTracker:
    """A run, with the calls of CodeCarbon's tracker. None of them raises."""

    final_emissions: float | None = None
    final_emissions_data: EmissionsData | None = None
    run_id: str | None = None

    def __init__(self, *args, **options):
        self._run: Any = None
        self._tasks: dict[str, dict] = {}
        self._active_task: str | None = None
        self._options = self._chosen(args, options) or {}

    @guarded()
    def _chosen(self, args: tuple, options: dict) -> dict[str, Any]:
        given = dict(zip(files.TRACKER, args, strict=False)) | options
        if without := sorted(name for name in given if name not in USED.split()):
            warn(f"these arguments of CodeCarbon have no meaning here and are ignored: {', '.join(without)}.")
        return files.settings() | given

    def _option(self, name: str, default: str = "") -> str:
        value = self._options.get(name)
        value = default if value is None else value
        return str(value.value if isinstance(value, Enum) else value)

    @guarded()
    def start(self) -> None:
        """Start a run of the model that `experiment_id` names, else `project_name`."""
        if self._run is not None:
            warn("this tracker has already started.")
            return
        chosen = [self._option("experiment_id"), self._option("project_name")]
        model = next((name for name in chosen if name not in NOT_CHOSEN), None)
        name = self._option("experiment_name")
        self._run = start(model, name=None if name in NOT_CHOSEN else name, **self._settings())
        self.run_id = self._run.run_id

    def _settings(self) -> dict[str, Any]:
        """The agent's settings that CodeCarbon's say something about."""
        found: dict[str, Any] = {}
        token, url = self._option("api_key"), self._option("api_endpoint").rstrip("/")
        if token.startswith("tml_") and url.endswith(DOOR):
            found |= {"token": token, "url": url.removesuffix(DOOR)}
        if self._option("tracking_mode") == "machine":
            found["scope"] = "machine"
        level = self._option("log_level").lower()
        if level in ("warning", "error", "critical") or (level.isdecimal() and int(level) >= 30):
            found["quiet"] = True
        return found

    @guarded()
    def flush(self) -> float | None:
        """Write the figures so far to the file; returns kg CO2e so far."""
        if self._run is None:
            warn("start the tracker before you flush it.")
            return None
        data = self._data(self._run.summary)
        self._write(data)
        return data.emissions

    def stop(self) -> float | None:
        """End the run and write the file; returns its kg CO2e. A second call returns the same."""
        return self._end(None, None)

    @guarded()
    def _end(self, kind, error) -> float | None:
        from traceml_agent.host import endings

        run, self._run = self._run, None
        if run is None:
            return self.final_emissions
        for name in [name for name, task in self._tasks.items() if "data" not in task]:
            self._stop_task(run, name)
        data = self._data(run.stop(*endings.of_exception(kind, error, run.kind)), run)
        self.final_emissions, self.final_emissions_data = data.emissions, data
        if run.rank == 0:  # one run for all ranks of a job
            self._write(data)
            self._write_tasks()
        return data.emissions

    def __enter__(self) -> EmissionsTracker:
        self.start()
        return self

    def __exit__(self, kind, error, traceback) -> None:
        self._end(kind, error)

    def service_shutdown(self, signum, frame) -> None:
        """A signal handler that ends the run."""
        self.stop()

    @guarded()
    def start_task(self, task_name: str | None = None) -> None:
        """Start a stage of the run, and the run itself if it has not started."""
        if self._run is None:
            self.start()
        if self._run is None or self._active_task is not None:
            warn("a task has already started; end it with stop_task first.")
            return
        name = task_name or f"task {len(self._tasks) + 1}"
        name = f"{name} ({len(self._tasks) + 1})" if name in self._tasks else name
        before = self._run.summary
        self._tasks[name] = {"stage": self._run.stage(name).__enter__(), "before": before}
        self._active_task = name

    @guarded()
    def stop_task(self, task_name: str | None = None) -> EmissionsData | None:
        """End the stage; returns its figures, between the samples around it."""
        name = task_name or self._active_task or ""
        if self._run is None or name not in self._tasks:
            warn("there is no task to stop.")
            return None
        return self._stop_task(self._run, name)

    def _stop_task(self, run: Any, name: str) -> EmissionsData:
        task = self._tasks[name]
        task["stage"].__exit__(None, None, None)
        task["data"] = self._data(run.summary, run, task["before"])
        self._active_task = None if self._active_task == name else self._active_task
        return task["data"]

    def get_detected_hardware(self) -> dict[str, Any]:
        """The machine, as far as the run has seen it."""
        data = self.final_emissions_data or (self._data(self._run.summary) if self._run else None)
        names = ("ram_total_size", "cpu_count", "cpu_model", "gpu_count", "gpu_model")
        found = {name: getattr(data, name, None) for name in names}
        return found | {"cpu_physical_count": None, "gpu_ids": None}

    def _data(self, summary, run: Any = None, before=None) -> EmissionsData:
        run = run or self._run
        names = {
            "project_name": self._option("project_name", "codecarbon"),
            "run_id": str(run.run_id if run else ""),
            "experiment_id": self._option("experiment_id", NOT_CHOSEN[-1]),
            "tracking_mode": self._option("tracking_mode", "process"),
        }
        return files.data_of(summary, before or {}, names)

    @guarded()
    def _write(self, data: EmissionsData) -> None:
        if self._writes_file():
            path = self._folder() / self._option("output_file", "emissions.csv")
            files.write(path, data.values, files.COLUMNS, self._option("on_csv_write") == "update")

    @guarded()
    def _write_tasks(self) -> None:
        if not self._writes_file():
            return
        name = self._option("experiment_name", "base")
        path = self._folder() / f"emissions_{name}_{self.run_id}.csv"
        for task, kept in self._tasks.items():
            row = {"task_name": task} | kept["data"].values
            files.write(path, {name: row[name] for name in files.TASK_COLUMNS}, files.TASK_COLUMNS, updates=False)

    def _folder(self) -> Path:
        return Path(self._option("output_dir", "."))

    def _writes_file(self) -> bool:
        methods = self._options.get("output_methods")
        if methods is None:
            return self._option("save_to_file", "true").lower() not in ("false", "0", "no")
        words = methods.split(",") if isinstance(methods, str) else [OutputMethod(each).value for each in methods]
        return "csv" in [word.strip() for word in words]


class OfflineEmissionsTracker(EmissionsTracker):
    """The same: TraceML needs no place and no network; what it can't send now, it sends later."""


def track_emissions(fn=None, *args, **options):
    """Decorate a function, so that each call is a run. Takes the arguments of CodeCarbon's decorator."""
    given = dict(zip(files.DECORATOR, args, strict=False)) | options

    def decorate(function):
        return functools.update_wrapper(_wrapper(function)(lambda: EmissionsTracker(**given), function), function)

    return decorate if fn is None else decorate(fn)
